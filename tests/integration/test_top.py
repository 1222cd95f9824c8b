#!/usr/bin/python3
"""`ailive top`: plain lines in a pipe, a live screen in a terminal (tmux), the values of /metrics in both."""
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, Sidecar, StackTest, free_port, main, total, wait_for  # noqa: E402


def line(component, decision, reason="none"):
    return json.dumps({"v": 1, "ts_utc": "2026-01-25T01:09:48Z", "component": component, "run_id": "r",
                       "decision": decision, "reason": reason, "latency_ms": 15}) + "\n"


class Top(StackTest):
    def setUp(self):
        super().setUp()
        self.events = self.folder / "events.jsonl"
        self.events.write_text(line("alpha", "reject", "risk_limit") * 70 + line("beta", "reject", "cooldown") * 30 +
                               line("beta", "accept") * 20 + "no json\n")
        self.sidecar = Sidecar(self, "--jsonl", str(self.events))
        self.sidecar.wait_total(120, "peaktrade_ai_decisions_total")
        self.env["LC_ALL"] = "C.UTF-8"

    def tmux(self, *command):
        return subprocess.run(("tmux", "-S", str(self.folder / "tmux"), *command), env=self.env, check=True,
                              capture_output=True, timeout=60).stdout.decode()

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def full_screen(self):
        """Not one that is being drawn."""
        screen = self.screen()
        return screen if "BYTES BEHIND" in screen and "alpha rejects most" in screen and screen == self.screen() else None

    def start_top(self):
        self.addCleanup(subprocess.run, ("tmux", "-S", str(self.folder / "tmux"), "kill-server"), capture_output=True,
                        timeout=60)
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "40",
                  f"{AILIVE} top --url {self.sidecar.url}; echo ended with $?; sleep 60")

    def values(self, text):
        series = self.sidecar.series()
        decisions = lambda *parts: total(series, "peaktrade_ai_decisions_total", *parts)  # noqa: E731
        kinds = re.search(r"decisions +(\d+)  accept (\d+)  reject (\d+)  noop (\d+)", text)
        self.assertEqual([decisions(), *(decisions(f'decision="{kind}"') for kind in ("accept", "reject", "noop"))],
                         [int(value) for value in kinds.groups()])
        for component, reason in (("alpha", "risk_limit"), ("beta", "cooldown")):
            count, = re.search(rf"^{component} +{reason} +\d+ +(\d+)$", text, re.M).groups()
            self.assertEqual(decisions(f'component="{component}"', f'reason="{reason}"'), int(count))
        self.assertIn("dropped line, unknown, bad_json: 1", text)

    def test_plain_lines_have_the_values_of_metrics(self):
        text = self.run_ok(AILIVE, "top", "--url", self.sidecar.url).stdout.decode()
        self.values(text)
        self.assertNotIn("\x1b", text)
        twice = self.run_ok(AILIVE, "top", "--n", "2", env={**self.env, "EXPORTER_URL": self.sidecar.url}).stdout.decode()
        self.assertEqual(2, twice.count("REJECTS OF"))

    def test_nothing_there_is_a_failure_and_wrong_usage_is_said(self):
        done = self.run_ok(AILIVE, "top", "--url", f"http://127.0.0.1:{free_port()}", status=1)
        self.assertIn(b"is the sidecar running?", done.stderr)
        self.run_ok(AILIVE, "top", "--n", "0", status=2)
        self.run_ok(AILIVE, "top", "x", status=2)

    def test_a_terminal_is_live_resizes_says_stopped_and_q_quits(self):
        self.start_top()
        screen = wait_for("the screen is full and the history has all", self.full_screen)
        self.values(re.sub(r" +$", "", screen, flags=re.M))
        with open(self.events, "a", encoding="utf-8") as file:
            file.write(line("beta", "accept") * 5)
        wait_for("it goes on", lambda: re.search(r"decisions +125 ", self.screen()))
        self.tmux("resize-window", "-x", "60", "-y", "12")
        wait_for("narrow lines", lambda: max(map(len, self.screen().splitlines())) <= 60 and
                 re.search(r"^alpha +risk_limit +\d+ +70 *$", self.screen(), re.M) is None)
        self.tmux("send-keys", "NPage")
        wait_for("it scrolls", lambda: not self.screen().startswith("ailive"))
        self.tmux("send-keys", "PPage", "PPage")
        self.sidecar.stop()
        wait_for("it says stopped", lambda: self.screen().startswith("STOPPED since"))
        self.tmux("send-keys", "q")
        wait_for("it ends", lambda: "ended with 0" in self.screen())


if __name__ == "__main__":
    main()
