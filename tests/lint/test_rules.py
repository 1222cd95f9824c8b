#!/usr/bin/python3
"""Each rule of rules.py reports what it forbids: a copy of the tree is broken once for each."""
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import rules  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Rules(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="ailive-lint."))
        for folder in ("sdk", "sidecar", "docs"):
            shutil.copytree(ROOT / folder, self.root / folder)

    def tearDown(self):
        shutil.rmtree(self.root)

    def breaks(self, rule, path, text):
        self.assertEqual([], list(rule(self.root)))
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        before = target.read_text() if target.exists() else ""
        target.write_text(before + text)
        self.assertTrue(list(rule(self.root)), f"{rule.__name__} does not see {path}")

    def test_top_level(self):
        self.breaks(rules.rule_top_level, "extra.txt", "x")

    def test_third_parties(self):
        self.breaks(rules.rule_third_parties, "sidecar/http.c", "\n#include <lmdb.h>\n")

    def test_directions_sidecar_to_sdk(self):
        self.breaks(rules.rule_directions, "sidecar/http.c", '\n#include "src/ring.h"\n')

    def test_directions_only_hosts_use_the_sdk(self):
        self.breaks(rules.rule_directions, "sidecar/http.c", "\n#include <ailive/ailive.h>\n")

    def test_directions_sdk_to_sidecar(self):
        self.breaks(rules.rule_directions, "sdk/src/ring.c", '\n#include "aggregate.h"\n')

    def test_pure(self):
        self.breaks(rules.rule_pure, "sidecar/aggregate.c", "\nstatic long x(void) { return time(0); }\n")

    def test_sdk_is_silent(self):
        self.breaks(rules.rule_sdk_is_silent, "sdk/src/ring.c", '\nvoid x(void) { printf("x"); }\n')

    def test_a_file_opens_with_its_place(self):
        self.breaks(rules.rule_file_opens_with_its_place, "sdk/src/new.c", "int x;\n")

    def test_names(self):
        self.breaks(rules.rule_names, "sidecar/util.c", "int x;\n")

    def test_no_pointer_typedefs(self):
        self.breaks(rules.rule_names, "sidecar/http.h", "typedef struct http *http_t;\n")

    def test_no_machine(self):
        self.breaks(rules.rule_no_machine, "docs/hacking.md", "see /" + "home/someone/x\n")

    def test_tree(self):
        self.breaks(rules.rule_tree, "sdk/src/unlisted.c", "int x;\n")


if __name__ == "__main__":
    unittest.main()
