"""The clients of this process: closed at its end, found again by what was pickled in another.

A child of multiprocessing ends without atexit: there a finalizer of multiprocessing closes. A child that is killed
or ends by os._exit() leaves its rings behind, which the sidecar, or the next producer, takes in.
"""
import atexit
import os
import sys
import threading
import weakref

EXIT_TIMEOUT_S = 0.5

_lock = threading.RLock()
_open_clients = weakref.WeakSet()
_by_key = weakref.WeakValueDictionary()
_unpickled = []  # nobody else may hold these


def new_key():
    """Tells clients apart in whichever process they were made."""
    return os.urandom(12).hex()


def remember(client):
    with _lock:
        _open_clients.add(client)
        _by_key[client._key] = client
    _Finalizer.hook()


def forget(client):
    with _lock:
        _open_clients.discard(client)


def reopen(options, key):
    """Unpickles a client: this process's own with that key, made at first, which lives until the process ends."""
    from . import Client
    with _lock:
        client = _by_key.get(key)
        if client is None:
            client = Client(options, key)
            _unpickled.append(client)
    return client


def _close_all():
    with _lock:
        clients = list(_open_clients)
    for client in clients:
        client.close(EXIT_TIMEOUT_S)


class _Finalizer:
    """The place of _close_all() among multiprocessing's finalizers, in its children. Their start forgets what was
    registered before, and then calls the after-fork functions: hook() is one. Never imports multiprocessing: a
    process that has not is no child of it."""
    hooked = False
    stands = False

    @classmethod
    def hook(cls, _=None):
        util, process = sys.modules.get("multiprocessing.util"), sys.modules.get("multiprocessing.process")
        if util is None or process is None:
            return
        if not cls.hooked:
            util.register_after_fork(cls, cls.started)
            cls.hooked = True
        if not cls.stands and process.parent_process() is not None:
            util.Finalize(None, _close_all, exitpriority=-100)
            cls.stands = True

    @classmethod
    def started(cls, _):
        cls.stands = False
        cls.hook()


def _after_fork_in_child():
    global _lock
    _lock = threading.RLock()
    for client in list(_open_clients):
        client._forked()
    _Finalizer.stands = False
    _Finalizer.hook()


if hasattr(os, "register_at_fork"):  # where there is no fork, there is JSONL
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_all)
