"""Log records become telemetry."""
import logging

__all__ = ["LoggingHandler"]

_SCOPE = ("component", "run_id")


class LoggingHandler(logging.Handler):
    """Records what a log record carries in `extra`; a record that carries nothing of it is passed over.

        log.addHandler(ailive.LoggingHandler(client))
        log.info("rejected", extra={"decision": "reject", "reason": "risk_limit", "latency": 0.0021})
        log.info("filled", extra={"action": "fill"})
        log.info("routed", extra={"stage": "order_router", "latency": 0.0004})

    `decision` (with `reason`, `latency` in seconds, `action`), else `stage` (with `latency`), else `action`; each with
    `component` and `run_id`. The time is the log record's. What is wrong with it goes to logging's handleError().
    """

    def __init__(self, client, level=logging.NOTSET):
        super().__init__(level)
        self.client = client

    def emit(self, record):
        try:
            self._emit(record.__dict__, round(record.created * 1e9))
        except Exception:
            self.handleError(record)

    def _emit(self, fields, time_ns):
        scope = {name: fields[name] for name in _SCOPE if name in fields}
        if "decision" in fields:
            self.client.decision(fields["decision"], reason=fields.get("reason"), latency=fields.get("latency"),
                                 action=fields.get("action"), time_ns=time_ns, **scope)
        elif "stage" in fields:
            self.client.stage(fields["stage"], fields.get("latency"), time_ns=time_ns, **scope)
        elif "action" in fields:
            self.client.action(fields["action"], time_ns=time_ns, **scope)
