"""children.py METHOD HOW N: four children of multiprocessing record N decisions each, on a client of their parent's.

METHOD: fork, spawn, forkserver. HOW: return, raise, exit (sys.exit), pool (a pool's workers), executor
(concurrent.futures), own (each opens a client and leaves it open), _exit (os._exit(): nobody is told)."""
import concurrent.futures
import multiprocessing
import os
import sys

import ailive


def record(client, number, child):
    for _ in range(number):
        client.decision("accept", reason="none", run_id=f"child_{child}")


def work(client, number, child, how):
    if how == "own":
        client = ailive.open(component="execution_watch")
    record(client, number, child)
    if how == "raise":
        sys.stderr = open(os.devnull, "w")
        raise RuntimeError("meant to be")
    if how == "exit":
        sys.exit(3)
    if how == "_exit":
        os._exit(0)


def main():
    method, how, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    context = multiprocessing.get_context(method)
    client = ailive.open()
    record(client, number, "parent")
    arguments = [(client, number, child, how) for child in range(4)]
    if how == "pool":
        with context.Pool(2) as pool:
            pool.starmap(work, arguments, chunksize=1)
            pool.close()
            pool.join()
    elif how == "executor":
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(work, *zip(*arguments)))
    else:
        children = [context.Process(target=work, args=each) for each in arguments]
        for child in children:
            child.start()
        for child in children:
            child.join()
    record(client, number, "parent")


if __name__ == "__main__":
    main()
