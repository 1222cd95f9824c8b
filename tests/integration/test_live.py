#!/usr/bin/python3
"""The whole route with the real server: a C producer and a JSONL writer, the sidecar, Debian's Prometheus. Every
known-good query of the contract that these can feed must give the right number through Prometheus' HTTP API."""
import json
import pathlib
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, BIN, ROOT, Sidecar, StackTest, free_port, main, wait_for  # noqa: E402

SDK_EVENTS = 30000
JSONL_EVENTS = 900


class Live(StackTest):
    def prometheus(self, sidecar):
        """Starts Prometheus with our scrape configuration, moved to free ports and a scrape a second."""
        config = (ROOT / "sidecar/ops/prometheus/prometheus.yml").read_text()
        for port, free in ((9110, sidecar.port), (8000, free_port()), (9109, free_port())):
            self.assertIn(f"127.0.0.1:{port}", config)
            config = config.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
        config = config.replace("15s", "1s")
        (self.folder / "prometheus.yml").write_text(config)
        self.prom = f"http://127.0.0.1:{free_port()}"
        self.start("prometheus", f"--config.file={self.folder}/prometheus.yml", "--log.level=warn",
                   f"--storage.tsdb.path={self.folder}/tsdb", "--web.listen-address=" + self.prom[len("http://"):])
        wait_for("prometheus is ready", self.prometheus_ready, 30)

    def prometheus_ready(self):
        try:
            urllib.request.urlopen(self.prom + "/-/ready", timeout=2).read()
            return True
        except OSError:
            return False

    def query(self, expression):
        url = self.prom + "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=5) as answer:
            body = json.load(answer)
        self.assertEqual("success", body["status"])
        return [(item["metric"], float(item["value"][1])) for item in body["data"]["result"]]

    def value(self, expression):
        result = self.query(expression)
        return result[0][1] if len(result) == 1 else None

    def test_every_known_good_query_gives_the_right_number(self):
        jsonl = self.folder / "events.jsonl"
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        self.prometheus(sidecar)
        wait_for("the target is up", lambda: self.value('max(up{job="ai_live"})') == 1.0, 30)

        self.emit("--ipc", self.ipc, "--n", str(SDK_EVENTS), "--threads", "3", "--run-id", "sdk")
        self.emit("--out", str(jsonl), "--n", str(JSONL_EVENTS), "--run-id", "py")
        with open(jsonl, "a") as events:
            events.write("not json\n" + '{"v":2}\n')

        wait_for("every decision is in Prometheus", lambda: self.value("sum(peaktrade_ai_decisions_total)") ==
                 SDK_EVENTS + JSONL_EVENTS, 30)
        self.assertEqual(3, len(self.query('up{job=~"ai_live|peak_trade_web|shadow_mvs"}')))
        self.assertEqual([1.0], [value for _, value in self.query("peaktrade_ai_live_heartbeat")])
        self.assertEqual((SDK_EVENTS + JSONL_EVENTS) / 3, self.value("sum(peaktrade_ai_actions_total)"))
        self.assertEqual(2.0, self.value("count(count by (run_id) (peaktrade_ai_decisions_total))"))
        self.assertEqual(2.0, self.value("count(peaktrade_ai_last_event_timestamp_seconds_by_run_id)"))
        age = self.value("max(clamp_min(time() - max by (source) (peaktrade_ai_last_event_timestamp_seconds), 0))")
        self.assertLess(age, 60)
        self.assertEqual(SDK_EVENTS / 3, self.value('sum(peaktrade_ai_decisions_total{run_id="sdk",reason="risk_limit"})'))
        self.assertEqual(2.0, self.value("sum(peaktrade_ai_events_dropped_total)"))
        self.assertEqual(1.0, self.value("sum(peaktrade_ai_events_parse_errors_total)"))
        self.rates(jsonl, sidecar)

    def rates(self, jsonl, sidecar):
        """Queries over a range need two scrapes of a moving series."""
        self.emit("--ipc", self.ipc, "--n", "300", "--run-id", "sdk")
        with open(jsonl, "a") as events:
            events.write("not json\n")
        wait_for("the second round is in Prometheus", lambda: self.value("sum(peaktrade_ai_decisions_total)") ==
                 SDK_EVENTS + JSONL_EVENTS + 300, 30)
        ms = "histogram_quantile(%s, sum by (le) (rate(peaktrade_ai_decision_latency_ms_bucket[5m])))"
        # A third each at 2, 10 and 85 ms: both percentiles lie in the bucket (50, 100].
        for quantile in ("0.95", "0.99"):
            value = wait_for("a percentile", lambda: self.value(ms % quantile), 30)
            self.assertTrue(50 < value <= 100, value)
        for family in ("parse_errors", "dropped"):
            increase = wait_for(f"an increase of {family}", lambda: [
                v for _, v in self.query(f"increase(peaktrade_ai_events_{family}_total[5m])") if v > 0], 30)
            self.assertTrue(increase)

    def test_promtool_finds_only_what_the_contract_forces(self):
        sidecar = Sidecar(self)
        self.emit("--ipc", self.ipc, "--n", "30")
        sidecar.wait_total(30, "peaktrade_ai_decisions_total")
        (self.folder / "metrics").write_text(sidecar.get())
        done = self.run_ok("/bin/sh", "-c", f"promtool check metrics < {self.folder}/metrics; true")
        complaints = [line for line in done.stderr.decode().splitlines() + done.stdout.decode().splitlines() if line]
        self.assertTrue(all(line.startswith("peaktrade_ai_decision_latency_ms ") for line in complaints), complaints)

    def test_the_demo_producer_moves_every_family(self):
        sidecar = Sidecar(self)
        watch = self.start(str(BIN / "ailive-demo-watch"), self.ipc)
        for family in ("peaktrade_ai_decisions_total", "peaktrade_ai_actions_total",
                       "ailive_stage_latency_seconds_count"):
            wait_for(family, lambda: any(name.startswith(family + "{") for name in sidecar.series()))
        watch.terminate()
        self.assertEqual(0, watch.wait(timeout=10))
        time.sleep(0.2)
        series = sidecar.series()
        decisions = sum(v for n, v in series.items() if n.startswith("peaktrade_ai_decisions_total{"))
        stages = sum(v for n, v in series.items() if n.startswith("ailive_stage_latency_seconds_count{"))
        self.assertEqual(2 * decisions, stages)


if __name__ == "__main__":
    main()
