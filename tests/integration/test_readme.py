#!/usr/bin/python3
"""The README's C example is compiled, run, and its records arrive in /metrics."""
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, ROOT, Sidecar, StackTest, main  # noqa: E402


class Readme(StackTest):
    def test_the_example_compiles_runs_and_is_counted(self):
        text = (ROOT / "README.md").read_text()
        code = re.search(r"<!-- example.*?-->\n```c\n(.*?)```", text, re.S).group(1)
        (self.folder / "example.c").write_text(code)
        library = BIN.parent / "lib"
        sanitize = [f"-fsanitize={names}"] if (names := os.environ.get("AILIVE_SANITIZE")) else []
        self.run_ok("cc", *sanitize, "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/sdk/include",
                    str(self.folder / "example.c"), "-o", str(self.folder / "example"), f"-L{library}", "-lailive",
                    f"-Wl,-rpath,{library}")
        sidecar = Sidecar(self)
        self.run_ok(str(self.folder / "example"))
        series = sidecar.wait_total(2, "peaktrade_ai_decisions_total")
        self.assertEqual(1, series['peaktrade_ai_decisions_total{component="execution_watch",decision="reject",'
                                   'reason="other",run_id="paper_7"}'])


if __name__ == "__main__":
    main()
