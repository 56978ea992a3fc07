"""The error contract through a real sidecar: the caller hears INTERNAL in the place of a code that nobody declared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
from a2a.types import a2a_pb2
from grpc import aio

from sidecar.engine.exchange import Origin
from sidecar.testing import RunningSidecar, running_sidecar
from tests.served import handled_by

UNARY, STREAM, UNKNOWN = (
    "/lf.a2a.v1.A2AService/GetTask",
    "/lf.a2a.v1.A2AService/SubscribeToTask",
    "/shop.Orders/Watch",
)
SPEC = "spec: contract/v1\nmatch: {callee: callee}\nerrors: [NOT_FOUND]\n"


class Agent(grpc.GenericRpcHandler):
    """Answers every call with the code that the caller asks for, a stream after two messages."""

    def service(self, details: Any) -> grpc.RpcMethodHandler | None:
        if details.method == UNARY:
            return grpc.unary_unary_rpc_method_handler(abort)
        return grpc.unary_stream_rpc_method_handler(abort_late)


async def abort(_payload: bytes, context: Any) -> bytes:
    code = dict(context.invocation_metadata())["code"]
    if code != "OK":
        await context.abort(grpc.StatusCode[code], "the callee's own words", (("of", "callee"),))
    return b""


async def abort_late(payload: bytes, context: Any) -> None:
    for _ in range(2):
        await context.write(b"")
    await abort(payload, context)


@asynccontextmanager
async def agent() -> AsyncIterator[str]:
    async with handled_by(Agent()) as address:
        yield address


@asynccontextmanager
async def contracted(tmp_path: Path, upstream: str, mode: str = "enforce") -> AsyncIterator[RunningSidecar]:
    spec = tmp_path / "contract.yaml"
    spec.write_text(SPEC)
    async with running_sidecar(upstream, mode=mode, descriptors=["a2a.types.a2a_pb2"], specs=[spec]) as sidecar:
        yield sidecar


async def heard(sidecar: RunningSidecar, method: str, code: str = "OK") -> tuple[int, grpc.StatusCode, dict[str, Any]]:
    """Messages, code and trailers that reach the caller."""
    payload, count = a2a_pb2.GetTaskRequest(id="t").SerializeToString(), 0
    async with aio.insecure_channel(sidecar.address) as channel:
        start = channel.unary_unary(method) if method == UNARY else channel.unary_stream(method)
        call = start(payload, metadata=(("code", code),), timeout=10)
        with suppress(aio.AioRpcError):
            if method == UNARY:
                await call
            else:
                async for _ in call:
                    count += 1
        return count, await call.code(), dict(await call.trailing_metadata())


@pytest.mark.parametrize("method", [UNARY, STREAM, UNKNOWN])
async def test_an_undeclared_code_becomes_internal(tmp_path: Path, method: str):
    """In all ways through; what a stream said before stays said, and the callee's trailers go with its status."""
    async with agent() as upstream, contracted(tmp_path, upstream) as sidecar:
        count, code, trailers = await heard(sidecar, method, "DATA_LOSS")
    assert (count, code) == (0 if method == UNARY else 2, grpc.StatusCode.INTERNAL)
    assert trailers["sidecar-reply"] == "RESPONSE_SPEC_VIOLATION"
    assert "of" not in trailers
    [outcome] = sidecar.outcomes
    assert (outcome.status.code, outcome.status.origin) == ("INTERNAL", Origin.SIDECAR)
    assert [finding.rule for finding in outcome.exchange.findings] == ["response.errors"]


@pytest.mark.parametrize("method", [UNARY, STREAM, UNKNOWN])
@pytest.mark.parametrize(
    ("mode", "code", "count"), [("enforce", "NOT_FOUND", 0), ("enforce", "OK", 0), ("observe", "DATA_LOSS", 1)]
)
async def test_a_declared_code_passes_and_observe_passes_all(
    tmp_path: Path, method: str, mode: str, code: str, count: int
):
    """With its words and trailers; in observe the finding is all there is."""
    async with agent() as upstream, contracted(tmp_path, upstream, mode) as sidecar:
        _, answered, trailers = await heard(sidecar, method, code)
    assert answered is grpc.StatusCode[code]
    assert "sidecar-reply" not in trailers
    assert ("of" in trailers) is (code != "OK")
    assert len(sidecar.outcomes[0].exchange.findings) == count


Break = Callable[[h2.connection.H2Connection, int], bool]
"""What happens to a call in place of an answer; True closes the connection."""


def reset_with(code: int) -> Break:
    def reset(connection: h2.connection.H2Connection, stream: int) -> bool:
        connection.reset_stream(stream, error_code=code)
        return False

    return reset


def bad_gateway(connection: h2.connection.H2Connection, stream: int) -> bool:
    connection.send_headers(stream, [(":status", "502")], end_stream=True)
    return False


def no_status(connection: h2.connection.H2Connection, stream: int) -> bool:
    connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
    connection.send_headers(stream, [("x", "y")], end_stream=True)
    return False


def close(_connection: h2.connection.H2Connection, _stream: int) -> bool:
    return True


@asynccontextmanager
async def breaking(how: Break) -> AsyncIterator[str]:
    """A callee on raw HTTP/2 that gives no gRPC status."""

    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        is_over = False
        while not is_over and (data := await reader.read(1 << 16)):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    is_over = how(connection, event.stream_id)
            writer.write(connection.data_to_send())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@pytest.mark.parametrize("method", [UNARY, STREAM])
@pytest.mark.parametrize("how", [reset_with(2), reset_with(7), reset_with(8), bad_gateway, no_status, close])
async def test_what_grpc_makes_of_a_broken_call_is_not_the_callees_word(tmp_path: Path, method: str, how: Break):
    """The caller may need that very code to try again, and nobody has broken a contract."""
    async with breaking(how) as upstream, contracted(tmp_path, upstream) as sidecar:
        _, code, trailers = await heard(sidecar, method)
    [outcome] = sidecar.outcomes
    assert (outcome.status.code, outcome.status.origin) == (code.name, Origin.TRANSPORT)
    assert code.name not in ("OK", "NOT_FOUND")
    assert "sidecar-reply" not in trailers
    assert outcome.exchange.findings == []


async def test_a_message_that_we_may_not_take_is_not_the_callees_status(tmp_path: Path):
    """The callee said OK; that the message is larger than the route allows is for us to answer for."""

    async def talk(_payload: bytes, _context: Any) -> bytes:
        return b"x" * 2048

    class Talkative(grpc.GenericRpcHandler):
        def service(self, _details: Any) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(talk)

    server, spec = aio.server(), tmp_path / "contract.yaml"
    spec.write_text(SPEC)
    server.add_generic_rpc_handlers((Talkative(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    limits = {"limits": {"message": "1KiB"}}
    async with running_sidecar(f"127.0.0.1:{port}", mode="enforce", specs=[spec], route=limits) as sidecar:
        _, code, trailers = await heard(sidecar, UNARY)
    await server.stop(0)
    assert (code, sidecar.outcomes[0].status.origin) == (grpc.StatusCode.RESOURCE_EXHAUSTED, Origin.TRANSPORT)
    assert "sidecar-reply" not in trailers


async def test_a_callee_that_stops_in_the_middle_has_not_answered(tmp_path: Path):
    """A restart is what broken connections mostly come from."""

    async def wait(_payload: bytes, _context: Any) -> bytes:
        arrived.set()
        await asyncio.sleep(30)
        return b""

    class Waiting(grpc.GenericRpcHandler):
        def service(self, _details: Any) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(wait)

    arrived, server = asyncio.Event(), aio.server()
    server.add_generic_rpc_handlers((Waiting(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with contracted(tmp_path, f"127.0.0.1:{port}") as sidecar:
        calling = asyncio.create_task(heard(sidecar, UNARY))
        await arrived.wait()
        await server.stop(0)
        _, code, trailers = await calling
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "sidecar-reply" not in trailers
    assert sidecar.outcomes[0].status.origin is Origin.TRANSPORT
