#!/usr/bin/python3
"""Instructions a record takes, under callgrind, against those kept in bench/instructions.txt.

    instructions.py PROGRAM            fails when one has grown by more than 5 %
    instructions.py PROGRAM --write    keeps the counts of now

PROGRAM is count_instructions of the release preset. Counts do not depend on the machine's load; they do on compiler
and optimisation, so only a gcc build of `release` is compared. A count that has shrunk is worth keeping: --write.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

KEPT = pathlib.Path(__file__).with_name("instructions.txt")
NAMES = ("record", "encode", "decode", "aggregate")
GROWTH = 1.05
HEAD = """# Instructions a record under callgrind, release preset. A test fails when one grows by more than 5 %.
# python3 bench/instructions.py build/release/bin/count_instructions --write
"""


def counted(program, name):
    with tempfile.TemporaryDirectory(prefix="ailive-bench.") as folder:
        out = f"{folder}/callgrind"
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--toggle-collect=counted_{name}",
                               f"--callgrind-out-file={out}", program, name], capture_output=True, text=True, timeout=110)
        if done.returncode:
            sys.exit(f"instructions.py: {program} {name} under valgrind ended with {done.returncode}:\n{done.stderr}")
        total = int(re.search(r"^(?:summary|totals): (\d+)", pathlib.Path(out).read_text(), re.M).group(1))
    return total / int(done.stdout)


def kept():
    lines = [line.split() for line in KEPT.read_text().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def main():
    now = {name: counted(sys.argv[1], name) for name in NAMES}
    if sys.argv[2:] == ["--write"]:
        KEPT.write_text(HEAD + "".join(f"{name} {value:.2f}\n" for name, value in now.items()))
    before = kept()
    grown = [name for name in NAMES if not 0 < now[name] <= before[name] * GROWTH]
    for name in NAMES:
        print(f"{name}: {now[name]:.2f} instructions a record, kept {before[name]:.2f}"
              f"{', GROWN by more than 5 %' if name in grown else ''}")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
