#!/usr/bin/python3
"""The whole route with the real server: a C producer and a JSONL writer, the sidecar, Debian's Prometheus. Every
known-good query of the contract that these can feed must give the right number through Prometheus' HTTP API."""
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import BIN, ROOT, Prometheus, Sidecar, StackTest, main, wait_for  # noqa: E402

SDK_EVENTS = 30000
JSONL_EVENTS = 900
DASHBOARD = ROOT / "sidecar/ops/grafana/dashboards/peaktrade-execution-watch-overview.json"


class Live(StackTest):
    def test_every_known_good_query_gives_the_right_number(self):
        jsonl = self.folder / "events.jsonl"
        sidecar = Sidecar(self, "--jsonl", str(jsonl))
        self.prom = Prometheus(self, sidecar.port)
        wait_for("the target is up", lambda: self.prom.value('max(up{job="ai_live"})') == 1.0)

        self.emit("--ipc", self.ipc, "--n", str(SDK_EVENTS), "--threads", "3", "--run-id", "sdk")
        self.emit("--out", str(jsonl), "--n", str(JSONL_EVENTS), "--run-id", "py")
        with open(jsonl, "a") as events:
            events.write("not json\n" + '{"v":2}\n')

        wait_for("every decision is in Prometheus", lambda: self.prom.value("sum(peaktrade_ai_decisions_total)") ==
                 SDK_EVENTS + JSONL_EVENTS)
        self.assertEqual(3, len(self.prom.query('up{job=~"ai_live|peak_trade_web|shadow_mvs"}')))
        self.assertEqual([1.0], [value for _, value in self.prom.query("peaktrade_ai_live_heartbeat")])
        self.assertEqual((SDK_EVENTS + JSONL_EVENTS) / 3, self.prom.value("sum(peaktrade_ai_actions_total)"))
        self.assertEqual(2.0, self.prom.value("count(count by (run_id) (peaktrade_ai_decisions_total))"))
        self.assertEqual(2.0, self.prom.value("count(peaktrade_ai_last_event_timestamp_seconds_by_run_id)"))
        age = self.prom.value("max(clamp_min(time() - max by (source) (peaktrade_ai_last_event_timestamp_seconds), 0))")
        self.assertLess(age, 3600)
        self.assertEqual(SDK_EVENTS / 3, self.prom.value('sum(peaktrade_ai_decisions_total{run_id="sdk",reason="risk_limit"})'))
        self.assertEqual(2.0, self.prom.value("sum(peaktrade_ai_events_dropped_total)"))
        self.assertEqual(1.0, self.prom.value("sum(peaktrade_ai_events_parse_errors_total)"))
        self.rates(jsonl, sidecar)

    def rates(self, jsonl, sidecar):
        """Queries over a range need two scrapes of a moving series."""
        self.emit("--ipc", self.ipc, "--n", "300", "--run-id", "sdk")
        with open(jsonl, "a") as events:
            events.write("not json\n")
        wait_for("the second round is in Prometheus", lambda: self.prom.value("sum(peaktrade_ai_decisions_total)") ==
                 SDK_EVENTS + JSONL_EVENTS + 300)
        ms = "histogram_quantile(%s, sum by (le) (rate(peaktrade_ai_decision_latency_ms_bucket[5m])))"
        # A third each at 2, 10 and 85 ms: both percentiles lie in the bucket (50, 100].
        for quantile in ("0.95", "0.99"):
            value = wait_for("a percentile", lambda: self.prom.value(ms % quantile))
            self.assertTrue(50 < value <= 100, value)
        for family in ("parse_errors", "dropped"):
            increase = wait_for(f"an increase of {family}", lambda: [
                v for _, v in self.prom.query(f"increase(peaktrade_ai_events_{family}_total[5m])") if v > 0])
            self.assertTrue(increase)

        self.dashboard(sidecar)

    def dashboard(self, sidecar):
        """Every expression of the Grafana dashboard, with its variables filled in as Grafana would."""
        watch = self.start(str(BIN / "ailive-demo-watch"), self.ipc)  # stages
        wait_for("stages", lambda: self.prom.query("ailive_stage_latency_seconds_count > 1"))
        fill = {"$job": "ai_live", "$instance": ".*", "$run_id": ".*", "$__rate_interval": "1m", "$__range": "1h"}
        dashboard = json.loads(DASHBOARD.read_text())
        panels = [[target["expr"] for target in panel["targets"]] for panel in dashboard["panels"] if "targets" in panel]
        panels += [[re.sub(r"label_values\((.*), \w+\)", r"\1", variable["query"]["query"])]
                   for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
        self.assertGreater(len(panels), 25)
        page = sidecar.get()
        for panel in panels:
            for name, value in fill.items():
                panel = [expression.replace(name, value) for expression in panel]
            for family in re.findall(r"\b(?:ailive|peaktrade_ai)_\w+", " ".join(panel)):
                self.assertIn(f"# TYPE {re.sub('_(bucket|count)$', '', family)} ", page)
            # Each must be valid; of some, nothing is there: here nothing is lost and nothing comes twice.
            wait_for(panel, lambda: any([self.prom.query(expression) for expression in panel]))
        watch.terminate()
        self.assertEqual(0, watch.wait(timeout=60))

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
        self.assertEqual(0, watch.wait(timeout=60))
        time.sleep(0.2)
        series = sidecar.series()
        decisions = sum(v for n, v in series.items() if n.startswith("peaktrade_ai_decisions_total{"))
        stages = sum(v for n, v in series.items() if n.startswith("ailive_stage_latency_seconds_count{"))
        self.assertEqual(2 * decisions, stages)


if __name__ == "__main__":
    main()
