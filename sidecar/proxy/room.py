"""How much one route may hold at once: open streams, and bytes read but not yet written on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoomLimits:
    streams: int = 1000
    buffered_bytes: int = 512 << 20


class Room:
    """Counts what a route holds. Not thread-safe: it lives on the event loop.

    A stream waits for room before it reads on, which is back-pressure; a new call over the limit is turned away.
    """

    def __init__(self, limits: RoomLimits) -> None:
        self._limits = limits
        self._freed = asyncio.Event()
        self.open_streams = 0
        self.buffered_bytes = 0

    def enter(self) -> bool:
        """Whether one more exchange fits; if so it is counted and must `leave`."""
        if self.open_streams >= self._limits.streams:
            return False
        self.open_streams += 1
        return True

    def leave(self) -> None:
        self.open_streams -= 1

    @property
    def is_full(self) -> bool:
        return self.buffered_bytes > self._limits.buffered_bytes

    def hold(self, size_bytes: int) -> None:
        """A message was read. One over the limit is taken: it is already in memory."""
        self.buffered_bytes += size_bytes

    def free(self, size_bytes: int) -> None:
        self.buffered_bytes -= size_bytes
        if not self.is_full:
            self._freed.set()

    async def wait(self) -> None:
        """Until the route holds no more than its limit."""
        while self.is_full:
            self._freed.clear()
            await self._freed.wait()
