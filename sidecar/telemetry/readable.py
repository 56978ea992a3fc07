"""Records as the SDK's own span objects, for every exporter that is not ours (the console's, a user's)."""

from __future__ import annotations

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

import sidecar
from sidecar.engine.exchange import Side
from sidecar.telemetry import names
from sidecar.telemetry.span_record import (
    Limits,
    SpanRecord,
    finding_attributes,
    fixed_attributes,
    own_attributes,
)

SCOPE = InstrumentationScope(names.SCOPE, sidecar.__version__)


def readable_span(record: SpanRecord, resource: Resource, limits: Limits) -> ReadableSpan:
    return ReadableSpan(
        name=record.fixed.method,
        context=context_of(record, record.lineage.span_id, is_remote=False),
        parent=parent_of(record),
        resource=resource,
        attributes=attributes_of(record, limits),
        events=events_of(record, limits),
        links=links_of(record, limits),
        kind=SpanKind.SERVER if record.fixed.route.side is Side.INBOUND else SpanKind.CLIENT,
        status=status_of(record),
        start_time=record.started_unix_ns,
        end_time=record.ended_unix_ns,
        instrumentation_scope=SCOPE,
    )


def context_of(record: SpanRecord, span_id: str, *, is_remote: bool) -> SpanContext:
    lineage = record.lineage
    flags = TraceFlags(TraceFlags.SAMPLED | (0x02 if lineage.is_random else 0))
    state = TraceState.from_header(list(lineage.tracestate)) if lineage.tracestate else TraceState()
    return SpanContext(int(lineage.trace_id, 16), int(span_id, 16), is_remote, flags, state)


def parent_of(record: SpanRecord) -> SpanContext | None:
    span_id = record.lineage.parent_span_id
    return context_of(record, span_id, is_remote=record.is_parent_remote) if span_id else None


def status_of(record: SpanRecord) -> Status:
    if record.is_error:
        return Status(StatusCode.ERROR, record.status_message or None)
    return Status(StatusCode.UNSET)


def attributes_of(record: SpanRecord, limits: Limits) -> BoundedAttributes:
    wanted = [*fixed_attributes(record.fixed).items(), *own_attributes(record)]
    allowed = limits.cut(wanted)
    attributes = BoundedAttributes(attributes=dict(allowed))
    attributes.dropped = len(wanted) - len(allowed)
    return attributes


def events_of(record: SpanRecord, limits: Limits) -> BoundedList[Event]:
    events: BoundedList[Event] = BoundedList(limits.events)
    for finding in record.findings[: limits.events]:
        attributes = dict(limits.cut(finding_attributes(finding)))
        events.append(Event(names.FINDING_EVENT, attributes, record.ended_unix_ns))
    events.dropped = max(0, len(record.findings) - limits.events) + record.dropped_findings
    return events


def links_of(record: SpanRecord, limits: Limits) -> BoundedList[Link]:
    links: BoundedList[Link] = BoundedList(limits.links)
    for link in record.lineage.links[: limits.links]:
        links.append(Link(SpanContext(int(link.trace_id, 16), int(link.span_id, 16), is_remote=False)))
    links.dropped = max(0, len(record.lineage.links) - limits.links)
    return links
