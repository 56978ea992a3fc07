"""How budgets stand, for the gauges: asked now and then, since a window may end without a call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sidecar.checks.budget.budgets import Budget
from sidecar.engine.costs import MoneyReporter
from sidecar.engine.state.ledger import Ledger
from sidecar.errors import StoreUnavailable

PERIOD_S: Final = 5.0


class Standing:
    """Tells the reporter of each budget's fullest purse."""

    def __init__(self, ledger: Ledger, budgets: Sequence[Budget], reporter: MoneyReporter) -> None:
        self._ledger = ledger
        self._budgets = budgets
        self._reporter = reporter

    async def watch(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. What a store that is away last said stays."""
        while not stop.is_set():
            with suppress(StoreUnavailable):
                await self.tell()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PERIOD_S)

    async def tell(self) -> None:
        for budget in self._budgets:
            fullest = await self._ledger.fullest(budget.name, budget.limit_micro_usd)
            self._reporter.budget_stands(budget.name, budget.limit_micro_usd, fullest)
