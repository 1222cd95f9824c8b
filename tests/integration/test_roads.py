#!/usr/bin/python3
"""The other roads of nng: tcp://, tls+tcp:// and ws://, with libnng's own REQ and REP in either place, and the SDK."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, BIN, Sidecar, StackTest, free_port, golden, main, wait_for  # noqa: E402

PEER = str(BIN / "nng_peer")
GOLDEN_ROWS = 4


class Roads(StackTest):
    def urls(self):
        return {road: f"{road}://127.0.0.1:{free_port()}" for road in ("tcp", "ws")}

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
        urls = [self.ipc, *self.urls().values()]
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
                              capture_output=True, timeout=30)
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
        url = self.urls()["tcp"]
        self.sidecar(url)
        env = {**self.env, "AILIVE_RUNTIME_DIR": f"{self.folder}/r2", "AILIVE_STATE_DIR": f"{self.folder}/s2"}
        done = self.run_ok(AILIVE, "sidecar", "--listen", "127.0.0.1:0", "--ipc", url, env=env, status=1)
        self.assertIn(f"cannot listen on {url}: Address in use", done.stderr.decode())


if __name__ == "__main__":
    main()
