#!/usr/bin/python3
"""The Grafana dashboard as a file: what Grafana would stumble over. Its expressions are run in test_live.py."""
import json
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import ROOT, main  # noqa: E402

GRAFANA = ROOT / "sidecar/ops/grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards/peaktrade-execution-watch-overview.json").read_text())
PANELS = DASHBOARD["panels"]


class Dashboard(unittest.TestCase):
    def test_it_has_the_contracts_uid_and_the_variables(self):
        self.assertEqual("peaktrade-execution-watch-overview", DASHBOARD["uid"])
        self.assertEqual(["datasource", "job", "instance", "run_id"],
                         [variable["name"] for variable in DASHBOARD["templating"]["list"]])

    def test_nothing_names_a_data_source_of_one_installation(self):
        for panel in PANELS:
            for target in panel.get("targets", []):
                self.assertEqual("${datasource}", target["datasource"]["uid"], panel["title"])

    def test_panels_have_their_own_ids_and_do_not_overlap(self):
        self.assertEqual(len(PANELS), len({panel["id"] for panel in PANELS}))
        taken = {}
        for panel in PANELS:
            at = panel["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
            for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
                self.assertNotIn(cell, taken, f"{panel['title']} and {taken.get(cell)}")
                taken[cell] = panel["title"]

    def test_each_panel_says_what_it_shows(self):
        for panel in PANELS:
            if panel["type"] != "row":
                self.assertGreater(len(panel["description"]), 10, panel["title"])
                self.assertTrue(panel["targets"] and panel["fieldConfig"]["defaults"]["unit"], panel["title"])

    def test_recorded_series_are_recorded(self):
        recorded = set(re.findall(r"record: (\S+)", (ROOT / "sidecar/ops/prometheus/rules/recording.yml").read_text()))
        used = set(re.findall(r"ailive:\w+(?::\w+)?", json.dumps(PANELS)))
        self.assertEqual(recorded, used)

    def test_the_provisioning_finds_it(self):
        self.assertIn("path: /var/lib/grafana/dashboards", (GRAFANA / "provisioning/dashboards/ailive.yml").read_text())
        compose = (ROOT / "sidecar/ops/compose.yml").read_text()
        for source in re.findall(r"- (\./[^:]+):", compose):
            self.assertTrue((ROOT / "sidecar/ops" / source).is_dir(), source)


if __name__ == "__main__":
    main()
