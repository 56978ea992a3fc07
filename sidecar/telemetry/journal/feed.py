"""The feed: records as they are made, for whoever looks on. A slow onlooker loses records, is told how many, and
keeps nobody waiting.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from sidecar.telemetry.journal.record import NO_EXCHANGE, Kind, Record

ROOM: Final = 1_000
"""Records that wait for one onlooker, unless it asks for another number."""

SUBSCRIBERS_MAX: Final = 64

Wants = Callable[[Record], bool]
"""Whether an onlooker wants a record. Asked on the journal's thread; one that raises wants nothing."""


class FeedIsFull(Exception):
    """There are as many onlookers as are served at once."""


class Subscription:
    """What one onlooker is shown. An asynchronous iterator of records, until the feed or the onlooker closes it.

    Where records were lost a record of kind `dropped` stands in their place, with their `count`.
    """

    def __init__(self, feed: Feed, wants: Wants, room: int) -> None:
        self._feed = feed
        self._wants = wants
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Record] = deque()
        self._lock = threading.Lock()
        self._arrived = asyncio.Event()
        self._missed = 0
        self.dropped = 0
        """Records lost so far."""
        self.is_closed = False

    def close(self) -> None:
        """Nothing more is shown. What waits already still is."""
        self._feed.forget(self)
        self.is_closed = True
        self._arrived.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Record:
        while True:
            if (record := self._next()) is not None:
                return record
            if self.is_closed:
                raise StopAsyncIteration
            self._arrived.clear()
            if not self._waiting:
                await self._arrived.wait()

    def _next(self) -> Record | None:
        with self._lock:
            if self._missed:
                missed, self._missed = self._missed, 0
                first = self._waiting[0] if self._waiting else None
                stamp, unix_ns = (first.hlc, first.unix_ns) if first else (0, 0)
                return Record(Kind.DROPPED, stamp, unix_ns, NO_EXCHANGE, "", {"count": missed, "where": "feed"})
            return self._waiting.popleft() if self._waiting else None

    def offer(self, records: Sequence[Record]) -> None:
        """On the journal's thread."""
        wanted = [record for record in records if self._is_wanted(record)]
        if not wanted:
            return
        with self._lock:
            self._waiting.extend(wanted)
            # The oldest go: who looks on wants to see what happens now.
            over = max(len(self._waiting) - self._room, 0)
            for _ in range(over):
                self._waiting.popleft()
            self._missed += over
            self.dropped += over
        self._wake()

    def _is_wanted(self, record: Record) -> bool:
        try:
            return self._wants(record)
        except Exception:  # whatever a filter does, the journal goes on
            return False

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._arrived.set)
        except RuntimeError:  # the loop has gone
            self._feed.forget(self)


class Feed:
    """All onlookers. Subscribing is for the event loop, offering for one other thread."""

    def __init__(self) -> None:
        self._subscriptions: tuple[Subscription, ...] = ()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def subscribe(self, wants: Wants = lambda _: True, room: int = ROOM) -> Subscription:
        """From now on. Close it when done. Raises FeedIsFull."""
        if len(self._subscriptions) >= SUBSCRIBERS_MAX:
            raise FeedIsFull(f"{SUBSCRIBERS_MAX} look on already")
        subscription = Subscription(self, wants, max(room, 1))
        self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def offer(self, records: Sequence[Record]) -> None:
        for subscription in self._subscriptions:
            subscription.offer(records)

    def forget(self, subscription: Subscription) -> None:
        self._subscriptions = tuple(each for each in self._subscriptions if each is not subscription)

    def close(self) -> None:
        """Every onlooker is shown what waits, and then the end."""
        for subscription in self._subscriptions:
            subscription.close()
