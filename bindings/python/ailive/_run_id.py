"""The run id of the current context: of this thread, this asyncio task, and what they start."""
import contextlib
import contextvars

__all__ = ["use_run_id", "current_run_id"]

_variable = contextvars.ContextVar("ailive_run_id", default=None)
_watchers = []  # called once, when the variable is first set: until then nobody pays for asking it


def current_run_id():
    """The run id that use_run_id() has set here, or None."""
    return _variable.get()


def when_used(watch):
    """Has watch(get) called now or as soon as a run id is set; get() gives it, or None."""
    _watchers.append(watch)


@contextlib.contextmanager
def use_run_id(run_id):
    """Within the block, records that name no run id are for this one. Holds for the current context only:
    other threads and asyncio tasks are not affected, tasks started within inherit it.

    run_id: 1 to 96 bytes of UTF-8; None gives the client's own back. What is wrong with it, the recording
    calls raise (BadValue, BadType). Costs a recording call about 10 ns once it has been used in the process.
    """
    while _watchers:
        _watchers.pop()(_variable.get)
    token = _variable.set(run_id)
    try:
        yield run_id
    finally:
        _variable.reset(token)
