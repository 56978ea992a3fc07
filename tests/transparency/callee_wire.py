"""A raw HTTP/2 callee: answers as no grpc server would, so that the way its callers are told can be compared.

A script is a coroutine over a `RawCall`; the caller names it in its metadata, as with the scripted upstream.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from tests.transparency.upstream import SCRIPT_KEY, Entry, Script
from tests.transparency.wire import READ_BYTES, Header, frame, readable


class RawCall:
    """One stream of one connection, as its script sees it."""

    def __init__(self, connection: RawConnection, stream: int) -> None:
        self._connection = connection
        self._stream = stream
        self.has_all_requests = asyncio.Event()
        """Set when the caller has sent its last request."""

    async def send_headers(self, *extra: Header, status: str = "200", end: bool = False) -> None:
        headers: list[Header] = [(":status", status), ("content-type", "application/grpc"), *extra]
        self._connection.http.send_headers(self._stream, headers, end_stream=end)
        await self._connection.flush()

    async def send(self, data: bytes, *, end: bool = False) -> None:
        self._connection.http.send_data(self._stream, data, end_stream=end)
        await self._connection.flush()

    async def write(self, payload: bytes) -> None:
        await self.send(frame(payload))

    async def send_trailers(self, *trailers: Header) -> None:
        self._connection.http.send_headers(self._stream, list(trailers), end_stream=True)
        await self._connection.flush()

    async def reset(self, code: h2.errors.ErrorCodes) -> None:
        self._connection.http.reset_stream(self._stream, code)
        await self._connection.flush()

    async def say_goodbye(self) -> None:
        """GOAWAY: streams that are open go on, new ones belong on another connection."""
        self._connection.http.close_connection(last_stream_id=self._stream)
        await self._connection.flush()
        # h2 thinks of the connection as closed now; the protocol does not.
        self._connection.http.state_machine.state = h2.connection.ConnectionState.SERVER_OPEN

    def vanish(self) -> None:
        """Cut the connection without a word, as a killed process does."""
        self._connection.writer.transport.abort()


async def answer_well(call: RawCall) -> None:
    """An empty message and OK."""
    await call.has_all_requests.wait()
    await call.send_headers()
    await call.write(b"")
    await call.send_trailers(("grpc-status", "0"))


class RawConnection:
    def __init__(self, upstream: RawUpstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.http = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=False,
                validate_inbound_headers=False,
                validate_outbound_headers=False,
            )
        )
        self._upstream = upstream
        self._reader = reader
        self._calls: dict[int, RawCall] = {}
        self._scripts: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        self.http.initiate_connection()
        await self.flush()
        try:
            while data := await self._reader.read(READ_BYTES):
                for event in self.http.receive_data(data):
                    self._heard(event)
                await self.flush()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            await self._stop()

    async def flush(self) -> None:
        self.writer.write(self.http.data_to_send())
        await self.writer.drain()

    def _heard(self, event: Any) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=stream, headers=headers):
                script = self._upstream.script_of(dict(readable(headers)))
                self._calls[stream] = RawCall(self, stream)
                self._scripts.add(asyncio.create_task(self._play(script, stream)))
            case h2.events.DataReceived(stream_id=stream, flow_controlled_length=size):
                self.http.acknowledge_received_data(size, stream)
            case h2.events.StreamEnded(stream_id=stream):
                self._calls[stream].has_all_requests.set()

    async def _play(self, script: Script, stream: int) -> None:
        # The caller may be gone before we have finished.
        with suppress(OSError, h2.exceptions.ProtocolError):
            await script(self._calls[stream])

    async def _stop(self) -> None:
        for task in self._scripts:
            task.cancel()
        await asyncio.gather(*self._scripts, return_exceptions=True)
        self.writer.close()


class RawUpstream:
    """The raw callee, a Stage."""

    def __init__(self) -> None:
        self.address = ""
        self._scripts: dict[str, Script] = {}
        self._numbers = itertools.count(1)
        self._serving: set[asyncio.Task[Any]] = set()

    def plays(self, script: Script) -> Entry:
        name = str(next(self._numbers))
        self._scripts[name] = script
        return (SCRIPT_KEY, name)

    def script_of(self, headers: dict[str, str]) -> Script:
        return self._scripts.get(headers.get(SCRIPT_KEY, ""), answer_well)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await RawConnection(self, reader, writer).serve()
        except asyncio.CancelledError:
            pass  # Only `close` cancels us, and asyncio's server would report it as an error.
        finally:
            self._serving.discard(task)

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


@asynccontextmanager
async def running_raw_upstream() -> AsyncIterator[RawUpstream]:
    upstream = RawUpstream()
    server = await asyncio.start_server(upstream.accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    upstream.address = f"{host}:{port}"
    try:
        yield upstream
    finally:
        server.close()
        await upstream.close()
        await server.wait_closed()
