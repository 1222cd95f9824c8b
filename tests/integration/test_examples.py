#!/usr/bin/python3
"""The examples of the languages do what they show: built as they stand, run against a sidecar, and counted."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, Sidecar, StackTest, main, total  # noqa: E402


class Examples(StackTest):
    def counted(self, name, run_id):
        """Runs the example; every one of them decides ten times, two of the ten are rejects."""
        sidecar = Sidecar(self)
        self.run_ok(str(BIN.parent / name), self.ipc, env={**self.env, "LD_LIBRARY_PATH": str(BIN.parent / "lib")})
        run = f'run_id="{run_id}"'
        for family in ("peaktrade_ai_decisions_total", "ailive_stage_latency_seconds_count"):
            series = sidecar.wait_total(10, family, run)  # some may have come by the spool
        for decision, n in (("accept", 8), ("reject", 2)):
            self.assertEqual(n, total(series, "peaktrade_ai_decisions_total", run, f'decision="{decision}"'))
        self.assertEqual(8, total(series, "peaktrade_ai_actions_total", run, 'action="submit"'))
        self.assertEqual(10, total(series, "ailive_stage_latency_seconds_count", run, 'stage="risk_check"'))
        self.assertEqual(10, total(series, "peaktrade_ai_decision_latency_seconds_count", run))

    def test_c(self):
        self.counted("bin/example_c", "c_example")

    def test_cpp(self):
        self.counted("bin/example_cpp", "cpp_example")

    @unittest.skipUnless((BIN.parent / "rust").exists(), "cargo has not built it; rust.example runs behind rust.cargo")
    def test_rust(self):
        self.counted("rust/debug/examples/watch", "rust_example")

    @unittest.skipUnless((BIN.parent / "rust").exists(), "as above")
    def test_rust_refuses_a_library_of_another_binary_interface(self):
        library = BIN.parent / "lib"
        env = {**self.env, "LD_LIBRARY_PATH": str(library), "LD_PRELOAD": str(library / "libother_abi.so")}
        done = self.run_ok(str(BIN.parent / "rust/debug/examples/watch"), self.ipc, env=env, status=1)
        self.assertIn("Error(-10", done.stderr.decode())


if __name__ == "__main__":
    main()
