"""watch.py [IPC_URL]: a component in Python that records what it decides; by default where the sidecar listens by default.

Needs no sidecar: records wait in the spool until there is one. `python -m ailive` says whether one answers.
"""
import sys

import ailive


def main():
    ipc_url = sys.argv[1] if len(sys.argv) > 1 else None
    with ailive.open(component="execution_watch", run_id="python_example", ipc_url=ipc_url) as telemetry:
        for order in range(10):
            with telemetry.timer("risk_check") as timer:
                pass  # look at the order
            if order % 5 == 0:
                telemetry.decision("reject", reason="too_volatile", latency=timer.elapsed)
            else:
                telemetry.decision("accept", action="submit", latency=timer.elapsed)
        safe = telemetry.flush(timeout=5.0)
        print(f"{telemetry.stats().recorded} records over {telemetry.road}, {'all' if safe else 'not all'} of them safe")


if __name__ == "__main__":
    main()
