"""typed.py FOLDER: every public name as a host's typed code uses it: looked at by mypy --strict, and run. The lines with `type: ignore`
are mistakes: mypy must see each, and says so when it does not (warn_unused_ignores)."""
import asyncio
import logging
import pathlib
import sys

import ailive
from ailive import ai_telemetry


def mistakes(client: ailive.Client) -> None:
    client.decision("perhaps")  # type: ignore[arg-type]
    client.decision("accept", latency="fast")  # type: ignore[arg-type]
    client.action("none")  # type: ignore[arg-type]
    client.stage("risk_check", 0.1, "gate")  # type: ignore[misc]
    ailive.open(ring_records=0.5)  # type: ignore[arg-type]
    client.bought()  # type: ignore[attr-defined]


def every_call(client: ailive.Client) -> int:
    @client.timed("timed", component="gate", run_id="r")
    def doubled(number: int) -> int:
        return 2 * number

    @client.timed("timed")
    async def tripled(number: int) -> int:
        return 3 * number

    client.decision("reject", reason="risk_limit", latency=0.0021, action="none", component="gate", run_id="r", time_ns=1)
    client.action("fill", component="gate", run_id="r", time_ns=1)
    client.stage("risk_check", 0.1, component="gate", run_id="r", time_ns=1)
    client.stage("risk_check", None)
    with client.timer("timer", component="gate", run_id="r") as timer:
        number: int = doubled(2) + asyncio.run(tripled(3))
    elapsed: float = timer.elapsed
    with ailive.use_run_id("paper_8"):
        current: str | None = ailive.current_run_id()
    logger = logging.getLogger("typed")
    logger.addHandler(ailive.LoggingHandler(client, logging.WARNING))
    flushed: bool = client.flush(timeout=1.0)
    assert flushed and current == "paper_8" and elapsed >= 0
    return number


def original_names() -> None:
    ai_telemetry.set_heartbeat(component="execution", run_id="na")
    ai_telemetry.record_decision("accept", "none", latency_s=0.085, timestamp_s=1.0)
    ai_telemetry.record_action("submit", "execution", "na")
    ai_telemetry.observe_decision_latency_ms(source="typed", decision="accept", latency_ms=1.0)
    ai_telemetry.inc_events_parse_error(source="typed")
    ai_telemetry.inc_events_dropped(source="typed", reason="other")
    ai_telemetry.set_last_event_timestamp_seconds(source="typed", timestamp_s=1.0)
    ai_telemetry.get_registry()
    client: ailive.Client = ai_telemetry.get_client()
    client.close(timeout=1.0)


def main(folder: pathlib.Path) -> None:
    with ailive.open("gate", "paper_7", ipc_url=f"ipc://{folder}/none.sock", runtime_dir=folder / "runtime",
                     spool_dir=str(folder / "spool"), ring_records=64, spool_after=0.1, spool_file_bytes=0,
                     spool_max_bytes=0, tls_cert=None, tls_ca=None, remote_plaintext=False, memory=True) as client:
        assert every_call(client) == 13
        records: list[ailive.Record] = client.records()
        stats: ailive.Stats = client.stats()
        assert records[0].reason == "risk_limit" and stats.recorded == len(records)
    try:
        ailive.open(component="\0")
    except (ailive.BadValue, ailive.BadType) as wrong:
        error: ailive.Error = wrong
        print(error, ailive.road, ailive.Client.road, ailive.why_jsonl, ailive.library_version, ailive.__version__)
    original_names()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
