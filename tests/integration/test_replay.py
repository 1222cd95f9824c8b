#!/usr/bin/python3
"""`ailive replay`: what counts as a file, as a line, and as an error."""
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import AILIVE, ROOT, StackTest, main, parse_series, total  # noqa: E402

ACCEPT = '{"v":1,"decision":"accept","ts_utc":"2026-01-01T00:00:00Z"}'
DECISIONS = "peaktrade_ai_decisions_total"
EVENTS = "ailive_events_total"
BAD = ('peaktrade_ai_events_dropped_total', 'reason="bad_json"')


class Replay(StackTest):
    def replay(self, *arguments, stdin=b"", status=0, env=None):
        done = subprocess.run([AILIVE, "replay", *map(str, arguments)], input=stdin, capture_output=True, timeout=60,
                              env=env or self.env)
        self.assertEqual(status, done.returncode, done.stderr.decode())
        return done

    def series(self, *arguments, **rest):
        return parse_series(self.replay(*arguments, **rest).stdout.decode())

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def test_a_file_standard_input_and_gzip_give_the_same(self):
        source = ROOT / "tests/conformance/v1_matrix.jsonl"
        plain = self.replay(source).stdout
        self.assertEqual(plain, self.replay("-", stdin=source.read_bytes()).stdout)
        self.assertEqual(plain, self.replay(self.file("m.gz", gzip.compress(source.read_bytes()))).stdout)
        self.assertEqual(plain, self.replay("-", stdin=gzip.compress(source.read_bytes())).stdout)

    def test_several_files_add_up(self):
        one, two = self.file("1", ACCEPT + "\n"), self.file("2", f"{ACCEPT}\n{ACCEPT}\n")
        self.assertEqual(3, total(self.series(one, two), DECISIONS))
        self.assertEqual(2, total(self.series(one, one), DECISIONS))

    def test_each_file_has_its_own_start_and_end(self):
        # An unterminated last line counts and does not run into the next file; each file may begin with a mark.
        first, second = self.file("1", f"\ufeff{ACCEPT}\n{ACCEPT}"), self.file("2", f"\ufeff{ACCEPT}")
        series = self.series(first, second)
        self.assertEqual(3, total(series, DECISIONS))
        self.assertEqual(0, total(series, *BAD))

    def test_only_a_newline_ends_a_line(self):
        odd = ACCEPT[:-1] + ',"note":"a\u2028b\u0085c"}'
        series = self.series(self.file("f", f"{odd}\n{ACCEPT}\r\n\n  \n"))
        self.assertEqual(2, total(series, DECISIONS))
        self.assertEqual(0, total(series, *BAD))

    def test_a_bad_line_costs_that_line(self):
        content = b"\n".join([ACCEPT.encode(), b"\xff\xfe", b"\0", b'{"v":1', ACCEPT.encode(), b""])
        series = self.series(self.file("f", content))
        self.assertEqual(2, total(series, DECISIONS))
        self.assertEqual(3, total(series, *BAD))
        self.assertEqual(3, total(series, "peaktrade_ai_events_parse_errors_total"))

    def test_a_line_over_the_limit_is_bad_json_and_the_next_is_read(self):
        long = '{"v":1,"decision":"accept","pad":"' + "x" * (1 << 20) + '"}'
        series = self.series(self.file("f", f"{ACCEPT}\n{long}\n{ACCEPT}\n{long}"))
        self.assertEqual(2, total(series, DECISIONS))
        self.assertEqual(2, total(series, *BAD))

    def test_more_lines_than_a_unit_holds_are_all_counted(self):
        series = self.series(self.file("f", f"{ACCEPT}\n" * 20001))
        self.assertEqual(20001, total(series, DECISIONS))
        self.assertEqual(20001, total(series, EVENTS, 'road="replay"'))

    def test_an_empty_file_gives_every_family_and_the_heartbeat(self):
        text = self.replay(self.file("empty", "")).stdout.decode()
        self.assertEqual({'peaktrade_ai_live_heartbeat{component="execution_watch",run_id="na"}': 1.0},
                         parse_series(text))
        self.assertIn("# TYPE peaktrade_ai_decision_latency_ms histogram\n", text)

    def test_defaults_come_from_options_or_the_environment(self):
        path = self.file("f", ACCEPT)
        env = {**self.env, "PEAK_TRADE_AI_COMPONENT": "Env Gate", "PEAK_TRADE_AI_RUN_ID": "env"}
        self.assertEqual(1, total(self.series(path, env=env), DECISIONS, 'component="env_gate"', 'run_id="env"'))
        series = self.series("--component", "Mine", "--run-id", "my run", path, env=env)
        self.assertEqual(1, total(series, DECISIONS, 'component="mine"', 'run_id="my_run"'))
        self.assertEqual(1, total(series, "peaktrade_ai_live_heartbeat", 'component="mine"', 'run_id="my_run"'))

    def test_json_says_the_same_as_prometheus(self):
        source = ROOT / "tests/conformance/mixed.jsonl"
        text = parse_series(self.replay(source).stdout.decode())
        families = json.loads(self.replay("--format", "json", source).stdout)
        flat = {}
        for family, series in families.items():
            for one in series:
                def add(name, value, **extra):
                    labels = sorted({**one["labels"], **extra}.items())
                    flat[name + "{" + ",".join(f'{k}="{v}"' for k, v in labels) + "}"] = float(value)
                if "buckets" in one:
                    for le, count in one["buckets"].items():
                        add(family + "_bucket", count, le=le)
                    add(family + "_sum", one["sum"])
                    add(family + "_count", one["count"])
                else:
                    add(family, one["value"])
        self.assertEqual(text, flat)

    def spool_line(self, seq, **fields):
        record = {"v": 1, "ts_utc": "2026-01-01T00:00:00.000000Z", "component": "c", "run_id": "r", "event": "action",
                  "action": "fill", "sid": "188dd40eacfe65150102030405060708.1", "seq": seq,
                  "ts_ns": 1767225600000000000, **fields}
        return json.dumps({key: value for key, value in record.items() if value is not None})

    def test_a_spool_files_records_count_once(self):
        name = "188dd40eacfe65150102030405060708-%06d.jsonl"
        first = self.file(name % 1, "\n".join(self.spool_line(seq) for seq in range(5000)) + "\n")
        second = self.file(name % 2, "\n".join(
            [self.spool_line(seq) for seq in range(4990, 5010)] +
            [self.spool_line(5010, event="drop", reason="spool_full", count=7, action=None),
             self.spool_line(5017, event="invalid", action=None),
             self.spool_line(5018, event="stage", stage="s", latency_ns=5, action=None),
             self.spool_line(None, event="door", ring_full=3, no_ring=1, action=None),
             ACCEPT, "not json"]) + "\n")
        series = self.series(first, second)
        self.assertEqual(5010, total(series, "peaktrade_ai_actions_total", 'action="fill"'))
        self.assertEqual(10, total(series, "ailive_events_duplicate_total", 'road="replay"'))
        self.assertEqual(7, total(series, "ailive_events_dropped_total", 'reason="spool_full"'))
        self.assertEqual(1, total(series, "ailive_events_dropped_total", 'reason="invalid"'))
        self.assertEqual(3, total(series, "ailive_events_dropped_total", 'reason="ring_full"'))
        self.assertEqual(1, total(series, "ailive_events_dropped_total", 'reason="no_ring"'))
        self.assertEqual(1, total(series, "ailive_stage_latency_seconds_count", 'stage="s"'))
        self.assertEqual(0, total(series, DECISIONS))  # a foreign line has no place in a spool file
        self.assertEqual(1, total(series, "peaktrade_ai_events_dropped_total", 'reason="unknown_schema"'))
        self.assertEqual(1, total(series, *BAD))

    def test_sequence_numbers_mean_nothing_in_other_files(self):
        line = self.spool_line(7, event="decision", decision="accept", reason="none")
        series = self.series(self.file("events.jsonl", f"{line}\n{line}\n"))
        self.assertEqual(2, total(series, DECISIONS))
        self.assertIn('peaktrade_ai_last_event_timestamp_seconds{source="sample_v1"}', series)

    def random_lines(self, seed, count, runs):
        """All schemas, bad lines, packed close; times jump back and forth, so that the last one matters."""
        draw = random.Random(seed)
        for _ in range(count):
            when = f"2026-01-{draw.randrange(1, 28):02d}T0{draw.randrange(10)}:00:{draw.randrange(60):02d}.{draw.randrange(1000):03d}Z"
            run = f"run-{draw.randrange(runs)}"
            kind = draw.randrange(12)
            if kind == 0:
                yield f'{{"schema_version":"BETA_EXEC_V1","event_type":"REJECT","ts_utc":"{when}","run_id":"{run}"}}'
            elif kind == 1:
                yield f'{{"schema":"execution_event_v0","event_type":"filled","ts":"{when}","run_id":"{run}","x":[1]}}'
            elif kind == 2:
                yield f'{{"action":"caf\u00e9","run_id":"{run}"}}'
            elif kind == 3:
                yield draw.choice(["", "not json", "[1]", '{"v":1', '{"v":2}', "\r"])
            else:
                yield (f'{{"v":1,"ts_utc":"{when}","run_id":"{run}","component":"c{draw.randrange(3)}",'
                       f'"decision":"{draw.choice(["accept", "deny", "skip"])}","latency_ms":{draw.random() * 300:.3f}}}')

    def assert_jobs_do_not_matter(self, *paths):
        wanted = self.replay("--jobs", 1, *paths).stdout
        for jobs in (2, 3, 8):
            self.assertEqual(wanted, self.replay("--jobs", jobs, *paths).stdout, f"--jobs {jobs}")
        return parse_series(wanted.decode())

    def test_the_number_of_jobs_does_not_change_a_byte(self):
        seed = int(os.environ.get("AILIVE_SEED", random.randrange(1 << 32)))
        print(f"AILIVE_SEED={seed}", file=sys.stderr)
        lines = list(self.random_lines(seed, 12000, 400))
        long = '{"v":1,"decision":"accept","pad":"' + "x" * (1 << 20) + '"}'
        one = self.file("1", "\ufeff" + "\n".join(lines + [long] + lines[:300]))
        two = self.file("2.gz", gzip.compress("\n".join(lines[::-1] * 3).encode()))
        spool = self.file("188dd40eacfe65150102030405060708-000001.jsonl",
                          "".join(self.spool_line(seq) + "\n" for seq in range(3000)))
        series = self.assert_jobs_do_not_matter(one, spool, two, one, spool)
        self.assertEqual(6000, total(series, EVENTS, 'road="replay"') + total(
            series, "ailive_events_duplicate_total") - sum(
                n * sum(bool(line.strip()) for line in part) for n, part in
                ((2, lines), (2, lines[:300]), (2, [long]), (3, lines))))

    def test_full_families_take_the_same_series_with_any_number_of_jobs(self):
        # More run ids than a family holds: the first 10,000 in file order stay, whoever reads them.
        def file(name, first, end):
            return self.file(name, "".join(f'{{"v":1,"ts_utc":"2026-01-01T00:00:00Z","decision":"accept","run_id":"{n}"}}\n'
                                           for n in range(first, end)))
        few, more, again = file("few", 0, 6000), file("more", 3000, 11000), file("again", 10500, 12500)
        for paths, overflow in (((few, more, again, few), 1000 + 500 + 1500), ((file("many", 0, 13000),), 3000)):
            series = self.assert_jobs_do_not_matter(*paths)
            self.assertEqual(overflow, total(series, DECISIONS, 'run_id="overflow"'))

    def test_a_zstd_file_is_read(self):
        # One frame with one raw block, as its format (RFC 8878) has it: 256 bytes at most need one length byte.
        content = f"{ACCEPT}\n{ACCEPT}\n".encode()
        block = (len(content) << 3 | 1).to_bytes(3, "little")
        frame = b"\x28\xb5\x2f\xfd\x20" + bytes([len(content)]) + block + content
        self.assertEqual(2, total(self.series(self.file("f.zst", frame)), DECISIONS))
        done = self.replay(self.file("cut.zst", frame[:-3]), status=1)
        self.assertIn(b"zstd data end too early", done.stderr)

    def test_a_file_that_cannot_be_read_is_an_error_that_names_it(self):
        good = self.file("good", ACCEPT)
        for path, reason in ((self.folder / "absent", b"No such file"), (self.folder, b"directory"),
                             (self.file("cut.gz", gzip.compress(ACCEPT.encode() * 1000)[:-20]), b"end too early")):
            done = self.replay(good, path, status=1)
            self.assertEqual(b"", done.stdout)
            self.assertIn(str(path).encode(), done.stderr)
            self.assertIn(reason, done.stderr)
            self.assertEqual(1, done.stderr.count(str(path).encode()))

    def test_damage_behind_the_first_member_is_no_end(self):
        whole = gzip.compress(ACCEPT.encode())
        second = bytearray(gzip.compress(ACCEPT.encode() * 1000))
        second[-6] ^= 0xFF  # the checksum
        for content, reason in ((whole + b"no gzip", b"no gzip"), (whole + bytes(second), b"are wrong"),
                                (whole + whole[:-3], b"end too early")):
            done = self.replay(self.file("d.gz", content), status=1)
            self.assertEqual(b"", done.stdout)
            self.assertIn(reason, done.stderr)

    def test_wrong_usage_is_status_2_and_says_what(self):
        for arguments, said in (((), b"no FILE"), (("--format", "xml", "f"), b"xml"), (("--frmt",), b"--frmt"), (("--jobs", "0", "f"), b"--jobs"),
                                (("f", "--format"), b"--format"), (("-x", "f"), b"-x")):
            done = self.replay(*arguments, status=2)
            self.assertEqual(b"", done.stdout)
            self.assertIn(said, done.stderr)
            self.assertIn(b"ailive replay --help", done.stderr)
        self.assertIn(b"longer than", self.replay("--component", "x" * 256, "f", status=2).stderr)

    def test_output_that_cannot_be_written_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([AILIVE, "replay", self.file("f", ACCEPT)], stdout=full, stderr=subprocess.PIPE,
                                  env=self.env, timeout=60)
        self.assertEqual(1, done.returncode)
        self.assertIn(b"standard output", done.stderr)

    def test_help_and_version_go_to_standard_output(self):
        self.assertIn(b"Usage: ailive replay", self.replay("--help").stdout)
        self.assertRegex(self.replay("--version").stdout, rb"^ailive \d+\.\d+\.\d+\n$")
        for arguments, status in ((["--help"], 0), (["--version"], 0), ([], 2), (["dance"], 2)):
            done = subprocess.run([AILIVE, *arguments], capture_output=True, timeout=60, env=self.env)
            self.assertEqual(status, done.returncode)
            self.assertEqual(status == 0, bool(done.stdout))
            self.assertEqual(status == 2, bool(done.stderr))


if __name__ == "__main__":
    main()
