"""The scripted upstream: a real grpc.aio server whose behaviour each call brings along.

A script is a coroutine over a `Call`. It is registered here and named in the caller's `script` metadata, so that one
server plays every part, and a test shows both sides of its promise in one place.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
from grpc import aio

from tests.transparency import protocol

Entry = tuple[str, "str | bytes"]
EOF = aio.EOF

SCRIPT_KEY = "script"
RAW_KEY = "script-raw"
"""A call that carries it is served as streams both ways, whatever its method declares."""

METADATA_BYTES = 16 << 10
MESSAGE_BYTES = 64 << 20

OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES),
    # This callee allows its callers lively keepalives; whoever stands in its place has to as well.
    ("grpc.http2.min_ping_interval_without_data_ms", 1),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
)


class Call:
    """One call as its script sees it. Payloads are the data of a Note; `payloads` keeps them as they came."""

    def __init__(self, method: str, shape: str, context: Any, first: bytes | None) -> None:
        self.method = method
        self.answers_many = shape in protocol.ANSWERS_MANY
        self.context = context
        self.payloads: list[bytes] = []
        self.last: bytes | None = None
        self._first = first
        self._takes_many = shape in protocol.SENDS_MANY

    @property
    def metadata(self) -> tuple[Entry, ...]:
        """What the caller sent, without the entries that only serve the script."""
        seen = tuple((key, value) for key, value in self.context.invocation_metadata())
        return tuple(entry for entry in seen if entry[0] not in (SCRIPT_KEY, RAW_KEY))

    async def read(self) -> Any:
        """The data of the next request, or EOF."""
        payload = await self._read_payload()
        if payload is EOF:
            return EOF
        self.payloads.append(payload)
        return protocol.unpack(payload)

    async def read_all(self) -> list[bytes]:
        """Every request, up to the end of the stream, in order."""
        found: list[bytes] = []
        while (data := await self.read()) is not EOF:
            found.append(data)
        return found

    async def swallow(self) -> list[bytes]:
        """Every request as it came, parsed by nobody."""
        while (payload := await self._read_payload()) is not EOF:
            self.payloads.append(payload)
        return self.payloads

    async def _read_payload(self) -> Any:
        if self._takes_many:
            return await self.context.read()
        payload, self._first = self._first, None
        return EOF if payload is None else payload

    async def write(self, data: bytes) -> None:
        await self.write_payload(protocol.pack(data))

    async def write_payload(self, payload: bytes) -> None:
        if self.answers_many:
            await self.context.write(payload)
        else:
            self.last = payload

    async def send_headers(self, *entries: Entry) -> None:
        await self.context.send_initial_metadata(entries)

    def set_trailers(self, *entries: Entry) -> None:
        self.context.set_trailing_metadata(entries)

    async def abort(self, code: grpc.StatusCode, details: str = "", *trailers: Entry) -> None:
        """End the call with an error; does not return."""
        await self.context.abort(code, details, trailers)

    def end(self, code: grpc.StatusCode, details: str = "") -> None:
        """The status with which the call ends once the script returns."""
        self.context.set_code(code)
        self.context.set_details(details)


Script = Callable[[Any], Awaitable[None]]
"""A coroutine over the call that it plays: a `Call` here, a `RawCall` of the raw callee."""


class Stage(Protocol):
    """A callee that plays scripts."""

    address: str
    """Where it can be dialled."""

    def plays(self, script: Script) -> Entry:
        """Register a script; the entry that a caller sends to have it played."""


async def echo(call: Call) -> None:
    """Answer each request with itself; where only one answer fits, all requests joined."""
    if call.answers_many:
        while (data := await call.read()) is not EOF:
            await call.write(data)
    else:
        await call.write(b"".join(await call.read_all()))


@dataclass(frozen=True, slots=True)
class Watch:
    """A script that takes the first request, answers nothing and tells what becomes of it."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, call: Call) -> None:
        await call.read()
        await self.wait(call)

    async def wait(self, call: Call) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Upstream(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """The scripted callee, a Stage."""

    def __init__(self) -> None:
        self.address = ""
        self._scripts: dict[str, Script] = {}
        self._numbers = itertools.count(1)

    def plays(self, script: Script) -> Entry:
        name = str(next(self._numbers))
        self._scripts[name] = script
        return (SCRIPT_KEY, name)

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        metadata = dict(handler_call_details.invocation_metadata)
        if method not in protocol.SHAPES:
            return None
        script = self._scripts.get(metadata.get(SCRIPT_KEY, ""), echo)
        return handler_of(protocol.STREAM_STREAM if RAW_KEY in metadata else method, method, script)


MAKERS = {
    protocol.UNARY_UNARY: grpc.unary_unary_rpc_method_handler,
    protocol.STREAM_UNARY: grpc.stream_unary_rpc_method_handler,
    protocol.UNARY_STREAM: grpc.unary_stream_rpc_method_handler,
    protocol.STREAM_STREAM: grpc.stream_stream_rpc_method_handler,
}


def handler_of(shape: str, method: str, script: Script) -> Any:
    """The grpc handler of a cardinality; `method` is the name that was called."""

    async def handle(request: Any, context: Any) -> Any:
        call = Call(method, shape, context, request if shape not in protocol.SENDS_MANY else None)
        await script(call)
        return call.last

    return MAKERS[shape](handle)


@asynccontextmanager
async def running_upstream(
    listen: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[Upstream]:
    upstream = Upstream()
    server = aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((upstream,))
    port = server.add_secure_port(listen, credentials) if credentials else server.add_insecure_port(listen)
    upstream.address = listen if listen.startswith("unix:") else f"127.0.0.1:{port}"
    await server.start()
    try:
        yield upstream
    finally:
        await server.stop(None)
