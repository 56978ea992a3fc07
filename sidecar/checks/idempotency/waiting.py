"""Waiting: duplicates that wait for the first answer, and a keeper that tells the store that the first one lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.checks.idempotency.hold import Ending, Hold
from sidecar.engine.ports import Clock
from sidecar.errors import StoreUnavailable

log = logging.getLogger(__name__)

LEASE_S: Final = 30.0
"""How long a claim is believed to be worked on without a word from its holder."""

EXTEND_EVERY_S: Final = LEASE_S / 3
"""Two words may be lost before a claim counts as abandoned."""

PAUSE_S: Final = (0.05, 1.0)
"""First and longest pause between two looks at a claim that another process holds."""

WAIT_SLACK_S: Final = 2.0
"""For how much longer than its next pause a waiter says that it waits."""

OWED_MAX: Final = 1_000
OWED_S: Final = 600.0
"""How many settlements that the store did not take are tried again, and for how long."""


@dataclass(slots=True, eq=False)
class Flight:
    """A call that this process has under way, and who waits for it here."""

    landed: asyncio.Event = field(default_factory=asyncio.Event)
    waiters: int = 0


class Flights:
    """By key. Whoever waits here for a call of this process is woken; for others there is a pause."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._flights: dict[str, Flight] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._flights

    def begin(self, key: str) -> Flight:
        flight = self._flights[key] = Flight()
        return flight

    def land(self, key: str, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        flight.landed.set()

    async def pause(self, key: str, pause_s: float, left_s: float) -> None:
        """Until there may be news: at most `left_s`."""
        flight = self._flights.get(key)
        if flight is None:
            await self._clock.sleep(min(pause_s, left_s))
            return
        flight.waiters += 1
        try:
            await first_of(flight.landed.wait(), self._clock.sleep(left_s))
        finally:
            flight.waiters -= 1


async def first_of(*works: Coroutine[Any, Any, Any]) -> None:
    """Until the first of them is done; the others are cancelled."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, eq=False)
class Owed:
    """What a store has not taken yet."""

    work: Work
    since_ns: int


class Keeper:
    """Extends the claims of long calls, and tells the store late what it did not take.

    It sleeps from one round to the next, and is gone after one in which there was nothing to do.
    """

    def __init__(self, clock: Clock, holds: Callable[[], Iterable[Hold]]) -> None:
        self._clock = clock
        self._holds = holds
        self._owed: list[Owed] = []
        self._task: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()

    def awake(self) -> None:
        """There is a claim to look after."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep())

    def owes(self, work: Work) -> None:
        """The store is away: ask it again, and again."""
        self._owed.append(Owed(work, self._clock.monotonic_ns()))
        del self._owed[:-OWED_MAX]
        self.awake()

    def begin(self, work: Work) -> None:
        """Ask the store beside the call."""
        self._beside(self._try(work))

    def pay_soon(self) -> None:
        """The store is back: whoever waits for what it has not heard need not wait for the next round."""
        if self._owed:
            self._beside(self._pay())

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _try(self, work: Work) -> None:
        try:
            await work()
        except StoreUnavailable:
            self.owes(work)

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(EXTEND_EVERY_S)
            await asyncio.gather(*map(self._extend, self._long_ones()))
            await self._pay()
            if not self._owed and not any(True for _ in self._holds()):
                return

    def _long_ones(self) -> list[Hold]:
        """Most calls are over before their lease needs a word."""
        oldest_ns = self._clock.monotonic_ns() - int(EXTEND_EVERY_S * 1e9)
        return [hold for hold in self._holds() if hold.begun_ns <= oldest_ns]

    async def _extend(self, hold: Hold) -> None:
        try:
            if await hold.claims.extend(hold.key, hold.token, LEASE_S) is None:
                log.warning("a claim was lost while its call went on")
        except StoreUnavailable:
            log.warning("a claim could not be extended: the store is away")

    async def _pay(self) -> None:
        oldest_ns = self._clock.monotonic_ns() - int(OWED_S * 1e9)
        for owed in list(self._owed):
            try:
                await owed.work()
            except StoreUnavailable:
                if owed.since_ns > oldest_ns:
                    continue
            if owed in self._owed:
                self._owed.remove(owed)


def settle(hold: Hold, ending: Ending, recording: bytes | None) -> Awaitable[bool]:
    """Tell the store how it ended; whether the claim was still ours. Raises StoreUnavailable."""
    if ending is Ending.DONE:
        return hold.claims.complete(hold.key, hold.token, recording)
    verb = hold.claims.release if ending is Ending.FREED else hold.claims.doubt
    return verb(hold.key, hold.token)
