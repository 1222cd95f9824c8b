#!/usr/bin/python3
"""The peers that Debian ships, on the work of our own benchmarks: one recording call (spdlog's asynchronous logger,
LTTng-UST, prometheus-client), and lines aggregated by their labels and a latency (jq, mtail, prometheus-client).

    bench_peers.py [--quick] [--without-daemons]     # the latter: without LTTng, whose daemon all of a machine share

A peer that is not installed is left out and said so. Rows carry the question of the row of ours they stand beside.
Ends only processes it started.
"""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

from closing import QUICK, counts, main, rows

BIN = pathlib.Path(__file__).resolve().parents[1] / "build/release/bin"
BIN = pathlib.Path(os.environ.get("AILIVE_BIN", BIN))
BACK_TO_BACK = "recording call, 1 name: back to back, mean of the lower 99 %"
BURSTS = "recording call, 1 name: bursts of 20, mean of the lower 99 %"
LINES = "replay of 1 GB, sample_v1, one core"
SOON = "1,000 lines a second: append to visible in /metrics, median"
TAIL = "one writer flat out: lines a second"
REPEATS = 1 if QUICK else 3
LINE_BYTES = 400_000 if QUICK else 40_000_000
CORES = sorted(os.sched_getaffinity(0))

JQ = """reduce inputs as $e ({}; ($e.decision + " " + $e.reason + " " + $e.component + " " + $e.run_id) as $key |
  .[$key].count += 1 | .[$key].latency_ms += $e.latency_ms) | [.[].count] | add"""
MTAIL = r"""counter decisions by decision, reason, component, run_id
histogram latency_ms by component, run_id buckets 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000
/"component":"(?P<component>[^"]*)","run_id":"(?P<run_id>[^"]*)",.*"decision":"(?P<decision>[^"]*)",/ +
/"reason":"(?P<reason>[^"]*)","latency_ms":(?P<latency>[0-9]+\.[0-9]+)/ {
  decisions[$decision][$reason][$component][$run_id]++
  latency_ms[$component][$run_id] = float($latency)
}
"""


def row(peer, question, unit, values):
    middle, low, high = statistics.median(values), min(values), max(values)
    rows.append({"peer": peer, "question": question, "goal": None, "unit": unit, "median": middle, "low": low,
                 "high": high, "n": len(values), "ratio": None, "ratio_low": None, "ratio_high": None, "reference": None,
                 "met": None})
    print(f"{peer}: {question}: {middle:.4g} {unit} [{low:.4g} .. {high:.4g}]", flush=True)


def quick():
    return ["--quick"] if QUICK else []


def run(*command, **rest):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600, **rest).stdout


def calls(peer, output):
    figures = json.loads(output.splitlines()[-1])
    row(peer, BACK_TO_BACK, "ns", figures["back_to_back"])
    row(peer, BURSTS, "ns", figures["bursts"])
    return figures["calls"]


# ---- one recording call ----

def spdlog(folder):
    made = calls("spdlog async", run(BIN / "peer_spdlog", folder / "spdlog.log", *quick()))
    with open(folder / "spdlog.log", "rb") as log:
        counts["spdlog lines"] = [made, sum(1 for _ in log)]


@contextlib.contextmanager
def session_daemon():
    """LTTng's, ours unless one runs already."""
    if subprocess.run(["lttng", "--no-sessiond", "list"], capture_output=True, timeout=30).returncode == 0:
        yield
        return
    with subprocess.Popen(["lttng-sessiond", "--no-kernel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            for _ in range(100):
                if subprocess.run(["lttng", "--no-sessiond", "list"], capture_output=True, timeout=30).returncode == 0:
                    break
                time.sleep(0.1)
            yield
        finally:
            daemon.terminate()
            daemon.wait(timeout=30)


def lttng(folder):
    name = f"ailive-bench-{os.getpid()}"
    with session_daemon():
        run("lttng", "create", name, f"--output={folder}/lttng")
        try:
            run("lttng", "enable-channel", "--userspace", "--session", name, "--subbuf-size=4M", "--num-subbuf=8", "bench")
            run("lttng", "enable-event", "--userspace", "--session", name, "--channel=bench", "ailive_peer:*")
            run("lttng", "start", name)
            calls("LTTng-UST", run(BIN / "peer_lttng", *quick()))
            run("lttng", "stop", name)
            counts["LTTng trace written"] = [1, int(any(path.stat().st_size for path in folder.glob("lttng/ust/**/bench*")))]
        finally:
            run("lttng", "destroy", name)


def groups(call, number, pace_ns):
    found = []
    next_ns = time.perf_counter_ns()
    for i in range(0, number, 20):
        while (begin := time.perf_counter_ns()) < next_ns:
            pass
        next_ns = begin + pace_ns
        for k in range(20):
            call(i + k)
        found.append((time.perf_counter_ns() - begin) / 20)
    found.sort()
    kept = found[:len(found) - len(found) // 100]
    return sum(kept) / len(kept)


def prometheus_families(registry):
    import prometheus_client
    decisions = prometheus_client.Counter("decisions", "d", ["decision", "reason", "component", "run_id"], registry=registry)
    latency = prometheus_client.Histogram("latency_ms", "l", ["component", "run_id"], registry=registry,
                                          buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000))
    return decisions, latency


def prometheus_client_calls(_folder):
    import prometheus_client
    registry = prometheus_client.CollectorRegistry()
    decisions, latency = prometheus_families(registry)

    def call(i):
        decisions.labels("reject", "risk_limit", "execution_watch", "demo").inc()
        latency.labels("execution_watch", "demo").observe(i)
    number = 2000 if QUICK else 100000
    row("prometheus-client", BACK_TO_BACK, "ns", [groups(call, number, 0) for _ in range(REPEATS)])
    row("prometheus-client", BURSTS, "ns", [groups(call, number, 500_000) for _ in range(REPEATS)])
    seen = registry.get_sample_value("decisions_total", {"decision": "reject", "reason": "risk_limit",
                                                         "component": "execution_watch", "run_id": "demo"})
    counts["prometheus-client calls"] = [2 * REPEATS * number, int(seen)]


# ---- lines ----

def on_one_core():
    os.sched_setaffinity(0, {CORES[0]})


def lines_of(peer, path, number, aggregate):
    rates = []
    for _ in range(REPEATS):
        begin = time.monotonic()
        seen = aggregate()
        rates.append(path.stat().st_size / (time.monotonic() - begin) / 1e9)
        counts[f"{peer} lines"] = [number, seen]
    row(peer, LINES, "GB/s", rates)


def aggregate_prometheus_client(path):
    import prometheus_client
    registry = prometheus_client.CollectorRegistry()
    decisions, latency = prometheus_families(registry)
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            decisions.labels(event["decision"], event["reason"], event["component"], event["run_id"]).inc()
            latency.labels(event["component"], event["run_id"]).observe(event["latency_ms"])
    return total(prometheus_client.generate_latest(registry).decode(), "decisions_total")


def total(text, family):
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(family + "{")))


def mtail_program(folder):
    programs = folder / "mtail"
    programs.mkdir(exist_ok=True)
    (programs / "events.mtail").write_text(MTAIL)
    return programs


def aggregate_mtail(folder, path):
    text = run("mtail", "-one_shot", "-one_shot_format=prometheus", "-progs", mtail_program(folder), "-logs", path,
               "-log_dir", folder, preexec_fn=on_one_core)
    return total(text, "decisions")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def mtail_metrics(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return total(answer.read().decode(), "decisions")
    except OSError:
        return -1


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)


@contextlib.contextmanager
def mtail_following(folder):
    """mtail at the end of an empty log; gives the log and the port of its metrics."""
    log, port = folder / "tailed.jsonl", free_port()
    log.write_bytes(b"")
    command = ["mtail", "-progs", mtail_program(folder), "-logs", log, "-address", "127.0.0.1", "-port", str(port),
               "-log_dir", folder]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: mtail_metrics(port) >= 0, 20)
            time.sleep(1)
            yield log, port
        finally:
            process.terminate()
            process.wait(timeout=30)


def tail_mtail(folder, path, number):
    """A writer flat out, as in bench_tail: from its first piece until the last line is counted."""
    text = path.read_bytes()
    with mtail_following(folder) as (log, port):
        begin = time.monotonic()
        with open(log, "ab", buffering=0) as out:
            for at in range(0, len(text), 65536):
                out.write(text[at:at + 65536])
        wait_for(lambda: mtail_metrics(port) >= number, 120)
        took = time.monotonic() - begin
        counts["mtail tailed lines"] = [number, mtail_metrics(port)]
    return number / took / 1e6


def soon_mtail(folder, path):
    """Median ms from the append of one line until /metrics counts it."""
    number, delays = (3 if QUICK else 40), []
    with open(path, "rb") as made, mtail_following(folder) as (log, port), open(log, "ab", buffering=0) as out:
        for seen in range(1, number + 1):
            time.sleep(0.013 * (seen % 7))  # no step with its polls
            begin = time.monotonic()
            out.write(made.readline())
            wait_for(lambda wanted=seen: mtail_metrics(port) >= wanted, 20)
            delays.append((time.monotonic() - begin) * 1e3)
        counts["mtail single lines"] = [number, mtail_metrics(port)]
    return statistics.median(delays)


def lines(folder, have):
    path = folder / "events.jsonl"
    number = int(run(BIN / "make_lines", path, str(LINE_BYTES)))
    if have("jq"):
        lines_of("jq", path, number, lambda: int(run("jq", "-n", JQ, path, preexec_fn=on_one_core)))
    if have("mtail"):
        lines_of("mtail", path, number, lambda: aggregate_mtail(folder, path))
        row("mtail", TAIL, "million/s", [tail_mtail(folder, path, number) for _ in range(REPEATS)])
        row("mtail", SOON, "ms", [soon_mtail(folder, path) for _ in range(REPEATS)])
    if have("prometheus-client"):
        lines_of("prometheus-client", path, number, lambda: aggregate_prometheus_client(path))


def installed(peer):
    if peer == "prometheus-client":
        import importlib.util
        found = importlib.util.find_spec("prometheus_client") is not None
    else:
        found = shutil.which(peer) is not None or (BIN / peer).exists()
    if not found:
        print(f"{peer} is not installed: left out", flush=True)
    return found


def peers(folder):
    if installed("peer_spdlog"):
        spdlog(folder)
    if "--without-daemons" not in sys.argv and installed("peer_lttng") and installed("lttng"):
        lttng(folder)
    if installed("prometheus-client"):
        prometheus_client_calls(folder)
    lines(folder, installed)


if __name__ == "__main__":
    sys.exit(main("peers", peers, shared=False))
