"""One client, on either road: what it records, what it refuses, and that it never raises for anything else."""
import ast
import asyncio
import concurrent.futures
import gc
import inspect
import logging
import math
import os
import pathlib
import pickle
import random
import sys
import threading
import time
import tracemalloc

import ailive
import pytest
from ailive import ai_telemetry
from conftest import ROADS, made_by


def one(client):
    records = client.records()
    assert len(records) == 1
    return records[0]


def test_a_decision_is_recorded_with_all_that_was_said(client):
    client.decision("reject", reason="risk_limit", latency=0.0021, action="none", component="router", run_id="paper_7",
                    time_ns=1_769_303_388_123_456_789)
    assert one(client) == ("decision", "reject", "none", "risk_limit", None, "router", "paper_7",
                           1_769_303_388_123_456_789, 2_100_000)


def test_what_is_not_said_is_the_default(client):
    before = time.time_ns()
    client.decision("accept")
    client.decision("noop", reason=None, latency=None, action=None, component=None, run_id=None, time_ns=None)
    for record, decision in zip(client.records(), ("accept", "noop")):
        assert record[:7] == ("decision", decision, "none", "none", None, "execution_watch", "na")
        assert record.latency_ns is None
        assert abs(record.time_ns - before) < 60e9


def test_actions_and_stages_are_recorded(client):
    client.action("fill", run_id="r")
    client.stage("risk_check", 0.25, component="c")
    client.stage(stage="risk_check", latency=None)
    action, stage, without = client.records()
    assert action[:7] == ("action", None, "fill", None, None, "execution_watch", "r")
    assert stage[:7] == ("stage", None, "none", None, "risk_check", "c", "na")
    assert (action.latency_ns, stage.latency_ns, without.latency_ns) == (None, 250_000_000, None)


@pytest.mark.parametrize("decision", ["accept", "reject", "noop"])
@pytest.mark.parametrize("action", ["none", "order_intent", "order_request", "submit", "cancel", "fill"])
def test_every_word_is_recorded_as_itself(client, decision, action):
    client.decision(decision, action=action)
    assert one(client)[1:3] == (decision, action)


@pytest.mark.parametrize("seconds, ns", [(0, 0), (0.0, 0), (1, 1_000_000_000), (2.5e-9, 3), (-1e-9, -1), (math.nan, -1),
                                         (math.inf, -1), (-math.inf, -1), (1e300, (1 << 63) - 1),
                                         (10**400, (1 << 63) - 1)])
def test_a_latency_is_seconds_and_one_that_cannot_be_is_negative(client, seconds, ns):
    client.decision("accept", latency=seconds)
    assert one(client).latency_ns == ns


WRONG_VALUES = [
    lambda c: c.decision("maybe"), lambda c: c.decision("ACCEPT"), lambda c: c.decision(""),
    lambda c: c.decision("accept", action="buy"), lambda c: c.action("none"), lambda c: c.action("buy"),
    lambda c: c.decision("accept", reason=""), lambda c: c.decision("accept", reason="x" * 97),
    lambda c: c.decision("accept", reason="\u00e9" * 49), lambda c: c.decision("accept", reason="a\0b"),
    lambda c: c.decision("accept", reason="\ud800"), lambda c: c.decision("accept", run_id=""),
    lambda c: c.decision("accept", component="x" * 97), lambda c: c.stage("", 1.0), lambda c: c.timer(""),
    lambda c: c.timed("x" * 97), lambda c: c.decision("accept", time_ns=1 << 63),
]
WRONG_TYPES = [
    lambda c: c.decision(1), lambda c: c.decision(None), lambda c: c.decision("accept", reason=7),
    lambda c: c.decision("accept", action=3), lambda c: c.decision("accept", latency="0.1"),
    lambda c: c.decision("accept", latency=True), lambda c: c.decision("accept", latency=[1]),
    lambda c: c.decision("accept", time_ns=1.5), lambda c: c.decision("accept", run_id=b"x"),
    lambda c: c.stage(None, 1.0), lambda c: c.timer(None), lambda c: c.timed(5), lambda c: c.action(None),
    lambda c: c.decision([]), lambda c: c.decision("accept", reason=[]),
]
WRONG_SHAPES = [
    lambda c: c.decision(), lambda c: c.decision("accept", "none"), lambda c: c.decision("accept", decision="accept"),
    lambda c: c.decision("accept", price=3), lambda c: c.stage("x"), lambda c: c.stage("x", 1.0, "c"),
    lambda c: c.action(), lambda c: c.timer(),
    lambda c: c.decision("accept", **{f"x{i}": None for i in range(40)}),
]


@pytest.mark.parametrize("wrong", WRONG_VALUES)
def test_a_wrong_value_raises_ours_and_records_nothing(client, wrong):
    with pytest.raises(ailive.BadValue) as raised:
        wrong(client)
    assert isinstance(raised.value, ValueError) and isinstance(raised.value, ailive.Error)
    assert client.records() == []


@pytest.mark.parametrize("wrong", WRONG_TYPES)
def test_a_wrong_type_raises_ours_and_records_nothing(client, wrong):
    with pytest.raises(ailive.BadType) as raised:
        wrong(client)
    assert isinstance(raised.value, TypeError) and isinstance(raised.value, ailive.Error)
    assert client.records() == []


@pytest.mark.parametrize("wrong", WRONG_SHAPES)
def test_a_call_of_the_wrong_shape_is_a_type_error(client, wrong):
    with pytest.raises(TypeError):
        wrong(client)
    assert client.records() == []


@pytest.mark.parametrize("wrong", [{"component": "x" * 97}, {"run_id": "x" * 97}, {"ring_records": -1},
                                   {"spool_after": -1}, {"spool_max_bytes": 1 << 64}, {"run_id": "a\0b"}])
@pytest.mark.parametrize("road", sorted(ROADS))
def test_wrong_options_raise(road, wrong):
    with pytest.raises(ailive.BadValue):
        made_by(ROADS[road], memory=True, **wrong)


@pytest.mark.skipif("libailive" not in ROADS, reason="JSONL goes to no sidecar")
def test_plaintext_beyond_loopback_is_refused_unless_asked_for_by_name():
    with pytest.raises(ailive.BadValue):
        ailive.open(ipc_url="tcp://192.0.2.1:9", memory=True)  # memory: nothing is dialled
    ailive.open(ipc_url="tcp://192.0.2.1:9", remote_plaintext=True, memory=True).close()


def test_wrong_types_of_options_raise():
    for wrong in ({"component": 1}, {"runtime_dir": 1}, {"tls_cert": b"x"}, {"ring_records": 1.5},
                  {"ring_records": True}, {"spool_after": "1"}):
        with pytest.raises(ailive.BadType):
            ailive.open(**wrong)


def test_texts_are_told_apart_by_what_they_say_not_by_where_they_lie(client):
    """Names are found by the address of their str first: texts come, go, and others take their addresses."""
    seed = int(os.environ.get("AILIVE_SEED", random.randrange(1 << 32)))
    print(f"AILIVE_SEED={seed}")
    chance = random.Random(seed)
    for _ in range(300):
        said = []
        for _ in range(20):
            word, n = chance.choice(("accept", "reject", "noop")), chance.randrange(200)
            fields = {"reason": f"reason {n}", "component": f"component {n % 7}", "run_id": f"run {n % 5}",
                      "action": chance.choice(("none", "submit", "".join(["fi", "ll"])))}
            for name in chance.sample(sorted(fields), chance.randrange(5)):
                del fields[name]
            client.decision("".join(list(word)), **fields)
            said.append((word, fields.get("action", "none"), fields.get("reason", "none"),
                         fields.get("component", "execution_watch"), fields.get("run_id", "na")))
        assert [(r.decision, r.action, r.reason, r.component, r.run_id) for r in client.records()] == said


def test_a_str_of_a_subclass_is_its_text(client):
    class Text(str):
        pass
    for _ in range(3):
        client.decision(Text("reject"), reason=Text("risk_limit"), run_id=Text("r"))
    assert {(r.decision, r.reason, r.run_id) for r in client.records()} == {("reject", "risk_limit", "r")}


def test_more_names_than_there_is_room_for_raise_nothing():
    if "libailive" not in ROADS:
        pytest.skip("a limit of libailive")
    with made_by(ROADS["libailive"], memory=True) as client:
        for i in range(1500):
            client.decision("accept", reason=f"r{i}")
        known = client.records()
        assert len(known) == 1000  # AILIVE_NAMES_MAX
        assert [r.reason for r in known] == [f"r{i}" for i in range(len(known))]
        stats = client.stats()
        assert stats.recorded == 1500 and stats.ignored == 1500 - len(known)


def test_a_timer_records_its_block_and_lets_exceptions_through(client):
    with client.timer("sleep", run_id="r") as timer:
        time.sleep(0.02)
        assert timer.elapsed >= 0.02
    with pytest.raises(KeyError), client.timer("fails"):
        raise KeyError
    first, second = client.records()
    assert (first.kind, first.stage, first.run_id, second.stage) == ("stage", "sleep", "r", "fails")
    assert first.latency_ns >= 20_000_000
    assert timer.elapsed == pytest.approx(first.latency_ns / 1e9)


def test_timers_nest_and_may_be_left_without_being_entered(client):
    with client.timer("outer"), client.timer("inner"):
        pass
    client.timer("never").__exit__(None, None, None)
    assert [r.stage for r in client.records()] == ["inner", "outer"]


def test_timed_functions_keep_their_name_result_and_exceptions(client):
    @client.timed("work")
    def work(a, *, b):
        """Works."""
        return a // b

    assert work(6, b=3) == 2 and work.__name__ == "work" and work.__doc__ == "Works."
    with pytest.raises(ZeroDivisionError):
        work(1, b=0)
    assert [r.stage for r in client.records()] == ["work", "work"]


def test_timed_coroutines_count_their_waits(client):
    @client.timed("wait")
    async def wait(seconds):
        await asyncio.sleep(seconds)
        return seconds

    assert inspect.iscoroutinefunction(wait)
    assert asyncio.run(wait(0.02)) == 0.02
    assert one(client).latency_ns >= 20_000_000


def test_timed_refuses_generators(client):
    def generator():
        yield

    async def asynchronous():
        yield

    for function in (generator, asynchronous):
        with pytest.raises(ailive.BadType):
            client.timed("never")(function)


def test_a_destructor_may_record_in_the_middle_of_a_call(client):
    """Keyword names and reasons that record when they are thrown out of the tables that find them by address."""
    places = []  # tuples that are kept, so that new ones lie elsewhere

    class Noisy(str):
        def __del__(self):
            places.append((self[:1], len(places)))
            client.decision("noop", **{"".join(["act", "ion"]): "none", "".join(["run", "_id"]): "gone"})

    for i in range(8000):
        client.decision("accept", **{Noisy("reason"): Noisy(f"r{i % 90}"), Noisy("run_id"): "r"})
    records = [r for r in client.records() if r.decision == "accept"]
    assert [(r.reason, r.run_id) for r in records] == [(f"r{i % 90}", "r") for i in range(8000)]


def test_calls_keep_nothing(client):
    """Neither references nor memory, once the tables are full."""
    reason, latency = "".join(["risk", "_limit"]), 0.25

    def call():
        for i in range(500):
            client.decision("reject", reason=reason, latency=latency, run_id="".join(["r", str(i % 5)]))
            client.stage("s", latency, **{"component": "c"})
            with ailive.use_run_id(reason), client.timer("t"):
                client.action("submit")
            for wrong in (WRONG_VALUES[0], WRONG_TYPES[3], WRONG_SHAPES[3]):
                with pytest.raises(ailive.Error if client.road == "libailive" else (ValueError, TypeError)):
                    wrong(client)
        client.records()

    call()
    gc.collect()
    tracemalloc.start()
    try:
        before, held = tracemalloc.get_traced_memory()[0], [sys.getrefcount(each) for each in (reason, client)]
        for _ in range(5):
            call()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
        assert [sys.getrefcount(each) for each in (reason, client)] == held and sys.getrefcount(latency) < 20
    finally:
        tracemalloc.stop()


def test_a_run_id_holds_for_its_context_alone(client):
    seen = {}

    def in_thread():
        seen["thread"] = ailive.current_run_id()
        client.decision("noop", reason="thread")

    with ailive.use_run_id("outer"):
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
        client.decision("accept")
        with ailive.use_run_id("inner"):
            client.action("submit")
            with client.timer("timed"):
                pass
            client.decision("accept", run_id="named")
        client.decision("accept")
    client.decision("accept")
    assert seen == {"thread": None}
    assert [r.run_id for r in client.records() if r.reason != "thread"] == ["outer", "inner", "inner", "named", "outer",
                                                                             "na"]


def test_tasks_have_run_ids_of_their_own(client):
    async def strategy(run_id):
        with ailive.use_run_id(run_id):
            for _ in range(20):
                client.decision("accept", reason=run_id)
                await asyncio.sleep(0)

    async def all_of_them():
        await asyncio.gather(*(strategy(f"paper_{i}") for i in range(8)))

    asyncio.run(all_of_them())
    records = client.records()
    assert len(records) == 160
    assert all(r.run_id == r.reason for r in records)


def test_a_wrong_run_id_of_the_context_raises_where_it_is_used(client):
    with ailive.use_run_id(7), pytest.raises(ailive.BadType):
        client.decision("accept")
    assert client.records() == []


def test_threads_may_share_a_client(client):
    def work(k):
        for i in range(1000):
            client.decision("reject", reason=f"r{k}", latency=i * 1e-9)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    records = client.records()
    for k in range(8):
        assert sorted(r.latency_ns for r in records if r.reason == f"r{k}") == list(range(1000))


def test_after_close_calls_are_counted_no_ops(client):
    client.decision("accept")
    assert client.close() is True
    assert client.close() is False and client.flush() is False
    client.decision("accept")
    client.decision("accept", reason="never seen before")
    client.action("fill")
    with client.timer("closed"):
        pass
    stats = client.stats()
    assert stats.recorded == 1 and stats.ignored >= 4
    with pytest.raises(ailive.BadValue):
        client.decision("maybe")


def test_leaving_the_block_closes():
    for kind in ROADS.values():
        with made_by(kind, memory=True) as client:
            pass
        assert client.flush() is False


def test_pickled_within_a_process_it_is_the_same_client(client):
    assert pickle.loads(pickle.dumps(client)) is client
    assert pickle.loads(pickle.dumps(client.decision))("accept") is None
    assert one(client).decision == "accept"


def test_disabled_by_the_environment_nothing_is_recorded_and_nothing_raises(monkeypatch):
    monkeypatch.setenv("AILIVE_DISABLED", "1")
    for kind in ROADS.values():
        with made_by(kind) as client:
            client.decision("accept", reason="x")
            client.stage("y", 1.0)
            assert client.stats().recorded == 0 and client.stats().ignored == 2


def test_log_records_become_telemetry(client):
    log = logging.getLogger("test.ailive")
    log.setLevel(logging.INFO)
    handler = ailive.LoggingHandler(client)
    log.addHandler(handler)
    try:
        log.info("no telemetry")
        log.info("rejected", extra={"decision": "reject", "reason": "risk_limit", "latency": 0.001, "run_id": "r"})
        log.info("filled", extra={"action": "fill"})
        log.info("routed", extra={"stage": "router", "latency": 0.5})
        log.debug("below the level", extra={"action": "fill"})
    finally:
        log.removeHandler(handler)
    decision, action, stage = client.records()
    assert decision[:7] == ("decision", "reject", "none", "risk_limit", None, "execution_watch", "r")
    assert (action.action, stage.stage, stage.latency_ns) == ("fill", "router", 500_000_000)
    assert abs(decision.time_ns - time.time_ns()) < 60e9


def test_a_wrong_log_record_is_for_logging_to_handle(client, capsys):
    handler = ailive.LoggingHandler(client)
    handler.handle(logging.makeLogRecord({"decision": "maybe"}))
    assert "decision must be one of" in capsys.readouterr().err
    assert client.records() == []


def test_the_original_names_record_and_never_raise(client, monkeypatch):
    monkeypatch.setattr(ai_telemetry, "_client", client)
    ai_telemetry.record_decision(" Approved ", latency_s=0.25, timestamp_s=12.5)
    ai_telemetry.record_decision("blocked", "Risk_Limit", "C", "r" * 300)
    ai_telemetry.record_action("SUBMIT", component=None)
    ai_telemetry.observe_decision_latency_ms(source="sample_v1", decision="accept", latency_ms=85.0)
    ai_telemetry.set_heartbeat()
    ai_telemetry.inc_events_dropped(source="x", reason="y")
    ai_telemetry.inc_events_parse_error(source="x")
    ai_telemetry.set_last_event_timestamp_seconds(source="x", timestamp_s=1.0)
    assert ai_telemetry.get_registry() is None
    first, second, action, stage = client.records()
    assert first == ("decision", "accept", "none", "none", None, "execution", "na", 12_500_000_000, 250_000_000)
    assert second[1:7] == ("reject", "none", "risk_limit", None, "c", "r" * 96)
    assert (action.action, action.component) == ("submit", "na")
    assert (stage.stage, stage.latency_ns) == ("decision_accept", 85_000_000)
    ai_telemetry.record_decision("maybe")
    ai_telemetry.record_decision(None)
    ai_telemetry.record_decision("accept", latency_s="soon")
    ai_telemetry.record_action("buy")
    assert client.records() == []
    assert client.stats().ignored == 3


def test_the_stubs_say_what_the_package_has():
    folder = pathlib.Path(ailive.__file__).parent
    for stub, module in (("__init__.pyi", ailive), ("ai_telemetry.pyi", ai_telemetry)):
        for node in ast.parse((folder / stub).read_text()).body:
            if isinstance(node, ast.FunctionDef):
                assert parameters(node) == list(inspect.signature(getattr(module, node.name)).parameters)
            elif isinstance(node, ast.ClassDef) and node.name == "Client":
                for kind in ROADS.values():
                    for method in (n for n in node.body if isinstance(n, ast.FunctionDef)):
                        if not method.name.startswith("__"):
                            signature = inspect.signature(getattr(kind, method.name))
                            assert parameters(method) == list(signature.parameters), method.name
    stubs = (folder / "__init__.pyi").read_text()
    assert [name for name in ailive.__all__ if name not in stubs] == []
    assert (folder / "py.typed").exists()


def parameters(node):
    return [a.arg for a in node.args.posonlyargs + node.args.args + node.args.kwonlyargs]


@pytest.mark.parametrize("method", ["decision", "action", "stage", "timer", "timed", "flush", "close", "stats", "records"])
def test_every_method_says_what_it_does(method):
    for kind in ROADS.values():
        assert len(inspect.getdoc(getattr(kind, method))) > 20
