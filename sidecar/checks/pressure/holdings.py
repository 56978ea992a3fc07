"""Holdings: what calls take from this process or the fleet, lend for a time, and give back.

Where a part observes, a shared store that is away refuses nobody: this process's own counts stand in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sidecar.checks.pressure.findings import CHECK, below
from sidecar.checks.pressure.leases import Lease, Leases
from sidecar.checks.pressure.settings import DeadlockTerms, Limit, RetryTerms, Scope
from sidecar.engine.exchange import Exchange, Mode, weakest
from sidecar.engine.state import Pressure, Reach
from sidecar.engine.state.pressure import Wait
from sidecar.errors import StoreUnavailable

Told = TypeVar("Told")
Verb = Callable[[Pressure], Awaitable[Told]]

NO_LEASE_S: Final = 1e9
"""In this process alone nobody crashes without us, so nothing has to run out."""


class Holdings:
    """Asks whoever shares a count. What is shared is held on a lease, which is renewed until it is given back."""

    def __init__(self, shared: Reach[Pressure], local: Pressure, lease_s: float) -> None:
        self._shared = shared
        self._local = local
        self._lease_s = lease_s
        self._leases = Leases(lease_s)

    async def take(self, exchange: Exchange, limit: Limit) -> float:
        """0.0, or the seconds until a token may be there."""
        rate, exchange_id = limit.rate, exchange.lineage.exchange_id
        assert rate is not None
        return await self._ask(exchange, limit.scope, limit.mode, lambda at: at.take(limit.key, rate, exchange_id))

    async def afford(self, exchange: Exchange, terms: RetryTerms, is_retry: bool) -> bool:
        """Whether the budget allows this call. One that is no retry always passes, and earns a part of one."""
        edge, exchange_id = f"{exchange.caller} {exchange.callee}", exchange.lineage.exchange_id
        budget, scope, mode = terms.budget, terms.scope, terms.mode
        if is_retry:
            return await self._ask(exchange, scope, mode, lambda at: at.spend_retry(edge, exchange_id, budget))
        await self._ask(exchange, scope, mode, lambda at: at.note_call(edge, exchange_id, budget.window_s))
        return True

    async def enter(self, exchange: Exchange, limit: Limit) -> bool:
        """Whether there was a place. `leave` it in any case: a call that is broken off may have one unknowingly."""
        places, exchange_id, is_lent = limit.concurrency or 0, exchange.lineage.exchange_id, limit.scope == "fleet"
        lease_s = self._lease_s if is_lent else NO_LEASE_S

        async def enter() -> bool:
            verb: Verb[bool] = lambda at: at.enter(limit.key, places, exchange_id, lease_s)  # noqa: E731 - read beside its use
            return await self._ask(exchange, limit.scope, limit.mode, verb)

        if is_lent:
            self._leases.hold((exchange, limit), Lease(enter, lambda: self._leave(limit, exchange_id)))
        has_entered = await enter()
        if not has_entered:
            self._leases.release((exchange, limit))
        return has_entered

    async def leave(self, exchange: Exchange, limit: Limit) -> None:
        self._leases.release((exchange, limit))
        await self._leave(limit, exchange.lineage.exchange_id)

    async def wait(self, exchange: Exchange, wait: Wait, terms: DeadlockTerms) -> tuple[Wait, ...]:
        """The waits that stand, where the agent is full. Say `done` in any case."""
        serves = terms.serves[wait.agent]

        async def ask() -> tuple[Wait, ...]:
            return await self._ask(exchange, "fleet", terms.mode, lambda at: at.wait(wait, serves, self._lease_s))

        self._leases.hold((exchange, wait), Lease(ask, lambda: self._done(wait)))
        return await ask()

    async def done(self, exchange: Exchange, wait: Wait) -> None:
        self._leases.release((exchange, wait))
        await self._done(wait)

    async def _leave(self, limit: Limit, exchange_id: str) -> None:
        await self._give_back(limit.scope, lambda at: at.leave(limit.key, exchange_id))

    async def _done(self, wait: Wait) -> None:
        await self._give_back("fleet", lambda at: at.done(wait.agent, wait.exchange_id))

    async def _ask(self, exchange: Exchange, scope: Scope, mode: Mode | None, verb: Verb[Told]) -> Told:
        if scope == "sidecar":
            return await verb(self._local)
        try:
            return await self._shared.ask(exchange, verb)
        except StoreUnavailable:
            if weakest(exchange.mode_for(CHECK), below(exchange, mode)) is Mode.ENFORCE:
                raise
            return await verb(self._local)

    async def _give_back(self, scope: Scope, verb: Verb[None]) -> None:
        """Wherever it may have been taken: the shared store may have left, or returned, meanwhile."""
        await verb(self._local)
        if scope == "fleet":
            try:
                await verb(self._shared.shared)
            except StoreUnavailable:
                return  # what it still knows runs out by itself
