"""Without libailive: the same calls append contract JSONL, whose meaning `ailive replay` tells."""
import json
import os
import shutil
import stat

import pytest
from conftest import BUILT
from support.stack import AILIVE, parse_series, total

DECISIONS = "peaktrade_ai_decisions_total"


@pytest.fixture
def absent(stack):
    """The package without its extension, as on a machine that has no libailive."""
    shutil.copytree(f"{BUILT}/ailive", stack.folder / "python/ailive", ignore=shutil.ignore_patterns("*.so"))
    stack.events = stack.folder / "events.jsonl"
    stack.env.update(PYTHONPATH=str(stack.folder / "python"), PEAK_TRADE_AI_EVENTS_JSONL=str(stack.events))
    return stack


def replayed(stack):
    return parse_series(stack.run_ok(AILIVE, "replay", str(stack.events)).stdout.decode())


def test_a_host_runs_and_its_decisions_are_lines_of_the_contract(absent):
    stats = json.loads(absent.python("record.py", 100))
    assert (stats["recorded"], stats["spooled"], stats["ignored"], stats["connected"]) == (101, 101, 1, False)
    series = replayed(absent)
    labels = '{component="execution_watch",decision="reject",reason="risk_limit",run_id="paper_7"}'
    assert series[DECISIONS + labels] == 100
    assert series['peaktrade_ai_decision_latency_ms_count{decision="reject",source="sample_v1"}'] == 100
    assert series['peaktrade_ai_actions_total{action="fill",component="execution_watch",run_id="paper_7"}'] == 1
    assert total(series, "peaktrade_ai_events_dropped_total") == 0
    assert total(series, "peaktrade_ai_last_event_timestamp_seconds", 'source="sample_v1"') > 1.7e9


def test_every_action_that_has_a_line_counts_and_the_others_are_said_to_be_ignored(absent):
    said = absent.python("-c", "import ailive\n"
                         "client = ailive.open()\n"
                         "for a in ('order_intent', 'order_request', 'submit', 'cancel', 'fill'):\n"
                         "    client.action(a)\n"
                         "    client.decision('accept', action=a)\n"
                         "client.stage('x', 1.0)\n"
                         "print(*client.stats()[:4])\n")
    assert said == "8 0 0 3\n"
    series = replayed(absent)
    for action, count in (("order_intent", 2), ("order_request", 1), ("submit", 1), ("cancel", 2), ("fill", 2)):
        assert total(series, "peaktrade_ai_actions_total", f'action="{action}"') == count
    assert total(series, DECISIONS) == 5
    assert total(series, "peaktrade_ai_events_dropped_total") == 0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_lose_nothing(absent, method):
    absent.python("children.py", method, "return", 100)
    series = replayed(absent)
    assert [total(series, DECISIONS, f'run_id="child_{child}"') for child in range(4)] == [100] * 4
    assert total(series, DECISIONS) == 600


def test_a_fork_while_another_thread_records_hangs_nothing(absent):
    said = absent.python("-c", "import os, ailive\n"
                         "client = ailive.open()\n"
                         "client.decision('accept')\n"
                         "client._lock.acquire()\n"  # as another thread would hold it at that moment
                         "child = os.fork()\n"
                         "if child == 0:\n"
                         "    client.decision('noop')\n"
                         "    print(client.stats().recorded, flush=True)\n"
                         "    os._exit(0)\n"
                         "client._lock.release()\n"
                         "os.waitpid(child, 0)\n")
    assert said == "1\n"
    assert total(replayed(absent), DECISIONS) == 2


def test_odd_texts_and_times_stay_lines_of_the_contract(absent):
    absent.python("-c", "import ailive\n"
                  "client = ailive.open()\n"
                  "client.decision('accept', component='a\"b\\\\c\\n\\u2028\u00e9', latency=float('nan'))\n"
                  "client.decision('accept', time_ns=-(1 << 62), latency=-1.0)\n"
                  "client.decision('accept', time_ns=(1 << 63) - 1, latency=1e300)\n")
    assert absent.events.read_bytes().count(b"\n") == 3
    series = replayed(absent)
    assert total(series, DECISIONS) == 3
    assert total(series, "peaktrade_ai_events_parse_errors_total") == 0
    assert total(series, "peaktrade_ai_events_dropped_total") == 0


def test_without_an_event_file_calls_are_counted_no_ops_and_that_is_said_once(absent):
    del absent.env["PEAK_TRADE_AI_EVENTS_JSONL"]
    done = absent.run_ok("/usr/bin/python3", "-c", "import ailive\n"
                         "client = ailive.open()\n"
                         "client.decision('accept'); client.decision('accept')\n"
                         "print(*client.stats()[:4])\n")
    assert done.stdout == b"0 0 0 2\n"
    assert done.stderr.decode().count("PEAK_TRADE_AI_EVENTS_JSONL is not set") == 1


def test_an_event_file_that_cannot_be_written_raises_nothing(absent):
    absent.events.mkdir()
    said = absent.python("-c", "import ailive\n"
                         "with ailive.open() as client:\n"
                         "    client.decision('accept'); client.decision('accept')\n"
                         "    print(*client.stats()[:7])\n")
    assert said == "2 0 0 0 0 0 2\n"


def test_the_event_file_is_only_appended_to(absent):
    absent.events.write_text('{"v":1,"decision":"noop"}\n')
    absent.python("record.py", 1)
    assert absent.events.read_text().startswith('{"v":1,"decision":"noop"}\n{')
    assert stat.S_IMODE(os.stat(absent.events).st_mode) & 0o111 == 0


def test_the_module_says_which_road_records_take_and_why(absent):
    said = absent.python("-m", "ailive")
    assert "records go to JSONL" in said and "libailive is not used" in said and "_native" in said


def test_a_road_may_be_asked_for_by_name(stack):
    env = dict(stack.env, AILIVE_PYTHON_ROAD="jsonl")
    assert "JSONL" in stack.python("-c", "import ailive; print(ailive.road, ailive.why_jsonl)", env=env)
