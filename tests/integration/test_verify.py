#!/usr/bin/python3
"""`ailive verify` against a Prometheus of the test's own, whose answers break one hard check at a time. The real
Prometheus is in test_stack.py."""
import http.server
import json
import pathlib
import re
import sys
import threading
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, StackTest, free_port, main  # noqa: E402

ALERTS = ["AI_LIVE_ExporterDown", "AI_LIVE_StaleEvents", "AI_LIVE_ParseErrorsSpike", "AI_LIVE_DroppedEventsSpike",
          "AI_LIVE_LatencyP95High", "AI_LIVE_LatencyP99High"]
ARTEFACTS = {"AI_LIVE_OPS_SUMMARY.txt", "PROM_REQUIRED_SERIES.tsv", "prom", "prom_targets.json", "prom_rules.json",
             "prom_alerts.json", "exporter_metrics.txt", "META.txt"}
UP = 'up{job=~"ai_live|peak_trade_web|shadow_mvs"}'
HEARTBEAT = "peaktrade_ai_live_heartbeat"
DECISIONS = "sum(peaktrade_ai_decisions_total)"
RUN_IDS = "count(count by (run_id) (peaktrade_ai_decisions_total))"
LAST_EVENTS = "count(peaktrade_ai_last_event_timestamp_seconds_by_run_id)"


class Fake(http.server.ThreadingHTTPServer):
    """Prometheus, exporter and Grafana of a stack on which all is well, until the test changes it."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.values = {UP: ["1", "1", "1"], HEARTBEAT: ["1"], DECISIONS: ["2"], RUN_IDS: ["1"], LAST_EVENTS: ["1"]}
        self.health, self.alerts, self.grafana = "up", list(ALERTS), 200
        self.methods, self.failures = [], 0
        self.raw, self.raw_status = None, 200
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path):
        url = urllib.parse.urlparse(path)
        if url.path == "/metrics":
            return 200, "peaktrade_ai_live_heartbeat 1\n"
        if url.path == "/api/health":
            return self.grafana, "{}"
        if self.failures:
            self.failures -= 1
            return 503, "starting"
        if self.raw is not None:
            return self.raw_status, self.raw
        if url.path == "/api/v1/query":
            values = self.values.get(urllib.parse.parse_qs(url.query)["query"][0], ["0.5"])
            data = {"resultType": "vector", "result": [{"metric": {}, "value": [1, value]} for value in values]}
        elif url.path == "/api/v1/targets":
            data = {"activeTargets": [{"labels": {"job": "ai_live"}, "health": self.health,
                                       "lastError": "connection | refused\nRESULT=PASS"}]}
        elif url.path == "/api/v1/rules":
            data = {"groups": [{"name": "g", "rules": [{"type": "alerting", "name": name} for name in self.alerts]}]}
        elif url.path == "/api/v1/alerts":
            data = {"alerts": []}
        else:
            return 404, "404 page not found"
        return 200, json.dumps({"status": "success", "data": data})


class Handler(http.server.BaseHTTPRequestHandler):
    def handle_one(self):
        self.server.methods.append(self.command)
        status, body = self.server.answer(self.path)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = handle_one

    def log_message(self, *arguments):
        pass


class Verify(StackTest):
    def setUp(self):
        super().setUp()
        self.fake = Fake()
        self.addCleanup(self.fake.server_close)
        self.addCleanup(self.fake.shutdown)

    def verify(self, *options, status=0, wait_s="0", env=None):
        done = self.run_ok(AILIVE, "verify", "--prom-url", self.fake.url, "--exporter-url", self.fake.url,
                           "--wait-s", wait_s, "--out", str(self.folder / "out"), *options, status=status, env=env)
        return done.stdout.decode().splitlines()

    def only_fails(self, check, *options):
        """That check fails, says what to do next, and no other fails; so in the summary."""
        lines = self.verify(*options, status=1)
        self.assertEqual([check], [line.split("|")[1] for line in lines if line.startswith("FAIL|")])
        self.assertEqual(1, len([line for line in lines if line.startswith(f"NEXT|{check}: ")]))
        self.assertEqual("RESULT=FAIL", lines[-1])
        self.assertTrue(all(len(line.split("|")) == 3 for line in lines if line[:4] in ("PASS", "FAIL")), lines)
        summary = (self.folder / "out/AI_LIVE_OPS_SUMMARY.txt").read_text()
        self.assertTrue(summary.endswith("\n".join(lines) + "\n"))
        return lines

    def test_a_good_stack_passes_and_every_artefact_is_left(self):
        lines = self.verify()
        self.assertEqual(["PASS"] * 7, [line.split("|")[0] for line in lines[:-1]])
        self.assertEqual("RESULT=PASS", lines[-1])
        out = self.folder / "out"
        self.assertEqual(ARTEFACTS, {path.name for path in out.iterdir()})
        summary = (out / "AI_LIVE_OPS_SUMMARY.txt").read_text()
        for line in ("up_jobs_rc=3", "heartbeat_rc=1", "decisions_sum=2", "run_id_count=1",
                     "last_event_ts_by_run_id_count=1", "target_ai_live=up", "alerts_loaded=yes", "RESULT=PASS"):
            self.assertIn(f"\n{line}\n", summary)
        rows = [line.split("\t") for line in (out / "PROM_REQUIRED_SERIES.tsv").read_text().splitlines()]
        self.assertEqual(["name", "expr", "result_count", "value"], rows[0])
        self.assertIn(["up_jobs", UP, "3", "1"], rows)
        self.assertEqual(12, len(rows) - 1)
        self.assertEqual({f"{row[0]}.json" for row in rows[1:]}, {path.name for path in (out / "prom").iterdir()})
        self.assertEqual("peaktrade_ai_live_heartbeat 1\n", (out / "exporter_metrics.txt").read_text())

    def test_it_sends_nothing_but_get(self):
        self.verify()
        self.assertEqual({"GET"}, set(self.fake.methods))

    def test_a_missing_job_fails_up_jobs_rc(self):
        self.fake.values[UP] = ["1", "1"]
        self.assertIn("FAIL|up_jobs_rc|up_jobs_rc=2, wanted 3", self.only_fails("up_jobs_rc"))

    def test_two_heartbeats_or_none_fail_heartbeat_rc(self):
        for values in ([], ["1", "1"]):
            self.fake.values[HEARTBEAT] = values
            self.only_fails("heartbeat_rc")

    def test_no_decision_fails_decisions_sum(self):
        for values in ([], ["0"], ["NaN"]):
            self.fake.values[DECISIONS] = values
            self.only_fails("decisions_sum")

    def test_no_run_id_fails_run_id_count(self):
        self.fake.values[RUN_IDS] = []
        self.only_fails("run_id_count")

    def test_no_timed_event_fails_its_count(self):
        self.fake.values[LAST_EVENTS] = []
        self.only_fails("last_event_ts_by_run_id_count")

    def test_a_target_that_is_down_fails_and_its_error_cannot_forge_a_line(self):
        self.fake.health = "down"
        self.assertNotIn("RESULT=PASS", self.only_fails("target_ai_live"))

    def test_each_missing_alert_fails_alerts_loaded_by_name(self):
        for name in ALERTS:
            self.fake.alerts = [other for other in ALERTS if other != name]
            self.assertIn(f"FAIL|alerts_loaded|missing: {name}", self.only_fails("alerts_loaded"))

    def test_grafana_is_asked_only_if_given(self):
        self.fake.grafana = 500
        self.verify()
        self.only_fails("grafana", "--grafana-url", self.fake.url)
        self.fake.grafana = 200
        self.verify("--grafana-url", self.fake.url)

    def test_json_says_the_same(self):
        self.assertEqual("PASS", json.loads(self.verify("--format", "json")[0])["result"])
        self.fake.health = "down"
        answer = json.loads(self.verify("--format", "json", status=1)[0])
        failed = [check for check in answer["checks"] if not check["passed"]]
        self.assertEqual(["target_ai_live"], [check["check"] for check in failed])
        self.assertTrue(failed[0]["next"])

    def test_a_prometheus_that_is_starting_is_asked_again(self):
        self.fake.failures = 2
        self.verify()
        self.fake.failures = 4  # the first question fails for good: only another round helps
        self.verify(wait_s="5")

    def test_without_prometheus_every_check_fails_and_says_so(self):
        env = {**self.env, "PROM_URL": f"http://127.0.0.1:{free_port()}", "EXPORTER_URL": self.fake.url + "/metrics"}
        done = self.run_ok(AILIVE, "verify", "--wait-s", "0", "--out", str(self.folder / "out"), env=env, status=1)
        lines = done.stdout.decode().splitlines()
        self.assertEqual(7, len([line for line in lines if line.startswith("FAIL|")]))
        self.assertEqual(7, len([line for line in lines if re.match(r"NEXT\|\w+: start Prometheus", line)]))
        self.assertIn("peaktrade_ai_live_heartbeat", (self.folder / "out/exporter_metrics.txt").read_text())

    def test_who_is_no_prometheus_is_said_to_be_none(self):
        for status, raw, advice in ((200, "<html>hello</html>", "is no Prometheus"),
                                    (404, "404 page not found", "is no Prometheus"),
                                    (200, '{"database":"ok"}', "is no Prometheus"),
                                    (401, "Unauthorized", "wants a name and password"),
                                    (503, "Service Unavailable", "is not ready")):
            self.fake.raw, self.fake.raw_status = raw, status
            lines = self.verify(status=1)
            said = [line for line in lines if re.match(rf"NEXT\|\w+: what answers at --prom-url {advice}", line)]
            self.assertEqual(7, len(said), lines)
            if status == 503:  # three tries of one question, and the exporter: it is not asked the rest
                self.assertEqual(4, len(self.fake.methods))
            self.fake.methods.clear()
        self.fake.raw, self.fake.raw_status = '{"status":"error","error":"no"}', 422  # Prometheus has spoken
        self.assertNotIn("--prom-url", "".join(self.verify(status=1)))

    def test_without_a_place_for_evidence_there_is_no_verdict(self):
        done = self.run_ok(AILIVE, "verify", "--prom-url", self.fake.url, "--out", "/proc/nowhere", status=1)
        self.assertEqual(b"", done.stdout)
        self.assertIn(b"no verdict: cannot make /proc/nowhere", done.stderr)

    def test_answers_that_are_none_fail_and_break_nothing(self):
        for raw in ("", "{", "[]", '{"status":"error","error":"no"}', '{"status":"success"}',
                    '{"status":"success","data":{"result":[{"value":[]}],"activeTargets":[1],"groups":[{"rules":3}]}}'):
            self.fake.raw = raw
            self.assertEqual("RESULT=FAIL", self.verify(status=1)[-1])

    def test_the_default_folder_is_stamped_and_never_shared(self):
        command = [AILIVE, "verify", "--prom-url", self.fake.url, "--exporter-url", self.fake.url]
        for _ in range(2):
            self.run_ok("sh", "-c", f"cd {self.folder} && exec \"$@\"", "sh", *command)
        names = [path.name for path in (self.folder / ".local_tmp").iterdir()]
        self.assertEqual(2, len(names))
        for name in names:
            self.assertRegex(name, r"^ai_live_ops_verify_\d{8}T\d{6}Z(_2)?$")

    def test_a_password_in_a_url_is_not_stored(self):
        secret = self.fake.url.replace("http://", "http://user:s3cret@")
        self.verify("--prom-url", secret)
        self.verify("--prom-url", f"http://user:s3cret@127.0.0.1:{free_port()}", status=1)
        for path in (self.folder / "out").rglob("*.txt"):
            self.assertNotIn("s3cret", path.read_text())


if __name__ == "__main__":
    main()
