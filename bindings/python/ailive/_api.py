"""What clients have in common, whichever road their records take."""
import functools
import inspect
import logging

from . import _process
from ._errors import BadType
from ._types import Record, Stats

NO_LATENCY = -1 << 63
OK, TIMED_OUT = 0, -7  # statuses of <ailive/ailive.h>
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO}
logger = logging.getLogger("ailive")


class Api:
    """The part of a client that is written in Python. A subclass records, and has _flush, _close, _stats, _read,
    _messages."""
    __slots__ = ()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __reduce__(self):
        return _process.reopen, (self._options, self._key)

    def __repr__(self):
        return f"<ailive.Client over {self.road}, {self._stats()[0]} recorded>"

    def flush(self, timeout=1.0):
        """Waits until every record made before the call is with the sidecar or safe in the spool.

        timeout: seconds. Gives whether it came to that. Lets other threads run; in a coroutine, await
        asyncio.to_thread(client.flush).
        """
        status = self._flush(timeout)
        self._tell()
        return status == OK

    def close(self, timeout=1.0):
        """Flushes; what the sidecar has not taken when timeout (seconds) is over goes to the spool. Recording
        calls after it are counted no-ops; a second close does nothing. Gives whether all records are safe:
        what is not stays in the runtime folder for the sidecar to pick up. Lets other threads run."""
        status = self._close(timeout)
        _process.forget(self)
        self._tell()
        return status == OK

    def stats(self):
        """Counters, as Stats. Does not block."""
        self._tell()
        return Stats(*self._stats())

    def records(self):
        """Takes out what was recorded, as a list of Record, on a client opened with memory=True; else []."""
        taken = []
        while (fields := self._read()) is not None:
            latency_ns = fields[-1] if fields[-1] != NO_LATENCY else None
            taken.append(Record(*fields[:-1], latency_ns))
        return taken

    def timed(self, stage, *, component=None, run_id=None):
        """Decorates a function or a coroutine function: how long each call takes is recorded as a stage.

        stage: 1 to 96 bytes of UTF-8. The time of an `async def` includes its waits. A generator function's calls
        only make a generator: BadType; use timer() inside it.
        """
        self.timer(stage, component=component, run_id=run_id)  # raises where the mistake is

        def decorate(function):
            if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
                raise BadType(f"timed() does not time generators such as {function.__qualname__}; use timer() inside it")
            if inspect.iscoroutinefunction(function):
                @functools.wraps(function)
                async def timed_function(*args, **kwargs):
                    with self.timer(stage, component=component, run_id=run_id):
                        return await function(*args, **kwargs)
            else:
                @functools.wraps(function)
                def timed_function(*args, **kwargs):
                    with self.timer(stage, component=component, run_id=run_id):
                        return function(*args, **kwargs)
            return timed_function
        return decorate

    def _forked(self):
        """In a forked child, before anything else: libailive sees to itself."""

    def _tell(self):
        """What the library had to say goes to the logger 'ailive'."""
        for level, line in self._messages():
            logger.log(_LEVELS.get(level, logging.INFO), "%s", line)
