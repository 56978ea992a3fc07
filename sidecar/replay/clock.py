"""The clock of a replay: it shows the time of the record that is being replayed."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from sidecar.engine.ports import Clock


class ReplayClock(Clock):
    """Time passes as the records say. Whoever sleeps wakes when they have come so far."""

    def __init__(self, start_unix_ns: int) -> None:
        self._start_unix_ns = start_unix_ns
        self._now_unix_ns = start_unix_ns
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def monotonic_ns(self) -> int:
        return self._now_unix_ns - self._start_unix_ns

    def unix_ns(self) -> int:
        return self._now_unix_ns

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        until_ns = self._now_unix_ns + int(seconds * 1e9)
        heapq.heappush(self._sleepers, (until_ns, next(self._numbers), woken))
        await woken

    async def advance_to(self, unix_ns: int) -> None:
        """Wake, in their order, those whose time comes before that."""
        while self._sleepers and self._sleepers[0][0] <= unix_ns:
            until_ns, _, woken = heapq.heappop(self._sleepers)
            self._now_unix_ns = max(self._now_unix_ns, until_ns)
            if not woken.done():
                woken.set_result(None)
                await settle()
        self._now_unix_ns = max(self._now_unix_ns, unix_ns)


async def settle() -> None:
    """Let all go on who can."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


TURNS = 12
"""Of the event loop: more than any step through the engine takes with a store in memory."""
