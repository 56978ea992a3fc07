"""Reach: one domain of the shared store, and what stands in for it while it is away.

Whoever wrote the spec chose: `consistency: available` goes on with state of this process's own and says so, and
`consistent` waits for nobody and refuses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from sidecar.engine.exchange import Exchange
from sidecar.errors import StoreUnavailable

Domain = TypeVar("Domain")
Answer = TypeVar("Answer")


class Reach(Generic[Domain]):
    """Asks the shared domain, or the one that stands in for it."""

    def __init__(self, shared: Domain, local: Domain | None = None, *, told: Callable[[], None] = lambda: None) -> None:
        """`local` None: nothing stands in, so specs hear StoreUnavailable. `told` counts verbs that were local."""
        self.shared = shared
        self.local = local
        self._told = told

    async def ask(self, exchange: Exchange, verb: Callable[[Domain], Awaitable[Answer]]) -> Answer:
        """The shared answer, else the local one. Raises StoreUnavailable where the exchange's spec is consistent."""
        try:
            return await verb(self.shared)
        except StoreUnavailable:
            if self.local is None or is_consistent(exchange):
                raise
            self._told()
            return await verb(self.local)


def is_consistent(exchange: Exchange) -> bool:
    """Whether the call would rather be refused than go on without the shared store."""
    return exchange.spec is not None and exchange.spec.consistency == "consistent"
