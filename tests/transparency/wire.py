"""A raw HTTP/2 caller: says what grpc's own client would never say, and sees what it would hide.

Built on `h2` with its outbound checks off. One connection, any number of streams, everything bounded by `LIMIT_S`.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

LIMIT_S = 10.0
READ_BYTES = 1 << 16

Header = tuple["str | bytes", "str | bytes"]


def frame(payload: bytes, *, compressed: bool = False) -> bytes:
    """A length-prefixed message (gRPC over HTTP/2, Length-Prefixed-Message)."""
    return struct.pack(">BI", compressed, len(payload)) + payload


def unframe(body: bytes) -> list[bytes]:
    """The messages in a body. A frame that was cut off is an error."""
    messages: list[bytes] = []
    while body:
        _, size = struct.unpack(">BI", body[:5])
        assert len(body) >= 5 + size, "a message was cut off"
        messages.append(body[5 : 5 + size])
        body = body[5 + size :]
    return messages


@dataclass(slots=True)
class WireAnswer:
    """What came back on one stream."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    reset: int | None = None
    """The error code of an RST_STREAM; None if the stream ended by itself."""
    is_lost: bool = False
    """Whether the connection was closed before the stream ended."""
    has_headers: asyncio.Event = field(default_factory=asyncio.Event)
    has_ended: asyncio.Event = field(default_factory=asyncio.Event)

    def header(self, key: str) -> str | None:
        return dict(self.headers).get(key)

    @property
    def http_status(self) -> int:
        return int(self.header(":status") or 0)

    @property
    def is_trailers_only(self) -> bool:
        return not self.trailers and self.header("grpc-status") is not None

    @property
    def status(self) -> int | None:
        """The grpc-status, wherever it stands; None if there is none."""
        found = dict(self.trailers).get("grpc-status") or self.header("grpc-status")
        return None if found is None else int(found)

    @property
    def messages(self) -> list[bytes]:
        return unframe(bytes(self.body))


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
            )
        )
        self._answers: dict[int, WireAnswer] = {}
        self._windows = asyncio.Event()
        self._pings = asyncio.Queue[bytes]()
        self.goaway: int | None = None
        """The error code with which the other side said goodbye, if it did."""

    @classmethod
    @asynccontextmanager
    async def connected(cls, address: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
        reader, writer = await dial(address, tls)
        wire = cls(reader, writer)
        wire._http.initiate_connection()
        wire._flush()
        listening = asyncio.create_task(wire._listen())
        try:
            async with asyncio.timeout(3 * LIMIT_S):
                yield wire
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def request(self, path: str, *extra: Header, end: bool = False) -> int:
        """Open a stream with the headers of a well-formed grpc call, and more."""
        return await self.open([*grpc_headers(path), *extra], end=end)

    async def open(self, headers: Sequence[Header], *, end: bool = False) -> int:
        stream = self._http.get_next_available_stream_id()
        self._answers[stream] = WireAnswer()
        self._http.send_headers(stream, list(headers), end_stream=end)
        await self._drain()
        return stream

    async def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send within what flow control allows, waiting for more where it does not."""
        view = memoryview(data)
        while view:
            room = min(self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size, len(view))
            if room <= 0:
                await self._wait_for_window()
                continue
            self._http.send_data(stream, bytes(view[:room]))
            view = view[room:]
            await self._drain()
        if end:
            self._http.end_stream(stream)
            await self._drain()

    async def reset(self, stream: int, code: h2.errors.ErrorCodes = h2.errors.ErrorCodes.CANCEL) -> None:
        self._http.reset_stream(stream, code)
        await self._drain()

    async def reset_if_open(self, stream: int) -> None:
        if not self._answers[stream].has_ended.is_set():
            await self.reset(stream)

    async def ping(self, payload: bytes = b"abcdefgh") -> bytes:
        """Send a ping and wait for its acknowledgement."""
        self._http.ping(payload)
        await self._drain()
        return await asyncio.wait_for(self._pings.get(), LIMIT_S)

    async def write_raw(self, data: bytes) -> None:
        """Bytes that are no business of h2's."""
        self._writer.write(data)
        await self._writer.drain()

    async def headers(self, stream: int) -> WireAnswer:
        """The answer so far, once its headers are there."""
        await asyncio.wait_for(self._answers[stream].has_headers.wait(), LIMIT_S)
        return self._answers[stream]

    def so_far(self, stream: int) -> WireAnswer:
        """What has come until now, without waiting for more."""
        return self._answers[stream]

    @property
    def max_streams(self) -> int:
        """How many streams the other side lets us open at once."""
        return self._http.remote_settings.max_concurrent_streams

    async def answer(self, stream: int) -> WireAnswer:
        """The whole answer: ended, reset, or lost with the connection."""
        await asyncio.wait_for(self._answers[stream].has_ended.wait(), LIMIT_S)
        return self._answers[stream]

    async def call(self, path: str, *extra: Header, body: bytes = frame(b"")) -> WireAnswer:
        """One call with one body, from start to end."""
        stream = await self.request(path, *extra, end=not body)
        if body:
            await self.send(stream, body, end=True)
        return await self.answer(stream)

    def abort(self) -> None:
        """Vanish without a word."""
        self._writer.transport.abort()

    async def _wait_for_window(self) -> None:
        self._windows.clear()
        await asyncio.wait_for(self._windows.wait(), LIMIT_S)

    async def _drain(self) -> None:
        self._flush()
        await self._writer.drain()

    def _flush(self) -> None:
        self._writer.write(self._http.data_to_send())

    async def _listen(self) -> None:
        try:
            while data := await self._reader.read(READ_BYTES):
                for event in self._http.receive_data(data):
                    self._heard(event)
                self._flush()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            self._lose()

    def _heard(self, event: Any) -> None:
        match event:
            case h2.events.ResponseReceived(stream_id=stream, headers=headers):
                self._answers[stream].headers = readable(headers)
                self._answers[stream].has_headers.set()
            case h2.events.TrailersReceived(stream_id=stream, headers=headers):
                self._answers[stream].trailers = readable(headers)
            case h2.events.DataReceived(stream_id=stream, data=data, flow_controlled_length=size):
                self._answers[stream].body += data
                self._http.acknowledge_received_data(size, stream)
            case h2.events.StreamEnded(stream_id=stream):
                self._answers[stream].has_ended.set()
            case h2.events.StreamReset(stream_id=stream, error_code=code):
                self._answers[stream].reset = int(code)
                self._answers[stream].has_ended.set()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._windows.set()
            case h2.events.PingAckReceived(ping_data=payload):
                self._pings.put_nowait(payload)
            case h2.events.ConnectionTerminated(error_code=code):
                self.goaway = code

    def _lose(self) -> None:
        for answer in self._answers.values():
            if not answer.has_ended.is_set():
                answer.is_lost = True
                answer.has_headers.set()
                answer.has_ended.set()


def readable(headers: Iterable[tuple[Any, Any]] | None) -> list[tuple[str, str]]:
    """Headers as text; bytes that are none stay visible."""
    return [(key.decode(), value.decode("utf-8", "surrogateescape")) for key, value in headers or ()]


def grpc_headers(path: str) -> list[Header]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "agent.test"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]


async def dial(address: str, tls: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address.removeprefix("unix:"))
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port), ssl=tls, limit=READ_BYTES)
