"""A line to a server that can be made slow: what a far-away or an overburdened network does to a store."""

from __future__ import annotations

import asyncio
from contextlib import suppress

CHUNK_BYTES = 65536


class SlowLine:
    """Use as `async with SlowLine(target) as line`: listens on 127.0.0.1.

    What is sent to the server arrives `delay_s` later, in order, however much is under way; answers come at once.
    """

    def __init__(self, target: str) -> None:
        self.delay_s = 0.0
        self.address = ""
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._passing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> SlowLine:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, server = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        for passing in (self._delayed(reader, server), self._at_once(answers, writer)):
            task = asyncio.create_task(passing)
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _delayed(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        last_s = 0.0
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                last_s = max(last_s, loop.time() + self.delay_s)
                loop.call_at(last_s, sink.write, chunk)
        loop.call_at(last_s, sink.close)

    async def _at_once(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                sink.write(chunk)
                await sink.drain()
        sink.close()
