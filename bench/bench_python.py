#!/usr/bin/python3
"""One recording call from Python, as a host writes it, beside what Python offers for the same decision.

    bench_python.py [--quick]

Calls are timed in groups of 20, the loop around them included; a figure is the mean of the lower 99 % of the groups.
The peers take turns with ours. ctypes: ailive_record_words() through ctypes, names looked up in dicts.
prometheus-client: a counter by four labels and a histogram by two; bound: its children looked up beforehand. JSON line:
json.dumps() and one write() to a file. The counts must be exact.
"""
import ctypes
import importlib.util
import json
import os
import pathlib
import statistics
import sys
import time

from closing import QUICK, counts, main, rows

BUILT = pathlib.Path(__file__).resolve().parents[1] / "build/release/python"
BUILT = pathlib.Path(os.environ.get("AILIVE_PYTHON", BUILT))
sys.path.insert(0, str(BUILT))
REPEATS = 1 if QUICK else 7
GROUPS = 200 if QUICK else 1500  # all records together fit into a ring
QUESTION = "Python, one decision with known names"
GOAL_NS = 100


def row(question, values, peer=None, goal_ns=None):
    middle, low, high = statistics.median(values), min(values), max(values)
    rows.append({"question": question, "goal": f"<= {goal_ns} ns" if goal_ns else None, "unit": "ns", "median": middle,
                 "low": low, "high": high, "n": len(values), "ratio": None, "ratio_low": None, "ratio_high": None,
                 "reference": None, "met": middle <= goal_ns if goal_ns else None} | ({"peer": peer} if peer else {}))
    print(f"{peer or 'ailive'}: {question}: {middle:.4g} ns [{low:.4g} .. {high:.4g}]", flush=True)


def groups(twenty):
    """twenty() makes 20 calls."""
    found = []
    for _ in range(GROUPS):
        begin = time.perf_counter_ns()
        twenty()
        found.append((time.perf_counter_ns() - begin) / 20)
    kept = sorted(found)[:GROUPS - GROUPS // 100]
    return sum(kept) / len(kept)


def ours(client):
    def known():
        for _ in range(20):
            client.decision("reject", reason="risk_limit", latency=0.0021, action="none")

    def scoped():
        for _ in range(20):
            client.decision("reject", reason="risk_limit", latency=0.0021, component="router", run_id="paper_7")

    def fresh():
        for _ in range(20):
            client.decision("reject", reason="risk" + suffix, latency=0.0021, action="none")

    def timer():
        for _ in range(20):
            with client.timer("order_router"):
                pass
    suffix = "_limit"
    return {QUESTION: known, "Python, one decision, component and run id named": scoped,
            "Python, one decision, its reason a new str each time": fresh, "Python, one timed block": timer}


def ctypes_calls():
    """On an instance of its own, left open until the process ends."""
    library = ctypes.CDLL("libailive.so.0")  # the extension has loaded it
    instance = ctypes.c_void_p()
    assert library.ailive_open(None, ctypes.byref(instance)) == 0
    record = library.ailive_record_words
    record.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint64, ctypes.c_uint64)
    decisions, reasons, actions = {"reject": 2}, {"risk_limit": 4}, {"none": 0}
    now, scope = -1 << 63, 8 | 9 << 16

    def decision(decision, reason, latency, action):
        record(instance, now, int(latency * 1e9),
               1 | decisions[decision] << 8 | actions[action] << 16 | reasons[reason] << 32, scope)

    def twenty():
        for _ in range(20):
            decision("reject", reason="risk_limit", latency=0.0021, action="none")
    return twenty


def prometheus_calls():
    import prometheus_client
    registry = prometheus_client.CollectorRegistry()
    counter = prometheus_client.Counter("decisions", "d", ["decision", "reason", "component", "run_id"], registry=registry)
    histogram = prometheus_client.Histogram("latency_seconds", "l", ["component", "run_id"], registry=registry)

    def labelled():
        for _ in range(20):
            counter.labels("reject", "risk_limit", "execution_watch", "demo").inc()
            histogram.labels("execution_watch", "demo").observe(0.0021)

    def bound():
        for _ in range(20):
            one.inc()
            two.observe(0.0021)
    one = counter.labels("reject", "risk_limit", "execution_watch", "demo")
    two = histogram.labels("execution_watch", "demo")
    return {"prometheus-client": labelled, "prometheus-client bound": bound}


def json_calls(fd):
    def twenty():
        for _ in range(20):
            os.write(fd, (json.dumps({"v": 1, "ts_utc": "2026-01-25T01:09:48.123Z", "component": "execution_watch",
                                      "run_id": "demo", "event": "decision", "decision": "reject",
                                      "reason": "risk_limit", "latency_ms": 2.1, "action": "none"}) + "\n").encode())
    return twenty


def peers(folder):
    events = os.open(folder / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    found = {"JSON line": json_calls(events), "ctypes": ctypes_calls()}
    if importlib.util.find_spec("prometheus_client"):
        return found | prometheus_calls()
    print("prometheus-client is not installed: left out", flush=True)
    return found


def measure(calls, beside):
    """Gives {name: values} of both; one after the other, and again."""
    found = {name: [] for name in calls | beside}
    for name, twenty in (calls | beside).items():
        for _ in range(50):
            twenty()
    for _ in range(REPEATS):
        for name, twenty in (calls | beside).items():
            found[name].append(groups(twenty))
    return found


def run(folder):
    os.environ.update(AILIVE_RUNTIME_DIR=str(folder / "runtime"), AILIVE_SPOOL_DIR=str(folder / "spool"))
    import ailive
    if ailive.road != "libailive":
        sys.exit(f"bench_python: the extension is not there: {ailive.why_jsonl}")
    # Nobody takes the records: the rings hold them all, and no sidecar shares the cores.
    with ailive.open(component="execution_watch", run_id="demo", ring_records=1 << 20, spool_after=3600.0) as client:
        calls, beside = ours(client), peers(folder)
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})  # this thread's alone
        found = measure(calls, beside)
        stats = client.stats()
        counts["records"] = [len(calls) * 20 * (50 + REPEATS * GROUPS), stats.recorded]
        counts["dropped"] = [0, stats.dropped_full + stats.dropped_ring]
    for question in calls:
        row(question, found[question], goal_ns=GOAL_NS if question == QUESTION else None)
    for peer in beside:
        row(QUESTION, found[peer], peer=peer)


if __name__ == "__main__":
    sys.exit(main("python", run))
