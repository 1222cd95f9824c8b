#!/usr/bin/python3
"""A producer written from docs/wire.md alone, in another language and with another msgpack.

Builds the golden batch with Debian's python3-msgpack and compares it with the golden bytes; reads the golden reply;
checks that the dumps in docs/wire.md are the golden bytes and that its spool lines and tables hold together.
"""
import json
import pathlib
import re
import struct
import sys

import msgpack

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRODUCER = struct.pack(">Q", 1769303388123456789) + bytes([1, 2, 3, 4, 5, 6, 7, 8])
NONE = -(2 ** 63)

# time, kind, decision, action, reason, latency, stage, component, run_id
ROWS = [(1769303388200000001, 1, 1, 3, 0, 85000000, 0, 8, 9),
        (1769303388200000002, 1, 2, 0, 11, 10000000, 0, 8, 9),
        (1769303388300000003, 2, 0, 5, 0, NONE, 0, 8, 9),
        (1769303388300000004, 3, 0, 0, 0, 1234, 10, 8, 9)]
NAMES = [[8, 3, "execution_watch"], [9, 4, "demo"], [10, 2, "risk_check"], [11, 1, "spread_too_wide"]]

failures = []


def check(what, holds):
    print(f"{'ok' if holds else 'FAIL'}: {what}")
    if not holds:
        failures.append(what)


def golden(name):
    lines = (ROOT / "tests/unit/golden" / name).read_text().split("\n")
    return bytes.fromhex(" ".join(line for line in lines if not line.startswith("#")))


def columns(rows):
    """The keys "shapes" and "cols" of a batch."""
    shapes = []
    numbers = []
    for _, kind, decision, action, reason, _, stage, component, run_id in rows:
        shape = struct.pack("<BBBxHHHH", kind, decision, action, reason, stage, component, run_id)
        if shape not in shapes:
            shapes.append(shape)
        numbers.append(shapes.index(shape))
    return {"shapes": b"".join(shapes),
            "cols": {"time": struct.pack(f"<{len(rows)}q", *(row[0] for row in rows)),
                     "latency": struct.pack(f"<{len(rows)}q", *(row[5] for row in rows)),
                     "shape": struct.pack(f"<{len(rows)}H", *numbers)}}


def batch():
    return msgpack.packb({"v": 1, "p": PRODUCER, "r": 3, "f": 70000, "n": len(ROWS), "t": 69990, "names": NAMES,
                          **columns(ROWS), "door": [2, 0, 0, 0, 0, 0, 0, 0], "tot": [70010, 69000, 990, 10]})


def frame(request_id, body):
    payload = struct.pack(">I", request_id | 0x80000000) + body
    return b"\x01" + struct.pack(">Q", len(payload)) + payload


def dumps(text):
    """The bytes of each hex dump of the page, and whether its offsets are right."""
    for block in re.findall(r"```\n(0000 .*?)```", text, flags=re.S):
        data = b""
        offsets_right = True
        for line in block.strip().split("\n"):
            match = re.match(r"([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)", line[:6 + 47].rstrip())
            offsets_right = offsets_right and int(match[1], 16) == len(data)
            data += bytes.fromhex(match[2])
        yield data, offsets_right


def ring_table_holds(text):
    """Each row of the ring's table begins where the one before it ends."""
    table = text[text.index("### Ring"):]
    rows = re.findall(r"^\| ([\d,]+) \| ([\d,]+) \|", table[:table.index("The file has exactly")], flags=re.M)
    numbers = [(int(a.replace(",", "")), int(b.replace(",", ""))) for a, b in rows]
    ends = [at + size for at, size in numbers]
    return [at for at, _ in numbers] == [0] + ends[:-1] and ends[-1] == 4096


def main():
    text = (ROOT / "docs/wire.md").read_text(encoding="utf-8")
    expected, expected_reply = golden("batch.hex"), golden("reply.hex")

    check("a batch built from the page has the golden bytes", batch() == expected)
    reply = msgpack.unpackb(expected_reply)
    check("the golden reply reads as the page says",
          reply == {"v": 1, "e": bytes(range(0xE0, 0xF0)), "p": PRODUCER, "r": 3, "f": 70000, "n": 4, "s": 1, "bad": 1})
    found = list(dumps(text))
    check("the page has two dumps", len(found) == 2)
    check("the page's dump of the batch is the golden batch", found[0] == (expected, True))
    check("the page's dump of the reply is the golden reply", found[1] == (expected_reply, True))
    check("the page's frame heads are those of the golden bytes",
          all(f"`{frame(5, body)[:9].hex(' ')}`" in text for body in (expected, expected_reply)))

    rows = (131072 - 512 - 12) // 18
    check("the page's number of rows without names is right", f"{rows:,} with one shape and no names" in text)
    lines = [json.loads(line) for line in re.findall(r'^\{"v":1.*\}$', text, flags=re.M)]
    check("the page shows spool lines of this producer",
          len(lines) == 4 and all(re.fullmatch(PRODUCER.hex() + r"\.[03]", line["sid"]) for line in lines))
    check("its decision line says the same time and latency twice",
          lines[0]["ts_ns"] // 1000 % 10 ** 6 == int(lines[0]["ts_utc"][20:26]) and
          lines[0]["latency_ms"] * 1e6 == lines[0]["latency_ns"])
    check("the page's ring table has no gaps", ring_table_holds(text))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
