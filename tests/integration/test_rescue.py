#!/usr/bin/python3
"""Producers that die while no sidecar runs: the next producer moves what they left into the spool, and a sidecar that
comes later counts it, to the last record."""
import pathlib
import shutil
import signal
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, Sidecar, StackTest, main, total, wait_for  # noqa: E402

COUNTED, DROPPED = "peaktrade_ai_decisions_total", "ailive_events_dropped_total"


class Rescue(StackTest):
    def emitter(self, name, *options):
        """The process and its tally; a call that had not returned at a kill may be counted besides, one a thread."""
        tally = self.folder / name
        process = self.start(AILIVE, "emit", "--ipc", self.ipc, "--n", "0", "--run-id", name, "--tally", str(tally),
                             *options)
        wait_for(f"{name} records", lambda: tally.exists() and self.recorded(name) > 0)
        return process

    def recorded(self, name):
        data = (self.folder / name).read_bytes()
        return sum(struct.unpack(f"<{len(data) // 8}Q", data))

    def producers(self):
        return {path.name for path in (self.folder / "runtime").iterdir() if path.is_dir()}

    def killed(self, process):
        process.kill()
        process.wait()

    def die_one_after_the_other(self):
        """dead: acknowledged, then spooled, then killed with full rings. rescuer: killed while it empties them.
        last: empties what both have left."""
        sidecar = Sidecar(self)
        dead = self.emitter("dead", "--interval-ms", "0", "--threads", "2")
        wait_for("some are acknowledged", lambda: total(sidecar.series(), COUNTED) > 1000)
        sidecar.stop(signal.SIGKILL)
        spool = self.folder / "spool"
        wait_for("the dead one spools", lambda: spool.exists() and any(spool.iterdir()))
        self.killed(dead)
        left = self.producers()
        self.assertEqual(1, len(left))
        files = len(list(spool.iterdir()))
        rescuer = self.emitter("rescuer", "--interval-ms", "1")
        wait_for("it has begun", lambda: len(list(spool.iterdir())) > files + 2 or not left & self.producers())
        self.killed(rescuer)
        last = self.emitter("last", "--interval-ms", "20")
        wait_for("only its own folder is there", lambda: len(self.producers()) == 1 and not left & self.producers())
        last.terminate()
        last.wait()
        self.assertEqual(set(), self.producers())

    def at_rest(self, sidecar):
        """All series, once everything recorded is accounted for and nothing more comes."""
        recorded = sum(self.recorded(name) for name in ("dead", "rescuer", "last"))

        def accounted():
            series = sidecar.series()
            return total(series, COUNTED) + total(series, DROPPED)

        wait_for(f"{recorded} are accounted for", lambda: accounted() >= recorded)
        wait_for("the spool is read", lambda: total(sidecar.series(), "ailive_source_lag_bytes") == 0)
        time.sleep(0.5)
        self.assertTrue(recorded <= accounted() <= recorded + 3, f"{recorded} recorded, {accounted()} accounted for")
        return sidecar.series()

    def test_the_dead_are_counted_exactly(self):
        self.die_one_after_the_other()
        series = self.at_rest(Sidecar(self))
        self.assertEqual(0, total(series, DROPPED, 'reason="lost"'))

    def test_what_a_lost_state_had_counted_is_lost_and_nothing_else(self):
        self.die_one_after_the_other()
        shutil.rmtree(self.folder / "state")
        series = self.at_rest(Sidecar(self))
        self.assertGreater(total(series, DROPPED, 'reason="lost"'), 1000)


if __name__ == "__main__":
    main()
