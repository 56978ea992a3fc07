"""A span receiver for one performance: takes OTLP over gRPC from every sidecar, and lets a scene wait for spans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from sidecar.telemetry import names

Request = trace_service_pb2.ExportTraceServiceRequest
Response = trace_service_pb2.ExportTraceServiceResponse


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span as it arrived."""

    trace_id: str
    span_id: str
    parent_span_id: str
    """Empty for a root."""
    kind: str
    """`SERVER` or `CLIENT`."""
    duration_ms: float
    attributes: Mapping[str, Any]
    """Those of the resource are among them."""

    @property
    def agent(self) -> str:
        """The agent whose sidecar sent it."""
        return str(self.attributes[names.SIDECAR_AGENT])

    @property
    def edge(self) -> str:
        return f"{self.attributes[names.CALLER]}→{self.attributes[names.CALLEE]}"

    @property
    def joined(self) -> str:
        """How it was joined to its cause."""
        return str(self.attributes[names.LINEAGE_SOURCE])


class OtlpSink(trace_service_pb2_grpc.TraceServiceServicer):
    """Use as `async with OtlpSink() as sink`. Listens on 127.0.0.1 only."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.address = ""
        self._arrived = asyncio.Condition()
        self._server = grpc.aio.server()

    async def __aenter__(self) -> OtlpSink:
        add_service: Callable[..., None] = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
        add_service(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)

    async def Export(self, request: Request, context: object) -> Response:  # noqa: ARG002, N802 - the service's own name
        async with self._arrived:
            self.spans.extend(spans_in(request))
            self._arrived.notify_all()
        return Response()

    async def wait_for(self, find: Callable[[], Sequence[ReceivedSpan]], count: int, limit_s: float) -> None:
        """Return once `find` gives `count` spans, or when `limit_s` is over: a claim says what is missing then."""
        async with self._arrived:
            try:
                async with asyncio.timeout(limit_s):
                    await self._arrived.wait_for(lambda: len(find()) >= count)
            except TimeoutError:
                return

    def trace_of(self, context_id: str) -> list[ReceivedSpan]:
        """All spans of the trace in which a person began the A2A context, oldest first; empty while none has come."""
        roots = [span for span in self.spans if span.attributes.get(names.CONVERSATION_ID) == context_id]
        traces = {span.trace_id for span in roots if not span.parent_span_id}
        return [span for span in self.spans if span.trace_id in traces]


def spans_in(request: Request) -> Iterator[ReceivedSpan]:
    for resource_spans in request.resource_spans:
        resource = plain(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield received(span, resource)


def received(span: trace_pb2.Span, resource: Mapping[str, Any]) -> ReceivedSpan:
    return ReceivedSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        duration_ms=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
        attributes={**resource, **plain(span.attributes)},
    )


def plain(attributes: Sequence[common_pb2.KeyValue]) -> dict[str, Any]:
    return {pair.key: plain_value(pair.value) for pair in attributes}


def plain_value(value: common_pb2.AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
