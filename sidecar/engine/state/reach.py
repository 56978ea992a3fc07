"""Reach: one domain of the shared store, and what stands in for it while it is away.

Whoever wrote the spec chose: `consistency: available` goes on with state of this process's own and says so, and
`consistent` waits for nobody and refuses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

from sidecar.engine.ahead import Key
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

    async def ask(
        self, exchange: Exchange, verb: Callable[[Domain], Awaitable[Answer]], key: Key | None = None
    ) -> Answer:
        """The shared answer, else the local one. Raises StoreUnavailable where the exchange's spec is consistent.

        `key`: by which the question was asked ahead, if it was.
        """
        try:
            if key is None or exchange.ahead is None:
                return await verb(self.shared)
            return await exchange.ahead.fetch(key, partial(verb, self.shared))
        except StoreUnavailable:
            if self.local is None or is_consistent(exchange):
                raise
            self._told()
            return await verb(self.local)

    def ahead(
        self,
        exchange: Exchange,
        verb: Callable[[Domain], Coroutine[Any, Any, Answer]],
        key: Key,
        undo: Callable[[Domain, Answer | None], Awaitable[object]] | None = None,
    ) -> None:
        """Ask the shared domain now what `ask` will come to fetch under the same key.

        `undo` takes it back where nobody does, by its answer, None where there was none; left out: it changes nothing.
        """
        if exchange.ahead is not None:
            exchange.ahead.ask(key, partial(verb, self.shared), undo and partial(undo, self.shared))


def is_consistent(exchange: Exchange) -> bool:
    """Whether the call would rather be refused than go on without the shared store."""
    return exchange.spec is not None and exchange.spec.consistency == "consistent"
