"""Spans: from an ended exchange to what a real OTLP receiver gets."""

from __future__ import annotations

import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter, SpanExportResult

from sidecar.engine.exchange import Exchange, Origin, Outcome
from sidecar.engine.lineage import JoinSource, Link
from sidecar.engine.message import Names
from sidecar.telemetry.methods import KnownMethods
from sidecar.telemetry.otlp import RequestEncoder
from sidecar.telemetry.readable import readable_span
from sidecar.telemetry.span_record import FINDINGS_LIMIT, Limits, Server, SpanRecord, limits_of, record_of
from sidecar.telemetry.spans import SpanReporter
from sidecar.telemetry.tracing import Tracing, TracingSettings, build_exporter, resolve, resource_of
from tests.telemetry import story
from tests.telemetry.otlp_sink import OtlpSink, ReceivedSpan, spans_of

METHOD = "lf.a2a.v1.A2AService/SendMessage"
RESOURCE = resource_of("researcher", {})
QUICK = Tracing("otlp", "grpc", "", queue=100, batch=10, schedule_delay_s=0.02, export_timeout_s=2.0)


def known() -> KnownMethods:
    methods = KnownMethods()
    methods.configure([story.SEND])
    return methods


def span_of(outcome: Outcome, server: Server | None = None, limits: Limits | None = None) -> ReceivedSpan:
    """What the direct encoder makes of one outcome."""
    record = record_of(outcome, known().name(outcome.exchange.method), server)
    (span,) = spans_of(RequestEncoder(RESOURCE, limits or Limits()).encode([record]))
    return span


def told(exchange: Exchange, **changes: Any) -> Exchange:
    for name, value in changes.items():
        setattr(exchange, name, value)
    return exchange


# --- what a span says ------------------------------------------------------------------------------------------------


def test_an_inbound_exchange_is_a_server_span_named_after_its_method() -> None:
    """Our agent is the server there."""
    span = span_of(story.ended(story.exchange()))
    assert (span.name, span.span.kind) == (METHOD, span.span.SPAN_KIND_SERVER)
    assert (span.trace_id, span.span_id, span.parent_span_id) == (story.TRACE_ID, story.SPAN_ID, story.PARENT_ID)
    assert span.span.end_time_unix_nano - span.span.start_time_unix_nano == 250_000_000


def test_an_outbound_exchange_is_a_client_span_that_invokes_an_agent() -> None:
    """Only the calling side says so, else one hand-over would be counted twice."""
    span = span_of(story.ended(story.exchange(story.OUTBOUND)), Server("writer", 50051))
    assert span.span.kind == span.span.SPAN_KIND_CLIENT
    expected = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "writer",
        "server.address": "writer",
        "server.port": 50051,
    }
    assert expected.items() <= span.attributes.items()
    assert "network.peer.address" not in span.attributes
    assert "gen_ai.operation.name" not in span_of(story.ended(story.exchange())).attributes


def test_attributes_name_the_call_and_what_we_made_of_it() -> None:
    """All of ours and the conventions' for one inbound A2A call, whole."""
    exchange = told(story.exchange(), names=Names("ctx-1", "task-1", "msg-1", "TASK_STATE_WORKING", ("task-0",)))
    exchange = told(exchange, spec=story.spec(), held_ns=300_000)
    exchange.requests.messages, exchange.requests.size_bytes = 1, 800
    exchange.responses.messages, exchange.responses.size_bytes = 2, 900
    assert span_of(story.ended(exchange)).attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": METHOD,
        "rpc.response.status_code": "OK",
        "network.peer.address": "127.0.0.1",
        "network.peer.port": 4242,
        "gen_ai.conversation.id": "ctx-1",
        "a2a.method.name": "SendMessage",
        "a2a.task.id": "task-1",
        "a2a.task.state": "TASK_STATE_WORKING",
        "a2a.message.id": "msg-1",
        "a2a.message.reference_task_ids": ["task-0"],
        "sidecar.exchange": "exchange-1",
        "sidecar.conversation": "conversation-1",
        "sidecar.caller": "planner",
        "sidecar.callee": "researcher",
        "sidecar.route": "inbound",
        "sidecar.side": "inbound",
        "sidecar.mode": "enforce",
        "sidecar.decision": "forward",
        "sidecar.origin": "upstream",
        "sidecar.lineage.source": "propagated",
        "sidecar.hops": 2,
        "sidecar.path": ["planner", "researcher"],
        "sidecar.spec": "researcher/v1",
        "sidecar.request.messages": 1,
        "sidecar.request.size_bytes": 800,
        "sidecar.response.messages": 2,
        "sidecar.response.size_bytes": 900,
        "sidecar.overhead_seconds": 0.0003,
    }


def test_an_unknown_method_is_other_and_its_name_an_attribute() -> None:
    """A span's name must not be the caller's invention."""
    span = span_of(story.ended(story.exchange(method="/made.Up/Name"), "UNIMPLEMENTED"))
    assert (span.name, span.attributes["rpc.method"]) == ("_OTHER", "_OTHER")
    assert span.attributes["rpc.method_original"] == "made.Up/Name"


@pytest.mark.parametrize(
    ("route", "code", "is_error"),
    [
        (story.INBOUND, "OK", False),
        (story.INBOUND, "INVALID_ARGUMENT", False),
        (story.INBOUND, "INTERNAL", True),
        (story.OUTBOUND, "OK", False),
        (story.OUTBOUND, "INVALID_ARGUMENT", True),
        (story.OUTBOUND, "CANCELLED", True),
    ],
)
def test_which_status_is_an_error_depends_on_the_side(route: Any, code: str, is_error: bool) -> None:
    """A server that refuses bad input worked well; its client did not get what it wanted."""
    span = span_of(story.ended(story.exchange(route), code))
    assert (span.span.status.code == span.span.status.STATUS_CODE_ERROR) is is_error
    assert span.attributes.get("error.type") == (code if is_error else None)


def test_our_own_status_message_is_told_and_the_callees_is_not() -> None:
    """A callee's words may quote a payload."""
    ours = span_of(story.ended(story.exchange(), "UNAVAILABLE", "no connection to writer", Origin.SIDECAR))
    theirs = span_of(story.ended(story.exchange(), "INTERNAL", "cannot parse 'my secret'"))
    assert ours.span.status.message == "no connection to writer"
    assert theirs.span.status.message == ""


def test_a_refusal_names_its_reason_and_its_finding_is_an_event() -> None:
    """The trace alone says what was wrong and where."""
    span = span_of(story.refused(story.exchange()))
    assert span.attributes["sidecar.decision"] == "reject"
    assert span.attributes["sidecar.reason"] == "REQUEST_SPEC_VIOLATION"
    (event,) = span.span.events
    assert event.name == "sidecar.finding"
    assert ReceivedSpan(event).attributes == {
        "sidecar.finding.check": "spec",
        "sidecar.finding.rule": "query-not-blank",
        "sidecar.finding.severity": "error",
        "sidecar.finding.message": "a query needs text",
        "sidecar.finding.pointer": "/message/parts/0",
    }


@pytest.mark.parametrize(("made", "told_", "dropped"), [(0, 0, 0), (1, 1, 0), (16, 16, 0), (17, 16, 1)])
def test_findings_past_the_limit_are_only_counted(made: int, told_: int, dropped: int) -> None:
    """A stream may break a rule in every message."""
    assert FINDINGS_LIMIT == 16
    span = span_of(story.ended(told(story.exchange(), findings=[story.finding()] * made))).span
    assert (len(span.events), span.dropped_events_count) == (told_, dropped)


def test_an_ambiguous_call_links_to_every_candidate() -> None:
    """It never guesses, so it begins a trace and names all that may have caused it."""
    links = (Link("1" * 32, "2" * 16), Link("3" * 32, "4" * 16))
    lineage = {"source": JoinSource.AMBIGUOUS, "links": links, "parent_span_id": ""}
    span = span_of(story.ended(story.exchange(story.OUTBOUND, **lineage)))
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.span.links] == [
        ("1" * 32, "2" * 16),
        ("3" * 32, "4" * 16),
    ]
    assert span.parent_span_id == ""


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:10.0.0.7:4242", ("10.0.0.7", 4242)),
        ("ipv6:%5B::1%5D:4242", ("::1", 4242)),
        ("ipv6:[fe80::1]:4242", ("fe80::1", 4242)),
        ("unix:/run/a.sock", ("/run/a.sock", None)),
        ("odd", ("odd", None)),
        ("", (None, None)),
    ],
)
def test_peer_addresses_are_read_as_grpc_prints_them(peer: str, expected: tuple[Any, Any]) -> None:
    """A Unix socket has no port."""
    attributes = span_of(story.ended(story.exchange(peer=peer))).attributes
    assert (attributes.get("network.peer.address"), attributes.get("network.peer.port")) == expected


def test_limits_from_the_environment_are_obeyed() -> None:
    """Text is cut, attributes past the limit are dropped and counted."""
    limits = limits_of({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "14"})
    span = span_of(story.ended(story.exchange()), limits=limits)
    assert span.attributes["sidecar.caller"] == "plan"
    assert len(span.attributes) == 14
    assert span.span.dropped_attributes_count == 23 - 14


# --- the direct encoder and the SDK say the same ---------------------------------------------------------------------


def outcomes() -> Iterator[Outcome]:
    """One of each kind."""
    yield story.ended(story.exchange())
    yield story.ended(story.exchange(story.OUTBOUND, source=JoinSource.IDS, tracestate=("a=1,b=2", "c=3")))
    yield story.ended(story.exchange(source=JoinSource.ROOT, parent_span_id="", path=(), is_random=False))
    yield story.ended(story.exchange(links=(Link("1" * 32, "2" * 16),), method="/made.Up/Name"), "NOT_FOUND")
    yield story.ended(story.exchange(peer="unix:/run/a.sock"), "UNAVAILABLE", "no connection", Origin.SIDECAR)
    yield story.refused(story.exchange())
    yield story.ended(told(story.exchange(), names=Names("c", "t", "m", "TASK_STATE_WORKING", ("t0", "t1"))))
    yield story.ended(told(story.exchange(), spec=story.spec(), findings=[story.finding()] * 20))


@pytest.mark.parametrize("limits", [Limits(), Limits(3, 20, 2, 0), Limits(None, 0, 0, 1)])
@pytest.mark.parametrize("outcome", list(outcomes()))
def test_direct_encoding_equals_the_sdks(outcome: Outcome, limits: Limits) -> None:
    """Bit for bit: the faster way is no dialect."""
    record = record_of(outcome, known().name(outcome.exchange.method), Server("127.0.0.1", 50052))
    direct = RequestEncoder(RESOURCE, limits).encode([record])
    assert direct == encode_spans([readable_span(record, RESOURCE, limits)])
    assert direct != RequestEncoder(RESOURCE, limits).encode([record._replace(ended_unix_ns=0)])


def test_fixed_parts_are_kept_apart_by_all_that_they_say() -> None:
    """A kept part of another call would put its code or caller into this span."""
    encoder = RequestEncoder(RESOURCE, Limits())
    records = [record_of(outcome, METHOD, None) for outcome in outcomes()]
    together = list(spans_of(encoder.encode(records + records)))
    alone = [next(spans_of(RequestEncoder(RESOURCE, Limits()).encode([record]))) for record in records]
    assert together == alone + alone


def test_an_id_that_utf8_cannot_hold_costs_only_its_own_span() -> None:
    """JSON may carry a lone surrogate; protobuf may not."""
    good = record_of(story.ended(story.exchange()), METHOD, None)
    bad = good._replace(names=Names(context_id="\ud800"))
    assert len(list(spans_of(RequestEncoder(RESOURCE, Limits()).encode([good, bad, good])))) == 2


# --- export ----------------------------------------------------------------------------------------------------------


class Counts:
    """Counts span outcomes as the metrics do, and lets a test wait for them."""

    def __init__(self) -> None:
        self.by_outcome: Counter[str] = Counter()

    def __call__(self, outcome: str, count: int) -> None:
        self.by_outcome[outcome] += count


class Exporter(SpanExporter):
    """A user's own exporter. Holds each batch until `gate` is open; returns or raises what it is told."""

    def __init__(self, answer: Callable[[], SpanExportResult] = lambda: SpanExportResult.SUCCESS) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.batches: list[list[str]] = []
        self.was_shut_down = False
        self._answer = answer

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.entered.set()
        self.gate.wait(10)
        self.batches.append([span.name for span in spans])
        return self._answer()

    def shutdown(self) -> None:
        self.was_shut_down = True
        self.gate.set()


def reporter_of(exporter: SpanExporter | None, counts: Counts, tracing: Tracing = QUICK) -> SpanReporter:
    reporter = SpanReporter(exporter, resource=RESOURCE, tracing=tracing, count=counts, methods=known())
    reporter.start()
    return reporter


def report(reporter: SpanReporter, count: int) -> None:
    for _ in range(count):
        reporter.exchange_ended(story.ended(story.exchange()))


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with OtlpSink() as sink:
        yield sink


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("compression", ["", "gzip"])
def test_spans_reach_a_real_receiver(
    sink: OtlpSink, protocol: str, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over both protocols, with headers and compression as the SDK's variables say."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=acme")
    if compression:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    endpoint = sink.grpc_endpoint if protocol == "grpc" else sink.http_endpoint
    settings = TracingSettings(protocol=protocol, endpoint=endpoint)
    counts = Counts()
    reporter = reporter_of(build_exporter(settings, {}), counts)
    report(reporter, 25)
    assert reporter.shutdown(10)
    spans = sink.wait_for(25)
    assert {span.name for span in spans} == {METHOD}
    assert spans[0].resource["service.name"] == "sidecar-researcher"
    assert sink.headers[0]["x-tenant"] == "acme"
    assert counts.by_outcome == {"exported": 25}
    assert max(len(list(spans_of(request))) for request in sink.requests) <= QUICK.batch


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_receiver_that_refuses_fails_no_call_and_is_counted(
    sink: OtlpSink, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each lost span is in the counter; the log says it once a minute."""
    sink.refuses = True
    endpoint = sink.grpc_endpoint if protocol == "grpc" else sink.http_endpoint
    counts = Counts()
    tracing = replace(QUICK, batch=1)
    reporter = reporter_of(
        build_exporter(TracingSettings(protocol=protocol, endpoint=endpoint, export_timeout_s=0.2), {}), counts, tracing
    )
    report(reporter, 3)
    assert reporter.flush(10)
    reporter.shutdown(5)
    assert counts.by_outcome == {"failed": 3}
    ours = [line for line in caplog.records if line.name == "sidecar.telemetry.spans"]
    assert [line.getMessage() for line in ours] == ["1 spans could not be exported; calls are not affected"]


def test_a_receiver_that_is_not_there_does_not_hold_up_shutdown() -> None:
    """Shutdown is given a limit and keeps to it, retries or not."""
    counts = Counts()
    exporter = build_exporter(TracingSettings(protocol="grpc", endpoint="http://127.0.0.1:1"), {})
    reporter = reporter_of(exporter, counts)
    report(reporter, 15)
    started_s = time.monotonic()
    reporter.shutdown(0.3)
    assert time.monotonic() - started_s < 3
    assert sum(counts.by_outcome.values()) == 15
    assert "exported" not in counts.by_outcome


@pytest.mark.parametrize(("waiting", "dropped"), [(0, 0), (1, 0), (5, 0), (6, 1), (9, 4)])
def test_a_full_queue_drops_and_counts(waiting: int, dropped: int) -> None:
    """Behind an exporter that hangs, `queue` spans wait and the next is lost."""
    exporter, counts = Exporter(), Counts()
    reporter = reporter_of(exporter, counts, replace(QUICK, queue=5, batch=1))
    exporter.gate.clear()
    report(reporter, 1)
    assert exporter.entered.wait(5)
    report(reporter, waiting)
    assert counts.by_outcome["dropped"] == dropped
    exporter.gate.set()
    assert reporter.shutdown(5)
    assert counts.by_outcome["exported"] == 1 + waiting - dropped


def test_what_cannot_be_exported_before_the_end_is_dropped_and_counted() -> None:
    """The exporter is shut down under the thread; nothing is lost without a number."""
    exporter, counts = Exporter(), Counts()
    reporter = reporter_of(exporter, counts, replace(QUICK, batch=1))
    exporter.gate.clear()
    report(reporter, 4)
    assert exporter.entered.wait(5)
    reporter.shutdown(0.05)
    report(reporter, 1)
    assert exporter.was_shut_down
    assert sum(counts.by_outcome.values()) == 5
    assert counts.by_outcome["dropped"] >= 1


def test_an_exporter_that_raises_stops_nothing() -> None:
    """The thread outlives whatever a user's exporter does."""

    def fail() -> SpanExportResult:
        raise RuntimeError("broken exporter")

    exporter, counts = Exporter(fail), Counts()
    reporter = reporter_of(exporter, counts)
    report(reporter, 1)
    assert reporter.flush(5)
    report(reporter, 1)
    assert reporter.flush(5)
    reporter.shutdown(5)
    assert counts.by_outcome == {"failed": 2}


def test_a_users_exporter_gets_the_sdks_spans() -> None:
    """Any SpanExporter works; only ours take the shorter way."""
    exporter = Exporter()
    reporter = reporter_of(exporter, Counts())
    report(reporter, 2)
    assert reporter.shutdown(5)
    assert [name for batch in exporter.batches for name in batch] == [METHOD, METHOD]


def test_the_consoles_exporter_writes_a_line_a_span() -> None:
    """As `exporter: console` does, on stdout."""
    out = io.StringIO()
    exporter = build_exporter(TracingSettings(exporter="console"), {})
    assert isinstance(exporter, ConsoleSpanExporter)
    exporter.out = out
    reporter = reporter_of(exporter, Counts())
    report(reporter, 2)
    assert reporter.shutdown(5)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["name"] for line in lines] == [METHOD, METHOD]


def test_an_exchange_that_is_not_sampled_makes_no_span() -> None:
    """The decision was made at its start."""
    exporter, counts = Exporter(), Counts()
    reporter = reporter_of(exporter, counts)
    reporter.exchange_ended(story.ended(story.exchange(is_sampled=False)))
    report(reporter, 1)
    assert reporter.shutdown(5)
    assert counts.by_outcome == {"exported": 1}


def test_without_an_exporter_nothing_is_kept() -> None:
    """`exporter: none` turns off export only."""
    counts = Counts()
    reporter = reporter_of(build_exporter(TracingSettings(exporter="none"), {}), counts)
    report(reporter, 3)
    assert reporter.flush(0)
    assert reporter.shutdown(0)
    assert not counts.by_outcome


def test_a_record_holds_no_payload() -> None:
    """A queue of spans must not keep 2,048 messages alive."""
    exchange = told(story.exchange(), last_request=story.message(payload=b"secret"))
    record = record_of(story.ended(exchange), METHOD, None)
    assert isinstance(record, SpanRecord)
    assert "secret" not in repr(record)
    assert exchange not in record


def test_the_default_tracing_is_what_is_documented() -> None:
    """With nothing said anywhere: OTLP over HTTP to this machine."""
    assert resolve(TracingSettings(), {}) == Tracing(
        "otlp", "http/protobuf", "http://localhost:4318/v1/traces", 2048, 512, 1.0, 10.0
    )
