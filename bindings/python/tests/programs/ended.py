"""ended.py METHOD WHOSE: a child of multiprocessing records and ends; prints how many producers' folders there are then.

WHOSE: inherited (the client is the parent's) or own (the child opens one, which a global keeps open)."""
import multiprocessing
import os
import sys

import ailive

mine = None


def work(client):
    global mine
    mine = client or ailive.open()
    mine.decision("accept", run_id="child")


def main():
    method, whose = sys.argv[1:]
    with ailive.open() as client:
        client.decision("accept", run_id="parent")
        child = multiprocessing.get_context(method).Process(target=work, args=(client if whose == "inherited" else None,))
        child.start()
        child.join()
        print(sum(entry.is_dir() for entry in os.scandir(os.environ["AILIVE_RUNTIME_DIR"])))


if __name__ == "__main__":
    main()
