"""The programs around a measurement: a callee, two bare proxies, and an OTLP sink that only counts.

`python -m bench.peers ROLE --listen PORT [--upstream PORT]`
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import grpc
import uvloop
from grpc import aio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from bench.traffic import METHOD, answer

OPTIONS = [
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
]


class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, handler: grpc.RpcMethodHandler) -> None:
        self._handler = handler

    def service(self, _details: Any) -> grpc.RpcMethodHandler:
        return self._handler


def callee(_upstream: aio.Channel | None) -> grpc.RpcMethodHandler:
    """Answers each message with a task that is completed."""

    async def respond(request: bytes, _context: Any) -> bytes:
        return answer(request)

    return grpc.unary_unary_rpc_method_handler(respond)


def bare_unary(upstream: aio.Channel | None) -> grpc.RpcMethodHandler:
    """The least that a proxy on grpc.aio can do when it knows that the method is unary."""
    assert upstream is not None
    send = upstream.unary_unary(METHOD)

    async def relay(request: bytes, context: Any) -> bytes:
        metadata = [entry for entry in context.invocation_metadata() if entry[0] != "user-agent"]
        call = send(request, metadata=metadata, timeout=context.time_remaining())
        response: bytes = await call
        context.set_trailing_metadata(await call.trailing_metadata())
        return response

    return grpc.unary_unary_rpc_method_handler(relay)


def bare_stream(upstream: aio.Channel | None) -> grpc.RpcMethodHandler:
    """The same for a proxy that knows nothing of the method: streams both ways."""
    assert upstream is not None

    async def relay(_requests: Any, context: Any) -> None:
        metadata = [entry for entry in context.invocation_metadata() if entry[0] != "user-agent"]
        call = upstream.stream_stream(METHOD)(metadata=metadata, timeout=context.time_remaining())
        uplink = asyncio.create_task(pump(context, call))
        while (response := await call.read()) is not aio.EOF:
            await context.write(response)
        uplink.cancel()
        context.set_trailing_metadata(await call.trailing_metadata())

    async def pump(context: Any, call: Any) -> None:
        while (request := await context.read()) is not aio.EOF:
            await call.write(request)
        await call.done_writing()

    return grpc.stream_stream_rpc_method_handler(relay)


def sink(_upstream: aio.Channel | None) -> grpc.RpcMethodHandler:
    """Takes spans and forgets them."""
    empty = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()

    async def take(_request: bytes, _context: Any) -> bytes:
        return empty

    return grpc.unary_unary_rpc_method_handler(take)


ROLES = {"callee": callee, "bare-unary": bare_unary, "bare-stream": bare_stream, "sink": sink}


async def serve(role: str, listen: int, upstream: int | None) -> None:
    channel = aio.insecure_channel(f"127.0.0.1:{upstream}", options=OPTIONS) if upstream else None
    server = aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((Handler(ROLES[role](channel)),))
    server.add_insecure_port(f"127.0.0.1:{listen}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--upstream", type=int)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.role, arguments.listen, arguments.upstream))
