"""Record AI decisions, actions and latencies: watched by the ailive sidecar, never slowed by it.

    import ailive

    with ailive.open(component="execution_watch", run_id="paper_7") as client:
        client.decision("reject", reason="risk_limit", latency=0.0021)
        with client.timer("order_router"):
            ...

Records go to libailive. Where it is absent, the same calls append contract JSONL to $PEAK_TRADE_AI_EVENTS_JSONL, so
that a notebook works anywhere; `ailive.road` says which it is. Units are seconds, unless a name says otherwise.

Wrong use raises (BadValue, BadType). Nothing ever raises because telemetry is unwell: that is in Client.stats(), and
in the log of the logger "ailive". Safe with threads, asyncio, os.fork() and multiprocessing. Not from a signal
handler that may interrupt a recording call of C code; Python's own handlers run between calls and may record.
"""
import os as _os

from . import _process
from ._errors import BadType, BadValue, Error
from ._run_id import current_run_id, use_run_id
from ._types import Record, Stats

try:
    if _os.environ.get("AILIVE_PYTHON_ROAD", "") == "jsonl":
        raise ImportError("AILIVE_PYTHON_ROAD=jsonl")
    from ._sdk import Client, library_version
except ImportError as _error:
    why_jsonl = str(_error)
    from ._jsonl import Client, library_version
else:
    why_jsonl = None

__all__ = ["open", "Client", "Stats", "Record", "LoggingHandler", "use_run_id", "current_run_id", "Error", "BadValue",
           "BadType", "road", "why_jsonl", "library_version", "__version__"]
__version__ = "0.1.0"
road = Client.road


def _whole(name, value, high):
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadType(f"{name} must be an int, not {value!r}")
    if not 0 <= value <= high:
        raise BadValue(f"{name} must be 0 (the default) to {high}, not {value}")
    return value


def _text(name, value):
    if value is not None and not isinstance(value, str):
        raise BadType(f"{name} must be a str or None, not {value!r}")
    if value and "\0" in value:
        raise BadValue(f"{name} holds a NUL: {value!a}")
    return value


def _path(name, value):
    return _text(name, _os.fspath(value) if isinstance(value, _os.PathLike) else value)


def _seconds(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadType(f"{name} must be a number of seconds, not {value!r}")
    if not 0 <= value <= 4_000_000:
        raise BadValue(f"{name} must be 0 (the default) to 4,000,000 seconds, not {value}")
    return value


def open(component=None, run_id=None, *, ipc_url=None, runtime_dir=None, spool_dir=None, ring_records=0,
         spool_after=0.0, spool_file_bytes=0, spool_max_bytes=0, tls_cert=None, tls_ca=None,
         remote_plaintext=False, memory=False):
    """Opens a client; use it as a context manager, or close() it. One for a process is enough: it may be shared by
    threads and tasks, used in forked children, and pickled to others, where it opens again with the same options.

    component, run_id: for whom records are that name none; 1 to 96 bytes. Default $PEAK_TRADE_AI_COMPONENT, else
    "execution_watch"; $PEAK_TRADE_AI_RUN_ID, else "na".
    memory: nothing leaves the process, and records() gives back what was recorded; for your own unit tests.
    The others are those of libailive (0, None and False: its defaults) and mean nothing without it. ipc_url: the
    sidecar's "ipc:///path"; where it shares no files, "tcp://", "ws://" or "tls+tcp://HOST:PORT". runtime_dir,
    spool_dir: folders. ring_records: records that a thread's ring holds, 64 to 16,777,216; default 262,144. spool_after:
    seconds the sidecar may stay silent before records go to the spool; default 1. spool_file_bytes, spool_max_bytes: of
    one spool file, and of all of this process together. tls_cert, tls_ca: PEM files for tls+tcp with our certificate and
    its private key, and with who may sign the sidecar's; default $AILIVE_TLS_CERT, $AILIVE_TLS_CA. remote_plaintext:
    allows tcp and ws beyond loopback, where anyone may read and forge; default $AILIVE_REMOTE_PLAINTEXT.

    Raises BadValue, BadType. What goes wrong outside (a folder that cannot be made, a certificate that cannot be read, a
    variable of the environment) is logged, and recording calls are counted no-ops.
    """
    options = {
        "component": _text("component", component), "run_id": _text("run_id", run_id),
        "ipc_url": _text("ipc_url", ipc_url),
        "runtime_dir": _path("runtime_dir", runtime_dir), "spool_dir": _path("spool_dir", spool_dir),
        "ring_records": _whole("ring_records", ring_records, 1 << 24),
        "spool_after": _seconds("spool_after", spool_after),
        "spool_file_bytes": _whole("spool_file_bytes", spool_file_bytes, (1 << 64) - 1),
        "spool_max_bytes": _whole("spool_max_bytes", spool_max_bytes, (1 << 64) - 1),
        "tls_cert": _path("tls_cert", tls_cert), "tls_ca": _path("tls_ca", tls_ca),
        "remote_plaintext": bool(remote_plaintext), "memory": bool(memory)}
    return Client(options, _process.new_key())


def __getattr__(name):
    if name == "LoggingHandler":  # logging is imported by those who use it
        from ._logging import LoggingHandler
        return LoggingHandler
    raise AttributeError(f"module 'ailive' has no attribute {name!r}")
