#!/usr/bin/python3
"""The systemd units: known to systemd, hardened, and the hardening lets the sidecar do what it does. No systemd runs them
here: test_service.py speaks its protocol, test_debian_root.py runs the command as the service's user."""
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, ROOT, Sidecar, StackTest, main  # noqa: E402

UNITS = ROOT / "sidecar/ops/systemd"


class Units(StackTest):
    def test_the_exposure_is_below_two(self):
        done = self.run_ok("systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager",
                           str(UNITS / "ailive.service"))
        self.assertLess(float(re.search(r"exposure level for ailive.service: ([\d.]+)", done.stdout.decode()).group(1)),
                        2.0)

    def test_every_key_is_one_that_systemd_knows(self):
        root = self.folder / "root"  # where what the units name is there
        (root / "usr/bin").mkdir(parents=True)
        (root / "usr/bin/ailive").symlink_to(AILIVE)
        units = root / "usr/lib/systemd/system"
        units.mkdir(parents=True)
        for unit in ("ailive.service", "ailive.socket"):
            (units / unit).write_text((UNITS / unit).read_text().replace("ExecStart=ailive", f"ExecStart={AILIVE}"))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(units / unit)],
                                  capture_output=True)
            said = [line for line in done.stderr.decode().splitlines() if "ailive" in line]
            self.assertEqual((0, []), (done.returncode, said))

    def allowed(self):
        """The system calls that the unit's filter lets pass, as systemd itself spells its sets out."""
        listed, sets, name = self.run_ok("systemd-analyze", "syscall-filter", "--no-pager").stdout.decode(), {}, ""
        for line in listed.splitlines():
            name = line.strip() if re.match(r"@[\w-]+$", line) else name
            if re.match(r"\s+@?[a-z]\w*", line):
                sets.setdefault(name, []).append(line.strip())

        def calls(name):
            return {call for entry in sets[name] for call in (calls(entry) if entry[0] == "@" else {entry})}

        passed = set()
        for words in re.findall(r"^SystemCallFilter=(\S.*)", (UNITS / "ailive.service").read_text(), re.M):
            for word in words.lstrip("~").split():
                passed = passed - calls(word) if words[0] == "~" else passed | calls(word)
        return passed | calls("@default")

    def test_the_filter_lets_pass_what_a_sidecar_calls(self):
        trace = self.folder / "trace"
        sidecar = Sidecar(self, "--jsonl", str(self.folder / "events.jsonl"),
                          prefix=("strace", "-f", "-qq", "-o", str(trace)))  # its file lies beside: a busy neighbour
        (self.folder / "events.jsonl").write_text('{"v":1,"decision":"accept"}\n')
        self.emit("--ipc", self.ipc, "--n", "30")
        sidecar.wait_total(31, "peaktrade_ai_decisions_total")
        child = int(trace.read_text().split()[0])
        os.kill(child, signal.SIGTERM)
        self.assertEqual(0, sidecar.process.wait(timeout=60))
        called = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M))
        self.assertIn("fdatasync" if "fdatasync" in called else "fsync", called)
        self.assertEqual(set(), called - self.allowed())


if __name__ == "__main__":
    main()
