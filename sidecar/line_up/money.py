"""Money: the budget check, and what goes on beside the calls for it.

Prices are read again when their file changes, the gauges hear how budgets stand, and what was charged while the shared
ledger was away is brought in when it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from sidecar.checks.budget import BudgetCheck, MeetingCheck, Standing, Terms, Till
from sidecar.config import Config
from sidecar.engine.costs import MoneyReporter
from sidecar.engine.ports import Clock
from sidecar.engine.specs import Spec
from sidecar.engine.state import Store
from sidecar.engine.state.spool import Entry, Spool
from sidecar.prices import PriceSource
from sidecar.telemetry.money_metrics import MoneyMetrics
from sidecar.wiring import budgets_of, open_spool, own_prices

log = logging.getLogger(__name__)


class Money:
    """Everything about money in one process."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        store: Store,
        prices: PriceSource,
        reporter: MoneyReporter,
        *,
        store_away: Callable[[], None],
    ) -> None:
        """`store_away` counts reservations that were made locally. Raises ConfigError for a spool that is of no use."""
        self._store = store
        self._prices = prices
        self._has_price_file = config.prices.file is not None
        self._counts_all_usage = "prices" in config.model_fields_set
        self._reporter = reporter
        self._store_away = store_away
        self._budgets = budgets_of(config)
        self.standing = Standing(store.ledger, self._budgets, reporter)
        self._spool_file = open_spool(config, clock)
        self.spool = Spool(store.ledger, clock, self._spool_file, merged=self._merged)

    def check(self) -> BudgetCheck:
        till = Till(self._store.ledger, self.spool, told=self._store_away)
        terms = Terms(self._budgets, is_shared=self._store.kind == "redis", meters_all=self._counts_all_usage)
        return BudgetCheck(till, self._prices, self._reporter, terms)

    def meetings(self) -> MeetingCheck:
        return MeetingCheck(self._store.ledger, self._budgets)

    async def start(self, specs: Iterable[Spec]) -> None:
        """Bring in what an earlier process could not, and load prices before the first call waits for them."""
        self._store.on_return(self.spool.merge_soon)
        await self.spool.start()
        if self._budgets or self._counts_all_usage or any(spec.cost for spec in specs):
            await asyncio.to_thread(self._prices.warm)
        if self._budgets and self._store.kind == "redis" and self._spool_file is None:
            log.warning(
                "charges made while redis is away are kept in memory alone: a crash before it is back would lose "
                "them; set `spool` to a file to keep them"
            )

    def watch(self, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the calls until `stop` is set."""
        work: list[Coroutine[Any, Any, None]] = []
        if self._budgets:
            work.append(self.standing.watch(stop))
        if self._has_price_file:
            work.append(self._prices.watch(stop))
        return work

    async def close(self) -> None:
        """After the store is closed."""
        if self._spool_file is not None:
            await self._spool_file.close()

    def _merged(self, entry: Entry) -> None:
        for draw in entry.draws:
            self._reporter.budget_event(draw.purse.budget, "merged")


def read_prices(config: Config, metrics: MoneyMetrics) -> PriceSource:
    """The price list, with its reloads counted and logged. Raises ConfigError for a file that cannot be used."""

    def reloaded(outcome: str, detail: str) -> None:
        metrics.prices_reloaded(outcome)
        log.log(logging.INFO if outcome == "loaded" else logging.ERROR, "prices %s: %s", outcome, detail)

    return PriceSource(config.prices.file, own_prices(config), on_reload=reloaded)
