#!/usr/bin/python3
"""Randomised rounds of kills: whatever is killed and whenever, once everything has come to rest
recorded = counted + dropped-and-counted, to the last event. See tests/torture.sh for the command.

A round: a sidecar, a few SDK emitters (threads, forks), foreign JSONL writers whose files are rotated and compressed,
SIGKILLs of sidecar and emitters at random moments, restarts; any of them may be stopped (SIGSTOP) for a while. Then a
sidecar runs until rest, and the tallies that the emitters kept outside themselves and the lines in the files are
compared with /metrics. A call that had not returned when its thread was killed may be counted without being in the
tally: at most one for each killed thread.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support.stack import AILIVE, BIN, Sidecar, StackTest, total, wait_for  # noqa: E402

DECISIONS = "peaktrade_ai_decisions_total"
CHAOS_SECONDS = (1.5, 4.0)
FROZEN_SECONDS = (0.1, 1.5)
REST_SECONDS = 60
PACKERS = (None, ("gzip", "-1"), ("zstd", "-q", "--rm"))  # they remove the file when its packed copy is whole


class Emitter:
    """One SDK process and what it is known to have recorded."""

    def __init__(self, round_, number):
        source = round_.source
        self.run_id = f"sdk{number}"
        self.tally = round_.folder / f"tally{number}"
        self.killed = False
        if source.random() < 0.3:
            self.words = source.randrange(1, 5) + 1
            command = [str(BIN / "forker"), round_.ipc, str(self.tally), str(self.words - 1),
                       str(source.randrange(1, 20000)), self.run_id]
        else:
            self.words = source.randrange(1, 4)
            command = [AILIVE, "emit", "--ipc", round_.ipc, "--n", str(source.choice((0, 1, 1000, 300000))),
                       "--interval-ms", source.choice(("0", "0", "1")), "--threads", str(self.words), "--run-id",
                       self.run_id, "--tally", str(self.tally)]
        self.process = round_.start(*command, start_new_session=True)

    def kill(self):
        """The whole process group, so that forked children die at the same moment."""
        if self.process.poll() is None:
            self.killed = True
            os.killpg(self.process.pid, 9)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()

    def signal(self, number):
        """Stops or continues it, and its forked children with it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def recorded(self):
        data = self.tally.read_bytes() if self.tally.exists() else b""
        return sum(struct.unpack(f"<{len(data) // 8}Q", data))


class Writer:
    """A foreign JSONL writer whose file is rotated by renaming, and then compressed or not."""

    def __init__(self, round_, number):
        self.run_id = f"file{number}"
        self.path = round_.folder / f"events{number}.jsonl"
        self.round = round_
        self.packer = round_.source.choice(PACKERS)
        self.delay = round_.source.random() < 0.5  # the newest rotated file stays as it is
        self.packing = []
        self.rotations = 0
        self.rotated_lines = 0
        self.killed = False
        self.process = None
        self.restart()

    def restart(self):
        self.process = self.round.start(AILIVE, "emit", "--out", str(self.path), "--n", "0", "--interval-ms",
                                        self.round.source.choice(("0", "1")), "--run-id", self.run_id)

    def rotate(self):
        """As logrotate does: rename, then the writer opens a new file; the compressor works beside it."""
        self.stop()
        self.process.wait()
        if self.path.exists():
            self.rotations += 1
            rotated = self.path.rename(self.rotated(self.rotations))
            self.rotated_lines += rotated.read_bytes().count(b"\n")
            self.pack(self.rotated(self.rotations - 1 if self.delay else self.rotations))
        self.restart()

    def rotated(self, number):
        return self.path.with_name(f"{self.path.name}.{number}")

    def pack(self, path):
        if self.packer and path.exists():
            self.packing.append(self.round.start(*self.packer, str(path)))

    def packed(self):
        """Waits for the compressors."""
        for process in self.packing:
            if process.wait(timeout=60) != 0:
                raise AssertionError(f"{process.args} ended with {process.returncode}")

    def kill(self):
        self.process.kill()

    def stop(self):
        """Ends a frozen one too."""
        self.signal(signal.SIGCONT)
        if self.process.poll() is None:
            self.process.terminate()

    def signal(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)

    def recorded(self):
        return self.rotated_lines + (self.path.read_bytes().count(b"\n") if self.path.exists() else 0)


class Round(StackTest):
    def __init__(self, seed):
        super().__init__("run_round")
        self.source = random.Random(seed)
        self.frozen = []

    def sidecar_start(self):
        options = [x for writer in range(self.writer_count) for x in ("--jsonl", str(self.folder / f"events{writer}.jsonl"))]
        self.sidecar = Sidecar(self, *options, ready=False)

    def run_round(self):
        source = self.source
        self.writer_count = source.randrange(0, 3)
        self.sidecar = None
        if self.writer_count or source.random() < 0.7:
            self.sidecar_start()
        emitters = [Emitter(self, i) for i in range(source.randrange(1, 4))]
        writers = [Writer(self, i) for i in range(self.writer_count)]
        self.wait_followed(writers)
        self.chaos(emitters, writers)
        for each in emitters + writers:
            source.choice((each.kill, each.stop))()
        for each in emitters + writers:
            each.process.wait(timeout=60)
        for writer in writers:
            writer.packed()
        if not self.sidecar or self.sidecar.process.poll() is not None:
            self.sidecar_start()
        self.compare(emitters, writers)

    def wait_followed(self, writers):
        """A file that was rotated before any sidecar ever saw it is nobody's: each must have been seen once."""
        for writer in writers:
            wait_for(f"{writer.run_id} is followed", lambda: self.sidecar.ready() and
                     total(self.sidecar.series(), DECISIONS, f'run_id="{writer.run_id}"') > 0)

    def chaos(self, emitters, writers):
        source = self.source
        end = time.monotonic() + source.uniform(*CHAOS_SECONDS)
        while time.monotonic() < end:
            time.sleep(source.uniform(0.02, 0.35))
            self.thaw(time.monotonic())
            dice = source.random()
            if dice < 0.28:
                if self.sidecar:
                    self.sidecar.stop(9)
                    self.sidecar = None
                else:
                    self.sidecar_start()
            elif dice < 0.38:
                source.choice(emitters).kill()
            elif dice < 0.5:
                emitters.append(Emitter(self, len(emitters)))
            elif dice < 0.8 and writers:
                source.choice(writers).rotate()
            elif dice < 0.91:
                self.freeze(source.choice(emitters + writers).signal)
            elif self.sidecar:
                self.freeze(self.sidecar.process.send_signal)
        self.thaw(float("inf"))

    def freeze(self, send_signal):
        """It stands still for a while and all else goes on, its kill too: a silent sidecar is as good as none."""
        send_signal(signal.SIGSTOP)
        self.frozen.append((time.monotonic() + self.source.uniform(*FROZEN_SECONDS), send_signal))

    def thaw(self, now):
        for until, send_signal in self.frozen:
            if until <= now:
                send_signal(signal.SIGCONT)
        self.frozen = [each for each in self.frozen if each[0] > now]

    def look(self):
        """What has come to rest when it is the same twice, and what then still waits."""
        if not self.sidecar.ready():
            return None
        series = self.sidecar.series()
        return {"folders": sorted(p.name for p in (self.folder / "runtime").iterdir()
                                  if p.is_dir() and len(p.name.strip(".")) >= 32),
                "lag": {n: v for n, v in series.items() if n.startswith("ailive_source_lag_bytes") and v},
                "counts": {n: v for n, v in series.items() if n.startswith((DECISIONS, "ailive_events"))}}

    def rest(self):
        """Waits as long as something moves: on a loaded machine a large spool takes its time."""
        before, end = None, time.monotonic() + REST_SECONDS
        while time.monotonic() < end:
            now = self.look()
            if now and now == before and not now["folders"] and not now["lag"]:
                return
            if now != before:
                end = time.monotonic() + REST_SECONDS
            before = now
            time.sleep(0.8)  # longer than a sidecar that has just begun takes to look at its files
        raise AssertionError(f"nothing moves for {REST_SECONDS} s, but there is {before and (before['folders'], before['lag'])}; "
                             f"the sidecar says: {self.sidecar.log()[-2000:]}")

    def compare(self, emitters, writers):
        self.rest()
        for writer in writers:
            counted = total(self.sidecar.series(), DECISIONS, f'run_id="{writer.run_id}"')
            self.assertEqual(writer.recorded(), counted, f"lines of {writer.run_id}")
        series = self.sidecar.series()
        recorded = sum(emitter.recorded() for emitter in emitters)
        open_calls = sum(emitter.words for emitter in emitters if emitter.killed)
        counted = total(series, DECISIONS, 'run_id="sdk')
        dropped = total(series, "ailive_events_dropped_total")
        self.assertEqual(0, total(series, "ailive_events_dropped_total", "invalid"))
        for emitter in emitters:
            own = total(series, DECISIONS, f'run_id="{emitter.run_id}"')
            self.assertLessEqual(own, emitter.recorded() + (emitter.words if emitter.killed else 0), emitter.run_id)
        self.assertTrue(recorded <= counted + dropped <= recorded + open_calls,
                        f"recorded {recorded} (+ up to {open_calls}), counted {counted}, dropped {dropped}")


def run(seed):
    """None, or what went wrong."""
    round_ = Round(seed)
    round_.setUp()
    try:
        round_.run_round()
        return None
    except Exception as error:  # a round that breaks in any way has failed
        return f"{type(error).__name__}: {error}"
    finally:
        round_.tearDown()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="of the first round; the next have seed + 1, ...")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # by way of tearDown()
    first = time.time_ns() % 10**9 if options.seed is None else options.seed
    failed = 0
    for seed in range(first, first + options.rounds):
        problem = run(seed)
        if problem:
            failed += 1
            print(f"FAILED --seed {seed}: {problem}", flush=True)
    print(f"{options.rounds - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
