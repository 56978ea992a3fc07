"""The sink that sends records as OTLP logs, through OpenTelemetry's own exporters.

Each is a log record of the event `sidecar.journal.<kind>`, joined to its span by trace and span id; its body is the
record as it stands in the journal, without the chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.sdk._logs import LogRecordLimits, ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from sidecar.telemetry import names
from sidecar.telemetry.environ import Environ
from sidecar.telemetry.journal.record import Record, encoded
from sidecar.telemetry.journal.sink import Sink, SinkRefused
from sidecar.telemetry.tracing import EXPORT_TIMEOUT_S, GRPC, HTTP, OTLP_GRPC_PORT, port_of

SEVERITIES: Final = {
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "internal": SeverityNumber.ERROR2,
}
"""By a finding's severity. Every other record is INFO."""

_SCOPE: Final = InstrumentationScope(f"{names.SCOPE}.journal")


class OtlpSink(Sink):
    """One receiver. The exporter tries again by itself; a batch that it gives up is counted as failed."""

    name = "otlp"

    def __init__(self, exporter: LogRecordExporter, resource: Resource) -> None:
        self._exporter = exporter
        self._resource = resource
        self._limits = LogRecordLimits()

    def write(self, records: Sequence[Record]) -> None:
        if not records:
            return
        batch = [ReadableLogRecord(log_record(each), self._resource, _SCOPE, self._limits) for each in records]
        if self._exporter.export(batch) is not LogRecordExportResult.SUCCESS:
            raise SinkRefused("the receiver took none of them")

    def close(self) -> None:
        with suppress(Exception):
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # as the SDK declares it


def log_record(record: Record) -> LogRecord:
    about, body = record.about, record.body
    severity = SEVERITIES.get(str(body.get("severity")), SeverityNumber.INFO)
    attributes: dict[str, Any] = {
        names.EXCHANGE: about.exchange_id,
        names.CONVERSATION: about.conversation,
        names.CALLER: about.caller,
        names.CALLEE: about.callee,
        names.RPC_METHOD: about.method.removeprefix("/"),
        names.SIDE: about.side,
        names.ROUTE: about.route,
        names.A2A_TASK_ID: record.task_id,
        names.FINDING_CHECK: body.get("check", ""),
        names.FINDING_RULE: body.get("rule", ""),
        names.DECISION: body.get("decision", ""),
    }
    context = None
    if about.trace_id:
        span = SpanContext(int(about.trace_id, 16), int(about.span_id or "0", 16), False, TraceFlags(1))
        context = set_span_in_context(NonRecordingSpan(span))
    return LogRecord(
        timestamp=record.unix_ns,
        observed_timestamp=record.unix_ns,
        context=context,
        severity_number=severity,
        severity_text=severity.name,
        body=encoded(record).decode(),
        attributes={name: value for name, value in attributes.items() if value},
        event_name=f"sidecar.journal.{record.kind.value}",
    )


def build_log_exporter(environ: Mapping[str, str]) -> LogRecordExporter | None:
    """As OTEL_EXPORTER_OTLP_LOGS_* and OTEL_EXPORTER_OTLP_* say; None where OTEL_SDK_DISABLED is true.

    Raises ConfigError for what makes no sense.
    """
    variables = Environ(environ)
    said = variables.one_of((GRPC, HTTP), "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    exact, general = variables.text("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"), variables.text("OTEL_EXPORTER_OTLP_ENDPOINT")
    timeout_s = variables.seconds("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT") or EXPORT_TIMEOUT_S
    is_disabled = variables.is_true("OTEL_SDK_DISABLED")
    variables.refuse_mistakes()
    if is_disabled:
        return None
    endpoint = exact or general
    protocol = said or (GRPC if port_of(endpoint) == OTLP_GRPC_PORT else HTTP)
    if protocol == GRPC:
        return GrpcLogExporter(endpoint=endpoint or "http://localhost:4317", timeout=timeout_s)
    base = exact or f"{(general or 'http://localhost:4318').rstrip('/')}/v1/logs"
    return HttpLogExporter(endpoint=base, timeout=timeout_s)
