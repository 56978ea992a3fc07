"""A sidecar with a journal: what it records of real calls, in which order, and what it keeps from every sink."""

from __future__ import annotations

import asyncio
import io
import json
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from a2a.types import a2a_pb2 as a2a
from grpc import aio
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)
from redis import Redis

from sidecar.engine.redaction import Redactor
from sidecar.telemetry.journal import Entry, Filter, Kind, SqliteReader
from sidecar.telemetry.logs import setup_logging
from sidecar.testing import running_sidecar
from sidecar.v1 import admin_pb2
from sidecar.v1.admin_pb2_grpc import AdminStub
from tests.desk import A2A, PRICES, SEND, running_desk
from tests.stores.conftest import redis_server, redis_url  # noqa: F401 - fixtures
from tests.telemetry.otlp_sink import OtlpSink
from tests.test_verified_calls import PASS, Judge, says, started

CARD = "4111 1111 1111 1111"
MAIL = "bob@example.com"
KEY = "AKIAIOSFODNN7EXAMPLE"
PLANTED = (CARD, MAIL, KEY, "hunter2", "tell nobody")

KEPT = {"spec": "desk/v1", "match": {"callee": "callee"}, "content": {"journal": True}}


async def shown_of(tail: Any, ends: int) -> list[admin_pb2.TailEvent]:
    """What a tail shows until so many exchanges have ended."""
    shown: list[admin_pb2.TailEvent] = []
    async with asyncio.timeout(10.0):
        while sum(event.HasField("exchange_ended") for event in shown) < ends:
            shown.append(await tail.read())
    return shown


class LogSink(LogsServiceServicer):
    """opentelemetry.proto.collector.logs.v1.LogsService, on a free port."""

    def __init__(self) -> None:
        self.requests: list[ExportLogsServiceRequest] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        add_LogsServiceServicer_to_server(self, self._server)
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the proto
        self.requests.append(request)
        return ExportLogsServiceResponse()

    @property
    def records(self) -> list[Any]:
        scopes = [scope for request in self.requests for each in request.resource_logs for scope in each.scope_logs]
        return [record for scope in scopes for record in scope.log_records]

    def __enter__(self) -> LogSink:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait(2)


def asked(text: str = "please", message_id: str = "m-1", context_id: str = "c-1", **data: Any) -> bytes:
    message = a2a.Message(message_id=message_id, context_id=context_id, parts=[a2a.Part(text=text)])
    if data:
        message.parts.add().data.struct_value.update(data)
    return a2a.SendMessageRequest(message=message).SerializeToString()


async def send(address: str, *payloads: bytes, method: str = SEND) -> list[str]:
    """The status of each."""
    codes = []
    async with aio.insecure_channel(address) as channel:
        for payload in payloads:
            try:
                await channel.unary_unary(method)(payload, timeout=10.0)
                codes.append("OK")
            except aio.AioRpcError as error:
                codes.append(error.code().name)
    return codes


def specs_in(folder: Path, *documents: Any) -> list[Path]:
    paths = []
    for number, document in enumerate(documents):
        paths.append(folder / f"spec-{number}.json")
        paths[-1].write_text(json.dumps(document))
    return paths


def entries(path: Path) -> list[Entry]:
    reader = SqliteReader(path)
    try:
        assert reader.verify().is_whole
        return [entry for entry in reader.entries(Filter()) if entry.record.about.exchange_id]
    finally:
        reader.close()


def kinds(found: Sequence[Entry]) -> list[str]:
    return [entry.record.kind.value for entry in found]


async def test_a_call_is_told_from_its_start_to_its_end(tmp_path: Path):
    """In causal order, each record with its lineage; content nowhere, for no spec asked for it."""
    async with (
        running_desk() as (_, upstream),
        running_sidecar(upstream, journal=f"sqlite://{tmp_path}/j.db", descriptors=[A2A]) as sidecar,
    ):
        assert await send(sidecar.address, asked("a secret question")) == ["OK"]
        outcome = sidecar.outcomes[0]
    found = entries(tmp_path / "j.db")
    assert kinds(found) == ["started", "message", "message", "ended"]
    stamps = [entry.record.hlc for entry in found]
    assert stamps == sorted(stamps)
    lineage = outcome.exchange.lineage
    for entry in found:
        about = entry.record.about
        assert (about.exchange_id, about.conversation, about.trace_id, about.callee, about.method) == (
            lineage.exchange_id,
            lineage.conversation,
            lineage.trace_id,
            "callee",
            SEND,
        )
    request, response = (entry.record.body for entry in found[1:3])
    assert (request["direction"], request["message_id"], request["context_id"]) == ("request", "m-1", "c-1")
    assert (response["task_id"], response["task_state"]) == ("t-m-1", "TASK_STATE_COMPLETED")
    assert found[-1].record.task_id == "t-m-1"
    assert b"secret question" not in (tmp_path / "j.db").read_bytes()


async def test_findings_decisions_verdicts_and_charges_are_told(tmp_path: Path):
    judge = Judge(says(PASS))
    document = {
        **KEPT,
        "request": {"rules": [{"id": "no-two", "expr": "request.message.messageId != 'm-2'", "message": "no"}]},
        "cost": {"estimate_usd": 0.01},
        "verifiers": {"require": ["judge"]},
    }
    async with (
        started(judge) as address,
        running_desk() as (_, upstream),
        running_sidecar(
            upstream,
            mode="enforce",
            journal=f"sqlite://{tmp_path}/j.db",
            descriptors=[A2A],
            specs=specs_in(tmp_path, document),
            verifiers=[{"name": "judge", "address": address, "timeout": "10s"}],
            budgets=[{"name": "all", "scope": "global", "limit_usd": 1}],
            prices=PRICES,
        ) as sidecar,
    ):
        assert await send(sidecar.address, asked(), asked("other", "m-2")) == ["OK", "INVALID_ARGUMENT"]
    found = entries(tmp_path / "j.db")
    assert kinds(found) == [
        *("started", "message", "verdict", "message", "charge", "ended"),
        *("started", "finding", "decision", "message", "ended"),
    ]
    told = {entry.record.kind: entry.record.body for entry in found}
    assert (told[Kind.VERDICT]["verifier"], told[Kind.VERDICT]["verdict"]) == ("judge", "pass")
    assert (told[Kind.CHARGE]["micro_usd"], told[Kind.CHARGE]["source"]) == (1234, "reported")
    assert (told[Kind.FINDING]["rule"], told[Kind.FINDING]["action"]) == ("request.rules.no-two", "rejected")
    assert told[Kind.DECISION]["reason"] == told[Kind.ENDED]["reason"] == "REQUEST_SPEC_VIOLATION"
    assert told[Kind.MESSAGE]["has_passed"] is False
    assert told[Kind.MESSAGE]["document"]["message"]["messageId"] == "m-2"


async def test_stamps_follow_causes_over_two_sidecars(tmp_path: Path):
    """What the callee's sidecar saw is later than what the caller's sent, whatever their clocks say."""

    class Behind:
        """A clock that is ten seconds late."""

        def monotonic_ns(self) -> int:
            return time.monotonic_ns()

        def unix_ns(self) -> int:
            return time.time_ns() - 10 * 10**9

        async def sleep(self, seconds: float) -> None:
            await asyncio.sleep(seconds)

    out = {"caller": "planner", "callee": "callee"}
    async with (
        running_desk() as (_, upstream),
        running_sidecar(upstream, journal=f"sqlite://{tmp_path}/in.db", descriptors=[A2A], clock=Behind()) as inbound,
        running_sidecar(
            inbound.address, agent="planner", route=out, journal=f"sqlite://{tmp_path}/out.db", descriptors=[A2A]
        ) as outbound,
    ):
        assert await send(outbound.address, asked()) == ["OK"]
    began = entries(tmp_path / "out.db")[0].record
    seen = entries(tmp_path / "in.db")[0].record
    assert seen.about.exchange_id == began.about.exchange_id
    assert seen.unix_ns < began.unix_ns
    assert seen.hlc > began.hlc


async def test_an_operators_action_is_recorded(tmp_path: Path):
    async with (
        running_desk() as (_, upstream),
        running_sidecar(upstream, journal=f"sqlite://{tmp_path}/j.db") as sidecar,
    ):
        sidecar.app.journal.record_admin("quarantine", "root", {"edge": "a -> b", "password": "hunter2"})
    reader = SqliteReader(tmp_path / "j.db")
    [entry] = reader.entries(Filter(kinds=frozenset({Kind.ADMIN})))
    reader.close()
    assert entry.record.body == {"edge": "a -> b", "password": "[redacted]", "action": "quarantine", "by": "root"}


async def test_nothing_planted_appears_in_any_sink(
    tmp_path: Path,
    redis_url: str,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
):
    """In texts, in fields, in ids, in a method's name: spans, log lines, journal, stream, tail, verifiers, metrics."""
    judge, lines = Judge(says(PASS)), io.StringIO()
    document = {
        **KEPT,
        "content": {"journal": True, "verifiers": "redacted", "redact": ["$..secretPlan"]},
        "request": {"rules": [{"id": "r", "expr": "request.message.parts.size() < 2", "message": "one part"}]},
        "verifiers": {"require": ["judge"], "mode": "observe"},
    }
    with OtlpSink() as spans, LogSink() as logs:
        environ = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": logs.endpoint, "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc"}
        logging = setup_logging("debug", "json", lines, redactor=Redactor())
        async with (
            started(judge) as address,
            running_desk() as (_, upstream),
            running_sidecar(
                upstream,
                environ=environ,
                journal={"to": [f"sqlite://{tmp_path}/j.db", f"jsonl://{tmp_path}/j.jsonl", "otlp", redis_url]},
                descriptors=[A2A],
                specs=specs_in(tmp_path, document),
                verifiers=[{"name": "judge", "address": address, "timeout": "10s"}],
                tracing={"exporter": "otlp", "endpoint": spans.grpc_endpoint, "protocol": "grpc"},
                log={"exchanges": True},
                admin={"listen": "127.0.0.1:0"},
            ) as sidecar,
            aio.insecure_channel(sidecar.admin_address) as admin,
        ):
            tail = AdminStub(admin).Tail(admin_pb2.TailRequest(kinds=admin_pb2.EventKind.values()[1:]))
            assert (await tail.read()).HasField("alive")
            text = f"my card is {CARD}, write to {MAIL}, use {KEY}"
            planted = asked(text, f"m-{MAIL}", f"c {CARD}", password="hunter2", secretPlan="tell nobody", n=5)
            assert await send(sidecar.address, planted, asked("plain")) == ["OK", "OK"]
            await send(sidecar.address, b"{}", method=f"/x.Y/{MAIL}")
            metrics = await asyncio.to_thread(lambda: urllib.request.urlopen(sidecar.metrics_url).read())
            shown = await shown_of(tail, ends=3)
        logging.stop()
        spans.wait_for(3)
        sinks = {
            "spans": b"".join(request.SerializeToString() for request in spans.requests),
            "logs": lines.getvalue().encode(),
            "otlp logs": b"".join(request.SerializeToString() for request in logs.requests),
            "sqlite": b"".join(each.read_bytes() for each in tmp_path.glob("j.db*")),
            "jsonl": (tmp_path / "j.jsonl").read_bytes(),
            "redis": b"".join(fields[b"record"] for _, fields in Redis.from_url(redis_url).xrange("sidecar:journal")),
            "tail": b"".join(event.SerializeToString() for event in shown),
            "verifiers": b"".join(each.request_json + each.response_json for each in judge.shown),
            "metrics": metrics,
        }
    for name, written in sinks.items():
        assert len(written) > 200, name
        assert not [secret for secret in PLANTED if secret.encode() in written], name
    for name in ("sqlite", "jsonl", "otlp logs", "redis", "verifiers"):
        assert b"[redacted:card]" in sinks[name], name
    assert b"[redacted:email]" in sinks["tail"]
    assert len({record.trace_id for record in logs.records if record.trace_id}) == 3
    assert {record.event_name for record in logs.records} >= {"sidecar.journal.started", "sidecar.journal.ended"}


async def test_a_message_past_the_limit_is_recorded_without_its_document(tmp_path: Path):
    async with (
        running_desk() as (_, upstream),
        running_sidecar(
            upstream,
            journal={"to": f"sqlite://{tmp_path}/j.db", "content": "200B"},
            descriptors=[A2A],
            specs=specs_in(tmp_path, KEPT),
        ) as sidecar,
    ):
        await send(sidecar.address, asked("x" * 1000), asked("short", "m-2"))
    bodies = [entry.record.body for entry in entries(tmp_path / "j.db") if entry.record.kind is Kind.MESSAGE]
    requests = [body for body in bodies if body["direction"] == "request"]
    assert (requests[0]["omitted"], "document" in requests[0]) == ("too_large", False)
    assert "document" in requests[1]


@pytest.mark.parametrize("where", ["nowhere/j.db", "folder"])
async def test_calls_go_on_where_the_journal_cannot_be_written(tmp_path: Path, where: str):
    """Counted, said, and no call the worse for it."""
    (tmp_path / "folder").mkdir()
    async with (
        running_desk() as (_, upstream),
        running_sidecar(upstream, journal=f"sqlite://{tmp_path}/{where}") as sidecar,
    ):
        assert await send(sidecar.address, asked(), asked()) == ["OK", "OK"]
    series = sidecar.app.metrics.registry.get_sample_value
    assert series("sidecar_journal_events_total", {"sink": "sqlite", "outcome": "failed"}) == 8
