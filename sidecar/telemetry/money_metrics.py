"""Counts tokens and money, and shows how budgets stand. Implements the MoneyReporter port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from sidecar.engine.costs import BudgetEvent, Cost, MoneyReporter, Source, Waste
from sidecar.telemetry import names
from sidecar.telemetry.families import SERIES_LIMIT, CounterFamily, ScrapedGauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from sidecar.engine.state.ledger import Balance

NO_MODEL = "_unknown"
"""Label of usage that names no model, and of calls that report none."""

HANDED_DOWN = "handed-down"
"""Label of the budget whose rest came with a call: a conversation's, and only the root's sidecar knows its name."""

MICRO_USD = 1_000_000


class MoneyMetrics(MoneyReporter):
    """Written on the event loop, read by a scrape."""

    def __init__(
        self, registry: CollectorRegistry, budgets: Mapping[str, str], series_limit: int = SERIES_LIMIT
    ) -> None:
        """`budgets`: the scope of each, by name."""
        self._tokens = CounterFamily(names.TOKENS, series_limit)
        self._costs = CounterFamily(names.COST, series_limit)
        self._edges = CounterFamily(names.EDGE_COST, series_limit)
        self._wasted = CounterFamily(names.WASTED_COST, series_limit)
        self._unpriced = CounterFamily(names.UNPRICED_CALLS, series_limit)
        self._events = CounterFamily(names.BUDGET_EVENTS, series_limit)
        self._reloads = CounterFamily(names.PRICE_RELOADS, series_limit)
        self._limits: dict[tuple[str, ...], float] = {}
        self._spent: dict[tuple[str, ...], float] = {}
        self._used: dict[tuple[str, ...], float] = {}
        self._begin(budgets)
        counters = (self._tokens, self._costs, self._edges, self._wasted, self._unpriced, self._events, self._reloads)
        for family in counters:
            registry.register(family)
        scopes = {**budgets, HANDED_DOWN: "conversation"}
        known: dict[tuple[str, ...], float] = dict.fromkeys(scopes.items(), 1.0)
        registry.register(ScrapedGauge(names.BUDGET, lambda: known))
        registry.register(ScrapedGauge(names.BUDGET_LIMIT, self._limits.copy))
        registry.register(ScrapedGauge(names.BUDGET_SPENT, self._spent.copy))
        registry.register(ScrapedGauge(names.BUDGET_USED_MAX, self._used.copy))

    def cost_settled(self, agent: str, cost: Cost) -> None:
        model, usage = cost.usage.model or NO_MODEL, cost.usage
        self._costs.series(agent, model, cost.source).add(cost.micro_usd / MICRO_USD)
        for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if count:
                self._tokens.series(agent, model, kind).add(count)
        if cost.source is Source.UNKNOWN:
            self._unpriced.series(agent, model).add()

    def edge_charged(self, caller: str, callee: str, micro_usd: int) -> None:
        self._edges.series(caller, callee).add(micro_usd / MICRO_USD)

    def money_wasted(self, reason: Waste, micro_usd: int) -> None:
        self._wasted.series(reason).add(micro_usd / MICRO_USD)

    def budget_event(self, budget: str, event: BudgetEvent) -> None:
        self._events.series(budget.removeprefix("_"), event).add()

    def budget_stands(self, budget: str, limit_micro_usd: int, fullest: Sequence[Balance]) -> None:
        limit = fullest[0].limit_micro_usd if fullest else limit_micro_usd
        spent, used = (fullest[0].spent_micro_usd, fullest[0].used_micro_usd) if fullest else (0, 0)
        self._limits[budget,] = limit / MICRO_USD
        self._spent[budget,] = spent / MICRO_USD
        self._used[budget,] = used / limit if limit else float(used > 0)

    def prices_reloaded(self, outcome: str) -> None:
        """`loaded` or `refused`."""
        self._reloads.series(outcome).add()

    def _begin(self, budgets: Iterable[str]) -> None:
        """What is known beforehand starts at 0, so that an alert sees the first increase."""
        for reason in Waste:
            self._wasted.series(reason)
        for outcome in ("loaded", "refused"):
            self._reloads.series(outcome)
        for budget in budgets:
            for event in get_args(BudgetEvent):
                self._events.series(budget, event)
