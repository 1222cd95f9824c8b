#!/usr/bin/python3
"""A producer written from docs/wire.md alone (a raw unix socket and Debian's python3-msgpack), against the sidecar: each
record is counted once, whatever is sent again, dropped, damaged or cut off. The second producer of the page's list,
"socket only": it keeps what is not acknowledged in memory."""
import os
import pathlib
import socket
import struct
import sys
import time

import msgpack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import Sidecar, StackTest, main, total  # noqa: E402
from test_wire_python import NAMES, NONE, columns  # noqa: E402

COUNTED, BAD_ROWS, REFUSED, VERSION = range(4)
SPOOL_FULL = 2
DECISIONS, DROPPED = "peaktrade_ai_decisions_total", "ailive_events_dropped_total"


class Producer:
    """One ring of one producer on one connection at a time."""

    def __init__(self, path):
        self.path = path
        self.id = struct.pack(">Q", time.time_ns()) + os.urandom(8)
        self.requests = 0
        self.connect()

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(self.path)
        self.socket.sendall(b"\0SP\0\x00\x30\0\0")
        assert self.read(8) == b"\0SP\0\x00\x31\0\0"

    def close(self):
        self.socket.close()

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def write(self, body, request, backtrace=b""):
        payload = backtrace + struct.pack(">I", request | 0x80000000) + body
        self.socket.sendall(b"\x01" + struct.pack(">Q", len(payload)) + payload)

    def reply(self, request, backtrace=b""):
        """The reply to this request; earlier ones' are skipped, as a REQ does."""
        expected = backtrace + struct.pack(">I", request | 0x80000000)
        while True:
            head = self.read(9)
            assert head[0] == 1
            payload = self.read(struct.unpack(">Q", head[1:])[0])
            if payload.startswith(expected):
                return msgpack.unpackb(payload[len(expected):])

    def ask(self, body, **rest):
        self.requests += 1
        self.write(body, self.requests, **rest)
        return self.reply(self.requests, **rest)

    def body(self, first, n, ring=1, **rest):
        return msgpack.packb({"v": 1, "p": self.id, "r": ring, "f": first, "n": n, "t": first, **rest})

    def greeting(self, **rest):
        return self.body(0, 0, ring=0, **rest)

    def records(self, first, n, **rest):
        """n decisions: even numbers accept, odd ones reject."""
        rows = [(time.time_ns(), 1, 1 + i % 2, 0, 0, 1000 * i, 0, 8, 9) for i in range(first, first + n)]
        return self.body(first, n, names=NAMES, **columns(rows), **rest)

    def drop(self, first, n, reason=SPOOL_FULL):
        return self.body(first, n, drop=reason)


class WireProducer(StackTest):
    def setUp(self):
        super().setUp()
        self.sidecar = Sidecar(self)
        self.producer = Producer(self.ipc[len("ipc://"):])
        self.addCleanup(lambda: self.producer.close())

    def decisions(self):
        return total(self.sidecar.series(), DECISIONS)

    def dropped(self, reason):
        return total(self.sidecar.series(), DROPPED, f'reason="{reason}"')

    def test_a_greeting_is_answered_with_what_it_named(self):
        reply = self.producer.ask(self.producer.greeting())
        self.assertEqual({"v", "e", "p", "r", "f", "n", "s", "bad"}, set(reply))
        self.assertEqual((1, self.producer.id, 0, 0, 0, COUNTED, 0),
                         tuple(reply[key] for key in ("v", "p", "r", "f", "n", "s", "bad")))
        self.assertEqual(16, len(reply["e"]))

    def test_a_batch_is_counted_before_its_reply_and_to_the_record(self):
        reply = self.producer.ask(self.producer.records(0, 1000))
        self.assertEqual((0, 1000, COUNTED), (reply["f"], reply["n"], reply["s"]))
        series = self.sidecar.series()
        for decision in ("accept", "reject"):
            self.assertEqual(500, total(series, DECISIONS, f'decision="{decision}"', 'component="execution_watch"',
                                        'run_id="demo"', 'reason="none"'))
        self.assertEqual(1000, total(series, "ailive_events_total", 'road="nng"'))

    def test_what_is_sent_again_is_counted_once(self):
        body = self.producer.records(0, 10)
        for request in (1, 1, 2):  # the same request, then the same batch as a new one
            self.producer.write(body, request)
            self.assertEqual(COUNTED, self.producer.reply(request)["s"])
        self.assertEqual(COUNTED, self.producer.ask(self.producer.records(5, 10))["s"])  # half of it is known
        self.assertEqual(15, self.decisions())
        self.assertEqual(25, total(self.sidecar.series(), "ailive_events_duplicate_total"))

    def test_a_cut_connection_and_a_killed_sidecar_cost_nothing(self):
        self.producer.ask(self.producer.records(0, 10))
        body = self.producer.records(10, 10)
        self.producer.write(body, 77)  # whatever became of it
        self.producer.close()
        self.sidecar.process.kill()
        self.sidecar.process.wait()
        self.sidecar = Sidecar(self)
        self.producer.connect()
        self.producer.write(body, 77)
        self.assertEqual(COUNTED, self.producer.reply(77)["s"])
        self.assertEqual(20, self.decisions())

    def test_a_range_drop_stands_for_its_records(self):
        self.producer.ask(self.producer.records(0, 10))
        self.assertEqual(COUNTED, self.producer.ask(self.producer.drop(10, 90))["s"])
        self.assertEqual(COUNTED, self.producer.ask(self.producer.drop(10, 90))["s"])
        self.producer.ask(self.producer.records(100, 10))
        self.assertEqual((20, 90), (self.decisions(), self.dropped("spool_full")))
        self.producer.ask(self.producer.records(10, 90))  # given up is given up
        self.assertEqual((20, 90), (self.decisions(), self.dropped("spool_full")))

    def test_door_words_are_cumulative(self):
        for word in (3, 3, 5):
            self.producer.ask(self.producer.body(0, 0, door=[word]))
        self.assertEqual(5, self.dropped("ring_full"))

    def test_a_row_that_breaks_a_rule_costs_that_row(self):
        good = (time.time_ns(), 1, 1, 3, 0, NONE, 0, 8, 9)
        rows = [good, good[:1] + (7,) + good[2:], good[:7] + (55,) + good[8:], good]  # kind 7; an undeclared name
        reply = self.producer.ask(self.producer.body(0, 4, names=NAMES, **columns(rows)))
        self.assertEqual((BAD_ROWS, 2), (reply["s"], reply["bad"]))
        self.assertEqual((2, 2), (self.decisions(), self.dropped("invalid")))

    def test_a_malformed_batch_is_refused_and_goes_on_as_a_drop(self):
        short = columns([(1, 1, 1, 0, 0, NONE, 0, 8, 9)])
        reply = self.producer.ask(self.producer.body(0, 2, names=NAMES, **short))
        self.assertEqual((REFUSED, 0, 2), (reply["s"], reply["f"], reply["n"]))
        self.assertEqual(COUNTED, self.producer.ask(self.producer.drop(0, 2, reason=3))["s"])
        self.assertEqual(COUNTED, self.producer.ask(self.producer.records(2, 2))["s"])
        self.assertEqual((2, 2), (self.decisions(), self.dropped("refused")))

    def test_another_version_is_told_and_the_connection_goes_on(self):
        body = msgpack.packb({"v": 9, "p": self.producer.id, "r": 1, "f": 0, "n": 1, "t": 0})
        self.assertEqual(VERSION, self.producer.ask(body)["s"])
        self.assertEqual(COUNTED, self.producer.ask(self.producer.records(0, 1))["s"])

    def test_a_backtrace_comes_back_whole(self):
        reply = self.producer.ask(self.producer.records(0, 1), backtrace=struct.pack(">II", 1, 0x7fffffff))
        self.assertEqual(COUNTED, reply["s"])

    def test_unknown_keys_and_any_order_are_fine(self):
        rest = columns([(1, 1, 1, 0, 0, NONE, 0, 8, 9)])
        body = msgpack.packb({"zebra": [1, {"deep": None}], **rest, "names": NAMES, "t": 0, "n": 1, "f": 0, "r": 1,
                              "p": self.producer.id, "v": 1})
        self.assertEqual(COUNTED, self.producer.ask(body)["s"])
        self.assertEqual(1, self.decisions())

    def test_what_names_no_batch_and_a_frame_that_is_too_long_close_the_connection(self):
        for payload in (b"\x01" + struct.pack(">Q", 262145), b"\x01" + struct.pack(">QI", 5, 0x80000001) + b"\xc0"):
            self.producer.socket.sendall(payload)
            with self.assertRaises((EOFError, ConnectionError)):
                self.producer.read(1)
            self.producer.close()
            self.producer.connect()
        self.assertEqual(COUNTED, self.producer.ask(self.producer.records(0, 3))["s"])
        self.assertEqual(3, self.decisions())


if __name__ == "__main__":
    main()
