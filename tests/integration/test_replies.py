#!/usr/bin/python3
"""Batches and replies that are lost or late between a real producer and the real sidecar, so that the same records
come by both roads, in either order. A proxy on the socket's way loses or holds what is told."""
import pathlib
import socket
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.stack import Sidecar, StackTest, main, total, wait_for  # noqa: E402

DECISIONS = "peaktrade_ai_decisions_total"
GREETING, FRAME = 8, 9  # bytes of an SP greeting and of a frame's head
PASSED = 2              # the greeting and the first message


class Proxy:
    """Passes messages between producers and the sidecar. Of each connection both greetings and the first request with
    its reply (which carry no records yet) always pass.

    lost: later replies are thrown away. held: later requests are kept until deliver()."""

    def __init__(self, path, to, lost=False, held=False):
        self.to, self.lost, self.held = to, lost, held
        self.kept = []
        self.threads = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.run(self.accept)

    def run(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.to)
            except OSError:
                client.close()
                server.close()
                continue
            self.run(self.requests, client, server)
            self.run(self.replies, server, client)

    def requests(self, client, server):
        for number, message in enumerate(self.messages(client)):
            if self.held and number >= PASSED:
                self.kept.append((server, message))
            else:
                self.write(server, message)
        if not self.held:  # what is held still goes to this connection
            server.close()

    def replies(self, server, client):
        for number, message in enumerate(self.messages(server)):
            if not self.lost or number < PASSED:
                self.write(client, message)

    def deliver(self):
        for server, message in self.kept:
            self.write(server, message)

    def messages(self, end):
        """The greeting, then each whole frame."""
        data = b""
        wanted, head = GREETING, False
        while True:
            while len(data) < wanted:
                more = self.read(end)
                if not more:
                    return
                data += more
            if head:
                wanted, head = wanted + struct.unpack(">xQ", data[:FRAME])[0], False
                continue
            yield data[:wanted]
            data = data[wanted:]
            wanted, head = FRAME, True

    @staticmethod
    def read(end):
        try:
            return end.recv(65536)
        except OSError:
            return b""

    @staticmethod
    def write(end, data):
        try:
            end.sendall(data)
        except OSError:
            pass

    def close(self):
        self.listener.close()


class Replies(StackTest):
    def proxied(self, **how):
        proxy = Proxy(self.folder / "proxy.sock", self.ipc[len("ipc://"):], **how)
        self.addCleanup(proxy.close)
        return proxy

    def emitted(self, n):
        closing = self.emit("--ipc", f"ipc://{self.folder}/proxy.sock", "--n", str(n))
        self.assertEqual((0, n, 0), (closing["shipped"], closing["spooled"], closing["dropped"]))

    def test_what_was_committed_and_never_acknowledged_and_then_spooled_counts_once(self):
        sidecar = Sidecar(self)
        self.proxied(lost=True)
        self.emitted(2000)
        wait_for("the spool is read too", lambda: total(sidecar.series(), "ailive_events_duplicate_total") > 0)
        series = sidecar.wait_total(2000, DECISIONS)
        self.assertGreater(total(series, "ailive_events_total", 'road="nng"'), 0)
        self.assertEqual(2000, total(series, "ailive_events_total"))
        sidecar.stop(9)
        Sidecar(self).wait_total(2000, DECISIONS)

    def test_a_batch_that_arrives_after_its_records_came_from_the_spool_counts_nothing(self):
        sidecar = Sidecar(self)
        proxy = self.proxied(held=True)
        self.emitted(2000)
        series = sidecar.wait_total(2000, DECISIONS)
        self.assertEqual(2000, total(series, "ailive_events_total", 'road="spool"'))
        self.assertEqual(0, total(series, "ailive_events_duplicate_total"))
        proxy.deliver()
        wait_for("the batch arrives", lambda: total(sidecar.series(), "ailive_events_duplicate_total", 'road="nng"') > 0)
        series = sidecar.wait_total(2000, DECISIONS)
        self.assertEqual(0, total(series, "ailive_events_dropped_total"))


if __name__ == "__main__":
    main()
