#!/usr/bin/python3
"""A host is killed at a random moment in the middle of 10 million recordings: what the sidecar counts and what it
counts as dropped are, together, the calls that had returned, and at most one more a thread. (release preset only:
sanitizers would have nothing flat out about it.)"""
import os
import pathlib
import random
import shutil
import signal
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, Sidecar, StackTest, main, total, wait_for  # noqa: E402

DOOMED = str(BIN / "doomed")
RECORDINGS = 10_000_000
THREADS = 2
NEVER_MS = 600_000
SEED = int(os.environ.get("AILIVE_SEED", random.randrange(1 << 32)))


class Doomed(StackTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        print(f"AILIVE_SEED={SEED}", flush=True)
        # Where rings belong: a disk would slow the recording down.
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="ailive-test.", dir="/dev/shm"))
        self.addCleanup(shutil.rmtree, self.runtime, ignore_errors=True)
        self.env["AILIVE_RUNTIME_DIR"] = str(self.runtime)

    def kill_one(self, run_id, ring_records, spool_after_ms):
        """Gives the calls that had returned when it died."""
        tally = self.folder / f"{run_id}.tally"
        kill_at = self.random.randrange(500_000, 7_000_000)
        host = self.start(DOOMED, str(tally), str(THREADS), str(RECORDINGS), str(kill_at), str(ring_records),
                          str(spool_after_ms), env=dict(self.env, PEAK_TRADE_AI_RUN_ID=run_id))
        self.assertEqual(-signal.SIGKILL, host.wait(timeout=60))
        words = struct.unpack("<" + "Q56x" * THREADS, tally.read_bytes())
        self.assertLess(sum(words), RECORDINGS, "it was killed before it was done")
        return sum(words)

    def producers(self):
        return [path for path in self.runtime.iterdir() if path.is_dir()]

    def at_rest(self, sidecar):
        wait_for("it is salvaged", lambda: not self.producers())
        return sidecar.series()

    def expect(self, returned, series, run_id, dropped_before=0):
        counted = total(series, "peaktrade_ai_decisions_total", f'run_id="{run_id}"')
        dropped = total(series, "ailive_events_dropped_total") - dropped_before
        self.assertGreater(counted, 0)
        self.assertEqual(0, total(series, "ailive_events_dropped_total", "lost"))
        self.assertEqual(0, total(series, "ailive_events_dropped_total", "invalid"))
        self.assertTrue(returned <= counted + dropped <= returned + THREADS,
                        f"returned {returned}, counted {counted}, dropped {dropped}")

    def test_killed_while_the_sidecar_drains_it(self):
        sidecar = Sidecar(self)
        dropped = 0
        for round_ in range(3):
            returned = self.kill_one(f"round{round_}", 65536, 1000)
            series = self.at_rest(sidecar)
            self.expect(returned, series, f"round{round_}", dropped)
            dropped = total(series, "ailive_events_dropped_total")

    def test_killed_without_a_sidecar_only_the_rings_tell(self):
        returned = self.kill_one("alone", 1 << 21, NEVER_MS)
        self.assertFalse(list((self.folder / "spool").glob("*")))
        self.expect(returned, self.at_rest(Sidecar(self)), "alone")


if __name__ == "__main__":
    main()
