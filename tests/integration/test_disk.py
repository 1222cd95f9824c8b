#!/usr/bin/python3
"""Disks that are full, read-only or limited, under the real sidecar and the real SDK: it goes on serving what is
committed, says once what is wrong, acknowledges nothing, and recovers by itself with exact totals.

The full disks are small tmpfs in a mount namespace of this process, so that nothing outside sees them."""
import ctypes
import os
import pathlib
import re
import resource
import subprocess
import sys
import time
import urllib.error

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, Sidecar, StackTest, free_port, main, total, wait_for  # noqa: E402

DECISIONS = "peaktrade_ai_decisions_total"
DROPPED = "ailive_events_dropped_total"
CLONE_NEWNS = 0x00020000


def namespace_error():
    """Moves this process into a mount namespace of its own. Why not, or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        return f"no mount namespace of our own: {os.strerror(ctypes.get_errno())}"
    done = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True)
    return done.stderr.decode() if done.returncode != 0 else None


NO_MOUNTS = namespace_error()
RECORDS = 600000  # more than a ring of the default size and the spool hold together


class Disk(StackTest):
    def setUp(self):
        super().setUp()
        self.mounts = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for mount in self.mounts:
            subprocess.run(["umount", "-l", str(mount)], check=True)
        super().tearDown()

    def mounted(self, name, kib):
        """A file system of so many KiB at a folder of the test's."""
        if NO_MOUNTS:
            self.skipTest(NO_MOUNTS)
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=0700", "none", str(folder)],
                              capture_output=True)
        if made.returncode != 0:
            self.skipTest(f"cannot mount a tmpfs: {made.stderr.decode()}")
        self.mounts.append(folder)
        return folder

    def filled(self, folder):
        """Takes every free byte; removing the file gives them back."""
        filler = folder / "filler"
        with open(filler, "wb", buffering=0) as out:
            try:
                while out.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        return filler

    def many_series(self, jsonl, count):
        """Lines that each make a series of their own, so that the state must grow."""
        with open(jsonl, "a") as out:
            out.writelines(f'{{"v":1,"decision":"accept","run_id":"run_{i}"}}\n' for i in range(count))

    def status_of(self, sidecar, path):
        try:
            sidecar.get(path)
            return 200, ""
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def serves_what_is_committed_and_says_once_what_is_wrong(self, sidecar, committed, words):
        """committed: what stands at least; what is shown stays as it is."""
        wait_for("readiness is red", lambda: self.status_of(sidecar, "/-/ready")[0] == 503)
        self.assertRegex(self.status_of(sidecar, "/-/ready")[1], words)
        self.assertEqual(200, self.status_of(sidecar, "/-/healthy")[0])
        series = sidecar.series()
        self.assertEqual(0, series["ailive_ready"])
        self.assertGreaterEqual(total(series, DECISIONS), committed)
        errors = series["ailive_state_errors_total"]
        self.assertGreater(errors, 0)
        wait_for("errors are counted on", lambda: sidecar.series()["ailive_state_errors_total"] > errors + 1)
        self.assertGreaterEqual(total(sidecar.series(), DECISIONS), total(series, DECISIONS))
        told = [line for line in sidecar.log().splitlines() if "nothing is counted or acknowledged" in line]
        self.assertEqual(1, len(told), sidecar.log())
        self.assertRegex(told[0], words)
        return total(series, DECISIONS)

    def acknowledgements_are_withheld(self, sidecar):
        """Gives the number of records recorded meanwhile. A small unit may find room between two failures: then it is
        committed before it is acknowledged."""
        recorded, shipped = 0, 0
        while True:
            closing = self.emit("--ipc", self.ipc, "--n", "60", "--run-id", "meanwhile")
            self.assertEqual(60, closing["shipped"] + closing["spooled"])
            recorded, shipped = recorded + 60, shipped + closing["shipped"]
            self.assertGreaterEqual(total(sidecar.series(), DECISIONS, 'run_id="meanwhile"'), shipped)
            if closing["spooled"] > 0:
                return recorded
            self.assertLess(recorded, 1200, "each batch was acknowledged")

    def recovers(self, sidecar, expected):
        wait_for("it recovers by itself", sidecar.ready)
        series = sidecar.wait_total(expected, DECISIONS)
        self.assertEqual(0, total(series, DROPPED))
        self.assertEqual(1, series["ailive_ready"])
        self.assertIn("state is written again", sidecar.log())
        self.emit("--ipc", self.ipc, "--n", "30", "--run-id", "after")
        sidecar.wait_total(expected + 30, DECISIONS)

    def test_a_full_disk_under_the_state_costs_nothing(self):
        state, jsonl = self.mounted("state", 2048), self.folder / "e.jsonl"
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        self.emit("--ipc", self.ipc, "--n", "3000")
        sidecar.wait_total(3000, DECISIONS)
        filler = self.filled(state)
        self.many_series(jsonl, 4000)
        shown = self.serves_what_is_committed_and_says_once_what_is_wrong(sidecar, 3000, "[Nn]o space left|a full disk")
        self.assertLess(shown, 7000)
        recorded = self.acknowledgements_are_withheld(sidecar)
        filler.unlink()
        self.recovers(sidecar, 7000 + recorded)

    def test_a_kill_while_the_disk_is_full_costs_nothing_either(self):
        state, jsonl = self.mounted("state", 2048), self.folder / "e.jsonl"
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        self.emit("--ipc", self.ipc, "--n", "3000")
        filler = self.filled(state)
        self.many_series(jsonl, 4000)
        wait_for("readiness is red", lambda: self.status_of(sidecar, "/-/ready")[0] == 503)
        recorded = self.acknowledgements_are_withheld(sidecar)
        sidecar.stop(9)
        filler.unlink()
        again = Sidecar(self, "--jsonl", str(jsonl))
        again.wait_total(7000 + recorded, DECISIONS)

    def test_a_limit_on_file_sizes_neither_kills_it_nor_costs_anything(self):
        """As of a quota: a write beyond it is EFBIG, and SIGXFSZ, whose default is to kill."""
        jsonl = self.folder / "e.jsonl"
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        self.emit("--ipc", self.ipc, "--n", "3000")
        sidecar.wait_total(3000, DECISIONS)
        limit = 160 * 1024
        resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        self.many_series(jsonl, 4000)
        self.serves_what_is_committed_and_says_once_what_is_wrong(sidecar, 3000, "[Ff]ile too large|a limit")
        recorded = self.acknowledgements_are_withheld(sidecar)
        resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        self.recovers(sidecar, 7000 + recorded)

    def test_a_limit_on_file_sizes_at_the_start_is_a_clear_error(self):
        """The thread that waits for signals writes too: here the state's files, later its copy."""
        done = self.run_ok("prlimit", "--fsize=0", AILIVE, "sidecar", "--listen", f"127.0.0.1:{free_port()}", status=1)
        self.assertIn("File too large", done.stderr.decode())
        self.assertIn(str(self.folder / "state"), done.stderr.decode())

    def test_a_read_only_state_folder_is_a_clear_error_at_the_start(self):
        state = self.mounted("state", 1024)
        subprocess.run(["mount", "-o", "remount,ro", str(state)], check=True)
        done = self.run_ok(AILIVE, "sidecar", "--listen", f"127.0.0.1:{free_port()}", status=1)
        line = done.stderr.decode()
        self.assertIn("Read-only file system", line)
        self.assertIn(str(state), line)
        self.assertIn("--state", line)
        subprocess.run(["mount", "-o", "remount,rw", str(state)], check=True)
        Sidecar(self)

    def test_a_full_disk_at_the_start_is_a_clear_error(self):
        state = self.mounted("state", 64)
        filler = self.filled(state)
        done = self.run_ok(AILIVE, "sidecar", "--listen", f"127.0.0.1:{free_port()}", status=1)
        self.assertIn("No space left", done.stderr.decode())
        self.assertIn(str(state), done.stderr.decode())
        filler.unlink()

    def test_a_full_spool_disk_drops_and_counts_and_never_blocks_the_host(self):
        """Without a sidecar: what the spool and the ring cannot take is dropped at the door, counted."""
        self.mounted("spool", 256)
        tally = self.folder / "tally"
        done = subprocess.run([AILIVE, "emit", "--interval-ms", "0", "--ipc", self.ipc, "--n", str(RECORDS), "--tally", str(tally)],
                              env=self.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        self.assertIn(done.returncode, (0, 1), done.stderr.decode())  # 1: records are left over, and it says so
        numbers = {k: int(v) for k, v in re.findall(r'"(\w+)":(\d+)', done.stdout.decode())}
        self.assertEqual(0, numbers["shipped"])
        self.assertGreater(numbers["spooled"], 0)
        self.assertGreater(numbers["dropped"], 0)
        sidecar = Sidecar(self)

        def accounted():
            series = sidecar.series()
            return total(series, DECISIONS) + total(series, DROPPED)

        wait_for("everything is accounted for", lambda: accounted() >= RECORDS)
        time.sleep(1.5)
        self.assertEqual(RECORDS, accounted())
        self.assertEqual(0, total(sidecar.series(), DROPPED, '"lost"'))


class TwoSidecars(StackTest):
    def refused(self, env, *words):
        done = self.run_ok(AILIVE, "sidecar", "--listen", f"127.0.0.1:{free_port()}", env=env, status=1)
        for word in words:
            self.assertIn(word, done.stderr.decode())

    def test_on_one_socket_alone_the_second_ends_with_a_clear_error(self):
        first = Sidecar(self)
        env = {**self.env, "AILIVE_IPC_URL": self.ipc, "AILIVE_STATE_DIR": str(self.folder / "s2"),
               "AILIVE_RUNTIME_DIR": str(self.folder / "r2"), "AILIVE_SPOOL_DIR": str(self.folder / "p2")}
        self.refused(env, "another sidecar", str(first.process.pid), self.ipc[len("ipc://"):], "--ipc")
        self.emit("--ipc", self.ipc, "--n", "30")
        first.wait_total(30, DECISIONS)

    def test_a_stale_socket_of_a_killed_sidecar_is_no_obstacle(self):
        first = Sidecar(self)
        first.stop(9)
        self.assertTrue(pathlib.Path(self.ipc[len("ipc://"):]).is_socket())
        again = Sidecar(self)
        self.emit_all(30, "--ipc", self.ipc)
        again.wait_total(30, DECISIONS)


if __name__ == "__main__":
    main()
