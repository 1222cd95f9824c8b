"""torture.py TALLY WORKERS N SEED: WORKERS forked processes record N decisions each, some are killed on the way.

TALLY: two words of 8 bytes a worker, little-endian: calls begun, calls returned. A worker's run id is worker_<number>.
Every other worker is killed with SIGKILL once its tally has come to a random number; the rest end as they like.
Prints the numbers of the killed.
"""
import multiprocessing
import mmap
import os
import random
import signal
import sys
import threading
import time

import ailive


def work(client, tally, worker, number):
    words = memoryview(tally).cast("Q")
    begun, returned = 2 * worker, 2 * worker + 1
    with ailive.use_run_id(f"worker_{worker}"):
        for i in range(1, number + 1):
            words[begun] = i
            client.decision("reject", reason="risk_limit", latency=0.001)
            words[returned] = i
            if i % 16 == 0:
                time.sleep(0)


def make_noise(client, over):
    while not over.is_set():
        for _ in range(100):
            client.action("submit")
        time.sleep(0.001)


def kill_some(children, tally, chance, number):
    words = memoryview(tally).cast("Q")
    doomed = {worker: chance.randrange(number // 10, number * 8 // 10) for worker in range(0, len(children), 2)}
    waiting = dict(doomed)
    while waiting:
        for worker, at in list(waiting.items()):
            if words[2 * worker + 1] >= at:
                os.kill(children[worker].pid, signal.SIGKILL)
                del waiting[worker]
        time.sleep(0.0005)
    return sorted(doomed)


def main():
    path, workers, number, seed = sys.argv[1], *map(int, sys.argv[2:])
    with open(path, "w+b") as file:
        file.truncate(workers * 16)
        tally = mmap.mmap(file.fileno(), workers * 16)
    client = ailive.open(component="torture")
    noise = threading.Event()
    recorder = threading.Thread(target=make_noise, args=(client, noise), daemon=True)
    recorder.start()  # so that the fork comes in the midst of recording
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work, args=(client, tally, worker, number)) for worker in range(workers)]
    for child in children:
        child.start()
    killed = kill_some(children, tally, random.Random(seed), number)
    for child in children:
        child.join()
    noise.set()
    recorder.join()
    print(*killed)


if __name__ == "__main__":
    main()
