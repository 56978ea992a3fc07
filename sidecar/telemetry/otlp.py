"""Records straight to OTLP protobuf, about six times cheaper than by way of the SDK's span objects and encoder.

The result equals the SDK's. What repeats from call to call (name, kind, fixed attributes, status code) is encoded once
and merged in as bytes, which protobuf does in C. The exporters are the SDK's own, so that connections, retries, TLS,
headers and compression are theirs; they only learn to take a request that is encoded already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as SdkGrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as SdkHttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, SpanFlags, Status
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

import sidecar
from sidecar.engine.exchange import Side
from sidecar.telemetry import names
from sidecar.telemetry.span_record import (
    FixedKey,
    Limits,
    SpanRecord,
    Value,
    finding_attributes,
    fixed_attributes,
    is_error,
    own_attributes,
)

FIXED_PARTS = 1000
"""Encoded fixed parts kept; an edge has a handful, so this is for whoever sends many names."""

LOCAL = int(SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
REMOTE = LOCAL | int(SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)


@runtime_checkable
class TakesRequests(Protocol):
    """An SDK exporter that also takes spans encoded already."""

    def export_request(self, request: ExportTraceServiceRequest) -> SpanExportResult: ...


class GrpcExporter(SdkGrpcExporter):
    """OTLP over gRPC."""

    def export_request(self, request: ExportTraceServiceRequest) -> SpanExportResult:
        return self._export(request)  # type: ignore[arg-type]  # handed on to the two methods below, untouched

    def _translate_data(self, data: Sequence[ReadableSpan] | ExportTraceServiceRequest) -> ExportTraceServiceRequest:
        return data if isinstance(data, ExportTraceServiceRequest) else super()._translate_data(data)

    def _count_data(self, data: Sequence[ReadableSpan] | ExportTraceServiceRequest) -> int:
        return count_spans(data) if isinstance(data, ExportTraceServiceRequest) else len(data)


class HttpExporter(SdkHttpExporter):
    """OTLP over HTTP, as binary protobuf."""

    def export_request(self, request: ExportTraceServiceRequest) -> SpanExportResult:
        is_sent = not self._shutdown and self._client.export(request.SerializeToString()).success
        return SpanExportResult.SUCCESS if is_sent else SpanExportResult.FAILURE


def count_spans(request: ExportTraceServiceRequest) -> int:
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


class RequestEncoder:
    """Makes one request of many records. Used by one thread."""

    def __init__(self, resource: Resource, limits: Limits) -> None:
        self._limits = limits
        self._frame = frame_of(resource)
        self._parts: dict[tuple[str, ...], tuple[bytes, int]] = {}

    def encode(self, records: Iterable[SpanRecord]) -> ExportTraceServiceRequest:
        """All records that can be encoded: an id with a lone surrogate (JSON allows it) must not cost the others."""
        request = ExportTraceServiceRequest()
        frame = request.resource_spans.add()
        frame.CopyFrom(self._frame)
        spans = frame.scope_spans[0].spans
        for record in records:
            try:
                self._fill(spans.add(), record)
            except ValueError:
                del spans[-1]
        return request

    def _fill(self, span: Span, record: SpanRecord) -> None:
        part, fixed_count = self._parts.get(record.key) or self._add_part(record)
        lineage = record.lineage
        span.MergeFromString(part)
        span.trace_id = bytes.fromhex(lineage.trace_id)
        span.span_id = bytes.fromhex(lineage.span_id)
        if lineage.tracestate:
            span.trace_state = ",".join(lineage.tracestate)
        span.start_time_unix_nano = record.started_unix_ns
        span.end_time_unix_nano = record.ended_unix_ns
        span.flags = LOCAL
        if lineage.parent_span_id:
            span.parent_span_id = bytes.fromhex(lineage.parent_span_id)
            span.flags = REMOTE if record.is_parent_remote else LOCAL
        if record.status_message and record.is_error:
            span.status.message = record.status_message
        own = own_attributes(record)
        allowed = self._limits.cut(own, fixed_count)
        set_attributes(span.attributes, allowed)
        span.dropped_attributes_count += len(own) - len(allowed)
        self._add_links(span, record)
        if record.findings:
            self._add_findings(span, record)

    def _add_links(self, span: Span, record: SpanRecord) -> None:
        links = record.lineage.links
        for link in links[: self._limits.links]:
            span.links.add(trace_id=bytes.fromhex(link.trace_id), span_id=bytes.fromhex(link.span_id), flags=LOCAL)
        span.dropped_links_count = max(0, len(links) - self._limits.links)

    def _add_findings(self, span: Span, record: SpanRecord) -> None:
        told = record.findings[: self._limits.events]
        for finding in told:
            event = span.events.add(name=names.FINDING_EVENT, time_unix_nano=record.ended_unix_ns)
            set_attributes(event.attributes, self._limits.cut(finding_attributes(finding)))
        span.dropped_events_count = len(record.findings) - len(told) + record.dropped_findings

    def _add_part(self, record: SpanRecord) -> tuple[bytes, int]:
        if len(self._parts) >= FIXED_PARTS:
            self._parts.clear()
        part = self._parts[record.key] = fixed_part(record.fixed, self._limits)
        return part


def fixed_part(fixed: FixedKey, limits: Limits) -> tuple[bytes, int]:
    """The bytes that every span of this key begins with, and how many attributes are in them."""
    attributes = list(fixed_attributes(fixed).items())
    allowed = limits.cut(attributes)
    span = Span(
        name=fixed.method,
        kind=Span.SPAN_KIND_SERVER if fixed.route.side is Side.INBOUND else Span.SPAN_KIND_CLIENT,
        status=Status(code=Status.STATUS_CODE_ERROR if is_error(fixed) else Status.STATUS_CODE_UNSET),
        dropped_attributes_count=len(attributes) - len(allowed),
    )
    set_attributes(span.attributes, allowed)
    return span.SerializeToString(), len(allowed)


def frame_of(resource: Resource) -> ResourceSpans:
    """Resource and scope, the same for every request."""
    message = ResourceMessage()
    set_attributes(message.attributes, resource.attributes)
    frame = ResourceSpans(resource=message, schema_url=resource.schema_url)
    scope = frame.scope_spans.add().scope
    scope.name, scope.version = names.SCOPE, sidecar.__version__
    return frame


def set_attributes(into: Any, attributes: Mapping[str, Any] | Iterable[tuple[str, Value]]) -> None:
    """Append key-values to a repeated field. A dict literal lets protobuf build the value in C."""
    add = into.add
    for name, value in attributes.items() if isinstance(attributes, Mapping) else attributes:
        if type(value) is str:
            add(key=name, value={"string_value": value})
        elif type(value) is int:
            add(key=name, value={"int_value": value})
        elif type(value) is float:
            add(key=name, value={"double_value": value})
        elif type(value) is tuple:
            add(key=name, value={"array_value": {"values": [{"string_value": text} for text in value]}})
        else:
            into.append(KeyValue(key=name, value=value_of(value)))


def value_of(value: object) -> AnyValue:
    """What only a resource may hold: bool, mixed lists, and subclasses of the plain kinds."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    message = AnyValue()
    message.array_value.SetInParent()
    assert isinstance(value, Sequence)
    message.array_value.values.extend(value_of(item) for item in value)
    return message
