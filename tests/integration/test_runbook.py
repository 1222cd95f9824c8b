#!/usr/bin/python3
"""The runbook's commands, each section with its trouble brought about: what a text block shows must be in the output
of the sh block before it. "..." stands for anything, a number for any number."""
import os
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, BIN, ROOT, OperatorTest, Sidecar, main, wait_for  # noqa: E402

SECTIONS = dict(part.split("\n", 1) for part in (ROOT / "docs/runbook.md").read_text().split("\n## ")[1:])


def steps(section):
    """[(commands, expected text)] of a section, in order; the text is empty where none follows."""
    found = []
    for kind, body in re.findall(r"```(sh|text)\n(.*?)```", SECTIONS[section], re.S):
        if kind == "sh":
            found.append([body, ""])
        else:
            found[-1][1] = body
    return found


def pattern(line):
    """A line of expected text as a regular expression."""
    line = re.sub(r"\\\d", lambda match: match.group(0)[1:], re.escape(line))
    line = line.replace(r"\.\.\.", ".*")
    return re.sub(r"(?<![\w_])\d+(\\\.\d+)?(?!\w)", r"\\d+(?:\\.\\d+)?", line)


class Runbook(OperatorTest):
    def follow(self, section, count=None, skip=0, exporter=None, fill=()):
        """Runs the section's steps (or count of them, after skip) and looks at what they print."""
        replacements = [("sidecar/ops/", f"{ROOT}/sidecar/ops/"), (".local_tmp/ailive_stack", str(self.stack)),
                        (":9110", f":{exporter or self.ports['PEAK_TRADE_AI_EXPORTER_PORT']}"),
                        (" 9110", f" {self.ports['PEAK_TRADE_AI_EXPORTER_PORT']}"),
                        (":9092", f":{self.ports['AILIVE_PROM_PORT']}"), *fill]
        env = {**self.env, "PATH": f"{BIN}:{self.env['PATH']}"}
        chosen = steps(section)[skip:][:count]
        self.assertTrue(chosen)
        for commands, expected in chosen:
            for old, new in replacements:
                commands, expected = commands.replace(old, new), expected.replace(old, new)
            done = self.run_ok("bash", "-ec", f"cd {self.folder}\n{commands}", env=env)
            output = done.stdout.decode()
            for line in expected.splitlines():
                self.assertRegex(output, re.compile(f"^{pattern(line)}$", re.M),
                                 f"{section}: {commands}\n{output}\n{done.stderr.decode()}")

    def sidecar_pid(self):
        return self.started()["sidecar"]

    def test_from_the_start_over_each_trouble_of_a_running_stack_to_the_end(self):
        self.port_busy()
        self.follow("Start", 1)
        self.follow("No events")
        self.follow("Start", skip=1)
        self.follow("Stale")
        with open(self.stack / "events.jsonl", "a") as events:
            events.write('{"v":2}\n{"v":1,"decision":"acc\n')
        exporter = f"http://127.0.0.1:{self.ports['PEAK_TRADE_AI_EXPORTER_PORT']}/metrics"
        wait_for("both lines are seen", lambda: b"parse_errors_total{" in self.run_ok("curl", "-s", exporter).stdout)
        self.follow("Parse errors")
        self.follow("Drops")

        os.kill(self.sidecar_pid(), signal.SIGKILL)
        wait_for("it is dead", lambda: " DOWN " in self.script("status", status=None))
        self.follow("Target not up", 2)
        self.emit("--ipc", self.ipc, "--n", "30", "--run-id", "away")
        self.follow("Spool growing")  # whose mend is the other's too
        self.follow("Target not up", skip=2, fill=[(f"bash {ROOT}/sidecar/ops/up.sh\n", "")])
        self.follow("End")

    def port_busy(self):
        port = str(self.ports["PEAK_TRADE_AI_EXPORTER_PORT"])
        holder = self.start("python3", "-c", "import socket, sys, time\ns = socket.create_server(('127.0.0.1', "
                            f"{port}))\ntime.sleep(60)")
        wait_for("the port is taken", lambda: b"in use" in self.run_ok(AILIVE, "port", port, status=None).stdout)
        self.follow("Port busy", fill=[("4711", str(holder.pid)), ("sleep 1", "sleep 0.1")])

    def test_state_that_is_damaged(self):
        sidecar = Sidecar(self)
        self.emit("--ipc", self.ipc, "--n", "30")
        sidecar.wait_total(30, "peaktrade_ai_decisions_total")
        wait_for("the state is copied", (self.folder / "state/copy.mdb").exists)
        self.assertEqual(0, sidecar.stop())
        data = self.folder / "state/data.mdb"
        data.write_bytes(b"\xff" * data.stat().st_size)
        again = Sidecar(self)
        self.follow("State damaged", exporter=again.port, fill=[("sidecar.log", str(again.log_path))])

    def test_a_disk_that_is_full(self):
        """By a limit on the size of files: the same for the program, and no disk is needed."""
        sidecar = Sidecar(self, prefix=("bash", "-c", "trap '' XFSZ; exec \"$@\"", "bash"))
        self.run_ok("prlimit", "--pid", str(sidecar.process.pid), "--fsize=8192:unlimited")
        self.start(AILIVE, "emit", "--ipc", self.ipc, "--n", "3000", "--interval-ms", "1")
        wait_for("a commit fails", lambda: self.run_ok("curl", "-s", sidecar.url + "/-/ready").stdout != b"ready\n")
        fill = [("No space left on device", "File too large")]
        self.follow("Disk full", 1, exporter=sidecar.port, fill=fill)
        self.run_ok("prlimit", "--pid", str(sidecar.process.pid), "--fsize=unlimited:unlimited")
        self.follow("Disk full", skip=1, exporter=sidecar.port)
        sidecar.wait_total(3000, "peaktrade_ai_decisions_total")

    def test_every_section_is_followed_somewhere_above(self):
        followed = set(re.findall(r'self\.follow\("([\w ]+)"', pathlib.Path(__file__).read_text()))
        self.assertEqual(set(SECTIONS), followed)


if __name__ == "__main__":
    main()
