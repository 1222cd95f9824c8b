#!/usr/bin/python3
"""Commands in the documents work as they stand: those of operations.md are run (with the test's port, socket and
folder), those of hacking.md and the README name presets, tests and files that exist."""
import json
import pathlib
import re
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import exposition  # noqa: E402
from support.stack import BIN, ROOT, Sidecar, StackTest, main  # noqa: E402


def commands(name):
    """The command lines of a document's sh blocks, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text(), re.S)
    lines = [re.sub(r"\s+#.*", "", line) for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


class Docs(StackTest):
    def test_operations_commands_run(self):
        events = self.folder / "events.jsonl"
        events.write_text('{"v":1,"decision":"accept"}\n')
        sidecar = Sidecar(self)
        seen = set()
        for line in commands("docs/operations.md"):
            if line.startswith("bash sidecar/ops/"):  # run by test_stack.py
                continue
            line = line.replace(":9110", f":{sidecar.port}")
            line = re.sub(r"ipc:///run/user/1000/ailive/sidecar.sock", self.ipc, line)
            seen.add(line.split()[0] + " " + line.split()[1])
            if line.startswith("ailive sidecar"):  # beside the running one: its options must be right
                line = line.replace("--state state", "--state other")
                line = f"AILIVE_RUNTIME_DIR=r AILIVE_SPOOL_DIR=p AILIVE_STATE_DIR=s timeout 1 {line} --listen 127.0.0.1:0 || [ $? -eq 124 ] "
            env = {**self.env, "PATH": f"{BIN}:{self.env['PATH']}"}
            done = self.run_ok("bash", "-c", f"cd {self.folder}; {line}", env=env)
            if line.startswith("curl"):
                self.assertTrue(done.stdout, line)
        self.assertLessEqual({"ailive sidecar", "ailive replay", "ailive emit", "curl -s"}, seen)

    def test_the_families_in_operations_are_on_the_page(self):
        sidecar = Sidecar(self)
        protobuf = urllib.request.Request(sidecar.url + "/metrics", headers={"Accept": exposition.PROTOBUF})
        with urllib.request.urlopen(protobuf, timeout=60) as answer:  # has all that the text has, and native families
            families = exposition.check_protobuf(answer.read())
        for family in re.findall(r"`(ailive_\w+)(?:\{[^}]*\})?`", (ROOT / "docs/operations.md").read_text()):
            self.assertIn(family, families)

    def test_every_test_that_reliability_names_is_there(self):
        named = re.findall(r"(\w+): ((?:`\w+`(?:, )?)+)", (ROOT / "docs/reliability.md").read_text())
        self.assertGreater(len(named), 15)
        for file, claims in named:
            places = [ROOT / f"tests/unit/test_{file}.c", ROOT / f"tests/integration/test_{file}.py",
                      ROOT / f"bindings/python/tests/test_{file}.py"]
            source = next(path for path in places if path.exists()).read_text()
            for claim in re.findall(r"\w+", claims):
                self.assertRegex(source, rf"\({claim}[,)]|def {claim}\((self|stack)\b", file)

    def test_hacking_and_readme_name_what_exists(self):
        presets = json.loads((ROOT / "CMakePresets.json").read_text())
        names = {preset["name"] for preset in presets["workflowPresets"]}
        for line in commands("docs/hacking.md") + commands("README.md"):
            for preset in re.findall(r"--preset (\w+)", line):
                self.assertIn(preset, names)
            for path in re.findall(r"(?<![\w/])(?:tests|sidecar|sdk|bindings)/[\w/.*]+", line):
                self.assertTrue(list(ROOT.glob(path)), path)


if __name__ == "__main__":
    main()
