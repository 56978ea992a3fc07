"""A real OTLP receiver in one file: takes spans over gRPC and over HTTP, keeps them, and lets a reader wait for them.

    with OtlpSink() as sink:
        export_to(sink.grpc_endpoint)   # or sink.http_endpoint
        spans = sink.wait_for(3)

Needs grpcio and opentelemetry-proto, nothing else. It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as it arrived, and the resource it belongs to, with attributes as plain Python values."""

    span: Span
    resource: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def span_id(self) -> str:
        return self.span.span_id.hex()

    @property
    def parent_span_id(self) -> str:
        """Empty for a root."""
        return self.span.parent_span_id.hex()

    @property
    def attributes(self) -> dict[str, Any]:
        return plain(self.span.attributes)


class OtlpSink:
    """Both receivers on free ports. `refuses` makes them answer UNAVAILABLE and 503, as a collector may."""

    def __init__(self) -> None:
        self.refuses = False
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self._arrived = threading.Condition()
        self._grpc = grpc.server(ThreadPoolExecutor(max_workers=2))
        add_TraceServiceServicer_to_server(GrpcReceiver(self), self._grpc)
        self.grpc_endpoint = f"http://127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._http = HttpServer(self)
        self.http_endpoint = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> OtlpSink:
        self._grpc.start()
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(None).wait(2)

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All spans so far, in the order they came."""
        with self._arrived:
            return [span for request in self.requests for span in spans_of(request)]

    def wait_for(self, count: int, limit_s: float = 10.0) -> list[ReceivedSpan]:
        """The spans, once there are at least `count`; TimeoutError after `limit_s`."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.spans) >= count, limit_s):
                raise TimeoutError(f"{len(self.spans)} of {count} spans arrived within {limit_s} s")
            return self.spans

    def receive(self, request: ExportTraceServiceRequest, headers: dict[str, str]) -> None:
        with self._arrived:
            self.requests.append(request)
            self.headers.append(headers)
            self._arrived.notify_all()


class GrpcReceiver(TraceServiceServicer):
    """opentelemetry.proto.collector.trace.v1.TraceService."""

    def __init__(self, sink: OtlpSink) -> None:
        self._sink = sink

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:  # noqa: N802
        if self._sink.refuses:
            context.abort(grpc.StatusCode.UNAVAILABLE, "try later")
        self._sink.receive(request, dict(context.invocation_metadata()))
        return ExportTraceServiceResponse()


class HttpServer(ThreadingHTTPServer):
    """POST /v1/traces with a binary protobuf body."""

    daemon_threads = True

    def __init__(self, sink: OtlpSink) -> None:
        super().__init__(("127.0.0.1", 0), HttpReceiver)
        self.sink = sink


class HttpReceiver(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.server.sink.refuses:
            self._answer(503, b"")
        elif self.path != "/v1/traces":
            self._answer(404, b"")
        else:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.server.sink.receive(ExportTraceServiceRequest.FromString(body), headers)
            self._answer(200, ExportTraceServiceResponse().SerializeToString())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The tests and the demo print what matters themselves."""


def spans_of(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for resource_spans in request.resource_spans:
        resource = plain(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield ReceivedSpan(span, resource)


def plain(attributes: Any) -> dict[str, Any]:
    pairs: list[KeyValue] = list(attributes)
    return {pair.key: plain_value(pair.value) for pair in pairs}


def plain_value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
