#!/usr/bin/python3
"""The README's first command, without a terminal, on a free port: it ends by itself and says whether series moved."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import ROOT, StackTest, free_port, main  # noqa: E402


class Demo(StackTest):
    def test_the_demo_runs_by_itself_and_its_series_move(self):
        env = {**self.env, "PEAK_TRADE_AI_EXPORTER_PORT": str(free_port()), "TMPDIR": str(self.folder)}
        done = self.run_ok("bash", str(ROOT / "sidecar/demo.sh"), "--for", "3", env=env, seconds=400)
        self.assertIn("The series moved", done.stdout.decode())
        self.assertEqual([], list(self.folder.glob("ailive-demo.*")))

    def test_a_busy_port_fails_the_demo_with_the_reason(self):
        import socket
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            env = {**self.env, "PEAK_TRADE_AI_EXPORTER_PORT": str(holder.getsockname()[1]), "TMPDIR": str(self.folder)}
            done = self.run_ok("bash", str(ROOT / "sidecar/demo.sh"), "--for", "3", env=env, seconds=400, status=1)
        self.assertIn(env["PEAK_TRADE_AI_EXPORTER_PORT"], done.stderr.decode())


if __name__ == "__main__":
    main()
