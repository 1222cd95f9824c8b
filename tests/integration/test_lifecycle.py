#!/usr/bin/python3
"""Hosts that end, or go on, in every way but ailive_close(): each record whose call returned is counted once, whether
the sidecar was there meanwhile or came later."""
import pathlib
import signal
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, Sidecar, StackTest, main, total, wait_for  # noqa: E402

LIFECYCLE = str(BIN / "lifecycle")
UNLOADER = str(BIN / "unloader")
LIBRARY = str(BIN.parent / "lib/libailive.so")
DECISIONS = "peaktrade_ai_decisions_total"
# Mode and how its process ends.
ENDS = {"exit": 0, "exit-beside": 0, "quick-exit": 0, "exit-now": 0, "abort": -signal.SIGABRT,
        "last-name": -signal.SIGKILL, "daemon": 0}
CALLS = 500
UNLOADED = 1000


class Lifecycle(StackTest):
    def env_of(self, run_id):
        return dict(self.env, PEAK_TRADE_AI_RUN_ID=run_id)

    def tally(self, mode):
        return sum(struct.unpack("<QQ", (self.folder / f"{mode}.tally").read_bytes()))

    def run_mode(self, mode, end):
        process = self.start(LIFECYCLE, mode, str(self.folder / f"{mode}.tally"), env=self.env_of(mode),
                             stdout=subprocess.PIPE)
        process.communicate(timeout=60)  # its output ends with the last process that came of it
        self.assertEqual(end, process.returncode, mode)

    def run_all(self):
        for mode, end in ENDS.items():
            self.run_mode(mode, end)
        self.run_ok(UNLOADER, LIBRARY, str(UNLOADED), env=self.env_of("unloaded"))

    def expect_all(self, sidecar):
        least = sum(self.tally(mode) for mode in ENDS) + 1 + UNLOADED
        wait_for("every folder is gone", lambda: not self.producers())
        wait_for("every record is counted", lambda: total(sidecar.series(), DECISIONS) >= least)
        series = sidecar.series()
        for mode in ENDS:
            counted = total(series, DECISIONS, f'run_id="{mode}"')
            if mode == "exit-beside":  # the last call may not have returned
                self.assertTrue(self.tally(mode) <= counted <= self.tally(mode) + 1, (mode, counted))
            else:
                self.assertEqual(self.tally(mode) + (mode == "last-name"), counted, mode)
        self.assertEqual(3 * CALLS, self.tally("daemon"))
        self.assertEqual(UNLOADED, total(series, DECISIONS, 'run_id="unloaded"'))
        self.assertEqual(1, total(series, DECISIONS, 'component="newborn"', 'run_id="last-name"'))
        self.assertEqual(0, total(series, "ailive_events_dropped_total"))

    def producers(self):
        return [p for p in (self.folder / "runtime").iterdir() if p.is_dir()]

    def test_however_a_host_ends_its_records_are_counted_once(self):
        sidecar = Sidecar(self)
        self.run_all()
        self.expect_all(sidecar)

    def test_they_are_too_when_the_sidecar_comes_later(self):
        self.run_all()
        self.expect_all(Sidecar(self))

    def test_they_are_too_when_libnng_carries_them(self):
        self.env["AILIVE_IPC_URL"] = self.network_urls()["tcp"]
        sidecar = Sidecar(self)
        self.run_all()
        self.expect_all(sidecar)

    def test_what_a_host_recorded_before_it_execs_is_salvaged_while_it_lives_on(self):
        sidecar = Sidecar(self)
        idle = self.start_exec()
        self.assertEqual(CALLS, self.tally("exec"))
        sidecar.wait_total(CALLS, DECISIONS, 'run_id="exec"')
        wait_for("its folder is gone", lambda: not self.producers())
        self.assertIsNone(idle.poll())
        self.assertEqual([], self.descriptors_left(idle))
        idle.stdin.close()
        self.assertEqual(0, idle.wait(timeout=60))

    def start_exec(self):
        idle = subprocess.Popen([LIFECYCLE, "exec", str(self.folder / "exec.tally")], env=self.env_of("exec"),
                                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.processes.append(idle)
        command = pathlib.Path(f"/proc/{idle.pid}/cmdline")
        wait_for("it has become another program", lambda: command.read_bytes().split(b"\0")[1:2] == [b"idle"])
        return idle

    @staticmethod
    def descriptors_left(process):
        """What the new program holds besides its three standard descriptors."""
        links = pathlib.Path(f"/proc/{process.pid}/fd").iterdir()
        return [str(link.readlink()) for link in links if int(link.name) > 2]


if __name__ == "__main__":
    main()
