"""The client over libailive."""
from . import _native, _process, _run_id
from ._api import Api, logger
from ._errors import BadValue

library_version = _native.library_version
_EINVAL, _ETOOLONG = -1, -2
_run_id.when_used(_native.watch_run_id)


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
        if status in (_EINVAL, _ETOOLONG):
            raise BadValue(f"ailive.open(): {text}: {({k: v for k, v in options.items() if v})}")
        self._tell()
        if status != 0:
            logger.error("ailive.open(): %s; nothing is recorded, recording calls are counted no-ops", text)
        _process.remember(self)
