#!/usr/bin/python3
"""The build says what is missing and how to get it, and downloads nothing."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import ROOT, StackTest, main  # noqa: E402


class Build(StackTest):
    def test_a_missing_package_is_named_with_the_line_that_brings_it(self):
        env = {**self.env, "PKG_CONFIG_LIBDIR": str(self.folder)}
        done = subprocess.run(["cmake", "-S", str(ROOT), "-B", str(self.folder / "build"), "-G", "Ninja"], env=env,
                              capture_output=True, timeout=120)
        self.assertNotEqual(0, done.returncode)
        self.assertIn(b"apt-get install libmsgpack-dev", done.stderr)

    def test_nothing_is_downloaded(self):
        for path in [ROOT / "CMakeLists.txt", *ROOT.glob("*/CMakeLists.txt")]:
            for word in ("FetchContent", "ExternalProject", "file(DOWNLOAD"):
                self.assertNotIn(word, path.read_text(), path)


if __name__ == "__main__":
    main()
