"""How a benchmark in Python is run: in a folder of its own, and closed by one JSON line. For what is read of that line,
and what may stand in it, see quick.py."""
import json
import os
import pathlib
import sys
import tempfile

QUICK = "--quick" in sys.argv[1:]
rows, counts = [], {}  # what run() finds; counts: name to [expected, seen]


def main(name, run, shared=True):
    """Gives the exit status: 1 where something was not counted exactly. shared: in memory, where rings belong."""
    memory = "/dev/shm" if shared and os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="ailive-bench.", dir=memory) as folder:
        run(pathlib.Path(folder))
    print(json.dumps({"bench": name, "quick": QUICK, "rows": rows, "counts": counts}))
    wrong = {what: pair for what, pair in counts.items() if pair[0] != pair[1]}
    if wrong:
        print(f"bench_{name}: wrong counts: {wrong}", file=sys.stderr)
    return 1 if wrong else 0
