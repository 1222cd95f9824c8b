"""Python hosts as processes, with a real sidecar: everything that was recorded is counted, whatever becomes of them."""
import json
import os
import random
import signal
import struct
import subprocess
import time

import pytest
from conftest import PROGRAMS, ROADS
from support.stack import BIN, Sidecar, free_port, total, wait_for

pytestmark = pytest.mark.skipif("libailive" not in ROADS, reason="without libailive nothing reaches the sidecar's socket")
DECISIONS = "peaktrade_ai_decisions_total"


def at_rest(stack, sidecar):
    wait_for("no producer is left, and nothing in the spool",
             lambda: not stack.producers() and not list((stack.folder / "spool").glob("*.jsonl")))
    return sidecar.series()


def test_a_host_is_counted(stack):
    sidecar = Sidecar(stack)
    stats = json.loads(stack.python("record.py", 1000))
    assert (stats["recorded"], stats["shipped"] + stats["spooled"]) == (1002, 1002)
    series = at_rest(stack, sidecar)
    assert series[DECISIONS + '{component="execution_watch",decision="reject",reason="risk_limit",run_id="paper_7"}'] == 1000
    assert total(series, "peaktrade_ai_actions_total", 'action="fill"') == 1
    assert total(series, "ailive_stage_latency_seconds_count", 'stage="order_router"') == 1
    assert total(series, "peaktrade_ai_decision_latency_ms_sum", 'source="sdk_v1"') == pytest.approx(2000)


def test_a_host_is_counted_over_tls_with_the_files_it_names(stack):
    stack.network_urls()  # where libailive-nng lies
    pem, url = str(stack.folder / "both.pem"), f"tls+tcp://localhost:{free_port()}"
    stack.run_ok("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=both", "-addext",
                 "subjectAltName=DNS:localhost", "-keyout", pem + ".key", "-out", pem + ".ca")
    with open(pem, "w") as both:
        both.write(open(pem + ".ca").read() + open(pem + ".key").read())
    sidecar = Sidecar(stack, "--ipc", url, "--ipc-cert", pem, "--ipc-ca", pem + ".ca")
    code = "import ailive, sys; url, cert, ca = sys.argv[1:]\n" \
           "with ailive.open(ipc_url=url, tls_cert=cert, tls_ca=ca) as client: client.decision('accept'); client.flush(60)\n" \
           "print(client.stats().shipped + client.stats().spooled)"
    assert stack.python("-c", code, url, pem, pem + ".ca").strip() == "1"
    sidecar.wait_total(1, DECISIONS)


def test_a_library_of_another_binary_interface_is_not_written_to(stack):
    env = dict(stack.env, LD_PRELOAD=str(BIN.parent / "lib/libother_abi.so"))
    said = stack.python("-c", "import ailive; print(ailive.road, ailive.why_jsonl)", env=env)
    assert said.startswith("JSONL libailive ") and "has the binary interface 1, this was built for 0" in said


def test_the_module_says_whether_a_sidecar_answers(stack):
    assert "no sidecar answers" in stack.python("-m", "ailive")
    Sidecar(stack)
    assert "the sidecar answers" in stack.python("-m", "ailive")


@pytest.mark.parametrize("how", ["return", "raise", "exit", "pool", "executor", "own", "_exit"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_lose_nothing(stack, method, how):
    if how == "_exit" and method != "fork":
        pytest.skip("os._exit() is the same in all of them")
    sidecar = Sidecar(stack)
    stack.python("children.py", method, how, 250)
    series = at_rest(stack, sidecar)
    for child in range(4):
        assert total(series, DECISIONS, f'run_id="child_{child}"') == 250
    assert total(series, DECISIONS) == 1500
    assert total(series, "ailive_events_dropped_total") == 0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_without_a_sidecar_children_leave_their_records_in_the_spool(stack, method):
    stack.python("children.py", method, "return", 100)
    assert stack.producers() == []
    lines = [line for path in (stack.folder / "spool").glob("*.jsonl") for line in path.read_text().splitlines()]
    assert sum('"event":"decision"' in line for line in lines) == 600
    sidecar = Sidecar(stack)
    assert total(sidecar.wait_total(600, DECISIONS), "ailive_events_dropped_total") == 0


@pytest.mark.parametrize("whose", ["inherited", "own"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_closes_before_it_ends(stack, method, whose):
    assert stack.python("ended.py", method, whose) == "1\n", "the parent's folder alone is left"


def test_a_process_closes_what_it_leaves_open(stack):
    stack.python("-c", "import ctypes, ailive\n"
                 "client = ailive.open()\n"
                 "client.decision('accept')\n"
                 "ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))\n")  # nothing lets go of it
    assert stack.producers() == []


@pytest.mark.parametrize("sidecars", ["one sidecar", "killed and started again"])
def test_forked_workers_some_of_them_killed_are_exact(stack, sidecars):
    seed, workers, number = int(os.environ.get("AILIVE_SEED", random.randrange(1 << 32))), 8, 40_000
    print(f"AILIVE_SEED={seed}")
    sidecar = Sidecar(stack)
    torture = stack.start("/usr/bin/python3", str(PROGRAMS / "torture.py"), str(stack.folder / "tally"), str(workers),
                          str(number), str(seed), stdout=subprocess.PIPE, stderr=None)
    kills = 0
    while sidecars != "one sidecar" and torture.poll() is None:
        time.sleep(0.05)
        kills += 1
        sidecar.stop(signal.SIGKILL)
        sidecar = Sidecar(stack)
    killed = set(map(int, torture.communicate(timeout=60)[0].split()))
    assert torture.returncode == 0 and killed == {0, 2, 4, 6}
    assert kills > 0 or sidecars == "one sidecar"
    tally = struct.unpack(f"<{2 * workers}Q", (stack.folder / "tally").read_bytes())
    series = at_rest(stack, sidecar)
    assert total(series, "ailive_events_dropped_total") == 0
    for worker in range(workers):
        begun, returned = tally[2 * worker:2 * worker + 2]
        counted = total(series, DECISIONS, f'run_id="worker_{worker}"', 'component="torture"')
        assert returned <= counted <= begun <= returned + 1, f"worker {worker}"
        assert worker in killed or counted == number
    assert sum(tally[1::2]) < workers * number


def test_a_plain_fork_and_exec_lose_nothing(stack):
    sidecar = Sidecar(stack)
    stack.python("-c", "import os, sys, ailive\n"
                 "client = ailive.open()\n"
                 "client.decision('accept', run_id='before')\n"
                 "child = os.fork()\n"
                 "for _ in range(10): client.decision('accept', run_id='child' if child == 0 else 'parent')\n"
                 "if child == 0: sys.exit(0)\n"
                 "os.waitpid(child, 0)\n"
                 "os.execv('/bin/true', ['true'])\n")
    series = at_rest(stack, sidecar)
    assert [total(series, DECISIONS, f'run_id="{who}"') for who in ("before", "child", "parent")] == [1, 10, 10]


def test_a_client_that_is_let_go_is_not_lost(stack):
    sidecar = Sidecar(stack)
    stack.python("-c", "import ailive\n"
                 "for _ in range(100): ailive.open().decision('accept')\n")  # more than may be open at once
    assert total(at_rest(stack, sidecar), DECISIONS) == 100


def test_what_goes_wrong_outside_is_logged_and_never_raised(stack):
    (stack.folder / "file").write_text("no folder")
    env = dict(stack.env, AILIVE_RUNTIME_DIR=str(stack.folder / "file" / "runtime"))
    said = stack.python("-c", "import logging, sys, ailive\n"
                        "logging.basicConfig(stream=sys.stdout)\n"
                        "with ailive.open() as client:\n"
                        "    client.decision('accept', reason='some reason')\n"
                        "    with client.timer('x'): pass\n"
                        "    print(client.flush(), client.stats().recorded)\n", env=env)
    assert "ERROR:ailive:making the runtime folder" in said
    assert "nothing is recorded" in said
    assert said.endswith("False 0\n")


@pytest.mark.parametrize("wrong", [{"AILIVE_IPC_URL": "bogus"}, {"AILIVE_IPC_URL": "tcp://192.0.2.1:9"},
                                   {"AILIVE_IPC_URL": "tls+tcp://localhost:9", "AILIVE_TLS_CERT": "/none", "AILIVE_TLS_CA": "/none"},
                                   {"PEAK_TRADE_AI_COMPONENT": "x" * 300}, {"PEAK_TRADE_AI_RUN_ID": "x" * 120}])
@pytest.mark.parametrize("road", ["", "jsonl"])
def test_a_wrong_environment_is_logged_and_never_raised(stack, wrong, road):
    stack.network_urls()  # where libailive-nng lies
    said = stack.python("-c", "import logging, sys, ailive\n"
                        "logging.basicConfig(stream=sys.stdout)\n"
                        "with ailive.open() as client: client.decision('accept')\n"
                        "print(client.stats().recorded)\n", env=dict(stack.env, AILIVE_PYTHON_ROAD=road, **wrong))
    assert "ERROR:ailive:" in said or (road == "jsonl" and "AILIVE_IPC_URL" in wrong)
    assert said.endswith("\n0\n")


def test_the_original_names_reach_the_sidecar(stack):
    sidecar = Sidecar(stack)
    stack.python("-c", "from ailive.ai_telemetry import *\n"
                 "set_heartbeat()\n"
                 "record_decision('accept', latency_s=0.085)\n"
                 "record_decision('perhaps')\n"
                 "record_action('submit')\n")
    series = at_rest(stack, sidecar)
    assert series[DECISIONS + '{component="execution",decision="accept",reason="none",run_id="na"}'] == 1
    assert total(series, "peaktrade_ai_actions_total", 'action="submit"', 'component="execution"') == 1
    assert total(series, "ailive_events_dropped_total", 'reason="invalid"') == 1
