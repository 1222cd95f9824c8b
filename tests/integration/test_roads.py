#!/usr/bin/python3
"""The other roads of nng: tcp://, tls+tcp:// and ws://, with libnng's own REQ and REP in either place, and the SDK."""
import json
import pathlib
import shutil
import signal
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, BIN, Sidecar, StackTest, free_port, golden, main, total, wait_for  # noqa: E402

PEER = str(BIN / "nng_peer")
GOLDEN_ROWS = 4
DECISIONS = "peaktrade_ai_decisions_total"


class Roads(StackTest):
    def sidecar(self, *urls, options=()):
        return Sidecar(self, *[word for url in urls for word in ("--ipc", url)], *options)

    def refused(self, *options):
        """What the sidecar says when it ends with wrong usage."""
        done = self.run_ok(AILIVE, "sidecar", "--listen", "127.0.0.1:0", *options, status=2)
        return done.stderr.decode()


    def certificates(self):
        """An authority, and what it and a stranger have signed: {name}.pem is certificate and key in one."""
        run = lambda *command: self.run_ok("openssl", *command)  # noqa: E731
        at = lambda name: str(self.folder / name)  # noqa: E731
        for authority, names in (("ca", ("sidecar", "host")), ("other", ("stranger",))):
            run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={authority}",
                "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", at(authority + ".key"),
                "-out", at(authority + ".pem"))
            for name in names:
                (self.folder / "names").write_text("subjectAltName=DNS:localhost\n")
                run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", at(name + ".key"),
                    "-out", at(name + ".csr"))
                run("x509", "-req", "-in", at(name + ".csr"), "-CA", at(authority + ".pem"), "-CAkey",
                    at(authority + ".key"), "-CAcreateserial", "-days", "2", "-extfile", at("names"), "-out",
                    at(name + ".crt"))
                (self.folder / f"{name}.pem").write_bytes((self.folder / f"{name}.crt").read_bytes() +
                                                          (self.folder / f"{name}.key").read_bytes())
        self.tls = f"tls+tcp://localhost:{free_port()}"
        return ["--ipc-cert", at("sidecar.pem"), "--ipc-ca", at("ca.pem")]


class Sidecars(Roads):
    def test_libnng_req_is_answered_on_every_road_of_one_sidecar(self):
        batch = self.folder / "batch"
        batch.write_bytes(golden("batch"))
        urls = [self.ipc, *self.network_urls().values()]
        sidecar = self.sidecar(*urls)
        for url in urls:
            self.assertIn(f"listening on {url}\n", sidecar.log())
            done = self.run_ok(PEER, "req", url, str(batch), "2")
            self.assertEqual(2, done.stdout.decode().count("status "), url)
        series = sidecar.series()
        self.assertEqual(GOLDEN_ROWS * 5.0, series['ailive_events_duplicate_total{road="nng"}'])
        self.assertEqual(0, sum(v for k, v in series.items() if k.startswith("ailive_ipc_errors_total")))

    def test_plaintext_beyond_loopback_is_refused_unless_asked_for_by_name(self):
        for url in (f"tcp://0.0.0.0:{free_port()}", f"ws://0.0.0.0:{free_port()}"):
            said = self.refused("--ipc", url)
            self.assertIn("--allow-remote-plaintext", said)
            self.assertIn("tls+tcp://", said)
            sidecar = self.sidecar(url, options=["--allow-remote-plaintext"])
            self.assertEqual(0, sidecar.stop())

    def nngcat(self, name):
        """libnng's REQ over TLS with this certificate; whether it was answered."""
        done = subprocess.run(["nngcat", "--req", "--dial", self.tls, "--file", str(self.batch), "--hex",
                               "--recv-timeout", "2", "--send-timeout", "2", "--cacert", str(self.folder / "ca.pem"),
                               *(["--cert", f"{self.folder}/{name}.crt", "--key", f"{self.folder}/{name}.key"] if name else [])],
                              capture_output=True, timeout=60)
        return b"\\x" in done.stdout

    def test_tls_takes_only_whom_its_authority_signed(self):
        options = self.certificates()
        self.batch = self.folder / "batch"
        self.batch.write_bytes(golden("batch"))
        sidecar = self.sidecar(self.tls, options=options)
        self.assertFalse(self.nngcat("stranger"))
        self.assertFalse(self.nngcat(None))
        self.assertEqual({}, {k: v for k, v in sidecar.series().items() if k.startswith("ailive_events_total") and v})
        self.assertTrue(self.nngcat("host"))
        self.assertEqual(0, sidecar.stop())

    def test_tls_without_or_with_wrong_files_is_a_clear_error(self):
        url = f"tls+tcp://127.0.0.1:{free_port()}"
        for options, words in ((["--ipc", url], "needs --ipc-cert and --ipc-ca"),
                               (["--ipc", url, "--ipc-cert", "none.pem", "--ipc-ca", "none.pem"], "none.pem: Entry not found")):
            done = self.run_ok(AILIVE, "sidecar", "--listen", "127.0.0.1:0", *options, status=1)
            self.assertIn(words, done.stderr.decode())

    def test_a_port_in_use_is_a_clear_error(self):
        url = self.network_urls()["tcp"]
        self.sidecar(url)
        env = {**self.env, "AILIVE_RUNTIME_DIR": f"{self.folder}/r2", "AILIVE_STATE_DIR": f"{self.folder}/s2"}
        done = self.run_ok(AILIVE, "sidecar", "--listen", "127.0.0.1:0", "--ipc", url, env=env, status=1)
        self.assertIn(f"cannot listen on {url}: Address in use", done.stderr.decode())

    def test_without_tls_in_libnng_both_sides_say_so(self):
        self.network_urls()
        env = {**self.env, "LD_PRELOAD": f"{BIN.parent}/lib/libwithout_tls.so", "AILIVE_TLS_CERT": "c", "AILIVE_TLS_CA": "a",
               "ASAN_OPTIONS": "verify_asan_link_order=0"}
        url = f"tls+tcp://localhost:{free_port()}"
        done = self.run_ok(AILIVE, "sidecar", "--listen", "127.0.0.1:0", "--ipc", url, "--ipc-cert", "c", "--ipc-ca", "a",
                           env=env, status=1)
        self.assertIn("built without TLS", done.stderr.decode())
        done = self.run_ok(AILIVE, "emit", "--ipc", url, "--n", "1", env=env, status=2)
        self.assertIn("built without TLS", done.stderr.decode())
        self.assertIn("not possible", done.stderr.decode())


class Hosts(Roads):
    """The SDK through libailive-nng. A host has folders of its own, as in a container of its own."""

    def setUp(self):
        super().setUp()
        self.urls = self.network_urls()
        self.host = {**self.env, "AILIVE_RUNTIME_DIR": f"{self.folder}/host/runtime",
                     "AILIVE_SPOOL_DIR": f"{self.folder}/host/spool"}

    def test_every_record_arrives_over_each_road(self):
        options = self.certificates()
        urls = [*self.urls.values(), self.tls]
        shared = {"AILIVE_SPOOL_DIR": self.env["AILIVE_SPOOL_DIR"]}
        tls = {"AILIVE_TLS_CERT": f"{self.folder}/host.pem", "AILIVE_TLS_CA": f"{self.folder}/ca.pem"}
        sidecar = self.sidecar(*urls, options=options)
        for number, url in enumerate(urls, 1):
            closing = self.emit_all(30000, "--ipc", url, "--threads", "2", env={**self.host, **tls, **shared})
            self.assertGreater(closing["shipped"], 0, url)
            sidecar.wait_total(30000 * number, DECISIONS)
        self.assertEqual(0, sum(v for k, v in sidecar.series().items() if k.startswith("ailive_ipc_errors_total")))

    def test_libnng_rep_takes_the_sdks_batches(self):
        for scheme, url in self.urls.items():
            out = self.folder / f"peer-{scheme}"
            self.start(PEER, "rep", url, stdout=open(out, "wb"))
            wait_for("the peer listens", lambda: "listening" in out.read_text())
            shipped = self.emit_all(12345, "--ipc", url, env=self.host)["shipped"]
            self.assertGreater(shipped, 0)
            rows = [int(line.split()[1]) for line in out.read_text().splitlines() if "rows" in line]
            self.assertGreaterEqual(sum(rows), shipped)

    def test_tls_with_a_strangers_certificate_or_name_ships_nothing(self):
        options = self.certificates()
        sidecar = self.sidecar(self.tls, options=options)
        wrong_name = self.tls.replace("localhost", "127.0.0.1")  # the certificate says localhost
        for url, cert, ca in ((self.tls, "stranger", "ca"), (self.tls, "host", "other"), (wrong_name, "host", "ca")):
            env = {**self.host, "AILIVE_TLS_CERT": f"{self.folder}/{cert}.pem", "AILIVE_TLS_CA": f"{self.folder}/{ca}.pem"}
            closing = self.emit("--ipc", url, "--n", "10", env=env)
            self.assertEqual((0, 10), (closing["shipped"], closing["spooled"]), (url, cert, ca))
        self.assertEqual(0, total(sidecar.series(), DECISIONS))

    def opening_says(self, url, env=None):
        return self.run_ok(AILIVE, "emit", "--ipc", url, "--n", "1", env=env or self.host, status=2).stderr.decode()

    def test_what_cannot_work_is_said_when_it_is_opened(self):
        for url in ("tcp://10.0.0.1:9", "ws://10.0.0.1:9"):
            self.assertIn("plaintext beyond loopback is refused", self.opening_says(url))
        self.assertIn("AILIVE_TLS_CERT", self.opening_says("tls+tcp://localhost:9"))
        none = {**self.host, "AILIVE_TLS_CERT": "/none.pem", "AILIVE_TLS_CA": "/none.pem"}
        self.assertIn("/none.pem: Entry not found", self.opening_says("tls+tcp://localhost:9", none))
        alone = self.folder / "alone"  # libailive without libailive-nng
        alone.mkdir()
        shutil.copy(BIN.parent / "lib/libailive.so.0", alone)
        done = subprocess.run([str(BIN / "sdk_player"), self.urls["tcp"]], input=b"", capture_output=True, timeout=60,
                              env={**self.host, "LD_LIBRARY_PATH": str(alone)})
        self.assertEqual(1, done.returncode)
        self.assertIn(b"not possible on this instance", done.stderr)

    def test_a_killed_sidecar_and_its_successor_count_each_record_once(self):
        """With the spool shared, whatever took that road while nobody answered."""
        for url in self.urls.values():
            shared = {**self.host, "AILIVE_SPOOL_DIR": self.env["AILIVE_SPOOL_DIR"], "PEAK_TRADE_AI_RUN_ID": url[:3].strip(":")}
            sidecar = self.sidecar(url)
            before = total(sidecar.series(), DECISIONS)
            process = self.start(AILIVE, "emit", "--ipc", url, "--n", "0", "--interval-ms", "1", "--threads", "2", env=shared,
                                 stdout=subprocess.PIPE)
            for kill in range(3):
                wait_for("records come in", lambda: total(sidecar.series(), DECISIONS) > before + 50 * (kill + 1))
                sidecar.stop(signal.SIGKILL)
                sidecar = self.sidecar(url)
            process.send_signal(signal.SIGTERM)
            closing = json.loads(process.communicate(timeout=60)[0])
            self.assertEqual(0, process.returncode)
            self.assertEqual(closing["recorded"], closing["shipped"] + closing["spooled"])
            sidecar.wait_total(before + closing["recorded"], DECISIONS)
            self.assertEqual(0, sidecar.stop())

    def test_a_killed_host_leaves_the_rest_in_its_own_folder_until_a_sidecar_sees_that(self):
        url = self.urls["tcp"]
        sidecar = self.sidecar(url)
        process = self.start(AILIVE, "emit", "--ipc", url, "--n", "0", "--interval-ms", "0", "--threads", "2", "--tally",
                             str(self.folder / "tally"), env=self.host)
        wait_for("records come in", lambda: total(sidecar.series(), DECISIONS) > 1000)
        process.kill()
        process.wait()
        recorded = sum(struct.unpack("<QQ", (self.folder / "tally").read_bytes()))
        wait_for("the connection is gone", lambda: sidecar.series()["ailive_producers_connected"] == 0)
        series = sidecar.series()
        self.assertLessEqual(total(series, DECISIONS), recorded + 2)  # two calls may not have returned
        self.assertEqual(0, sidecar.stop())
        env = {**self.env, "AILIVE_RUNTIME_DIR": self.host["AILIVE_RUNTIME_DIR"]}
        sidecar = Sidecar(self, env=env)  # the same state, and the host's folder carried to it
        wait_for("it is salvaged", lambda: sidecar.series()["ailive_salvaged_folders_total"] == 1)
        series = sidecar.series()
        counted = total(series, DECISIONS) + total(series, "ailive_events_dropped_total", "ring_full")
        self.assertIn(counted - recorded, (0, 1, 2))
        self.assertEqual(0, total(series, "ailive_events_dropped_total", "lost"))

    def test_a_forked_child_spools_and_nothing_is_lost(self):
        url = self.urls["tcp"]
        sidecar = self.sidecar(url)
        shared = {**self.env, "PEAK_TRADE_AI_RUN_ID": "forked"}
        self.run_ok(str(BIN / "forker"), url, str(self.folder / "tally"), "3", "500", env=shared)
        recorded = sum(struct.unpack("<4Q", (self.folder / "tally").read_bytes()))
        self.assertGreaterEqual(recorded, 2000)
        sidecar.wait_total(recorded, DECISIONS)

    def test_an_ipc_host_stays_free_of_libnng(self):
        self.sidecar(self.ipc, self.urls["tcp"])
        for url, loaded in ((self.ipc, False), (self.urls["tcp"], True)):
            process = subprocess.Popen([str(BIN / "sdk_player"), url], env=self.env, stdin=subprocess.PIPE)
            self.addCleanup(process.wait)
            self.addCleanup(process.stdin.close)
            maps = pathlib.Path(f"/proc/{process.pid}/maps")
            folders = lambda: list((self.folder / "runtime").glob("*/lock"))  # noqa: E731
            wait_for("the host has opened", folders)
            self.assertEqual(loaded, "libnng" in maps.read_text(), url)
            process.stdin.close()
            process.wait(timeout=60)


if __name__ == "__main__":
    main()
