#!/usr/bin/python3
"""docs/migrating.md, followed from its first command to its last beside a stand-in for the old exporter."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, BIN, ROOT, OperatorTest, Prometheus, main, wait_for  # noqa: E402

PAGE = (ROOT / "docs/migrating.md").read_text()
LINE = '{"v":1,"event":"decision","decision":"%s","reason":"none","component":"execution_watch","run_id":"old"}\n'

# The old exporter, as far as the page speaks of it: a port, a page, and counts since its start.
EXPORTER = r"""
import http.server, sys
class Old(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(b'peaktrade_ai_decisions_total{component="execution_watch",decision="accept",reason="none",run_id="old"} 2.0\n')
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Old).serve_forever()
"""


def blocks(section):
    """The sh blocks of a section, without comments at a line's end."""
    text = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S).group(1)
    return [re.sub(r"\s+# .*", "", block) for block in re.findall(r"```sh\n(.*?)```", text, re.S)]


class Migrating(OperatorTest):
    def setUp(self):
        super().setUp()
        self.port = self.ports["PEAK_TRADE_AI_EXPORTER_PORT"]
        self.events = self.folder / "events.jsonl"
        self.events.write_text(LINE % "accept" * 3 + LINE % "reject" * 2)
        self.env.update(PEAK_TRADE_AI_EVENTS_JSONL=str(self.events), PATH=f"{BIN}:{self.env['PATH']}")

    def adapted(self, script):
        """With the test's ports; the trial's readiness is waited for, a person takes as long to type."""
        script = script.replace("9110", str(self.port)).replace(":9119", f":{self.ports['AILIVE_WEB_PORT']}")
        wait = f"until curl -sf http://127.0.0.1:{self.ports['AILIVE_WEB_PORT']}/-/ready >/dev/null; do sleep 0.1; done"
        return "set -m\n" + re.sub(r"(ailive sidecar --listen .*&)\n", rf"\1\n{wait}\n", script)

    def sh(self, script):
        done = self.run_ok("bash", "-c", f"cd {self.folder}; {self.adapted(script)}")
        return done.stdout.decode()

    def test_the_page_from_its_first_command_to_its_last(self):
        old = self.start("/usr/bin/python3", "-c", EXPORTER, str(self.port))
        look, replay = blocks("1. Look")
        doctor, port = look.splitlines()
        wait_for("the old exporter listens", lambda: b"python3" in subprocess.run(
            ["bash", "-c", self.adapted(port)], env=self.env, capture_output=True).stdout)
        # It is no sidecar yet, which the doctor sees: everything else of its lines is fine.
        lines = subprocess.run(["bash", "-c", doctor], env=self.env, capture_output=True).stdout.decode()
        self.assertIn("FAIL|exporter|HTTP status 200: this is no sidecar", lines)
        self.assertNotIn("FAIL", lines.replace("FAIL|exporter", ""))
        accepted = 'decision="accept",reason="none",run_id="old"} '
        self.assertIn(accepted + "3", self.sh(replay))

        both = self.sh(blocks("2. Side by side")[0])
        self.assertIn(accepted + "2.0", both)
        self.assertIn(accepted + "3", both)
        self.assertFalse((self.folder / "trial").exists())

        old.kill()
        old.wait()
        switch, doctor = blocks("3. Switch")[0].splitlines()
        self.start("bash", "-c", "exec " + switch.rstrip(" &"))
        wait_for("it serves", lambda: "OK|exporter" in self.run_ok("bash", "-c", doctor + " || true").stdout.decode())
        with self.events.open("a") as file:
            file.write(LINE % "accept")
        page = f"curl -s http://127.0.0.1:{self.port}/metrics | grep '^peaktrade_ai_decisions_total' || true"
        wait_for("what comes now counts, alone", lambda: accepted + "1" in self.sh(page))

        prometheus = Prometheus(self, self.port)
        self.env["PROM_URL"] = prometheus.url
        activity, verify = blocks("4. Prove")[0].splitlines()
        self.sh(activity)
        done = subprocess.run(["bash", "-c", f"cd {self.folder}; {verify}"], env=self.env, capture_output=True)
        # Of the three jobs one runs here; every other check is about the sidecar.
        failed = re.findall(r"^FAIL\|(\w+)", done.stdout.decode(), re.M)
        self.assertLessEqual(set(failed), {"up_jobs_rc"}, done.stdout.decode())

    def test_every_command_names_what_the_program_has(self):
        for command in re.findall(r"\bailive (\w+)(?= |`|$)", "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.S))):
            self.run_ok(AILIVE, command, "--help")


if __name__ == "__main__":
    main()
