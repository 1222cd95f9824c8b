#!/usr/bin/python3
"""Whether a benchmark works: runs its --quick form and looks at its JSON line. Never at its figures.

    quick.py PROGRAM [OPTION]...
"""
import json
import math
import subprocess
import sys

FIELDS = {"question", "goal", "unit", "median", "low", "high", "n", "ratio", "ratio_low", "ratio_high", "reference",
          "met"}


def faults(result):
    if result["quick"] is not True:
        yield "not a quick run"
    # A peer that is not installed has none.
    if result["bench"] != "peers" and not (result["rows"] and result["counts"]):
        yield "no rows, or no counts"
    for row in result["rows"]:
        if set(row) - {"peer"} != FIELDS:
            yield f"other fields than {sorted(FIELDS)}: {row}"
        elif not all(math.isfinite(row[key]) for key in ("median", "low", "high")):
            yield f"no number in {row}"
        elif not row["low"] <= row["median"] <= row["high"]:
            yield f"not within its range: {row}"
        elif (row["goal"] is None) != (row["met"] is None):
            yield f"a verdict without a goal, or the other way: {row}"
    for name, (expected, seen) in result["counts"].items():
        if expected != seen:
            yield f"{name}: expected {expected}, seen {seen}"


def main():
    done = subprocess.run([*sys.argv[1:], "--quick"], capture_output=True, text=True, timeout=55)
    print(done.stdout, done.stderr, sep="", end="")
    found = list(faults(json.loads(done.stdout.splitlines()[-1])))
    print("\n".join(found) if found else "the bench works")
    return 1 if found or done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
