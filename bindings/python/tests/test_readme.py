"""What README.md and the example show runs, and is counted."""
import re

import pytest
from conftest import ROADS, ROOT
from support.stack import Sidecar, total

README = (ROOT / "bindings/python/README.md").read_text()
EXAMPLES = ROOT / "bindings/python/examples"
DECISIONS = "peaktrade_ai_decisions_total"


def code(mark):
    return re.search(re.escape(mark) + r".*?```python\n(.*?)```", README, re.S).group(1)


@pytest.mark.skipif("libailive" not in ROADS, reason="without libailive nothing reaches the sidecar's socket")
def test_the_readme_runs_and_is_counted(stack):
    sidecar = Sidecar(stack)
    said = stack.python("-c", code("<!-- example"))
    assert "Stats(recorded=6" in said and "pending=0" in said
    sidecar.wait_total(3, DECISIONS)  # some may have come by the spool
    series = sidecar.wait_total(1, "ailive_stage_latency_seconds_count", 'stage="risk_check"', 'run_id="paper_8"')
    assert total(series, DECISIONS, 'reason="risk_limit"', 'run_id="paper_7"') == 2


def test_the_readmes_import_of_the_original_names_works(stack):
    stack.python("-c", code("## From the original module"))


@pytest.mark.skipif("libailive" not in ROADS, reason="without libailive nothing reaches the sidecar's socket")
def test_the_example_runs_with_the_python_it_is_told(stack):
    sidecar = Sidecar(stack)
    script = str(EXAMPLES / "watch.sh")
    said = stack.run_ok("bash", script, stack.ipc, env=dict(stack.env, PY_CMD="/usr/bin/python3 -X dev")).stdout.decode()
    assert said == "20 records over libailive, all of them safe\n"
    run = 'run_id="python_example"'
    series = sidecar.wait_total(10, DECISIONS, run)
    for decision, n in (("accept", 8), ("reject", 2)):
        assert total(series, DECISIONS, run, f'decision="{decision}"') == n
    sidecar.wait_total(10, "ailive_stage_latency_seconds_count", run, 'stage="risk_check"')


def test_without_py_cmd_the_example_asks_uv_and_then_python3(stack):
    programs = stack.folder / "programs"
    programs.mkdir()
    for name in ("uv", "python3"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $@"\n')
        (programs / name).chmod(0o755)
    env = dict(stack.env, PATH=f"{programs}:/usr/bin:/bin")
    script = str(EXAMPLES / "watch.sh")
    assert stack.run_ok("bash", script, "x", env=env).stdout == b"uv run python watch.py x\n"
    (programs / "uv").unlink()
    assert stack.run_ok("bash", script, "x", env=env).stdout == b"python3 watch.py x\n"
