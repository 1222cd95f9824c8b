#!/usr/bin/python3
"""A call of ailive.hpp costs what the C call costs: instruction for instruction, in the object that the release build's
compiler and options make of pairs.cc.

    test_same_code.py OBJECT
"""
import re
import subprocess
import sys

PAIRS = ("decision", "decision_for", "action", "stage", "timed")


def functions(path):
    """Name to list of mnemonics, for each function of an object file; padding behind the end is left out."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, check=True, text=True).stdout
    found = {}
    for name, body in re.findall(r"<(\w+)>:\n(.*?)(?:\n\n|\Z)", text, re.S):
        code = re.findall(r"^\s*[0-9a-f]+:\t(\S+)", body, re.M)
        found[name] = [word for word in code if not re.match(r"nop|cs$|data16|xchg", word)]
    return found


def main():
    code = functions(sys.argv[1])
    worse = 0
    for pair in PAIRS:
        c, cpp = code[f"c_{pair}"], code[f"cpp_{pair}"]
        fine = 0 < len(cpp) <= len(c)
        worse += not fine
        print(f"{'ok' if fine else 'FAIL'}: {pair}: C {len(c)} instructions, C++ {len(cpp)}"
              f"{', the same ones' if sorted(c) == sorted(cpp) else ''}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
