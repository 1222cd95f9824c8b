"""python -m ailive: which road records take from here, and whether a sidecar answers."""
import time

import ailive

SECONDS = 2.0


def main():
    print(f"ailive {ailive.__version__}, records go to {ailive.road}")
    if ailive.why_jsonl:
        print(f"libailive is not used: {ailive.why_jsonl}")
        return 0
    print(f"libailive {ailive.library_version}")
    with ailive.open() as client:
        end = time.monotonic() + SECONDS
        while not client.stats().connected and time.monotonic() < end:
            time.sleep(0.05)
        print("the sidecar answers" if client.stats().connected
              else f"no sidecar answers within {SECONDS:.0f} s: records go to the spool until one does")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
