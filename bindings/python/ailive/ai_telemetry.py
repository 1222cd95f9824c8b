"""The names of the original telemetry module, so that a code base switches by one import:

    from ailive.ai_telemetry import record_decision, record_action, set_heartbeat, observe_decision_latency_ms

As there, no call raises: what cannot be recorded is counted by the sidecar as dropped (an unknown decision), or named
at debug level by the logger "ailive". The counters live in the sidecar: what only an exporter knows (its heartbeat,
parse errors, dropped lines, freshness) it counts itself, and the calls for it do nothing.
"""
import functools

from . import BadType, BadValue
from . import open as _open
from ._api import logger as _logger

__all__ = ["get_registry", "record_decision", "record_action", "set_heartbeat", "observe_decision_latency_ms",
           "inc_events_parse_error", "inc_events_dropped", "set_last_event_timestamp_seconds", "get_client"]

# The contract's aliases: the lines of an event file may say them too.
_DECISIONS = {"approve": "accept", "approved": "accept", "allow": "accept", "allowed": "accept", "deny": "reject",
              "denied": "reject", "block": "reject", "blocked": "reject", "no_op": "noop", "skip": "noop",
              "ignored": "noop", "accept": "accept", "reject": "reject", "noop": "noop"}
_NAME_MAX_BYTES = 96

_client = None


def get_client():
    """The one client behind these functions, opened at the first call."""
    global _client
    if _client is None:
        opened = _open()  # two threads may both come here: no lock that a fork could leave locked, one is kept
        _client = _client or opened
    return _client


def _never_raises(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except Exception:
            _logger.debug("%s() recorded nothing", function.__name__, exc_info=True)
            return None
    return call


def _label(text, default):
    """Trimmed and lower-cased as labels are, and cut to what a name may hold."""
    text = str(text if text is not None else "").strip().lower() or default
    return text.encode(errors="replace")[:_NAME_MAX_BYTES].decode(errors="ignore")


@_never_raises
def record_decision(decision, reason="none", component="execution", run_id="na", latency_s=None, timestamp_s=None):
    """Counts a decision. latency_s: seconds, into both latency histograms. timestamp_s: seconds since 1970 UTC, None:
    now. A decision that is none of accept, reject, noop or their aliases is counted as dropped."""
    word = _DECISIONS.get(_label(decision, ""))
    if word is None:
        get_client()._invalid()
        return
    time_ns = None if timestamp_s is None else round(float(timestamp_s) * 1e9)
    get_client().decision(word, reason=_label(reason, "none"), latency=None if latency_s is None else float(latency_s),
                          component=_label(component, "na"), run_id=_label(run_id, "na"), time_ns=time_ns)


@_never_raises
def record_action(action, component="execution", run_id="na"):
    """Counts an action: order_intent, order_request, submit, cancel or fill. Another one is counted as dropped."""
    try:
        get_client().action(_label(action, "none"), component=_label(component, "na"), run_id=_label(run_id, "na"))
    except (BadValue, BadType):
        get_client()._invalid()


@_never_raises
def set_heartbeat(component="execution", run_id="na"):
    """The heartbeat is the sidecar's own: this opens the client, and no more."""
    get_client()


@_never_raises
def observe_decision_latency_ms(*, source, decision, latency_ms):
    """A decision's latency belongs to record_decision(latency_s=...), which fills the histogram in milliseconds too.
    On its own it is recorded as the stage "decision_<decision>". source: ignored, it is sdk_v1."""
    word = _label(decision, "na")
    get_client().stage(f"decision_{_DECISIONS.get(word, 'other')}", float(latency_ms) / 1000)


def inc_events_parse_error(*, source):
    """The sidecar counts the lines that it cannot parse."""


def inc_events_dropped(*, source, reason):
    """The sidecar counts what it drops."""


def set_last_event_timestamp_seconds(*, source, timestamp_s):
    """The sidecar knows the time of the last event."""


def get_registry():
    """None: the series live in the sidecar."""
    return None
