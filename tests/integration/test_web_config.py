#!/usr/bin/python3
"""--web.config.file: TLS, client certificates and users, seen by curl."""
import crypt
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import exposition  # noqa: E402
from support.stack import Sidecar, StackTest, main, wait_for  # noqa: E402


class WebSidecar(Sidecar):
    """Ready when it says so: its answers may need a certificate or a password."""

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the sidecar ended with {self.process.returncode}:\n{self.log()}")
        return "info: ready" in self.log()

    @property
    def port(self):
        match = re.search(r"listening on https?://127\.0\.0\.1:(\d+)/", self.log())
        return int(match.group(1))


class WebConfig(StackTest):
    def file(self, text):
        (self.folder / "web.yml").write_text(text)
        return str(self.folder / "web.yml")

    def openssl(self, *arguments):
        self.run_ok("openssl", *arguments)

    def certificate(self, name, *signer):
        """name.pem and name.key in the folder; without a signer it signs itself."""
        base = str(self.folder / name)
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-x509", "-days", "2",
                     "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", base + ".key",
                     "-out", base + ".pem", *signer)
        return base

    def curl(self, *arguments, status=0):
        return self.run_ok("curl", "-sS", "--max-time", "60", *arguments, status=status).stdout.decode()

    def test_tls_serves_and_plain_does_not(self):
        base = self.certificate("server")
        web = self.file("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n")
        sidecar = WebSidecar(self, "--web.config.file", web)
        url = f"https://127.0.0.1:{sidecar.port}"
        exposition.check_text(self.curl("--cacert", base + ".pem", url + "/metrics"))
        exposition.check_text(self.curl("--cacert", base + ".pem", "--tls-max", "1.2", url + "/metrics"))
        self.curl("--cacert", base + ".pem", "--tls-max", "1.1", url + "/metrics", status=35)
        plain = self.run_ok("bash", "-c", f"curl -sS --max-time 10 http://127.0.0.1:{sidecar.port}/metrics; true")
        self.assertNotIn(b"heartbeat", plain.stdout)
        self.assertEqual("healthy\n", self.curl("--cacert", base + ".pem", url + "/-/healthy"))
        self.assertEqual(0, sidecar.stop())

    def test_min_version_13_refuses_12(self):
        base = self.certificate("server")
        web = self.file("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  min_version: TLS13\n")
        sidecar = WebSidecar(self, "--web.config.file", web)
        url = f"https://127.0.0.1:{sidecar.port}/metrics"
        exposition.check_text(self.curl("--cacert", base + ".pem", url))
        self.run_ok("curl", "-sS", "--max-time", "60", "--cacert", base + ".pem", "--tls-max", "1.2", url, status=35)

    def test_a_client_needs_a_certificate_of_the_authority(self):
        server, authority = self.certificate("server"), self.certificate("authority")
        client = self.certificate("client", "-CA", authority + ".pem", "-CAkey", authority + ".key")
        stranger = self.certificate("stranger")
        tls = ("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  client_ca_file: authority.pem\n"
               "  client_auth_type: ")
        for policy, without in (("RequireAndVerifyClientCert", False), ("VerifyClientCertIfGiven", True)):
            sidecar = WebSidecar(self, "--web.config.file", self.file(tls + policy + "\n"))
            get = ["curl", "-sS", "--max-time", "60", "--cacert", server + ".pem",
                   f"https://127.0.0.1:{sidecar.port}/metrics"]

            def answered(*arguments):
                done = self.run_ok("bash", "-c", '"$@"; true', "bash", *get, *arguments)
                return b"heartbeat" in done.stdout
            self.assertTrue(answered("--cert", client + ".pem", "--key", client + ".key"), policy)
            self.assertFalse(answered("--cert", stranger + ".pem", "--key", stranger + ".key"), policy)
            self.assertEqual(without, answered(), policy)
            self.assertEqual(0, sidecar.stop())

    def test_users_are_asked_for_their_password(self):
        hashed = crypt.crypt("open sesame", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))
        sidecar = WebSidecar(self, "--web.config.file", self.file(f"basic_auth_users:\n  alice: {hashed}\n"))
        url = f"http://127.0.0.1:{sidecar.port}"
        for _ in range(2):
            exposition.check_text(self.curl("-u", "alice:open sesame", url + "/metrics"))
            for arguments in ((), ("-u", "alice:wrong"), ("-u", "bob:open sesame"), ("-H", "Authorization: Basic ?")):
                for path in ("/metrics", "/-/healthy", "/nothing"):
                    answer = self.curl("-i", *arguments, url + path)
                    self.assertIn("401 Unauthorized", answer)
                    self.assertIn('WWW-Authenticate: Basic realm="ailive"', answer)
                    self.assertNotIn("heartbeat", answer)

    def test_prometheus_scrapes_with_tls_and_a_password(self):
        """The same file that Prometheus' own exporters read, and Prometheus' own client."""
        base = self.certificate("server")
        hashed = crypt.crypt("open sesame", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))
        web = self.file("tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
                        f"basic_auth_users:\n  alice: {hashed}\n")
        self.run_ok("promtool", "check", "web-config", web)
        sidecar = WebSidecar(self, "--web.config.file", web)
        url = self.prometheus(f"""global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: ai_live
  scheme: https
  tls_config: {{ca_file: "{base}.pem"}}
  basic_auth: {{username: alice, password: open sesame}}
  static_configs: [{{targets: ["127.0.0.1:{sidecar.port}"]}}]
""")
        wait_for("the target is up", lambda: self.prometheus_value(url, 'up{job="ai_live"}') == 1)

    def hashed(self, password):
        return crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16))

    def status(self, *arguments):
        """The HTTP status, or 000."""
        return self.run_ok("bash", "-c", '"$@"; true', "bash", "curl", "-s", "--max-time", "60", "-o", "/dev/null",
                           "-w", "%{http_code}", *arguments).stdout.decode()

    def test_a_changed_file_is_in_force_without_a_restart(self):
        first, second = ("basic_auth_users:\n  alice: " + self.hashed(word) + "\n" for word in ("one", "two"))
        sidecar = WebSidecar(self, "--web.config.file", self.file(first))
        address = f"127.0.0.1:{sidecar.port}/metrics"
        self.assertEqual("200", self.status("-u", "alice:one", "http://" + address))
        self.file(second)
        wait_for("the new password", lambda: self.status("-u", "alice:two", "http://" + address) == "200")
        self.assertEqual("401", self.status("-u", "alice:one", "http://" + address))

        base = self.certificate("server")
        self.file(second + "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n")
        get = ("-u", "alice:two", "--cacert", base + ".pem", "https://" + address)
        wait_for("TLS", lambda: self.status(*get) == "200")
        self.assertEqual("000", self.status("-u", "alice:two", "http://" + address))
        self.certificate("server")  # renewed under the same name; get takes it from the same file
        wait_for("the new certificate", lambda: self.status(*get) == "200")
        wait_for("the last is said", lambda: sidecar.log().count("configuration has changed and is in force") == 3)
        self.assertEqual(0, sidecar.stop())

    def test_a_broken_change_keeps_the_configuration_and_is_said_once(self):
        whole = "basic_auth_users:\n  alice: " + self.hashed("one") + "\n"
        sidecar = WebSidecar(self, "--web.config.file", self.file(whole))
        url = f"http://127.0.0.1:{sidecar.port}/metrics"
        kept = "warning: the changed web configuration is not used, the one before stays in force: "
        for text, words in (("basic_auth_user: 1\n", "web.yml:1: 'basic_auth_user' is not understood"),
                            ("", "web.yml is empty; if neither TLS nor users are wanted, write {} into it")):
            self.file(text)
            wait_for("the warning", lambda words=words: words in sidecar.log())
            self.assertEqual(["200", "401"], [self.status("-u", "alice:one", url), self.status(url)])
        (self.folder / "web.yml").unlink()
        wait_for("the warning", lambda: "cannot read" in sidecar.log())
        self.assertEqual("401", self.status(url))
        self.file("{}\n")
        wait_for("nobody is asked", lambda: self.status(url) == "200")
        wait_for("that is said", lambda: "configuration has changed and is in force" in sidecar.log())
        self.assertEqual(3, sidecar.log().count(kept), sidecar.log())
        self.assertEqual(1, sidecar.log().count("configures neither TLS nor users"))

    def test_an_empty_file_at_the_start_is_valid_and_said(self):
        sidecar = WebSidecar(self, "--web.config.file", self.file(""))
        self.assertEqual("200", self.status(f"http://127.0.0.1:{sidecar.port}/metrics"))
        self.assertEqual(1, sidecar.log().count("web.yml configures neither TLS nor users: whoever reaches"))

    def test_a_wrong_file_ends_it_with_the_line(self):
        self.certificate("server")
        self.certificate("other")
        cases = {"basic_auth_user:\n  a: b\n": "web.yml:1: 'basic_auth_user' is not understood",
                 "tls_server_config:\n  cert_file: server.pem\n  key_file: other.key\n": "cannot be used"}
        for text, words in cases.items():
            sidecar = WebSidecar(self, "--web.config.file", self.file(text), ready=False)
            self.assertEqual(1, sidecar.process.wait(timeout=60))
            self.assertIn(words, sidecar.log())


if __name__ == "__main__":
    main()
