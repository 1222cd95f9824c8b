"""The client over libailive."""
from . import _native, _process, _run_id
from ._api import Api, logger
from ._errors import BadValue

library_version = _native.library_version
_EINVAL, _ETOOLONG = -1, -2
_NAME_MAX_BYTES = 96
_run_id.when_used(_native.watch_run_id)


def _callers_fault(options):
    """Whether what open() was given may be what libailive refused. Otherwise it is the environment, or a certificate:
    a host is not to fall over because of these."""
    url = options["ipc_url"] or ""
    named = ("runtime_dir", "spool_dir", "ring_records", "spool_after", "spool_file_bytes", "spool_max_bytes")
    return (url and not url.startswith("tls+tcp://")) or any(options[name] for name in named) or any(
        len((options[name] or "").encode(errors="replace")) > _NAME_MAX_BYTES for name in ("component", "run_id"))


class Client(Api, _native.Client):
    """Records into libailive; ailive.open() makes one."""
    __slots__ = ("_options", "_key", "__weakref__")
    road = "libailive"

    def __init__(self, options, key):
        self._options, self._key = options, key
        status, text = self._open(
            options["component"], options["run_id"], options["ipc_url"], options["runtime_dir"], options["spool_dir"],
            options["ring_records"], round(options["spool_after"] * 1000), options["spool_file_bytes"],
            options["spool_max_bytes"], options["tls_cert"], options["tls_ca"], options["remote_plaintext"],
            options["memory"])
        self._tell()
        if status in (_EINVAL, _ETOOLONG) and _callers_fault(options):
            raise BadValue(f"ailive.open(): {text}: {({k: v for k, v in options.items() if v})}")
        if status != 0:
            logger.error("ailive.open(): %s; nothing is recorded, recording calls are counted no-ops", text)
        _process.remember(self)
