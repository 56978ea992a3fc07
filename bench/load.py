"""The load: unary gRPC calls over raw HTTP/2, each with a payload of its own, and the status of every one looked at.

h2load sends one body for all calls and takes any `grpc-status` for a success. This loader writes the frames by itself
(RFC 9113): the same header block for each call, in literals that leave no trace in the peer's table (RFC 7541, 6.2.2);
its own table is of size 0, so that an answer's header blocks can be read one by one, and equal ones once.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import uvloop
from hpack import Decoder

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE = 1, 4
WINDOW_MAX: Final = 2**31 - 1
WINDOW_DEFAULT: Final = 65_535
FRAME_BYTES: Final = 16_384

CONNECTIONS: Final = 4
IN_FLIGHT: Final = 32
LIMIT_S: Final = 600.0
BLOCKS_REMEMBERED: Final = 1_000


class Broken(Exception):
    """The peer did what no healthy gRPC server does in the middle of a measurement."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header field without indexing and without Huffman's code, of less than 127 bytes each."""
    assert len(name) < 127 and len(value) < 127
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def header_block(port: int, method: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": f"127.0.0.1:{port}",
        "te": "trailers",
        "content-type": "application/grpc",
        "user-agent": "bench",
    }
    return b"".join(literal(name, value) for name, value in fields.items())


class Connection(asyncio.Protocol):
    """One connection that keeps so many calls in flight until the payloads are used up."""

    def __init__(self, block: bytes, payloads: Iterator[bytes], in_flight: int, statuses: Counter[str]) -> None:
        self._block = block
        self._payloads = payloads
        self._in_flight = in_flight
        self._statuses = statuses
        self._open: set[int] = set()
        """Streams that have not ended."""
        self._next_stream = 1
        self._window = WINDOW_DEFAULT
        """Bytes that the peer still takes on this connection."""
        self._waiting: bytes | None = None
        self._blocks: dict[bytes, dict[str, str]] = {}
        self._buffer = bytearray()
        self._transport: Any = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        settings = struct.pack(">HIHI", HEADER_TABLE_SIZE, 0, INITIAL_WINDOW_SIZE, WINDOW_MAX)
        wider = struct.pack(">I", WINDOW_MAX - WINDOW_DEFAULT)
        transport.write(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, wider))
        self._fill()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection was closed: {error}")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        at = 0
        try:
            while len(self._buffer) - at >= 9:
                size = int.from_bytes(self._buffer[at : at + 3])
                if len(self._buffer) - at < 9 + size:
                    break
                kind, flags, stream = struct.unpack_from(">BBI", self._buffer, at + 3)
                self._took(kind, flags, stream, bytes(self._buffer[at + 9 : at + 9 + size]))
                at += 9 + size
        except Broken as broken:
            self._fail(str(broken))
        del self._buffer[:at]
        self._fill()

    def _took(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            self._headers(flags, stream, payload)
        elif kind == DATA:
            if flags & END_STREAM:
                raise Broken("a call ended without trailers")
        elif kind == SETTINGS and not flags & ACK:
            self._transport.write(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._transport.write(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload)
        elif kind in (RST_STREAM, GOAWAY):
            raise Broken(f"frame of type {kind} with code {int.from_bytes(payload[-4:])}")

    def _headers(self, flags: int, stream: int, block: bytes) -> None:
        if not flags & END_HEADERS or flags & (PADDED | PRIORITY):
            raise Broken("header blocks in parts, padded or with priorities are not read here")
        fields = self._fields(block)
        if fields.get(":status", "200") != "200":
            raise Broken(f"HTTP status {fields[':status']}")
        if flags & END_STREAM:
            self._open.remove(stream)
            self._statuses[fields.get("grpc-status", "none")] += 1

    def _fields(self, block: bytes) -> dict[str, str]:
        if (known := self._blocks.get(block)) is not None:
            return known
        fields = {str(name): str(value) for name, value in Decoder().decode(block)}
        if len(self._blocks) < BLOCKS_REMEMBERED:
            self._blocks[block] = fields
        return fields

    def _fill(self) -> None:
        """Begin calls while there is room for them, in flight and in the peer's window."""
        begun = []
        while len(self._open) < self._in_flight and not self.done.done():
            payload = self._waiting or next(self._payloads, None)
            if payload is None:
                break
            self._waiting = payload
            if self._window < len(payload) + 5:
                break
            self._waiting = None
            begun.append(self._call(payload))
        if begun:
            self._transport.write(b"".join(begun))
        elif not self._open and self._waiting is None and not self.done.done():
            self.done.set_result(None)

    def _call(self, payload: bytes) -> bytes:
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        body = struct.pack(">BI", 0, len(payload)) + payload
        assert len(body) <= FRAME_BYTES
        self._open.add(stream)
        self._window -= len(body)
        return frame(HEADERS, END_HEADERS, stream, self._block) + frame(DATA, END_STREAM, stream, body)

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(Broken(why))


async def sent(port: int, method: str, payloads: Iterator[bytes]) -> Counter[str]:
    """Send all payloads; how often each grpc-status came back."""
    loop, statuses = asyncio.get_running_loop(), Counter[str]()
    block = header_block(port, method)
    opened = [
        await loop.create_connection(
            lambda: Connection(block, payloads, IN_FLIGHT // CONNECTIONS, statuses), "127.0.0.1", port
        )
        for _ in range(CONNECTIONS)
    ]
    try:
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*(connection.done for _, connection in opened))
    finally:
        for transport, _ in opened:
            transport.close()
    return statuses


def load(port: int, method: str, payloads: Iterator[bytes], calls: int) -> None:
    """Send calls and fail unless every one was answered OK."""
    statuses = uvloop.run(sent(port, method, payloads))
    if statuses != {"0": calls}:
        raise SystemExit(f"port {port}: not every call of {calls} was answered OK: grpc-status {dict(statuses)}")
