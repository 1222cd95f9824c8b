"""What a client gives back."""
import typing

__all__ = ["Stats", "Record"]


class Stats(typing.NamedTuple):
    """Totals of a client since it was opened, in a forked child since its first record there. Records, unless
    named otherwise; at rest, recorded = shipped + spooled + dropped_spool + pending."""
    recorded: int
    """taken in"""
    dropped_full: int
    """dropped at the door: the thread's ring was full"""
    dropped_ring: int
    """dropped at the door: no ring could be made for the thread"""
    ignored: int
    """counted no-ops: disabled, closed, not opened, or (without libailive) nothing the event file can hold"""
    shipped: int
    """acknowledged by the sidecar"""
    spooled: int
    """written to the spool; without libailive to the event file"""
    dropped_spool: int
    """dropped because the spool was at its limit, or could not be written"""
    pending: int
    """neither shipped nor spooled yet"""
    spool_bytes: int
    """bytes in the spool now"""
    wakeups: int
    """of the library's thread"""
    rings: int
    """rings made: one a recording thread, and one"""
    connected: bool
    """whether the sidecar answers"""


class Record(typing.NamedTuple):
    """One record, as Client.records() reads it back."""
    kind: str
    """'decision', 'action' or 'stage'"""
    decision: typing.Optional[str]
    action: str
    reason: typing.Optional[str]
    stage: typing.Optional[str]
    component: str
    run_id: str
    time_ns: int
    """UTC, nanoseconds since 1970"""
    latency_ns: typing.Optional[int]
    """None when there was none; negative when it could not be one"""
