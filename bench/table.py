#!/usr/bin/python3
"""The benchmarks' JSON lines as one table.

    table.py FOLDER [--write DOCUMENT] NAME...

Reads FOLDER/NAME.json of each and prints the table; with --write also puts it between the two `<!-- bench -->` lines of
DOCUMENT. A row of another program has a `peer` and stands beside the row of ours with the same question.
"""
import json
import pathlib
import re
import sys

FENCE = "<!-- bench -->"


def number(value):
    """Four significant digits; whole numbers with separators where they are long."""
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.4g}"


def spread(middle, low, high):
    return number(middle) if low == high else f"{number(middle)} [{number(low)} to {number(high)}]"


def cells(row, peers):
    beside = [f"{peer['peer']} {number(peer['median'])}" for peer in peers if peer["question"] == row["question"]]
    met = {True: "met", False: "**not met**", None: ""}[row["met"]]
    ours = spread(row["median"], row["low"], row["high"])
    ratio = spread(row["ratio"], row["ratio_low"], row["ratio_high"]) if row["ratio"] is not None else row["reference"] or ""
    return [row["question"], row["goal"] or "", f"{ours} {row['unit']}", ratio, ", ".join(beside), met]


def table(folder, names):
    results = {name: json.loads((folder / f"{name}.json").read_text()) for name in names}
    rows = [row for result in results.values() for row in result["rows"]]
    peers = [row for row in rows if row.get("peer")]
    lines = ["| question | goal | ours: median [range] | ratio to the reference | peers, median | |", "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cells(row, peers)) + " |" for row in rows if not row.get("peer")]
    return "\n".join(lines)


def write(document, text):
    old = document.read_text(encoding="utf-8")
    new, n = re.subn(f"{FENCE}\n.*?{FENCE}", lambda _: f"{FENCE}\n{text}\n{FENCE}", old, flags=re.S)
    if n != 1:
        sys.exit(f"table.py: {document} needs one pair of {FENCE} lines")
    document.write_text(new, encoding="utf-8")


def main():
    folder, rest = pathlib.Path(sys.argv[1]), sys.argv[2:]
    document = None
    if rest[0] == "--write":
        document, rest = pathlib.Path(rest[1]), rest[2:]
    text = table(folder, rest)
    print(text)
    if document:
        write(document, text)


if __name__ == "__main__":
    main()
