"""Tokens, places, retries and waits, in this process."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, TypeVar

from sidecar.engine.ports import Clock
from sidecar.engine.state.pressure import CALLS_MAX, TAKEN_KEEP_S, WAITS_MAX, Rate, RetryBudget, Wait

Value = TypeVar("Value")

KEYS_MAX: Final = 10_000
"""Buckets, and edges, kept at once. Keys hold callers' names; the least recently used makes room."""

ROUNDING_MS: Final = 0.001
"""Two ways to the same moment differ by less than this in a double."""


@dataclass(slots=True)
class Bucket:
    """The moment up to which its tokens are spoken for, and who took some lately."""

    arrival_ms: float = 0.0
    taken: OrderedDict[str, float] = field(default_factory=OrderedDict)


@dataclass(slots=True)
class Ledger:
    """What an edge called and sent again: exchange ids with the moment of each, oldest first."""

    calls: OrderedDict[str, float] = field(default_factory=OrderedDict)
    retries: OrderedDict[str, float] = field(default_factory=OrderedDict)


@dataclass(slots=True)
class Standing:
    """One wait, its place in line and the end of its lease."""

    wait: Wait
    number: int
    until_ms: float


class MemoryPressure:
    """The Pressure port in one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._rooms: dict[str, dict[str, float]] = {}
        """By room: who is inside, and until when. As many as the configuration names."""
        self._ledgers: OrderedDict[str, Ledger] = OrderedDict()
        self._waits: dict[str, Standing] = {}
        self._numbers = itertools.count()

    async def take(self, bucket: str, rate: Rate, exchange_id: str, tokens: int = 1) -> float:
        now_ms = self._now_ms()
        state = kept(self._buckets, bucket) or self._buckets.setdefault(bucket, Bucket())
        forget_before(state.taken, now_ms - TAKEN_KEEP_S * 1000)
        if exchange_id in state.taken:
            return 0.0
        arrival_ms = max(state.arrival_ms, now_ms) + tokens * rate.interval_ms
        early_ms = arrival_ms - now_ms - rate.tolerance_ms
        if early_ms > ROUNDING_MS:
            return math.ceil(early_ms) / 1000
        state.arrival_ms, state.taken[exchange_id] = arrival_ms, now_ms
        return 0.0

    async def put_back(self, bucket: str, rate: Rate, exchange_id: str, tokens: int = 1) -> None:
        state = self._buckets.get(bucket)
        if state is not None and state.taken.pop(exchange_id, None) is not None:
            state.arrival_ms -= tokens * rate.interval_ms

    async def enter(self, room: str, limit: int, exchange_id: str, lease_s: float) -> bool:
        now_ms, inside = self._now_ms(), self._rooms.setdefault(room, {})
        for gone in [each for each, until_ms in inside.items() if until_ms <= now_ms] if len(inside) >= limit else ():
            del inside[gone]
        if inside.get(exchange_id, 0) <= now_ms and len(inside) >= limit:
            return False
        inside[exchange_id] = now_ms + lease_s * 1000
        return True

    async def leave(self, room: str, exchange_id: str) -> None:
        self._rooms.get(room, {}).pop(exchange_id, None)

    async def note_call(self, edge: str, exchange_id: str, window_s: float) -> None:
        ledger = kept(self._ledgers, edge) or self._ledgers.setdefault(edge, Ledger())
        now_ms = self._now_ms()
        forget_before(ledger.calls, now_ms - window_s * 1000)
        ledger.calls.setdefault(exchange_id, now_ms)
        if len(ledger.calls) > CALLS_MAX:
            ledger.calls.popitem(last=False)

    async def spend_retry(self, edge: str, exchange_id: str, budget: RetryBudget) -> bool:
        ledger = kept(self._ledgers, edge) or self._ledgers.setdefault(edge, Ledger())
        now_ms = self._now_ms()
        for entries in (ledger.calls, ledger.retries):
            forget_before(entries, now_ms - budget.window_s * 1000)
        if exchange_id in ledger.retries:
            return True
        if len(ledger.retries) >= min(budget.allowed(len(ledger.calls)), CALLS_MAX):
            return False
        ledger.retries[exchange_id] = now_ms
        return True

    async def forget_call(self, edge: str, exchange_id: str) -> None:
        if (ledger := self._ledgers.get(edge)) is not None:
            ledger.calls.pop(exchange_id, None)
            ledger.retries.pop(exchange_id, None)

    async def wait(self, wait: Wait, serves: int, lease_s: float) -> tuple[Wait, ...]:
        now_ms = self._now_ms()
        known = self._waits.get(wait.exchange_id)
        if known is None and len(self._waits) >= WAITS_MAX:
            self._forget_waits(now_ms)
            if len(self._waits) >= WAITS_MAX:
                return ()
        number = next(self._numbers) if known is None or known.until_ms <= now_ms else known.number
        self._waits[wait.exchange_id] = Standing(wait, number, now_ms + lease_s * 1000)
        standing = [each for each in self._waits.values() if each.until_ms > now_ms]
        if sum(each.wait.agent == wait.agent for each in standing) <= serves:
            return ()
        return tuple(each.wait for each in sorted(standing, key=lambda each: each.number))

    async def done(self, agent: str, exchange_id: str) -> None:  # noqa: ARG002 - other places keep waits by agent
        self._waits.pop(exchange_id, None)

    def _forget_waits(self, now_ms: float) -> None:
        for gone in [key for key, each in self._waits.items() if each.until_ms <= now_ms]:
            del self._waits[gone]

    def _now_ms(self) -> float:
        return self._clock.monotonic_ns() / 1e6


def kept(entries: OrderedDict[str, Value], key: str) -> Value | None:
    """The entry, as the one used last; room is made for one more where there is none."""
    found = entries.get(key)
    if found is not None:
        entries.move_to_end(key)
    elif len(entries) >= KEYS_MAX:
        entries.popitem(last=False)
    return found


def forget_before(entries: OrderedDict[str, float], moment_ms: float) -> None:
    """Entries are in the order of their moments, so this costs what it forgets."""
    while entries and next(iter(entries.values())) <= moment_ms:
        entries.popitem(last=False)
