"""A budget: what an operator allows, and whose purse an exchange draws on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sidecar.engine.conversation import bounded
from sidecar.engine.exchange import Exchange, Mode, weakest
from sidecar.engine.state.ledger import Hold, Purse
from sidecar.engine.state.window import Window

DAY_S: Final = 86_400.0

KEPT_S: Final = {Window.HOUR: 2 * 3_600.0, Window.DAY: 2 * DAY_S, Window.MONTH: 62 * DAY_S}
"""A purse with a window is of no use once its window has ended."""

IDLE_CONVERSATION_S: Final = 7 * DAY_S
"""A conversation that nobody goes on with is forgotten, as its names are."""

IDLE_EDGE_S: Final = 90 * DAY_S
"""Callers choose the methods that they call, so edges may be many."""

HANDED_DOWN: Final = "_handed-down"
"""Stands for the budget whose remainder came with a call. No configured name begins so."""

HANDED_DOWN_KEPT_S: Final = DAY_S
"""For how long work may go on after the exchange that caused it."""


class Scope(StrEnum):
    """What has a purse of its own."""

    CONVERSATION = "conversation"
    AGENT = "agent"
    """The callee."""
    EDGE = "edge"
    GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget as it is configured."""

    name: str
    scope: Scope
    limit_micro_usd: int
    window: Window = Window.NONE
    warn_at: float = 0.8
    """Share of the limit from which a finding warns."""
    hold_micro_usd: int = 10_000
    """Held for a call that nobody estimates."""
    mode: Mode | None = None

    def mode_on(self, exchange: Exchange) -> Mode | None:
        """The weakest level below the route; None where all left it out."""
        modes = [mode for mode in (exchange.spec.mode if exchange.spec else None, self.mode) if mode is not None]
        return weakest(*modes) if modes else None

    def hold(self, exchange: Exchange) -> Hold:
        """The exchange's purse under this budget, and whether its limit may refuse."""
        is_binding = weakest(exchange.route.mode, self.mode_on(exchange)) is Mode.ENFORCE
        return Hold(self.purse(exchange), self.limit_micro_usd, is_binding)

    def purse(self, exchange: Exchange) -> Purse:
        return self.purse_of(self._account(exchange))

    def purse_of(self, account: str) -> Purse:
        return Purse(self.name, account, self.window, self._keep_s)

    def _account(self, exchange: Exchange) -> str:
        if self.scope is Scope.CONVERSATION:
            return exchange.lineage.conversation
        if self.scope is Scope.AGENT:
            return exchange.callee
        if self.scope is Scope.EDGE:
            return bounded(f"{exchange.caller} {exchange.callee} {exchange.method}")
        return ""

    @property
    def _keep_s(self) -> float | None:
        if self.window is not Window.NONE:
            return KEPT_S[self.window]
        return {Scope.CONVERSATION: IDLE_CONVERSATION_S, Scope.EDGE: IDLE_EDGE_S}.get(self.scope)


def handed_down(exchange: Exchange, exchange_id: str, remainder_micro_usd: int) -> Hold:
    """The purse of what came with one exchange: its own cost and that of all that it causes draw on it."""
    purse = Purse(HANDED_DOWN, exchange_id, keep_s=HANDED_DOWN_KEPT_S)
    return Hold(purse, remainder_micro_usd, exchange.is_enforced)
