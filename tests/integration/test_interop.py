#!/usr/bin/python3
"""Our wire against nng's own: libnng's REQ and REP, and nngcat, take either place."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, Sidecar, StackTest, golden, main, wait_for  # noqa: E402

PEER = str(BIN / "nng_peer")
GOLDEN_ROWS = 4


class Interop(StackTest):
    def setUp(self):
        super().setUp()
        self.batch = self.folder / "batch"
        self.batch.write_bytes(golden("batch"))

    def test_libnng_req_is_answered_by_the_sidecar_and_counted_once(self):
        sidecar = Sidecar(self)
        done = self.run_ok(PEER, "req", self.ipc, str(self.batch), "3")
        self.assertEqual(3, done.stdout.decode().count("status "))
        series = sidecar.series()
        self.assertEqual(2.0 * GOLDEN_ROWS, series['ailive_events_duplicate_total{road="nng"}'])

    def test_libnng_rep_takes_the_sdks_batches(self):
        (self.folder / "runtime").mkdir(mode=0o700)
        out = open(self.folder / "peer", "wb")
        self.start(PEER, "rep", self.ipc, stdout=out)
        wait_for("the peer listens", lambda: "listening" in (self.folder / "peer").read_text())
        shipped = self.emit_all(12345, "--ipc", self.ipc)["shipped"]
        self.assertGreater(shipped, 0)
        rows = [int(line.split()[1]) for line in (self.folder / "peer").read_text().splitlines() if "rows" in line]
        self.assertGreaterEqual(sum(rows), shipped)

    def test_nngcat_req_is_answered(self):
        sidecar = Sidecar(self)
        done = self.run_ok("nngcat", "--req", "--dial", self.ipc, "--file", str(self.batch), "--hex")
        self.assertIn(b"\\x", done.stdout)
        series = sidecar.series()
        self.assertEqual(float(GOLDEN_ROWS), series['ailive_events_total{road="nng"}'] +
                         series.get('ailive_events_dropped_total{reason="invalid"}', 0))

    def test_nngcat_rep_gets_batches_and_its_foreign_replies_acknowledge_nothing(self):
        (self.folder / "runtime").mkdir(mode=0o700)
        out = self.folder / "nngcat"
        self.start("nngcat", "--rep", "--listen", self.ipc, "--data", "no acknowledgement", "--hex",
                   stdout=open(out, "wb"))
        # Bound is not listening yet, and to connect only in order to see that would end its listener: the kernel tells.
        wait_for("nngcat listens", lambda: re.search(r"^\S+ \S+ \S+ 00010000 .*" + re.escape(self.ipc[len("ipc://"):]),
                                                     pathlib.Path("/proc/net/unix").read_text(), re.M))
        closing = self.emit("--ipc", self.ipc, "--n", "7")
        self.assertEqual((7, 0, 7), (closing["recorded"], closing["shipped"], closing["spooled"]))
        self.assertGreater(out.stat().st_size, 100)


if __name__ == "__main__":
    main()
