"""What a store did not take: told again when it is back, and not a round later."""

from __future__ import annotations

import asyncio

from sidecar.checks.idempotency.waiting import Keeper
from sidecar.errors import StoreUnavailable
from sidecar.system import SystemClock


class Store:
    """Takes what it is told once it is back."""

    def __init__(self) -> None:
        self.is_away = True
        self.taken: list[str] = []

    async def take(self, what: str) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        self.taken.append(what)


async def test_a_store_that_is_back_is_told_at_once():
    """Those who wait for the end of a call would wait for the keeper's next round, which is ten seconds away."""
    store, keeper = Store(), Keeper(SystemClock(), lambda: ())
    keeper.owes(lambda: store.take("the first"))
    keeper.begin(lambda: store.take("the second"))
    await asyncio.sleep(0)
    keeper.pay_soon()
    await asyncio.sleep(0.02)
    assert store.taken == []
    store.is_away = False
    keeper.pay_soon()
    await asyncio.sleep(0.02)
    assert sorted(store.taken) == ["the first", "the second"]
    keeper.pay_soon()
    await asyncio.sleep(0.02)
    assert len(store.taken) == 2
