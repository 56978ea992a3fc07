"""The caller: grpc.aio, with one way to ask that fits all four cardinalities.

`ask` returns an `Answer` for whatever comes back, errors included, so that a promise reads the same for every
shape of call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from grpc import aio

from tests.transparency import protocol
from tests.transparency.upstream import METADATA_BYTES, RAW_KEY, Entry, Script, Stage, echo

LIMIT_S = 20.0
"""No call of a test is open for longer, whatever goes wrong. Tests about deadlines set their own."""

OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES),
    # Each channel is a connection of its own, as separate callers would have.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything that a caller learns of a call."""

    messages: tuple[bytes, ...]
    headers: tuple[Entry, ...]
    trailers: tuple[Entry, ...]
    code: grpc.StatusCode
    details: str

    def header(self, key: str) -> list[str | bytes]:
        return values_of(self.headers, key)

    def trailer(self, key: str) -> list[str | bytes]:
        return values_of(self.trailers, key)


def values_of(entries: Sequence[Entry], key: str) -> list[str | bytes]:
    """Every value of a key, in order."""
    return [value for name, value in entries if name == key]


class Caller:
    """One channel to where callers connect, and the upstream whose scripts its calls bring along."""

    def __init__(self, channel: aio.Channel, upstream: Stage) -> None:
        self.channel = channel
        self._upstream = upstream

    def unary_unary(self, request: bytes, callee: Script = echo, **options: Any) -> Any:
        return self._method(protocol.UNARY_UNARY)(request, **self._options(callee, **options))

    def unary_stream(self, request: bytes, callee: Script = echo, **options: Any) -> Any:
        return self._method(protocol.UNARY_STREAM)(request, **self._options(callee, **options))

    def stream_unary(self, requests: Any = None, callee: Script = echo, **options: Any) -> Any:
        return self._method(protocol.STREAM_UNARY)(requests, **self._options(callee, **options))

    def stream_stream(self, requests: Any = None, callee: Script = echo, **options: Any) -> Any:
        return self._method(protocol.STREAM_STREAM)(requests, **self._options(callee, **options))

    def start(self, method: str, requests: Sequence[bytes], callee: Script = echo, **options: Any) -> Any:
        """A call of any shape, its requests given beforehand."""
        request = list(requests) if method in protocol.SENDS_MANY else requests[0]
        return self._method(method)(request, **self._options(callee, **options))

    def open(self, method: str, callee: Script = echo, **options: Any) -> Any:
        """A call whose requests are written one by one."""
        assert method in protocol.SENDS_MANY
        return self._method(method)(**self._options(callee, **options))

    async def ask(
        self, method: str, requests: Sequence[bytes] = (b"a",), callee: Script = echo, **options: Any
    ) -> Answer:
        """A call of any shape from start to end. Errors are answers."""
        return await answer_of(self.start(method, requests, callee, **options))

    async def send(self, method: str, payload: bytes, callee: Script = echo, **options: Any) -> Answer:
        """Like `ask` with one request, but the bytes go out as they are and come back as they are."""
        call = self._method(method, packed=False)
        request = [payload] if method in protocol.SENDS_MANY else payload
        return await answer_of(call(request, **self._options(callee, **options)))

    def _method(self, method: str, *, packed: bool = True) -> Any:
        outward = "stream" if method in protocol.SENDS_MANY else "unary"
        inward = "stream" if method in protocol.ANSWERS_MANY else "unary"
        make = getattr(self.channel, f"{outward}_{inward}")
        return make(method, protocol.pack, protocol.unpack) if packed else make(method)

    def _options(
        self,
        callee: Script,
        metadata: Sequence[Entry] = (),
        timeout: float | None = LIMIT_S,
        *,
        raw: bool = False,
        **rest: Any,
    ) -> dict[str, Any]:
        extra: tuple[Entry, ...] = ((RAW_KEY, "1"),) if raw else ()
        return {"metadata": (self._upstream.plays(callee), *extra, *metadata), "timeout": timeout, **rest}


async def answer_of(call: Any) -> Answer:
    """What comes of a call that needs nothing more from its caller."""
    messages: list[bytes] = []
    try:
        if hasattr(call, "__aiter__"):
            async for message in call:
                messages.append(message)  # noqa: PERF401 - what came before an error counts too
        else:
            messages.append(await call)
    except aio.AioRpcError as error:
        assert error.code() == await call.code()
    headers, trailers = await call.initial_metadata(), await call.trailing_metadata()
    return Answer(tuple(messages), entries(headers), entries(trailers), await call.code(), await call.details() or "")


def entries(metadata: Any) -> tuple[Entry, ...]:
    return tuple((key, value) for key, value in metadata or ())


@asynccontextmanager
async def dialled(
    address: str,
    upstream: Stage,
    credentials: grpc.ChannelCredentials | None = None,
    options: Sequence[tuple[str, Any]] = (),
) -> AsyncIterator[Caller]:
    """A caller with a connection of its own."""
    every = tuple((dict(OPTIONS) | dict(options)).items())
    channel = aio.secure_channel(address, credentials, every) if credentials else aio.insecure_channel(address, every)
    async with channel:
        yield Caller(channel, upstream)
