"""Costs: what a call cost, how that is known, and whom to tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

from sidecar.engine.usage.usage import NO_USAGE, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.engine.state.ledger import Balance


class Source(StrEnum):
    """How the cost of a call is known, best first."""

    REPORTED = "reported"
    """Its usage was reported, in money or in tokens of a model with a price."""
    ESTIMATED = "estimated"
    """Nothing was reported: what was held."""
    UNKNOWN = "unknown"
    """Tokens of a model without a price: what was held, and never zero."""


class Waste(StrEnum):
    """Why money led nowhere. One call has one reason, the first that fits."""

    REFUSED_ANSWER = "refused_answer"
    """The answer was paid for, and a check of ours refused it."""
    LOOP = "loop"
    DUPLICATE = "duplicate"
    RETRY = "retry"
    FAILED = "failed"
    """The call ended with an error."""


BudgetEvent = Literal["warned", "refused", "exceeded", "sliced", "overdrawn", "merged"]
"""warned: a call came near the limit. refused: it was refused. exceeded: it would have been, in observe. sliced: a
part of a budget was handed down. overdrawn: a call cost more than its hold. merged: a charge that was made while the
shared store was away was brought in."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call cost."""

    micro_usd: int
    source: Source
    usage: Usage = NO_USAGE
    """What was counted for it."""


class Prices(Protocol):
    """What models cost."""

    def price(self, usage: Usage) -> int | None:
        """Micro-USD, rounded up; None where the model, or one of the kinds of token it used, has no price."""


class MoneyReporter(Protocol):
    """Watches money and can never fail a call. Every hook is called on the event loop."""

    def cost_settled(self, agent: str, cost: Cost) -> None:
        """A call ended. `agent` is the callee. With source unknown, its model has no price."""

    def edge_charged(self, caller: str, callee: str, micro_usd: int) -> None:
        """The same money, by who asked whom."""

    def money_wasted(self, reason: Waste, micro_usd: int) -> None:
        """It led nowhere."""

    def budget_event(self, budget: str, event: BudgetEvent) -> None:
        """Something happened to a budget."""

    def budget_stands(self, budget: str, limit_micro_usd: int, fullest: Sequence[Balance]) -> None:
        """How the fullest purse of a budget stands; none where nothing was ever drawn on it."""
