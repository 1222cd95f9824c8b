#!/usr/bin/python3
"""`ailive sidecar` as an operator meets it: ports, signals, restarts, bad input, a second sidecar."""
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import sys
import time
import urllib.error

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, ROOT, Sidecar, StackTest, free_port, golden, main, total, wait_for  # noqa: E402

DECISIONS = "peaktrade_ai_decisions_total"


class Operator(StackTest):
    def removed(self, name):
        """At one moment, so that nothing is made in it meanwhile."""
        shutil.rmtree((self.folder / name).rename(self.folder / f"removed-{name}"))

    def test_a_busy_port_is_a_clear_error_that_names_the_holder(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            done = self.run_ok(AILIVE, "sidecar", "--listen", f"127.0.0.1:{port}", status=1)
        line = done.stderr.decode()
        self.assertIn(str(port), line)
        self.assertIn(f"{os.getpid()}", line)
        self.assertEqual(b"", done.stdout)

    def test_a_missing_event_file_is_waited_for_and_then_counted(self):
        jsonl = self.folder / "later.jsonl"
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        self.assertIn("peaktrade_ai_live_heartbeat", sidecar.get())
        self.emit("--out", str(jsonl), "--n", "9")
        sidecar.wait_total(9, DECISIONS)

    def test_any_number_of_files_is_tailed_and_a_partial_line_waits(self):
        files = [self.folder / f"{i}.jsonl" for i in range(5)]
        sidecar = Sidecar(self, *[x for f in files for x in ("--jsonl", str(f))])
        for file in files:
            self.emit("--out", str(file), "--n", "20", "--run-id", file.stem)
        sidecar.wait_total(100, DECISIONS)
        with open(files[0], "ab", buffering=0) as out:
            out.write(b'{"v":1,"decision":"acc')
            time.sleep(0.5)
            self.assertEqual(100, total(sidecar.series(), DECISIONS))
            out.write(b'ept"}\n')
        series = sidecar.wait_total(101, DECISIONS)
        self.assertEqual(0, total(series, "peaktrade_ai_events_dropped_total"))

    def test_from_end_skips_what_was_written_before(self):
        jsonl = self.folder / "e.jsonl"
        self.emit("--out", str(jsonl), "--n", "50")
        sidecar = Sidecar(self, "--jsonl", str(jsonl), "--from", "end")
        self.emit("--out", str(jsonl), "--n", "3")
        sidecar.wait_total(3, DECISIONS)

    def test_sigterm_takes_in_what_has_arrived_and_a_restart_goes_on(self):
        jsonl = self.folder / "e.jsonl"
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        self.emit("--ipc", self.ipc, "--n", "3000")
        self.emit("--out", str(jsonl), "--n", "300")
        self.assertEqual(0, sidecar.stop())
        again = Sidecar(self, "--jsonl", str(jsonl))
        again.wait_total(3300, DECISIONS)
        self.emit("--ipc", self.ipc, "--n", "30")
        again.wait_total(3330, DECISIONS)
        self.assertEqual(0, again.stop(signal.SIGINT))

    def test_a_sigkill_loses_nothing_and_doubles_nothing(self):
        jsonl = self.folder / "e.jsonl"
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        self.emit("--ipc", self.ipc, "--n", "3000")
        self.emit("--out", str(jsonl), "--n", "300")
        sidecar.wait_total(3300, DECISIONS)
        sidecar.stop(signal.SIGKILL)
        self.emit("--out", str(jsonl), "--n", "30")
        closing = self.emit("--ipc", self.ipc, "--n", "60")  # nobody listens: spooled
        self.assertEqual(60, closing["spooled"])
        again = Sidecar(self, "--jsonl", str(jsonl))
        again.wait_total(3390, DECISIONS)

    def test_sighup_is_harmless(self):
        sidecar = Sidecar(self)
        sidecar.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        self.assertTrue(sidecar.ready())

    def test_a_second_sidecar_ends_with_a_clear_error(self):
        first = Sidecar(self)
        done = self.run_ok(AILIVE, "sidecar", "--listen", f"127.0.0.1:{free_port()}", status=1)
        self.assertIn(str(first.process.pid), done.stderr.decode())
        for shared in ("AILIVE_STATE_DIR", "AILIVE_RUNTIME_DIR"):
            env = {**self.env, "AILIVE_STATE_DIR": str(self.folder / "s2"), "AILIVE_RUNTIME_DIR": str(self.folder / "r2"),
                   "AILIVE_SPOOL_DIR": str(self.folder / "p2"), shared: self.env[shared]}
            done = self.run_ok(AILIVE, "sidecar", "--listen", f"127.0.0.1:{free_port()}", env=env, status=1)
            self.assertIn("another sidecar", done.stderr.decode())
        self.assertTrue(first.ready())

    def test_a_runtime_folder_removed_under_it_is_made_again_and_producers_ship_to_its_socket(self):
        sidecar = Sidecar(self)
        living = self.start(AILIVE, "emit", "--ipc", self.ipc, "--n", "0", "--interval-ms", "1", "--tally",
                            str(self.folder / "tally"), "--run-id", "living")
        wait_for("it ships", lambda: total(sidecar.series(), DECISIONS, "living") > 0)
        self.removed("runtime")
        wait_for("the socket is there again", lambda: (self.folder / "runtime/sidecar.sock").exists())
        closing = self.emit("--ipc", self.ipc, "--n", "60", "--run-id", "later")
        self.assertEqual((60, 0), (closing["recorded"], closing["spooled"]))
        living.terminate()
        living.wait(timeout=20)
        recorded = struct.unpack("<Q", (self.folder / "tally").read_bytes())[0]
        sidecar.wait_total(60 + recorded, DECISIONS)

    def test_a_state_folder_removed_under_it_is_written_again_and_counters_do_not_reset(self):
        jsonl = self.folder / "e.jsonl"
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        living = [self.start(AILIVE, "emit", *road, "--n", "0", "--interval-ms", "1", "--run-id", run_id)
                  for road, run_id in ((("--ipc", self.ipc, "--tally", str(self.folder / "tally")), "living"),
                                       (("--out", str(jsonl)), "lines"))]
        wait_for("both are counted", lambda: all(total(sidecar.series(), DECISIONS, run_id) > 0
                                                 for run_id in ("living", "lines")))
        seen = [total(sidecar.series(), DECISIONS)]
        self.removed("state")
        wait_for("the state is there again", lambda: seen.append(total(sidecar.series(), DECISIONS)) or
                 (self.folder / "state/data.mdb").exists() and sidecar.ready() and seen[-1] > seen[0])
        for process in living:
            process.terminate()
            process.wait(timeout=20)
        recorded = struct.unpack("<Q", (self.folder / "tally").read_bytes())[0]
        lines = jsonl.read_bytes().count(b"\n")
        sidecar.wait_total(recorded + lines, DECISIONS)
        self.assertEqual(sorted(seen), seen)
        sidecar.stop(signal.SIGKILL)
        again = Sidecar(self, "--jsonl", str(jsonl))
        self.assertEqual(0, total(again.wait_total(recorded + lines, DECISIONS), "ailive_events_dropped_total"))

    def test_http_answers_get_and_head_only(self):
        sidecar = Sidecar(self)
        self.assertIn("peaktrade_ai_live_heartbeat", sidecar.get("/metrics"))
        self.assertEqual("", sidecar.get("/metrics", method="HEAD"))
        for method in ("POST", "PUT", "DELETE"):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                sidecar.get("/metrics", method=method)
            self.assertEqual(405, refused.exception.code)
            self.assertEqual("GET, HEAD", refused.exception.headers["Allow"])
        with self.assertRaises(urllib.error.HTTPError) as missing:
            sidecar.get("/nothing")
        self.assertEqual(404, missing.exception.code)

    def test_wrong_usage_is_status_2(self):
        for options in (("--listen", "nonsense"), ("--from", "middle"), ("--ipc", "http://x"), ("stray",), ("--jsonl", ""), ("--nope",)):
            done = self.run_ok(AILIVE, "sidecar", *options, status=2)
            self.assertTrue(done.stderr)
        env = {**self.env, "PEAK_TRADE_AI_EXPORTER_PORT": "99999"}
        self.assertIn("PEAK_TRADE_AI_EXPORTER_PORT", self.run_ok(AILIVE, "sidecar", env=env, status=2).stderr.decode())

    def test_a_directory_given_as_event_file_is_a_clear_error(self):
        done = self.run_ok(AILIVE, "sidecar", "--listen", f"127.0.0.1:{free_port()}", "--jsonl", str(self.folder), status=1)
        self.assertIn(str(self.folder), done.stderr.decode())

    def test_disabled_records_nothing(self):
        sidecar = Sidecar(self)
        closing = self.emit("--ipc", self.ipc, "--n", "5", env={**self.env, "AILIVE_DISABLED": "1"})
        self.assertEqual(0, closing["shipped"])
        self.assertEqual(0, total(sidecar.series(), DECISIONS))


class Hostile(StackTest):
    def throw(self, path, data, wait=True):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            client.connect(path)
            try:
                client.sendall(data)
                if wait:
                    client.shutdown(socket.SHUT_WR)
                    client.recv(100)
            except OSError:
                pass

    def test_random_bytes_to_the_socket_are_counted_and_disturb_nobody(self):
        seed = int(os.environ.get("AILIVE_SEED", time.time_ns()))
        print("AILIVE_SEED", seed)
        source = random.Random(seed)
        sidecar = Sidecar(self)
        path = self.ipc[len("ipc://"):]
        greeting = b"\x00SP\x00\x00\x30\x00\x00"
        batch = golden("batch")
        for _ in range(60):
            noise = source.randbytes(source.randrange(300))
            body = bytearray(b"\x80\x00\x00\x01" + batch)
            for _ in range(source.randrange(1, 5)):
                body[source.randrange(4, len(body))] = source.randrange(256)
            for data in (noise, greeting + noise, greeting + b"\x01" + struct.pack(">Q", 1 << 40),
                         greeting + b"\x01" + struct.pack(">Q", len(noise) + 4) + b"\x80\x00\x00\x01" + noise,
                         greeting + b"\x01" + struct.pack(">Q", len(body)) + bytes(body),
                         greeting[:source.randrange(8)]):
                self.throw(path, data, source.random() < 0.5)
        before = sidecar.series()
        self.assertGreater(total(before, "ailive_ipc_errors_total"), 0)
        self.emit_all(300, "--ipc", self.ipc, "--run-id", "after_noise")
        sidecar.wait_total(300, DECISIONS, "after_noise")

    def test_malformed_lines_leave_it_running_with_the_damage_counted(self):
        jsonl = self.folder / "bad.jsonl"
        jsonl.write_bytes((ROOT / "tests/conformance/malformed.jsonl").read_bytes() + b"\x00\xff\xfe garbage\n" +
                          b"x" * (2 << 20) + b"\n" + b'{"v":1,"decision":"accept","run_id":"after"}\r\n')
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        series = sidecar.wait_total(1, DECISIONS, "after")
        self.assertEqual(22, series['peaktrade_ai_events_dropped_total{reason="bad_json",source="unknown"}'])

    def test_many_silent_connections_do_not_stop_a_producer(self):
        sidecar = Sidecar(self)
        path = self.ipc[len("ipc://"):]
        clients = []
        try:
            for _ in range(100):
                client = socket.socket(socket.AF_UNIX)
                client.connect(path)
                clients.append(client)
            recorded = 30
            while self.emit_all(30, "--ipc", self.ipc)["shipped"] < 30:
                recorded += 30
                self.assertLess(recorded, 600, "they have stopped it")
        finally:
            for client in clients:
                client.close()
        sidecar.wait_total(recorded, DECISIONS)


if __name__ == "__main__":
    main()
