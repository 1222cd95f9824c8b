#!/usr/bin/python3
"""The alerts by Debian's promtool: tests/rules/alerts.yml shows each firing and not firing, and leaves none out."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import ROOT, StackTest, main  # noqa: E402

RULES = ROOT / "sidecar/ops/prometheus/rules"
CONTRACT = {"AI_LIVE_ExporterDown", "AI_LIVE_StaleEvents", "AI_LIVE_ParseErrorsSpike", "AI_LIVE_DroppedEventsSpike",
            "AI_LIVE_LatencyP95High", "AI_LIVE_LatencyP99High"}


def alerts(path):
    """{name: its text} of a rule file."""
    parts = re.split(r"^      - alert: ", path.read_text(), flags=re.M)[1:]
    return {part.split("\n")[0]: part for part in parts}


class Rules(StackTest):
    def test_each_alert_fires_when_it_should_and_not_otherwise(self):
        self.run_ok("promtool", "test", "rules", str(ROOT / "tests/rules/alerts.yml"))

    def test_the_example_configuration_is_right(self):
        self.run_ok("promtool", "check", "config", str(ROOT / "sidecar/ops/prometheus/prometheus.yml"))

    def test_no_alert_is_without_its_two_tests(self):
        tested = (ROOT / "tests/rules/alerts.yml").read_text()
        fires = set(re.findall(r"labels: 'ALERTS\{alertname=\"(\w+)\"", tested))
        quiet = set(re.findall(r"expr: 'ALERTS\{alertname=\"(\w+)\",alertstate=\"firing\"\}', exp_samples: \[\]", tested))
        every = {name for path in RULES.glob("*.yml") for name in alerts(path)}
        self.assertEqual(every, fires)
        self.assertEqual(every, quiet)

    def test_the_contracts_alerts_stand_in_its_group(self):
        path = RULES / "ai_live_ops_pack_v1.yml"
        self.assertEqual(CONTRACT, set(alerts(path)))
        self.assertEqual(["ai_live_ops_pack_v1"], re.findall(r"^  - name: (\w+)", path.read_text(), re.M))

    def test_each_alert_says_how_bad_what_and_where_to_look(self):
        for path in RULES.glob("*.yml"):
            for name, text in alerts(path).items():
                self.assertRegex(text, r"labels: \{severity: (page|warning)\}", name)
                self.assertRegex(text, r"summary: \S", name)
                self.assertRegex(text, r"description: >-\n(.|\n)*[Ll]ook at", name)


if __name__ == "__main__":
    main()
