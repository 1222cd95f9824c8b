#!/usr/bin/python3
"""/api/v1/status: its values are those of /metrics, its keys are those of docs/operations.md, its lists are bounded."""
import json
import pathlib
import re
import sys
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, ROOT, Sidecar, StackTest, main, total, wait_for  # noqa: E402


def status(sidecar, query=""):
    return json.loads(sidecar.get("/api/v1/status" + query))


def line(component, decision, reason="none", run_id="r"):
    return json.dumps({"v": 1, "ts_utc": "2026-01-25T01:09:48Z", "component": component, "run_id": run_id,
                       "decision": decision, "reason": reason, "latency_ms": 15, "action": "submit"}) + "\n"


class Status(StackTest):
    def setUp(self):
        super().setUp()
        self.events = self.folder / "events.jsonl"
        self.events.write_text("")
        self.sidecar = Sidecar(self, "--jsonl", str(self.events))

    def append(self, text):
        with open(self.events, "a", encoding="utf-8") as file:
            file.write(text)

    def wait_step(self, key, count):
        """The status once the history has `count` of something."""
        def seen():
            now = status(self.sidecar)
            return now if sum(now["history"][key]) >= count else None
        return wait_for(f"{count} of {key} in the history", seen)

    def test_values_are_those_of_metrics(self):
        self.append(line("alpha", "reject", "risk_limit") * 7 + line("beta", "reject", "cooldown") * 3 +
                    line("beta", "accept") * 5 + line("alpha", "noop") * 2 + "no json\n")
        now, series = self.wait_step("lines_dropped", 1), self.sidecar.series()
        self.assertEqual(total(series, "peaktrade_ai_decisions_total"), now["decisions"]["total"])
        for kind in ("accept", "reject", "noop"):
            self.assertEqual(total(series, "peaktrade_ai_decisions_total", f'decision="{kind}"'),
                             now["decisions"][kind])
            self.assertEqual(now["decisions"][kind], sum(now["history"][kind]))
        rejects = [(row["component"], row["reason"], row["count"], row["recent"]) for row in now["rejects"]["rows"]]
        self.assertEqual([("alpha", "risk_limit", 7, 7), ("beta", "cooldown", 3, 3)], rejects)
        self.assertEqual([{"component": "alpha", "decisions": 9, "accept": 0, "reject": 7, "noop": 2, "other": 0,
                           "reject_recent": 7},
                          {"component": "beta", "decisions": 8, "accept": 5, "reject": 3, "noop": 0, "other": 0,
                           "reject_recent": 3}],
                         now["components"]["rows"])
        self.assertEqual([{"action": "submit", "count": 17}], now["actions"]["rows"])
        self.assertEqual([{"source": "unknown", "reason": "bad_json", "count": 1}], now["losses"]["lines"]["rows"])
        self.assertEqual((0, 1, 1), (now["losses"]["records_total"], now["losses"]["lines_total"],
                                     now["losses"]["lines_recent"]))
        self.assertEqual((17, 15.0), (now["latency_ms"]["count"], now["latency_ms"]["p50"]))
        self.assertEqual([{"path": str(self.events), "lag_bytes": 0}], now["files"]["rows"])
        self.assertEqual([{"road": "file", "count": total(series, "ailive_events_total")}], now["roads"]["rows"])
        self.assertEqual("warning", now["health"]["level"])

    def test_a_producer_is_named_by_its_pid_and_component(self):
        producer = self.start(AILIVE, "emit", "--ipc", self.ipc, "--component", "gamma", "--run-id", "r7",
                              "--n", "0", "--interval-ms", "20")
        wait_for("the producer's rate", lambda: [row for row in status(self.sidecar)["producers"]["rows"]
                                                 if row["recorded_per_s"] > 0])
        now = status(self.sidecar)
        row, = now["producers"]["rows"]
        self.assertEqual((producer.pid, "gamma", "r7", 0), (row["pid"], row["component"], row["run_id"], row["dropped"]))
        self.assertEqual(1, now["connected"])
        producer.kill()
        wait_for("it is gone", lambda: not status(self.sidecar)["producers"]["rows"])

    def test_lists_are_cut_and_say_so(self):
        self.append("".join(line(f"c{i}", "reject", run_id=f"run{i}") for i in range(70)))
        now = self.wait_step("reject", 70)
        for key in ("components", "rejects", "runs"):
            self.assertEqual((50, 20), (len(now[key]["rows"]), now[key]["more"]), key)
        self.assertEqual(70, now["decisions"]["total"])

    def test_who_rejects_most_has_its_reasons_shown_however_many_others_there_are(self):
        reasons = ("no_signal", "cooldown", "market_closed", "risk_limit", "invalid_order")
        self.append("".join(line(f"c{i:02}", "reject", "risk_limit") * 3 for i in range(60)) +
                    "".join(line("many", "reject", reason) * 2 for reason in reasons) + line("c59", "reject", "other"))
        now = self.wait_step("reject", 191)
        shown = [(row["component"], row["reason"], row["recent"]) for row in now["rejects"]["rows"]]
        self.assertEqual([("many", reason, 2) for reason in sorted(reasons)], shown[:5])
        self.assertEqual([("c59", "risk_limit", 3), ("c59", "other", 1), ("c00", "risk_limit", 3)], shown[5:8])
        self.assertEqual(["many", "c59", "c00"], [row["component"] for row in now["components"]["rows"]][:3])

    def test_hostile_names_stay_names(self):
        name = '"};\\</script>\u2028\u00e9'
        self.append(line(name, "accept") + json.dumps({"decision": name, "reason": name}) + "\n")
        now = self.wait_step("other", 1)
        self.assertEqual(name, now["runs"]["rows"][0]["component"])
        self.assertEqual((1, 1), (now["decisions"]["accept"], now["decisions"]["other"]))

    def test_keys_are_documented_and_there(self):
        text = (ROOT / "docs/operations.md").read_text()
        section = text[text.index("## The status"):text.index("## Prove")]
        named = {key for row in re.findall(r"^\| (`.*?) \|", section, re.M) for key in re.findall(r"`(\w+)`", row)}
        words = set(re.findall(r"\w+", section))
        now = status(self.sidecar)
        self.assertEqual(named, set(now))
        for value in now.values():
            if isinstance(value, dict):
                self.assertLessEqual(set(value), words | {"more", "rows"})

    def test_the_page_may_load_nothing_from_elsewhere(self):
        for path, start in (("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css"),
                            ("/chart.js", "text/javascript"), ("/favicon.svg", "image/svg+xml")):
            for encoding in ("gzip", "identity"):
                request = urllib.request.Request(self.sidecar.url + path, headers={"Accept-Encoding": encoding})
                with urllib.request.urlopen(request, timeout=60) as answer:
                    self.assertTrue(answer.headers["Content-Type"].startswith(start), path)
                    self.assertTrue(answer.headers["Content-Security-Policy"].startswith("default-src 'none'; "))
                    self.assertNotIn("unsafe", answer.headers["Content-Security-Policy"])
                    self.assertEqual(answer.read()[:2] == b"\x1f\x8b", encoding == "gzip", path)
        with self.assertRaises(urllib.error.HTTPError):
            self.sidecar.get("/page.mjs")


if __name__ == "__main__":
    main()
