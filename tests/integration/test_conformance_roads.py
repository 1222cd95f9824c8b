#!/usr/bin/python3
"""Every conformance file through the live roads: tailing (whole and in ragged pieces, with a restart between), and,
for what the SDK can express, nng with source sdk_v1. Replay has its own test."""
import datetime
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, BIN, ROOT, Sidecar, StackTest, main, parse_series, total, wait_for  # noqa: E402

DATA = ROOT / "tests/conformance"
FILES = sorted(path.stem for path in DATA.glob("*.jsonl"))
REASONS = ("no_signal", "cooldown", "market_closed", "risk_limit", "governance_no_live", "invalid_order", "other")
ACTIONS = ("order_intent", "order_request", "submit", "cancel", "fill")
DECISIONS = {"accept": "accept", "approve": "accept", "approved": "accept", "allow": "accept", "allowed": "accept",
             "reject": "reject", "deny": "reject", "denied": "reject", "block": "reject", "blocked": "reject",
             "noop": "noop", "no_op": "noop", "skip": "noop", "ignored": "noop"}


def contract(text):
    return {name: value for name, value in parse_series(text).items() if name.startswith("peaktrade_ai_")}


class Roads(StackTest):
    def check(self, expected, text, since, *options):
        (self.folder / "actual").write_text(text)
        self.run_ok("/usr/bin/python3", str(ROOT / "tests/conformance/check.py"), str(expected),
                    str(self.folder / "actual"), "--since", str(since), "--until", str(time.time()), *options)

    def settle(self, sidecar, path):
        """Waits until every line that is not blank has been taken in."""
        lines = sum(1 for line in path.read_bytes().split(b"\n") if line.strip())
        sidecar.wait_total(lines, "ailive_events_total", 'road="file"')

    def test_tailing_gives_the_expected_series(self):
        for name in FILES:
            with self.subTest(file=name):
                since = time.time()
                path = self.folder / f"{name}.jsonl"
                path.write_bytes((DATA / f"{name}.jsonl").read_bytes())
                sidecar = Sidecar(self, "--jsonl", str(path), "--state", str(self.folder / f"state-{name}"))
                self.settle(sidecar, path)
                self.check(DATA / f"{name}.expected", sidecar.get(), since)
                self.assertEqual(0, sidecar.stop())

    def test_ragged_writes_and_a_restart_change_nothing(self):
        seed = int(os.environ.get("AILIVE_SEED", time.time_ns()))
        print("AILIVE_SEED", seed)
        source = random.Random(seed)
        name, since = "mixed", time.time()
        data = (DATA / f"{name}.jsonl").read_bytes()
        path = self.folder / "ragged.jsonl"
        options = ("--jsonl", str(path))
        sidecar = Sidecar(self, *options)
        kill_at = len(data) // 2
        while data:
            piece = source.randrange(1, 60000)
            with open(path, "ab") as out:
                out.write(data[:piece])
            data = data[piece:]
            if kill_at and len(data) < kill_at:
                kill_at = 0
                sidecar.stop(9)
                sidecar = Sidecar(self, *options)
        self.settle(sidecar, path)
        self.check(DATA / f"{name}.expected", sidecar.get(), since)

    def rows(self, name):
        """(line, row for sdk_player) of the decisions that the SDK can express, in order of time."""
        out = []
        for line in (DATA / f"{name}.jsonl").read_text(errors="replace").split("\n"):
            try:
                event = json.loads(line, parse_constant=lambda c: 1 / 0)
            except (ValueError, ZeroDivisionError):
                continue
            row = self.row(event) if isinstance(event, dict) and type(event.get("v")) is int and event["v"] == 1 else None
            if row:
                out.append((line, row))
        return sorted(out, key=lambda pair: pair[1][6])

    def row(self, event):
        texts = [event.get("component", "execution_watch")] + [event.get(key) for key in ("run_id", "decision", "ts_utc")]
        if not all(isinstance(text, str) and text.strip() for text in texts) or "latency_s" in event:
            return None
        component, run_id, decision, stamp = texts
        latency, reason, action = event.get("latency_ms"), event.get("reason"), event.get("action")
        match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?", stamp)
        if decision.strip().lower() not in DECISIONS or not match or len(run_id.encode()) > 96 or "\t" in component + run_id:
            return None
        if latency is not None and (type(latency) not in (int, float) or latency < 0 or latency * 1e6 % 1):
            return None
        if not isinstance(reason, (str, type(None))) or not isinstance(action, (str, type(None))):
            return None
        moment = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
        since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        reason = (reason or "none").strip().lower()
        action = (action or "none").strip().lower()
        return [component, run_id, DECISIONS[decision.strip().lower()],
                reason if reason in REASONS + ("none",) else "unlisted_reason",
                action if action in ACTIONS else "none",
                "-" if latency is None else str(int(latency * 1e6)),
                (since // datetime.timedelta(microseconds=1)) * 1000]

    def play(self, rows, url):
        text = "".join("\t".join(str(field) for field in row) + "\n" for row in rows)
        done = subprocess.run([str(BIN / "sdk_player"), url], input=text.encode(), env=self.env, timeout=60,
                              capture_output=True)
        self.assertEqual(0, done.returncode, done.stderr.decode())

    def test_nng_gives_the_expected_series_of_the_sample_sequence(self):
        rows = self.rows("emitted")
        self.assertEqual(52, len(rows))
        for scheme, url in {"ipc": self.ipc, **self.network_urls()}.items():
            with self.subTest(road=scheme):
                since = time.time()
                sidecar = Sidecar(self, "--ipc", url, "--state", str(self.folder / f"state-{scheme}"))
                self.play([row for _, row in rows], url)
                self.check(DATA / "emitted.expected", sidecar.get(), since, "--source-map", "sample_v1=sdk_v1")
                self.assertEqual(0, sidecar.stop())

    def test_nng_gives_what_replay_gives_for_all_that_the_sdk_can_express(self):
        """The lines in order of time: sdk_v1 keeps the greatest time where a file keeps the last."""
        urls = {"ipc": self.ipc, **self.network_urls()}
        for name, least, scheme in (("v1_matrix", 50, "ipc"), ("v1_types", 5, "ws"), ("mixed", 500, "ipc"),
                                    ("malformed", 40, "tcp"), ("mixed", 500, "tcp"), ("mixed", 500, "ws")):
            with self.subTest(file=name, road=scheme):
                since = time.time()
                pairs = self.rows(name)
                self.assertGreaterEqual(len(pairs), least)
                subset = self.folder / f"{name}.jsonl"
                subset.write_text("".join(line + "\n" for line, _ in pairs))
                replayed = self.run_ok(AILIVE, "replay", str(subset)).stdout.decode()
                expected = self.folder / f"{name}.expected"
                expected.write_text("".join(f"{n} {v!r}\n" for n, v in sorted(contract(replayed).items())
                                            if "live_heartbeat" not in n))
                sidecar = Sidecar(self, "--ipc", urls[scheme], "--state", str(self.folder / f"state-{name}-{scheme}"))
                self.play([row for _, row in pairs], urls[scheme])
                self.check(expected, sidecar.get(), since, "--source-map", "sample_v1=sdk_v1")
                self.assertEqual(0, sidecar.stop())


if __name__ == "__main__":
    main()
