"""Stands where the collector would: takes OTLP over gRPC on 4317 and writes down what arrived, one line a span."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's own name
        for part in request.resource_spans:
            service = next(pair.value.string_value for pair in part.resource.attributes if pair.key == "service.name")
            for span in (span for scope in part.scope_spans for span in scope.spans):
                sys.stdout.write(
                    json.dumps({"service": service, "trace": span.trace_id.hex(), "name": span.name}) + "\n"
                )
        sys.stdout.flush()
        return trace_service_pb2.ExportTraceServiceResponse()


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Receiver(), server)
    assert server.add_insecure_port("0.0.0.0:4317")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
