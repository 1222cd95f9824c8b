#!/usr/bin/python3
"""The live page in Debian's headless Chromium: what it shows is what /metrics says, and nothing else runs or is asked."""
import json
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.chromium import Chromium  # noqa: E402
from support.stack import AILIVE, Sidecar, StackTest, free_port, main, total, wait_for  # noqa: E402

HOSTILE = "<img src=/x onerror=document.title='hacked'><script>document.title='hacked'</script>&amp;"


def line(component, decision, reason="none", run_id="r"):
    return json.dumps({"v": 1, "ts_utc": "2026-01-25T01:09:48Z", "component": component, "run_id": run_id,
                       "decision": decision, "reason": reason, "latency_ms": 15, "action": "submit"}) + "\n"


def numbers(rows):
    return [[int(cell.replace(",", "")) if cell.replace(",", "").isdigit() else cell for cell in row] for row in rows]


PROPERTY = "getComputedStyle(document.documentElement).getPropertyValue('--%s').trim()"


def luminance(colour):
    parts = [int(part, 16) / 255 for part in re.findall("..", colour.lstrip("#") if len(colour) > 4 else
                                                         "".join(2 * digit for digit in colour.lstrip("#")))]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """As WCAG 2 has it: 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


class Page(StackTest):
    def setUp(self):
        super().setUp()
        self.events = self.folder / "events.jsonl"
        self.events.write_text("")
        # A port below the kernel's own: the page, which asks again and again, could be given the one it asks for.
        self.sidecar = Sidecar(self, "--listen", f"127.0.0.1:{free_port()}", "--jsonl", str(self.events))
        self.browser = Chromium(self)

    def append(self, text):
        with open(self.events, "a", encoding="utf-8") as file:
            file.write(text)

    def live(self):
        return self.browser.text("#link-text") == "Live"

    def shown(self, selector, expected):
        wait_for(f"{selector} shows {expected}, is {self.browser.text(selector)}",
                 lambda: self.browser.text(selector) == expected)

    def test_its_values_are_those_of_metrics(self):
        self.append(line("alpha", "reject", "risk_limit") * 700 + line("alpha", "reject", "cooldown") * 300 +
                    line("beta", "reject", "cooldown") * 40 + line("beta", "accept") * 460 + "no json\n")
        self.browser.open(self.sidecar.url)
        self.shown("#rate-note", "1,500 in all")
        wait_for("the history has them", lambda: self.browser.text("#share-note") == "1,040 in 15 min")
        series = self.sidecar.series()
        decisions = lambda *parts: total(series, "peaktrade_ai_decisions_total", *parts)  # noqa: E731
        self.assertEqual(1500, decisions())
        expected = []
        for component, reasons in (("alpha", ("risk_limit", "cooldown")), ("beta", ("cooldown",))):
            labels = (f'component="{component}"', 'decision="reject"')
            count = decisions(*labels)
            expected.append([component, count, "", count])
            for reason in reasons:
                count = decisions(*labels, f'reason="{reason}"')
                expected.append([reason, count, "", count])
        self.assertEqual(expected, numbers(self.browser.rows("rejects-rows")))
        self.assertEqual("alpha", self.browser.text("#top"))
        self.assertEqual("alpha rejects most: 1,000 in the last 15 minutes, 700 of them for risk_limit.",
                         self.browser.text("#rejects-answer"))
        self.assertEqual([["line, unknown", "bad_json", total(series, "peaktrade_ai_events_dropped_total")]],
                         numbers(self.browser.rows("losses-rows")))
        self.assertEqual([["alpha", 0, 1000, 0], ["beta", 460, 40, 0]], numbers(self.browser.rows("components-rows")))
        self.assertEqual([["submit", total(series, "peaktrade_ai_actions_total")]], numbers(self.browser.rows("actions-rows")))
        self.assertEqual([["file", total(series, "ailive_events_total")]], numbers(self.browser.rows("roads-rows")))
        self.assertEqual([str(self.events), "0 B"], self.browser.rows("files-rows")[0])
        self.assertEqual("1", self.browser.text("#lost"))
        self.assertIn("1 event line could not be counted", self.browser.text("#health-text"))
        self.assertEqual([], self.browser.complaints)
        self.assertEqual([], [url for url in self.browser.asked if not url.startswith(self.sidecar.url)])

    def test_charts_have_the_past_at_once_and_move(self):
        charted = "charts.decisions.data.datasets[1].data.reduce((sum, point) => sum + point.y, 0)"
        picture = "document.querySelector('#decisions-chart').toDataURL()"
        self.append(line("alpha", "reject", "risk_limit") * 30)
        self.sidecar.wait_total(30, "peaktrade_ai_decisions_total")
        wait_for("a step has them", lambda: sum(json.loads(self.sidecar.get("/api/v1/status"))["history"]["reject"]) == 30)
        self.browser.open(self.sidecar.url)
        wait_for("the page is live", self.live)
        self.assertEqual(30, self.browser.run(charted))
        before = self.browser.run(picture)
        self.append(line("alpha", "reject", "risk_limit") * 12)
        wait_for("the chart has the new ones", lambda: self.browser.run(charted) == 42)
        self.assertNotEqual(before, self.browser.run(picture))
        end = self.browser.run("past.end")
        wait_for("it goes on by steps", lambda: self.browser.run("past.end") >= end + 2)
        self.assertEqual(42, self.browser.run(charted))
        self.assertEqual({900}, set(self.browser.run("Object.values(past.columns).map(column => column.length)")))

    def test_hostile_labels_stay_text_and_nothing_inline_runs(self):
        self.append(line(HOSTILE, "reject", "risk_limit", run_id=HOSTILE) +
                    json.dumps({"decision": "reject", "reason": HOSTILE, "component": HOSTILE}) + "\n")
        self.browser.open(self.sidecar.url)
        wait_for("the row is there", lambda: HOSTILE in sum(self.browser.rows("runs-rows") or [], []))
        self.assertEqual(0, self.browser.run("document.querySelectorAll('img, td script, td b').length"))
        self.assertNotIn("hacked", self.browser.run("document.title"))
        self.assertEqual([], self.browser.complaints)
        # What would run if it were markup is stopped by the policy, and these tests would see it.
        self.browser.run("document.querySelector('main').insertAdjacentHTML('beforeend', "
                         "'<p onclick=\"document.title=1\"></p><img src=\"http://127.0.0.1:1/x\">')")
        self.browser.run("document.querySelector('main > p').click()")
        wait_for("violations are reported", lambda: len([text for text in (self.browser.run("1"), *self.browser.complaints)
                                                        if "Content Security Policy" in str(text)]) >= 2)
        self.assertNotIn("1", self.browser.run("document.title"))

    def test_a_stopped_sidecar_shows_as_stopped_and_comes_back(self):
        self.browser.open(self.sidecar.url)
        wait_for("the page is live", self.live)
        port = self.sidecar.port
        self.sidecar.stop()
        self.shown("#link-text", "Stopped")
        self.assertIn("stopped or cannot be reached", self.browser.text("#health-text"))
        self.assertTrue(self.browser.run("document.body.classList.contains('stopped')"))
        Sidecar(self, "--listen", f"127.0.0.1:{port}", "--jsonl", str(self.events))
        wait_for("the page is live again", self.live)
        self.assertFalse(self.browser.run("document.body.classList.contains('stopped')"))

    def test_producers_are_those_of_metrics(self):
        slow = self.start(AILIVE, "emit", "--ipc", self.ipc, "--component", "slow", "--n", "0", "--interval-ms", "20")
        fast = self.start(AILIVE, "emit", "--ipc", self.ipc, "--component", "fast", "--n", "0", "--interval-ms", "0")
        dropped = lambda: total(self.sidecar.series(), "ailive_events_dropped_total", 'reason="ring_full"')  # noqa: E731
        wait_for("a ring that was full", lambda: dropped() > 0)
        fast.send_signal(signal.SIGSTOP)  # as it stands: what it says of itself is what the page must say
        self.addCleanup(fast.send_signal, signal.SIGCONT)
        self.browser.open(self.sidecar.url)
        rows = lambda: {row[0]: numbers([row])[0] for row in self.browser.rows("producers-rows")}  # noqa: E731
        rate = lambda name: float(rows()[name][3]) if name in rows() else None  # noqa: E731
        wait_for("both are there", lambda: {"slow", "fast"} <= set(rows()))
        wait_for("a rate that its pauses allow", lambda: 0 < (rate("slow") or 0) <= 50)
        wait_for("what stands has no rate", lambda: rate("fast") == 0)
        slow.send_signal(signal.SIGSTOP)
        self.addCleanup(slow.send_signal, signal.SIGCONT)
        wait_for("nothing moves", lambda: rate("slow") == 0)
        series, shown = self.sidecar.series(), rows()
        self.assertEqual("2 connected", self.browser.text("#producers-note"))
        self.assertEqual(2, total(series, "ailive_producers_connected"))
        self.assertEqual(total(series, "ailive_producers_recorded"), sum(row[4] for row in shown.values()))
        self.assertEqual(dropped(), sum(row[6] for row in shown.values()))
        self.assertEqual(0, shown["slow"][6])
        self.assertIn("bad", self.browser.run("[...document.querySelectorAll('#producers-rows tr')]"
                                              ".find(row => row.cells[0].innerText == 'fast').cells[6].className"))
        waiting, = [line.split("\t")[-1] for line in [self.browser.run(
            "[...document.querySelectorAll('#waiting dt')].find(dt => dt.innerText.startsWith('On their way'))"
            ".nextElementSibling.innerText")]]
        self.assertEqual(total(series, "ailive_unacknowledged_records"), int(waiting.replace(",", "")))
        backlog = {row["component"]: row["backlog"]
                   for row in json.loads(self.sidecar.get("/api/v1/status"))["producers"]["rows"]}
        self.assertEqual(backlog, {name: row[5] for name, row in shown.items()})

    def test_it_is_dark_where_that_is_preferred_and_can_be_read_in_both(self):
        self.append(line("alpha", "reject", "risk_limit"))
        grounds = {}
        for dark in (False, True, False):  # the last: the charts change with the page
            self.browser.size(1280, 800, dark=dark)
            if not grounds:
                self.browser.open(self.sidecar.url)
            wait_for("the page is live", self.live)
            named = {name: self.browser.run(PROPERTY % name)
                     for name in ("ground", "card", "text", "quiet", "faint", "accept", "reject", "good", "good-ground",
                                  "warn", "warn-ground", "bad", "bad-ground")}
            self.assertEqual(dark, luminance(named["ground"]) < 0.2)
            wait_for("the chart has the page's colours", lambda named=named: named["accept"] == self.browser.run(
                "charts.decisions.data.datasets[0].borderColor"))
            for ink, ground in (("text", "ground"), ("text", "card"), ("quiet", "card"), ("quiet", "ground"),
                                ("good", "card"), ("warn", "card"), ("bad", "card"), ("text", "good-ground"),
                                ("text", "warn-ground"), ("text", "bad-ground")):
                self.assertGreaterEqual(contrast(named[ink], named[ground]), 4.5, (dark, ink, ground))
            grounds[dark] = named["ground"]
        self.assertNotEqual(grounds[False], grounds[True])
        self.assertEqual([], self.browser.complaints)

    def test_a_phone_has_room_and_keys_suffice(self):
        self.append(line("alpha", "reject", "risk_limit"))
        self.browser.size(390, 844, phone=True)
        self.browser.open(self.sidecar.url)
        wait_for("the page is live", self.live)
        self.assertLessEqual(self.browser.run("document.documentElement.scrollWidth"), 390)
        self.browser.key("Tab")
        self.assertEqual("Skip to the rejects", self.browser.run("document.activeElement.textContent"))
        self.browser.key("Tab")
        self.assertEqual("accept", self.browser.run("document.activeElement.textContent"))
        self.browser.key("Enter")
        self.assertEqual("false", self.browser.run("document.activeElement.getAttribute('aria-pressed')"))
        self.assertFalse(self.browser.run("charts.decisions.isDatasetVisible(0)"))


if __name__ == "__main__":
    main()
