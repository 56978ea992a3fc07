"""Meetings: two conversations whose names are seen on one exchange, and both of which have spent money.

A name belongs to one conversation for good. So work that takes up the trace of one and the contextId of another may be
one piece of work with two purses, or two agents that use one contextId for different things. Purses are never made one
behind anyone's back: the finding links the two, and whoever reads it knows to add them up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Literal

from sidecar.checks.budget.budgets import Budget, Scope
from sidecar.checks.budget.sentences import usd
from sidecar.engine.exchange import Exchange, Status
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.message import Message
from sidecar.engine.state.ledger import Hold, Ledger
from sidecar.errors import StoreUnavailable

CHECK: Final = "lineage"
RULE: Final = "conversations-met"

TOLD_MAX: Final = 10_000
"""Pairs that were told of, in this process. The oldest is forgotten, and told of again if it meets again."""

ASKED_MAX: Final = 8
"""Conversations of one exchange that are looked at. An agent that names more of them mixes up more than money."""


class MeetingCheck:
    """Says so when two charged conversations meet. It refuses nothing."""

    name = CHECK
    fail: Literal["open", "closed"] = "open"

    def __init__(self, ledger: Ledger, budgets: Sequence[Budget], *, told_max: int = TOLD_MAX) -> None:
        self._ledger = ledger
        self._budgets = [budget for budget in budgets if budget.scope is Scope.CONVERSATION]
        self._told_max = told_max
        self._told: OrderedDict[frozenset[str], None] = OrderedDict()
        self._looked: dict[Exchange, int] = {}
        """How many of those that an open exchange has met were looked at: each once, by what was spent until then."""

    def ahead(self, exchange: Exchange, message: Message | None) -> bool:  # noqa: ARG002 - whatever brought the name
        """Nothing; and where others were met, no money is held before it was seen what they had spent."""
        return not (exchange.met or exchange.lineage.met)

    async def on_message(self, exchange: Exchange, message: Message) -> list[Finding] | None:  # noqa: ARG002 - whatever brought the name
        return await self._looked_at(exchange)

    async def on_end(self, exchange: Exchange, status: Status) -> list[Finding] | None:  # noqa: ARG002 - a hook's shape
        """Whoever was met by the names of the last message: a far store is asked for them beside the checks."""
        findings = await self._looked_at(exchange)
        self._looked.pop(exchange, None)
        return findings

    async def _looked_at(self, exchange: Exchange) -> list[Finding] | None:
        if not (exchange.met or exchange.lineage.met) or not self._budgets or not exchange.is_guarded_here:
            return None
        own, all_met = exchange.lineage.conversation, (*exchange.lineage.met, *exchange.met)
        met = all_met[self._looked.get(exchange, 0) : ASKED_MAX]
        self._looked[exchange] = len(all_met)
        met = tuple(each for each in met if frozenset((own, each)) not in self._told)
        return await self._judged(own, met) if met else None

    async def _judged(self, own: str, met: Sequence[str]) -> list[Finding] | None:
        try:
            spent = [await self._spent_micro_usd(each) for each in (own, *met)]
        except StoreUnavailable:
            return None  # nobody can say; the next time that they meet may tell
        if not spent[0]:
            return None
        charged = [(each, micro_usd) for each, micro_usd in zip(met, spent[1:], strict=True) if micro_usd]
        for each, _ in charged:
            self._remember(frozenset((own, each)))
        return [meeting(own, spent[0], each, micro_usd) for each, micro_usd in charged] or None

    async def _spent_micro_usd(self, conversation: str) -> int:
        """By the fullest of its purses, since each counts the same calls. What is held may be this very call's own."""
        holds = [Hold(budget.purse_of(conversation), budget.limit_micro_usd) for budget in self._budgets]
        return max(balance.spent_micro_usd for balance in await self._ledger.balances(holds))

    def _remember(self, pair: frozenset[str]) -> None:
        self._told[pair] = None
        if len(self._told) > self._told_max:
            self._told.popitem(last=False)


def meeting(own: str, own_micro_usd: int, other: str, other_micro_usd: int) -> Finding:
    return Finding(
        check=CHECK,
        rule=RULE,
        severity=Severity.WARNING,
        message=(
            f"conversations {own} ({usd(own_micro_usd)} USD) and {other} ({usd(other_micro_usd)} USD) have met: names "
            "of both are on this exchange. Each keeps its own purse; if they are one piece of work, it has spent both"
        ),
        evidence={
            "conversation": own,
            "other": other,
            "spent_usd": usd(own_micro_usd),
            "other_spent_usd": usd(other_micro_usd),
        },
    )
