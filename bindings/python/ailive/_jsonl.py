"""The client without libailive: contract JSONL, appended to the event file that the sidecar, or the original
exporter, tails. One write() a line, so that threads and processes may share the file; nothing is buffered, so that
nothing is lost when a process is killed.

The contract has lines for decisions and for the actions order_intent, cancel and fill (without a component). A stage,
and the actions order_request and submit on their own, have none: they are counted as ignored.
"""
import json
import math
import os
import threading
import time

from . import _process, _run_id
from ._api import NO_LATENCY, OK, Api, logger
from ._errors import BadType, BadValue

library_version = None
NAME_MAX_BYTES = 96
LATENCY_MAX_NS = (1 << 63) - 1
DECISIONS = ("accept", "reject", "noop")
ACTIONS = ("order_intent", "order_request", "submit", "cancel", "fill")
_EXEC_EVENT = {"order_intent": "created", "cancel": "canceled", "fill": "filled"}
_ECLOSED = -3
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_COUNTS = ("recorded", "ignored", "spooled", "dropped_spool")


def _environment(variable, default):
    """A blank variable means its default."""
    return os.environ.get(variable, "").strip() or default


def _name_given(what, given, variable, default):
    """The caller's, else the environment's: one that cannot be is said, and raises nothing."""
    if given:
        return _name(what, given)
    try:
        return _name(what, _environment(variable, default))
    except BadValue as error:
        logger.error("$%s: %s; it is %r", variable, error, default)
        return default


def _word(what, words, value):
    if not isinstance(value, str):
        raise BadType(f"{what} must be a str, not {type(value)!r}")
    if value not in words:
        raise BadValue(f"{what} must be one of {', '.join(words)}, not {value!r}")
    return value


def _name(what, value, default=None):
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise BadType(f"{what} must be a str, not {type(value)!r}")
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise BadValue(f"{what} {value!a} is not valid Unicode") from None
    if not value or "\0" in value:
        raise BadValue(f"{what} must not be empty or hold a NUL: {value!a}")
    if length > NAME_MAX_BYTES:
        raise BadValue(f"{what} is {length} bytes long, {NAME_MAX_BYTES} at most: {value!a}")
    return value


def _latency_ns(value):
    if value is None:
        return NO_LATENCY
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        seconds = float(value)
    except (TypeError, ValueError):
        raise BadType(f"latency must be a number of seconds or None, not {value!r}") from None
    except OverflowError:
        return LATENCY_MAX_NS
    if not seconds >= 0 or math.isinf(seconds):
        return -1
    return LATENCY_MAX_NS if seconds >= 9223372036.0 else int(seconds * 1e9 + 0.5)


def _time_ns(value):
    if value is None:
        return time.time_ns()
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadType(f"time_ns must be an int, nanoseconds since 1970 in UTC, not {value!r}")
    if not -1 << 63 <= value < 1 << 63:
        raise BadValue(f"time_ns is beyond 64 bits: {value!r}")
    return value


def _utc_text(time_ns):
    """The contract's form; None where it has none (outside the years 1 to 9999)."""
    try:
        parts = time.gmtime(time_ns // 1_000_000_000)
    except (OverflowError, OSError):
        return None
    if not 1 <= parts.tm_year <= 9999:
        return None
    return (f"{parts.tm_year:04}-{parts.tm_mon:02}-{parts.tm_mday:02}T{parts.tm_hour:02}:{parts.tm_min:02}:"
            f"{parts.tm_sec:02}.{time_ns % 1_000_000_000 // 1000:06}Z")


class Timer:
    """Measures a block of code; made by Client.timer()."""
    __slots__ = ("_record", "_began", "_elapsed_ns")

    def __init__(self, record):
        self._record, self._began, self._elapsed_ns = record, None, 0

    @property
    def elapsed(self):
        """Seconds: so far, or once the block is left, in all."""
        if self._began is not None:
            return (time.perf_counter_ns() - self._began) / 1e9
        return self._elapsed_ns / 1e9

    def __enter__(self):
        self._began = time.perf_counter_ns()
        return self

    def __exit__(self, *_):
        if self._began is not None:
            self._elapsed_ns, self._began = time.perf_counter_ns() - self._began, None
            self._record(self._elapsed_ns)


class Client(Api):
    """Writes contract JSONL; ailive.open() makes one where libailive is absent."""
    __slots__ = ("_options", "_key", "_path", "_fd", "_lock", "_closed", "_memory", "_counts", "_said", "_component",
                 "_run_id", "__weakref__")
    road = "JSONL"

    def __init__(self, options, key):
        self._options, self._key = options, key
        self._path = _environment("PEAK_TRADE_AI_EVENTS_JSONL", None)
        self._component = _name_given("component", options["component"], "PEAK_TRADE_AI_COMPONENT", "execution_watch")
        self._run_id = _name_given("run_id", options["run_id"], "PEAK_TRADE_AI_RUN_ID", "na")
        self._fd, self._lock, self._closed = None, threading.Lock(), False
        self._memory = [] if options["memory"] else None
        self._said = False
        self._counts = dict.fromkeys(_COUNTS, 0)
        if os.environ.get("AILIVE_DISABLED") == "1":
            self._path, self._memory, self._said = None, None, True
        elif self._path is None and self._memory is None:
            self._say("libailive is absent and PEAK_TRADE_AI_EVENTS_JSONL is not set: nothing is recorded")
        _process.remember(self)

    def decision(self, decision, *, reason=None, latency=None, action=None, component=None, run_id=None, time_ns=None):
        """Records one decision; see ailive.Client.decision()."""
        decision = _word("decision", DECISIONS, decision)
        action = _word("action", ("none",) + ACTIONS, "none" if action is None else action)
        self._record(("decision", decision, action, _name("reason", reason, "none"), None,
                      *self._scope(component, run_id), _time_ns(time_ns), _latency_ns(latency)))

    def action(self, action, *, component=None, run_id=None, time_ns=None):
        """Records an action without a decision."""
        self._record(("action", None, _word("action", ACTIONS, action), None, None, *self._scope(component, run_id),
                      _time_ns(time_ns), NO_LATENCY))

    def stage(self, stage, latency, *, component=None, run_id=None, time_ns=None):
        """Records how long one stage of the work took, in seconds. The event file has no line for it."""
        self._record(("stage", None, "none", None, _name("stage", stage), *self._scope(component, run_id),
                      _time_ns(time_ns), _latency_ns(latency)))

    def timer(self, stage, *, component=None, run_id=None):
        """A context manager that records how long its block took, as a stage."""
        stage, (component, run_id) = _name("stage", stage), self._scope(component, run_id)
        return Timer(lambda ns: self._record(("stage", None, "none", None, stage, component, run_id, time.time_ns(), ns)))

    def _invalid(self):
        self._count("ignored")

    def _scope(self, component, run_id):
        run_id = _run_id.current_run_id() if run_id is None else run_id
        return _name("component", component, self._component), _name("run_id", run_id, self._run_id)

    def _record(self, fields):
        if not self._closed and self._memory is not None:
            self._memory.append(fields)
            self._count("recorded")
            return
        line = None if self._closed or self._path is None else _line(fields)
        if line is None:
            self._count("ignored")
            return
        self._count("recorded", "spooled" if self._write(line) else "dropped_spool")

    def _write(self, line):
        try:
            if self._fd is None:
                with self._lock:
                    if self._fd is None:
                        self._fd = os.open(self._path, _APPEND, 0o644)
            whole = os.write(self._fd, line) == len(line)
            if not whole:
                os.write(self._fd, b"\n")  # the rest of the line is lost; the next one is not
            return whole
        except OSError as error:
            self._say(f"cannot write {self._path}: {error}; records are dropped and counted")
            return False

    def _forked(self):
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(_COUNTS, 0)

    def _count(self, *names):
        with self._lock:
            for name in names:
                self._counts[name] += 1

    def _say(self, text):
        if not self._said:
            self._said = True
            logger.warning("%s", text)

    def _messages(self):
        return ()

    def _flush(self, _timeout):
        return _ECLOSED if self._closed else OK

    def _close(self, _timeout):
        with self._lock:
            if self._closed:
                return _ECLOSED
            self._closed = True
            fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        return OK

    def _stats(self):
        counts = self._counts
        return (counts["recorded"], 0, 0, counts["ignored"], 0, counts["spooled"], counts["dropped_spool"], 0, 0, 0, 0,
                False)

    def _read(self):
        return self._memory.pop(0) if self._memory else None


def _line(fields):
    """The contract's line for a record, or None where it has none."""
    kind, decision, action, reason, _stage, component, run_id, time_ns, latency_ns = fields
    ts_utc = _utc_text(time_ns)
    if kind == "decision":
        event = {"v": 1, "ts_utc": ts_utc, "component": component, "run_id": run_id, "event": "decision",
                 "decision": decision, "reason": reason, "action": action}
        if latency_ns != NO_LATENCY:
            event["latency_ms"] = latency_ns / 1e6
    elif action in _EXEC_EVENT and kind == "action":
        event = {"schema": "execution_event_v0", "event_type": _EXEC_EVENT[action], "ts": ts_utc, "run_id": run_id}
    else:
        return None
    return (json.dumps(event, separators=(",", ":")) + "\n").encode()
