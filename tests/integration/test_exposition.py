#!/usr/bin/python3
"""/metrics in each of its forms: no sample twice, no family split, the same numbers in all; limits; starting; a socket
passed by a service manager."""
import gzip
import os
import pathlib
import re
import socket
import sys
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import exposition  # noqa: E402
from support.stack import AILIVE, Sidecar, StackTest, main, wait_for  # noqa: E402

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
PROCESS = ("cpu_seconds_total", "open_fds", "max_fds", "virtual_memory_bytes", "virtual_memory_max_bytes",
           "resident_memory_bytes", "start_time_seconds", "network_receive_bytes_total",
           "network_transmit_bytes_total")


def fetch(url, **headers):
    request = urllib.request.Request(url, headers={key.replace("_", "-"): value for key, value in headers.items()})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers, answer.read()


class Exposition(StackTest):
    def filled(self, *options):
        """A sidecar with series of every road and type, hostile label values among them."""
        jsonl = self.folder / "events.jsonl"
        jsonl.write_text('{"v":1,"decision":"accept","component":"a\\"b\\\\c\\nd","run_id":"x","latency_ms":3}\n'
                         '{"decision":"what, \\"le\\"=","type":"reject"}\nnot json\n')
        sidecar = Sidecar(self, "--jsonl", str(jsonl), *options)
        self.emit("--ipc", self.ipc, "--n", "300", "--run-id", "sdk")
        sidecar.wait_total(302, "peaktrade_ai_decisions_total")
        return sidecar

    def test_text_and_openmetrics_say_the_same_and_nothing_twice(self):
        sidecar = self.filled()
        headers, text = fetch(sidecar.url + "/metrics")
        self.assertEqual("text/plain; version=0.0.4; charset=utf-8", headers["Content-Type"])
        plain = exposition.check_text(text.decode())
        headers, text = fetch(sidecar.url + "/metrics", Accept=OPENMETRICS)
        self.assertEqual("application/openmetrics-text; version=1.0.0; charset=utf-8", headers["Content-Type"])
        openmetrics = exposition.check_openmetrics(text.decode())
        self.assertEqual({re.sub("_total$", "", name): family["type"] for name, family in plain.items()},
                         {name: family["type"] for name, family in openmetrics.items()})
        steady = {key: value for key, value in exposition.values(plain).items() if key[0].startswith("peaktrade_")}
        self.assertGreater(len(steady), 40)
        self.assertEqual(steady, {key: value for key, value in exposition.values(openmetrics).items()
                                  if key[0].startswith("peaktrade_")})
        for name in PROCESS:
            self.assertEqual(1, len(plain["process_" + name]["samples"]), name)
        self.assertEqual(1, len(plain["ailive_build_info"]["samples"]))

    def test_protobuf_says_the_same_and_has_native_buckets(self):
        sidecar = self.filled()
        plain = exposition.values(exposition.check_text(fetch(sidecar.url + "/metrics")[1].decode()))
        headers, page = fetch(sidecar.url + "/metrics", Accept=exposition.PROTOBUF)
        self.assertEqual("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
                         headers["Content-Type"])
        families = exposition.check_protobuf(page)
        samples = exposition.values(families)
        self.assertEqual({key: value for key, value in plain.items() if key[0].startswith("peaktrade_")},
                         {key: value for key, value in samples.items() if key[0].startswith("peaktrade_")})
        native = families["ailive_decision_latency_seconds"]["samples"]
        for (name, labels), value in native.items():
            self.assertEqual(plain["peaktrade_ai_decision_latency_seconds_count", labels], value["count"])
            self.assertEqual(plain["peaktrade_ai_decision_latency_seconds_sum", labels], value["sum"])
        self.assertEqual({"sdk", "x"}, {dict(labels)["run_id"] for _, labels in native})

    def test_native_buckets_survive_a_restart(self):
        first = self.filled()
        before = exposition.check_protobuf(fetch(first.url + "/metrics", Accept=exposition.PROTOBUF)[1])
        self.assertEqual(0, first.stop())
        second = Sidecar(self, "--jsonl", str(self.folder / "events.jsonl"))
        after = exposition.check_protobuf(fetch(second.url + "/metrics", Accept=exposition.PROTOBUF)[1])
        self.assertTrue(before["ailive_decision_latency_seconds"]["samples"])
        self.assertEqual(before["ailive_decision_latency_seconds"], after["ailive_decision_latency_seconds"])

    def test_protobuf_has_the_exemplars_of_openmetrics(self):
        sidecar = self.filled()

        def classic(families):
            return {series: exemplar for name, family in families.items() if name.startswith("peaktrade_")
                    for series, exemplar in family.get("exemplars", {}).items()}
        text = classic(exposition.check_openmetrics(fetch(sidecar.url + "/metrics", Accept=OPENMETRICS)[1].decode()))
        binary = classic(exposition.check_protobuf(fetch(sidecar.url + "/metrics", Accept=exposition.PROTOBUF)[1]))
        self.assertGreater(len(text), 1)
        self.assertEqual({series: (labels, value) for series, (labels, value, _) in text.items()},
                         {series: (labels, value) for series, (labels, value, _) in binary.items()})
        for series, (_, _, at) in text.items():
            self.assertAlmostEqual(at, binary[series][2], places=5)

    def test_exemplars_name_the_record_but_not_in_plain_text(self):
        sidecar = self.filled()
        self.assertNotIn(b" # {", fetch(sidecar.url + "/metrics")[1])
        families = exposition.check_openmetrics(fetch(sidecar.url + "/metrics", Accept=OPENMETRICS)[1].decode())
        exemplars = {series: exemplar for family in families.values()
                     for series, exemplar in family.get("exemplars", {}).items()}
        names = {name for name, _ in exemplars}
        self.assertLessEqual({"peaktrade_ai_decision_latency_seconds_bucket", "peaktrade_ai_decision_latency_ms_bucket"},
                             names)
        for (name, labels), (told, value, at) in exemplars.items():
            self.assertRegex(told["event"], r"^[0-9a-f]{32}\.\d+:\d+$")
            self.assertEqual("sdk", told["run_id"])
            self.assertLess(abs(at - time.time()), 3600)
            count = exposition.values(families)[name, labels]
            below = [exposition.values(families)[other] for other in exposition.values(families)
                     if other[0] == name and {**dict(other[1]), "le": ""} == {**dict(labels), "le": ""}
                     and exposition.number(dict(other[1])["le"]) < exposition.number(dict(labels)["le"])]
            self.assertGreater(count, max(below, default=0), "an exemplar in an empty bucket")

    def test_prometheus_keeps_the_exemplars(self):
        self.prometheus_keeps_exemplars("exemplar-storage")

    def test_prometheus_keeps_the_exemplars_of_protobuf(self):
        url = self.prometheus_keeps_exemplars("native-histograms,exemplar-storage")
        # It has asked for protobuf: nothing else carries this family.
        self.assertLess(0, self.prometheus_value(url, "histogram_count(sum(ailive_decision_latency_seconds))"))

    def prometheus_keeps_exemplars(self, features):
        sidecar = self.filled()
        url = self.prometheus(f"""global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: ai_live
  static_configs: [{{targets: ["127.0.0.1:{sidecar.port}"]}}]
""", "--enable-feature=" + features)
        now = time.time()
        kept = wait_for("exemplars", lambda: self.prometheus_get(
            url, "/api/v1/query_exemplars", query="peaktrade_ai_decision_latency_seconds_bucket", start=now - 600,
            end=now + 600))
        self.assertEqual({"sdk"}, {exemplar["labels"]["run_id"] for series in kept for exemplar in series["exemplars"]})
        return url

    def test_the_strict_parser_of_openmetrics_takes_all_of_it(self):
        sidecar = self.filled("--created-series")
        _, text = fetch(sidecar.url + "/metrics", Accept=OPENMETRICS)
        families = exposition.check_openmetrics(text.decode())
        created = [name for name, _ in exposition.values(families) if name.endswith("_created")]
        self.assertIn("peaktrade_ai_decisions_created", created)
        # promtool wants a time stamp with each sample, which a scrape has not.
        stamped = re.sub(r"(?m)^([^#\n].*?)( # .*)?$", r"\1 1700000000\2", text.decode())
        (self.folder / "page").write_text(stamped)
        self.run_ok("promtool", "tsdb", "create-blocks-from", "openmetrics", str(self.folder / "page"),
                    str(self.folder / "blocks"))

    def test_created_is_absent_unless_asked_for(self):
        sidecar = self.filled()
        for accept in ("text/plain", OPENMETRICS):
            self.assertNotIn(b"_created", fetch(sidecar.url + "/metrics", Accept=accept)[1])

    def test_gzip_holds_the_same_page(self):
        sidecar = self.filled()
        for accept, check in (("text/plain", exposition.check_text), (OPENMETRICS, exposition.check_openmetrics)):
            headers, page = fetch(sidecar.url + "/metrics", Accept=accept, Accept_Encoding="gzip")
            self.assertEqual("gzip", headers["Content-Encoding"])
            self.assertIn("peaktrade_ai_live_heartbeat", check(gzip.decompress(page).decode()))

    def test_a_native_percentile_of_prometheus_is_within_5_percent(self):
        jsonl = self.folder / "events.jsonl"
        latencies = sorted(0.4 * 1.0035 ** i for i in range(2000))  # ms: 0.4 to 430
        with open(jsonl, "w") as events:
            for ms in latencies:
                events.write('{"v":1,"decision":"accept","run_id":"n","latency_ms":%r}\n' % ms)
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        sidecar.wait_total(2000, "peaktrade_ai_decisions_total")
        url = self.prometheus(f"""global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: ai_live
  static_configs: [{{targets: ["127.0.0.1:{sidecar.port}"]}}]
""", "--enable-feature=native-histograms,exemplar-storage")
        for quantile in (0.05, 0.5, 0.9, 0.95, 0.99):
            value = wait_for("a percentile", lambda: self.prometheus_value(
                url, f"histogram_quantile({quantile}, ailive_decision_latency_seconds)"))
            true = latencies[round(quantile * 2000) - 1] / 1000
            self.assertLess(abs(value / true - 1), 0.05, quantile)
        # Beside it, the classic family as ever.
        self.assertEqual(2000, self.prometheus_value(url, "sum(peaktrade_ai_decision_latency_seconds_count)"))
        buckets = self.prometheus_get(url, "/api/v1/query", query="peaktrade_ai_decision_latency_seconds_bucket")
        self.assertEqual(13, len(buckets["result"]))
        self.assertIn("1.0", {item["metric"]["le"] for item in buckets["result"]})
        self.assertEqual(2000, self.prometheus_value(url, "sum(peaktrade_ai_decisions_total)"))

    def test_an_absolute_target_works(self):
        sidecar = Sidecar(self)
        done = self.run_ok("curl", "-s", "--max-time", "60", "--proxy", sidecar.url, sidecar.url + "/metrics")
        exposition.check_text(done.stdout.decode())

    def test_idle_connections_do_not_keep_a_scrape_waiting(self):
        sidecar = Sidecar(self)
        idle = [socket.create_connection(("127.0.0.1", sidecar.port), timeout=60) for _ in range(200)]
        self.addCleanup(lambda: [connection.close() for connection in idle])
        exposition.check_text(sidecar.get())

    def test_a_socket_of_a_service_manager_is_used(self):
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        # As systemd does: descriptor 3, and the variables with the pid of the process itself.
        script = f'exec 3<&{listener.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "{AILIVE}" sidecar'
        log = self.folder / "log"
        process = self.start("bash", "-c", script, stderr=open(log, "wb"), pass_fds=[listener.fileno()])
        listener.close()
        wait_for("it is ready", lambda: "ready" in log.read_text())
        self.assertIn(f"listening on http://127.0.0.1:{port}/", log.read_text())
        exposition.check_text(fetch(f"http://127.0.0.1:{port}/metrics")[1].decode())
        process.terminate()
        self.assertEqual(0, process.wait(timeout=60))

    def test_a_descriptor_that_is_no_socket_is_refused(self):
        done = self.run_ok("bash", "-c", f'exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "{AILIVE}" sidecar',
                           status=1)
        self.assertIn(b"one listening TCP socket", done.stderr)


class Checker(unittest.TestCase):
    """The checker finds what it is for."""
    HEAD = "# HELP a A.\n# TYPE a gauge\n"

    def test_it_takes_a_sound_page(self):
        self.assertEqual({("a", (("x", "1"),)): 2.0},
                         exposition.values(exposition.check_text(self.HEAD + 'a{x="1"} 2.0\n')))

    def test_it_finds_each_fault(self):
        faults = {"duplicate": 'a{x="1",y="2"} 2.0\na{y="2",x="1"} 3.0\n',
                  "split": "a 1.0\n# HELP b B.\n# TYPE b gauge\nb 1.0\n# HELP a A.\n# TYPE a gauge\n",
                  "split by": "b 1.0\n", "twice": 'a{x="1",x="2"} 1.0\n', "le is no float": 'a{le="1"} 1.0\n',
                  "no sample": 'a{x="1} 1.0\n'}
        for words, page in faults.items():
            with self.assertRaisesRegex(AssertionError, words):
                exposition.check_text(self.HEAD + page)
        with self.assertRaises(AssertionError):
            exposition.check_openmetrics(self.HEAD + "a 1.0\n")


if __name__ == "__main__":
    main()
