"""Holdings: what calls take from this process or the fleet, lend for a time, and give back.

Where a part observes, a shared store that is away refuses nobody: this process's own counts stand in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from sidecar.checks.pressure.findings import CHECK, below
from sidecar.checks.pressure.leases import Lease, Leases
from sidecar.checks.pressure.settings import DeadlockTerms, Limit, RetryTerms, Scope
from sidecar.engine.ahead import Key
from sidecar.engine.exchange import Exchange, Mode, weakest
from sidecar.engine.state import Pressure, Reach
from sidecar.engine.state.pressure import Wait
from sidecar.errors import StoreUnavailable

Told = TypeVar("Told")
Verb = Callable[[Pressure], Coroutine[Any, Any, Told]]

SPARED_MIN: Final = 4
"""Places of a room, and tokens of a bucket, that are not taken ahead; of large ones a tenth."""

NO_LEASE_S: Final = 1e9
"""In this process alone nobody crashes without us, so nothing has to run out."""


@dataclass(frozen=True, slots=True)
class Question(Generic[Told]):
    """What is asked of whoever keeps a count."""

    scope: Scope
    mode: Mode | None
    verb: Verb[Told]
    key: Key
    undo: Callable[[Pressure, Told | None], Awaitable[object]]
    """Takes it back where nobody came to hear the answer, which is None where there was none."""


def was_asked(exchange: Exchange, question: Question[Any]) -> bool:
    """Whether its answer is one that was asked for ahead."""
    return exchange.ahead is not None and exchange.ahead.has(question.key)


def spared(most: int) -> int:
    """How many of so many may be taken ahead: the last are left to whoever has come to its turn."""
    return most - max(SPARED_MIN, most // 10)


def taking(exchange: Exchange, limit: Limit, burst: int | None = None) -> Question[float]:
    rate, exchange_id = limit.rate, exchange.lineage.exchange_id
    assert rate is not None
    if burst is not None:
        rate = replace(rate, burst=burst)

    async def put_back(at: Pressure, wait_s: float | None) -> None:
        if not wait_s:
            await at.put_back(limit.key, rate, exchange_id)

    key = ("take", limit.key, exchange_id)
    return Question(limit.scope, limit.mode, lambda at: at.take(limit.key, rate, exchange_id), key, put_back)


def affording(exchange: Exchange, terms: RetryTerms, is_retry: bool) -> Question[bool | None]:
    """None is what a call is told that is no retry."""
    edge, exchange_id = f"{exchange.caller} {exchange.callee}", exchange.lineage.exchange_id
    budget = terms.budget
    verb: Verb[bool | None]
    if is_retry:
        verb = lambda at: at.spend_retry(edge, exchange_id, budget)  # noqa: E731 - one of two
    else:
        verb = lambda at: at.note_call(edge, exchange_id, budget.window_s)  # noqa: E731 - one of two
    key = ("afford", edge, exchange_id, is_retry)
    return Question(terms.scope, terms.mode, verb, key, lambda at, _: at.forget_call(edge, exchange_id))


def entering(exchange: Exchange, limit: Limit, places: int, lease_s: float) -> Question[bool]:
    exchange_id = exchange.lineage.exchange_id

    async def leave(at: Pressure, has_entered: bool | None) -> None:
        if has_entered is not False:
            await at.leave(limit.key, exchange_id)

    key = ("enter", limit.key, exchange_id)
    verb: Verb[bool] = lambda at: at.enter(limit.key, places, exchange_id, lease_s)  # noqa: E731 - read beside its key
    return Question(limit.scope, limit.mode, verb, key, leave)


def waiting(wait: Wait, terms: DeadlockTerms, lease_s: float) -> Question[tuple[Wait, ...]]:
    serves = terms.serves[wait.agent]
    key = ("wait", wait)
    verb: Verb[tuple[Wait, ...]] = lambda at: at.wait(wait, serves, lease_s)  # noqa: E731 - read beside its key
    return Question("fleet", terms.mode, verb, key, lambda at, _: at.done(wait.agent, wait.exchange_id))


class Holdings:
    """Asks whoever shares a count. What is shared is held on a lease, which is renewed until it is given back."""

    def __init__(self, shared: Reach[Pressure], local: Pressure, lease_s: float) -> None:
        self._shared = shared
        self._local = local
        self._lease_s = lease_s
        self._leases = Leases(lease_s)

    # Each question can be asked ahead as well; what then nobody comes to fetch is taken back.

    async def take(self, exchange: Exchange, limit: Limit) -> float:
        """0.0, or the seconds until a token may be there."""
        question = taking(exchange, limit)
        is_foreseen = was_asked(exchange, question)
        wait_s = await self._ask(exchange, question)
        # What was asked ahead was not to take one of the last.
        return await self._ask(exchange, question) if wait_s and is_foreseen else wait_s

    async def afford(self, exchange: Exchange, terms: RetryTerms, is_retry: bool) -> bool:
        """Whether the budget allows this call. One that is no retry always passes, and earns a part of one."""
        return await self._ask(exchange, affording(exchange, terms, is_retry)) is not False

    async def enter(self, exchange: Exchange, limit: Limit) -> bool:
        """Whether there was a place. `leave` it in any case: a call that is broken off may have one unknowingly."""
        exchange_id, question = exchange.lineage.exchange_id, self._entering(exchange, limit)

        async def enter() -> bool:
            return await self._ask(exchange, question)

        if limit.scope == "fleet":
            self._leases.hold((exchange, limit), Lease(enter, lambda: self._leave(limit, exchange_id)))
        is_foreseen = was_asked(exchange, question)
        has_entered = await enter() or (is_foreseen and await enter())
        if not has_entered:
            self._leases.release((exchange, limit))
        return has_entered

    def take_ahead(self, exchange: Exchange, limit: Limit) -> None:
        assert limit.rate is not None
        if (burst := spared(limit.rate.burst)) > 0:
            self._ahead(exchange, taking(exchange, limit, burst))

    def afford_ahead(self, exchange: Exchange, terms: RetryTerms, is_retry: bool) -> None:
        self._ahead(exchange, affording(exchange, terms, is_retry))

    def enter_ahead(self, exchange: Exchange, limit: Limit) -> None:
        if (places := spared(limit.concurrency or 0)) > 0:
            self._ahead(exchange, self._entering(exchange, limit, places))

    def wait_ahead(self, exchange: Exchange, wait: Wait, terms: DeadlockTerms) -> None:
        self._ahead(exchange, self._waiting(wait, terms))

    def _entering(self, exchange: Exchange, limit: Limit, places: int | None = None) -> Question[bool]:
        return entering(
            exchange,
            limit,
            limit.concurrency or 0 if places is None else places,
            self._lease_s if limit.scope == "fleet" else NO_LEASE_S,
        )

    def _waiting(self, wait: Wait, terms: DeadlockTerms) -> Question[tuple[Wait, ...]]:
        return waiting(wait, terms, self._lease_s)

    async def leave(self, exchange: Exchange, limit: Limit) -> None:
        self._leases.release((exchange, limit))
        await self._leave(limit, exchange.lineage.exchange_id)

    async def wait(self, exchange: Exchange, wait: Wait, terms: DeadlockTerms) -> tuple[Wait, ...]:
        """The waits that stand, where the agent is full. Say `done` in any case."""
        question = self._waiting(wait, terms)

        async def ask() -> tuple[Wait, ...]:
            return await self._ask(exchange, question)

        self._leases.hold((exchange, wait), Lease(ask, lambda: self._done(wait)))
        return await ask()

    async def done(self, exchange: Exchange, wait: Wait) -> None:
        self._leases.release((exchange, wait))
        await self._done(wait)

    async def _leave(self, limit: Limit, exchange_id: str) -> None:
        await self._give_back(limit.scope, lambda at: at.leave(limit.key, exchange_id))

    async def _done(self, wait: Wait) -> None:
        await self._give_back("fleet", lambda at: at.done(wait.agent, wait.exchange_id))

    def _ahead(self, exchange: Exchange, question: Question[Any]) -> None:
        if question.scope == "fleet":
            self._shared.ahead(exchange, question.verb, question.key, question.undo)

    async def _ask(self, exchange: Exchange, question: Question[Told]) -> Told:
        if question.scope == "sidecar":
            return await question.verb(self._local)
        try:
            return await self._shared.ask(exchange, question.verb, question.key)
        except StoreUnavailable:
            if weakest(exchange.mode_for(CHECK), below(exchange, question.mode)) is Mode.ENFORCE:
                raise
            return await question.verb(self._local)

    async def _give_back(self, scope: Scope, verb: Verb[None]) -> None:
        """Wherever it may have been taken: the shared store may have left, or returned, meanwhile."""
        await verb(self._local)
        if scope == "fleet":
            try:
                await verb(self._shared.shared)
            except StoreUnavailable:
                return  # what it still knows runs out by itself
