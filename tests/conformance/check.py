#!/usr/bin/python3
"""Compares an exposition with what the contract expects, in both directions.

    check.py EXPECTED ACTUAL [--source-map sample_v1=sdk_v1] [--since T --until T]

EXPECTED holds `series value` lines; `<now>` is any time between --since and --until (Unix seconds; without
them any finite time). ACTUAL (- is standard input) is an exposition in the text format. Compared are all
series of the peaktrade_ai_ families but the heartbeat, of which ACTUAL must have exactly one, of value 1.
Values agree within 1e-9 relative, those of *_timestamp_seconds* within 1 µs. --source-map renames a value of the
label `source` in EXPECTED before comparing. Prints each difference; exit status 0 none, 1 some, 2 wrong usage.
"""

import argparse
import re
import sys

PREFIX = "peaktrade_ai_"
HEARTBEAT = "peaktrade_ai_live_heartbeat"
LINE = re.compile(r'([A-Za-z_:][A-Za-z0-9_:]*)(?:\{((?:[^"}]|"(?:\\.|[^"\\])*")*)\})? (\S+)')
LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:\\.|[^"\\])*)"(?:,|$)')


def parse(text, name, source_map):
    """{(family, labels): value} of the series under comparison; ends on what is no exposition."""
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if not match:
            sys.exit(f"check.py: {name}:{number}: not a series: {line}")
        family, labels, value = match.groups()
        if not family.startswith(PREFIX):
            continue
        pairs = LABEL.findall(labels or "")
        if ",".join(f'{k}="{v}"' for k, v in pairs) != (labels or ""):
            sys.exit(f"check.py: {name}:{number}: not labels: {labels}")
        pairs = [(k, source_map.get(v, v) if k == "source" else v) for k, v in pairs]
        key = (family, tuple(sorted(pairs)))
        if key in found:
            sys.exit(f"check.py: {name}:{number}: the series stands twice: {line}")
        found[key] = value
    return found


def show(key):
    return key[0] + "{" + ",".join(f'{k}="{v}"' for k, v in key[1]) + "}"


def agrees(family, expected, actual, since, until):
    actual = float(actual)
    if expected == "<now>":
        return since <= actual <= until
    expected = float(expected)
    if "_timestamp_seconds" in family:
        return abs(actual - expected) <= 1e-6
    return abs(actual - expected) <= 1e-9 * max(abs(actual), abs(expected))


def differences(expected, actual, since, until):
    heartbeats = {key: actual.pop(key) for key in list(actual) if key[0] == HEARTBEAT}
    if len(heartbeats) != 1 or float(list(heartbeats.values())[0]) != 1:
        yield f"heartbeat: {heartbeats or 'none'}; exactly one series of value 1 is due"
    for key in sorted(expected.keys() | actual.keys()):
        if key not in actual:
            yield f"missing: {show(key)} {expected[key]}"
        elif key not in expected:
            yield f"too much: {show(key)} {actual[key]}"
        elif not agrees(key[0], expected[key], actual[key], since, until):
            yield f"value: {show(key)} is {actual[key]}, expected {expected[key]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("expected")
    parser.add_argument("actual")
    parser.add_argument("--source-map", action="append", default=[], metavar="FROM=TO")
    parser.add_argument("--since", type=float, default=1e9)
    parser.add_argument("--until", type=float, default=1e11)
    arguments = parser.parse_args()
    source_map = dict(pair.split("=", 1) for pair in arguments.source_map)
    with open(arguments.expected, encoding="utf-8", newline="") as file:
        expected = parse(file.read(), arguments.expected, source_map)
    if arguments.actual == "-":
        text = sys.stdin.buffer.read().decode()
    else:
        with open(arguments.actual, encoding="utf-8", newline="") as file:
            text = file.read()
    actual = parse(text, arguments.actual, {})
    found = list(differences(expected, actual, arguments.since, arguments.until))
    for line in found:
        print(line)
    print(f"{len(expected)} series expected, {len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
