#!/usr/bin/python3
"""What the sidecar tells a service manager; a socket of the test's own stands for systemd's."""
import os
import pathlib
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, Sidecar, StackTest, main, wait_for  # noqa: E402


class Manager:
    """A notify socket and what arrived at it."""

    def __init__(self, test, name=None):
        self.name = name or str(test.folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name.replace("@", "\0", 1) if self.name[0] == "@" else self.name)
        self.socket.setblocking(False)
        test.addCleanup(self.socket.close)
        self.lines = []

    def take(self):
        try:
            while True:
                self.lines += self.socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return self.lines

    def wait(self, line, count=1):
        wait_for(f"{count} of {line} in {self.lines}", lambda: self.take().count(line) >= count)


class Service(StackTest):
    def managed(self, manager, **env):
        return Sidecar(self, env={**self.env, "NOTIFY_SOCKET": manager.name, **env}, ready=False)

    def test_ready_is_told_once_it_serves_and_stopping_when_it_ends(self):
        for name in (None, f"@ailive-test-{os.getpid()}"):
            manager = Manager(self, name)
            sidecar = self.managed(manager)
            manager.wait("READY=1")
            self.assertEqual("ready\n", sidecar.get("/-/ready"))
            self.assertIn(f"STATUS=Serving port {sidecar.port}", manager.lines)
            self.assertNotIn("STOPPING=1", manager.lines)
            self.assertEqual(0, sidecar.stop())
            manager.wait("STOPPING=1")
            self.assertNotIn("WATCHDOG=1", manager.lines)  # nobody asked for it

    def test_a_start_that_fails_tells_why_and_never_ready(self):
        manager = Manager(self)
        (self.folder / "state").write_text("a file where a folder belongs")
        sidecar = self.managed(manager)
        self.assertEqual(1, sidecar.process.wait(timeout=60))
        manager.wait(next((line for line in manager.take() if line.startswith("STATUS=")), "STATUS=..."))
        self.assertIn("state", manager.lines[0])
        self.assertNotIn("READY=1", manager.lines)

    def test_signs_of_life_come_while_a_watchdog_asks_for_them(self):
        manager = Manager(self)
        sidecar = self.managed(manager, WATCHDOG_USEC="3000000")
        manager.wait("WATCHDOG=1", 3)
        sidecar.process.send_signal(signal.SIGSTOP)
        wait_for("each of its threads has stopped", lambda: all("T (stopped)" in path.read_text() for path in
                 pathlib.Path(f"/proc/{sidecar.process.pid}/task").glob("*/status")))
        seen = manager.take().count("WATCHDOG=1")
        time.sleep(2)
        self.assertEqual(seen, manager.take().count("WATCHDOG=1"))
        sidecar.process.send_signal(signal.SIGCONT)
        manager.wait("WATCHDOG=1", seen + 1)

    def test_a_watchdog_over_another_process_is_not_ours(self):
        manager = Manager(self)
        self.managed(manager, WATCHDOG_USEC="3000000", WATCHDOG_PID="1")
        manager.wait("READY=1")
        time.sleep(2.2)
        self.assertNotIn("WATCHDOG=1", manager.take())

    def test_a_watchdog_that_cannot_be_kept_and_a_socket_that_is_none_are_warned_of(self):
        manager = Manager(self)
        sidecar = self.managed(manager, WATCHDOG_USEC="1000000")
        manager.wait("READY=1")
        self.assertIn("raise WatchdogSec=", sidecar.log())
        sidecar.stop()
        other = Sidecar(self, env={**self.env, "NOTIFY_SOCKET": "nonsense"})
        self.assertIn("$NOTIFY_SOCKET is 'nonsense'", other.log())

    def test_a_manager_that_has_gone_or_does_not_read_holds_nothing_up(self):
        manager = Manager(self)
        sidecar = self.managed(manager, WATCHDOG_USEC="3000000")
        manager.wait("READY=1")
        manager.socket.close()
        time.sleep(1.2)
        self.assertEqual("ready\n", sidecar.get("/-/ready"))
        self.assertEqual(0, sidecar.stop())

    def test_commits_that_fail_are_told_and_their_end_too(self):
        manager = Manager(self)
        env = {**self.env, "NOTIFY_SOCKET": manager.name}
        sidecar = Sidecar(self, prefix=("bash", "-c", "trap '' XFSZ; exec \"$@\"", "bash"), env=env)
        self.run_ok("prlimit", "--pid", str(sidecar.process.pid), "--fsize=8192:unlimited")
        self.start(AILIVE, "emit", "--ipc", self.ipc, "--n", "3000", "--interval-ms", "1")
        wait_for("it says so", lambda: [line for line in manager.take() if line.startswith("STATUS=Not committing: ")])
        self.run_ok("prlimit", "--pid", str(sidecar.process.pid), "--fsize=unlimited:unlimited")
        manager.wait(f"STATUS=Serving port {sidecar.port}", 2)


if __name__ == "__main__":
    main()
