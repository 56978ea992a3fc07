"""The pressure check: is more asked of a callee than it can bear?

A call is looked at once, before anything is dispatched: with its first request where its method sends exactly one, else
with its headers. In order: an identical read under way answers it; then a broken callee, a closed cycle of waits, a
spent retry budget, a full room and an empty bucket are complaints. What a call holds it gives back at its end.

Only the breaker looks at calls whose shared state another sidecar keeps: it is about the way from here to the callee.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random
from typing import Final, Literal

from sidecar.checks.pressure import findings
from sidecar.checks.pressure.breaker import Ticket
from sidecar.checks.pressure.breakers import Breakers
from sidecar.checks.pressure.deadlock import deadlock_closed_by
from sidecar.checks.pressure.delays import Delays
from sidecar.checks.pressure.flights import Flight, Flights, Landing, flight_key
from sidecar.checks.pressure.herd import HerdWatch
from sidecar.checks.pressure.holdings import Holdings
from sidecar.checks.pressure.retries import Retries
from sidecar.checks.pressure.settings import Limit, PressureSettings
from sidecar.engine import policy
from sidecar.engine.eager import together
from sidecar.engine.exchange import Answer, Exchange, Status
from sidecar.engine.finding import Finding
from sidecar.engine.message import Direction, Message
from sidecar.engine.ports import Clock, PressureReporter
from sidecar.engine.recording import Recording
from sidecar.engine.state import Pressure, Reach
from sidecar.engine.state.pressure import Wait

EDGES_MAX: Final = 4_096
"""Edges whose limits are remembered. Callers invent method names, so the memory is bounded."""

METHOD_MAX_CHARS: Final = 256
"""Longest method name that is remembered."""


@dataclass(slots=True, eq=False)
class Held:
    """What one exchange took and has to give back."""

    ticket: Ticket | None = None
    rooms: list[Limit] = field(default_factory=list)
    wait: Wait | None = None
    flight: Flight | None = None
    """The read that it leads."""
    answer: Answer | None = None


Look = Callable[[Exchange, Held], Awaitable[Finding | None]]


class PressureCheck:
    """Limits, retry budgets, breakers, deadlocks, herds and single-flight reads."""

    name = findings.CHECK
    fail: Literal["open", "closed"] = "open"

    def __init__(
        self,
        settings: PressureSettings,
        *,
        clock: Clock,
        shared: Reach[Pressure],
        local: Pressure,
        reporter: PressureReporter,
        random: Random | None = None,
    ) -> None:
        """`local` counts what this process alone is asked; `shared` what a fleet is."""
        self._settings = settings
        self._clock = clock
        self._reporter = reporter
        self._holdings = Holdings(shared, local, settings.lease_s)
        self._delays = Delays(clock, random)
        self._retries = Retries(clock)
        self._herds = HerdWatch(clock)
        self._flights = Flights()
        self._breakers = Breakers(clock, settings.breaker, reporter) if settings.breaker else None
        self._held: dict[Exchange, Held] = {}
        self._remembered = lru_cache(EDGES_MAX)(self._covering)
        self._looks_here = tuple(self._looks())
        self._looks_elsewhere = (self._break,) if self._breakers else ()

    def _looks(self) -> list[Look]:
        """The looks that the settings ask for, in order: what takes nothing comes before what does."""
        settings = self._settings
        wanted: list[tuple[object, Look]] = [
            (self._breakers, self._break),
            (settings.deadlocks.serves, self._wait),
            (settings.retries, self._spend),
            (any(limit.concurrency is not None for limit in settings.limits), self._enter),
            (any(limit.rate is not None for limit in settings.limits), self._take),
        ]
        return [look for is_wanted, look in wanted if is_wanted]

    # Hooks.

    def ahead(self, exchange: Exchange, message: Message | None) -> bool:
        """What the looks will take from the fleet, in their order."""
        if not exchange.is_guarded_here or (message is None) is not (exchange.arrival.first is None):
            return True
        if message is not None and (message.direction is Direction.RESPONSE or message.sequence > 0):
            return True
        if self._may_wait_for_flight(exchange, message):
            return False
        settings, retries = self._settings, self._settings.retries
        if exchange.callee in settings.deadlocks.serves:
            self._holdings.wait_ahead(exchange, wait_of(exchange), settings.deadlocks)
        if retries is not None:
            is_retry = self._retries.is_retry(exchange, message) and not self._retries.is_new_to_callee(
                exchange, message
            )
            self._holdings.afford_ahead(exchange, retries, is_retry)
        limits = self._limits(exchange)
        for limit in limits:
            if limit.concurrency is not None:
                self._holdings.enter_ahead(exchange, limit)
        for limit in limits:
            if limit.rate is not None:
                self._holdings.take_ahead(exchange, limit)
        return True

    async def on_start(self, exchange: Exchange) -> Sequence[Finding] | None:
        """Calls that go out before their first message."""
        return await self._looked(exchange, None) if exchange.arrival.first is None else None

    async def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding] | None:
        if message.direction is Direction.RESPONSE:
            held = self._held.get(exchange) if self._held else None
            if held is not None and held.flight is not None:
                self._flights.record(held.flight, message)
            return None
        is_first = message.sequence == 0 and exchange.arrival.first is not None
        return await self._looked(exchange, message) if is_first else None

    def on_answer(self, exchange: Exchange, answer: Answer) -> None:
        if (held := self._held.get(exchange) if self._held else None) is not None:
            held.answer = answer

    async def on_end(self, exchange: Exchange, status: Status) -> Sequence[Finding] | None:
        held = self._held.pop(exchange, None)
        if held is not None:
            await self._give_back(exchange, held, status)
        if not exchange.is_guarded_here:
            return None
        self._retries.ended(exchange, status, held.answer if held is not None else None)
        if status.code == "OK":
            self._delays.passed(exchange.caller, exchange.callee)
        return self._herd(exchange)

    async def _give_back(self, exchange: Exchange, held: Held, status: Status) -> None:
        if held.flight is not None:
            self._flights.end(held.flight, status, held.answer)
        if held.ticket is not None and self._breakers is not None:
            self._breakers.settle(held.ticket, exchange, status, held.answer)
        for limit in held.rooms:
            if limit.scope == "sidecar":
                await self._holdings.leave(exchange, limit)
        far = [self._holdings.leave(exchange, limit) for limit in held.rooms if limit.scope == "fleet"]
        if held.wait is not None:
            far.append(self._holdings.done(exchange, held.wait))
        await together(far)

    # The look, once a call.

    async def _looked(self, exchange: Exchange, request: Message | None) -> list[Finding] | None:
        held, said = Held(), list[Finding]()
        looks: Sequence[Look] = self._looks_elsewhere
        if exchange.is_guarded_here:
            looks = self._looks_here
            if await self._is_answered_by_flight(exchange, request, held, said):
                return said
            if self._retries.is_retry(exchange, request):
                exchange.is_new_to_callee = self._retries.is_new_to_callee(exchange, request)
                said.extend(self._retried(exchange))
        if looks:
            self._held[exchange] = held
        for look in looks:
            if finding := await look(exchange, held):
                said.append(finding)
                if finding.reason is not None and policy.is_enforced(exchange, finding):
                    break
        return said or None

    async def _break(self, exchange: Exchange, held: Held) -> Finding | None:
        assert self._breakers is not None
        held.ticket = ticket = self._breakers.admit(exchange.callee)
        if not ticket.is_shed:
            return None
        return findings.callee_is_broken(exchange, self._breakers.terms, self._delay_s(exchange, ticket.wait_s))

    async def _wait(self, exchange: Exchange, held: Held) -> Finding | None:
        """Whether this call closes a cycle of agents that are all full."""
        terms = self._settings.deadlocks
        if exchange.callee not in terms.serves:
            return None
        held.wait = wait = wait_of(exchange)
        waits = await self._holdings.wait(exchange, wait, terms)
        deadlock = deadlock_closed_by(wait.exchange_id, waits, terms.serves)
        return findings.deadlocked(exchange, deadlock, terms, self._delay_s(exchange)) if deadlock else None

    async def _spend(self, exchange: Exchange, held: Held) -> Finding | None:  # noqa: ARG002 - one of several looks
        terms = self._settings.retries
        assert terms is not None
        if await self._holdings.afford(exchange, terms, exchange.is_retry and not exchange.is_new_to_callee):
            return None
        return findings.budget_is_spent(exchange, terms, self._delay_s(exchange))

    async def _enter(self, exchange: Exchange, held: Held) -> Finding | None:
        for limit in self._limits(exchange):
            if limit.concurrency is not None:
                held.rooms.append(limit)
                if not await self._holdings.enter(exchange, limit):
                    held.rooms.remove(limit)
                    return findings.room_is_full(exchange, limit, self._delay_s(exchange))
        return None

    async def _take(self, exchange: Exchange, held: Held) -> Finding | None:  # noqa: ARG002 - one of several looks
        for limit in self._limits(exchange):
            if limit.rate is not None and (wait_s := await self._holdings.take(exchange, limit)):
                return findings.bucket_is_empty(exchange, limit, self._delay_s(exchange, wait_s))
        return None

    def _limits(self, exchange: Exchange) -> tuple[Limit, ...]:
        find = self._remembered if len(exchange.method) <= METHOD_MAX_CHARS else self._covering
        return find(exchange.caller, exchange.callee, exchange.method)

    def _covering(self, caller: str, callee: str, method: str) -> tuple[Limit, ...]:
        return tuple(limit for limit in self._settings.limits if limit.covers(caller, callee, method))

    def _delay_s(self, exchange: Exchange, least_s: float = 0.0) -> float:
        return self._delays.next(exchange.caller, exchange.callee, least_s)

    # Reads, retries and herds.

    async def _is_answered_by_flight(
        self, exchange: Exchange, request: Message | None, held: Held, said: list[Finding]
    ) -> bool:
        """Whether an identical read answered this one. If none is under way, this one leads."""
        terms = exchange.spec.reads if exchange.spec else None
        if terms is None or not terms.single_flight or request is None:
            return False
        key, finding = flight_key(exchange, request, terms), findings.identical_read(exchange)
        while (flight := self._flights.find(key)) is not None:
            if not policy.is_enforced(exchange, finding):
                said.append(finding)
                return False
            exchange.is_going_to_wait()
            began_ns = self._clock.monotonic_ns()
            landed = await self._flights.join(flight)
            exchange.waited_ns += self._clock.monotonic_ns() - began_ns
            if isinstance(landed, Recording):
                said.append(replace(finding, recording=landed))
                return True
            if landed is Landing.ALONE:
                return False
        held.flight = self._flights.begin(key, terms, is_shared=policy.is_enforced(exchange, finding))
        self._held[exchange] = held
        return False

    def _may_wait_for_flight(self, exchange: Exchange, request: Message | None) -> bool:
        terms = exchange.spec.reads if exchange.spec else None
        if terms is None or not terms.single_flight or request is None:
            return False
        return self._flights.find(flight_key(exchange, request, terms)) is not None

    def _retried(self, exchange: Exchange) -> list[Finding]:
        exchange.is_retry = True
        herd = self._herd(exchange)
        self._herds.retried(exchange.callee)
        return herd or []

    def _herd(self, exchange: Exchange) -> list[Finding] | None:
        herd = self._herds.ended(exchange.callee)
        return [findings.herd_came(exchange, herd)] if herd else None


def wait_of(exchange: Exchange) -> Wait:
    lineage = exchange.lineage
    return Wait(lineage.exchange_id, lineage.conversation, (*lineage.path[:-1], exchange.callee))
