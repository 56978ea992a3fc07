"""A shop whose orders must not be placed twice, and sidecars before it: real gRPC, in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from sidecar.testing import RunningSidecar, running_sidecar
from tests.transparency import protocol

PLACE = "/shop.Orders/Place"
"""Described nowhere: JSON on a method that could be of any cardinality."""

UNARY, STREAM = protocol.UNARY_UNARY, protocol.UNARY_STREAM
"""Described: their payloads are Notes."""

UPLOAD = protocol.STREAM_UNARY

METHODS = (PLACE, UNARY, STREAM)

HEADERS = (("shop-header", "one"), ("shop-header", "two"))
TRAILERS = (("shop-trailer-bin", b"\x00\xff"), ("shop-trailer", "t"))

PROMPT_S = 5.0
"""Far more than anything here takes, and less than any limit that could end it instead."""


@dataclass
class Shop(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """Counts what it is asked to do. It answers when its door is open."""

    address: str = ""
    begun: list[bytes] = field(default_factory=list)
    cancelled: int = 0
    door: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    code: grpc.StatusCode = grpc.StatusCode.OK
    uploads: int = 0
    """Those that were complete."""
    flood: int = 0
    """Messages that a stream sends in between, one after the other."""

    def service(self, details: Any) -> Any:
        if details.method == STREAM:
            return grpc.unary_stream_rpc_method_handler(self._stream)
        if details.method == UPLOAD:
            return grpc.stream_unary_rpc_method_handler(self._upload)
        return grpc.unary_unary_rpc_method_handler(self._place)

    async def _upload(self, requests: Any, context: Any) -> bytes:
        try:
            while (request := await context.read()) is not aio.EOF:
                self.begun.append(request)
                self.arrived.set()
            await asyncio.sleep(0.1)  # grpc.aio may show a departure as the end of the requests first.
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.uploads += 1
        return self.answer(b"")

    async def _place(self, request: bytes, context: Any) -> bytes:
        await self._work(request, context)
        return self.answer(request)

    async def _stream(self, request: bytes, context: Any) -> None:
        await context.send_initial_metadata(HEADERS)
        await context.write(self.answer(request))
        await self._work(request, context)
        for _ in range(self.flood):
            await context.write(protocol.pack(b"x" * 1000))
        await context.write(self.answer(request))

    async def _work(self, request: bytes, context: Any) -> None:
        self.begun.append(request)
        self.arrived.set()
        context.set_trailing_metadata(TRAILERS)
        try:
            await self.door.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.code is not grpc.StatusCode.OK:
            await context.abort(self.code, "no", TRAILERS)

    def answer(self, request: bytes) -> bytes:
        """Another one for each execution."""
        number = len(self.begun)
        return json.dumps({"order": number}).encode() if request.startswith(b"{") else protocol.pack(b"%d" % number)


@asynccontextmanager
async def running_shop(*, is_open: bool = True) -> AsyncIterator[Shop]:
    shop = Shop()
    if is_open:
        shop.door.set()
    server = aio.server()
    server.add_generic_rpc_handlers((shop,))
    shop.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield shop
    finally:
        await server.stop(None)


SPEC = """
spec: orders/v1
match: {{}}
consistency: {consistency}
idempotency: {{retain: 1h}}
"""


def before(
    upstream: str, folder: Path, *, consistency: str = "available", route: Any = None, **more: Any
) -> AbstractAsyncContextManager[RunningSidecar]:
    """A sidecar that enforces, before whatever listens at `upstream`."""
    path = folder / f"{consistency}.yaml"
    path.write_text(SPEC.format(consistency=consistency))
    options: dict[str, Any] = {
        "mode": "enforce",
        "specs": [path],
        "descriptors": [protocol.write_descriptor_set(folder)],
        "route": {"caller": "planner", "callee": "callee", **(route or {})},
        **more,
    }
    return running_sidecar(upstream, **options)


def request_of(method: str, text: str = "tea") -> bytes:
    return json.dumps({"item": text}).encode() if method == PLACE else protocol.pack(text.encode())


@dataclass(frozen=True)
class Answer:
    """All of an answer that must be the same the second time."""

    code: grpc.StatusCode
    details: str
    messages: tuple[bytes, ...]
    headers: tuple[Any, ...]
    trailers: tuple[Any, ...]

    @property
    def reply(self) -> str:
        """Ours, where it is ours."""
        return next((str(value) for key, value in self.trailers if key == "sidecar-reply"), "")

    @property
    def without_mark(self) -> Answer:
        kept = tuple(entry for entry in self.trailers if entry[0] != "sidecar-reply")
        return Answer(self.code, self.details, self.messages, self.headers, kept)


async def order(
    channel: aio.Channel, method: str = PLACE, text: str = "tea", timeout: float | None = 20.0, **more: Any
) -> Answer:
    call = started(channel, method, text, timeout, **more)
    messages: list[bytes] = []
    try:
        if method == STREAM:
            messages.extend([payload async for payload in call])
        else:
            messages.append(await call)
    except aio.AioRpcError:
        pass
    return Answer(
        await call.code(),
        await call.details() or "",
        tuple(messages),
        tuple(map(tuple, await call.initial_metadata() or ())),
        tuple(map(tuple, await call.trailing_metadata() or ())),
    )


def started(
    channel: aio.Channel, method: str = PLACE, text: str = "tea", timeout: float | None = 20.0, **more: Any
) -> Any:
    start = channel.unary_stream if method == STREAM else channel.unary_unary
    return start(method)(request_of(method, text), timeout=timeout, **more)


def dialled(sidecar: RunningSidecar) -> aio.Channel:
    return aio.insecure_channel(sidecar.address, options=[("grpc.use_local_subchannel_pool", 1)])


async def eventually(is_so: Any) -> None:
    async with asyncio.timeout(PROMPT_S):
        while not is_so():
            await asyncio.sleep(0.01)


def sample(sidecar: RunningSidecar, name: str, **labels: str) -> float:
    return sidecar.app.metrics.registry.get_sample_value(f"sidecar_{name}", labels) or 0.0
