"""The ledger: money that was spent, and money that is held for calls under way.

A *purse* is what one budget allows one account (one conversation, one callee, one edge, everybody) in one window. A
*charge* is the money of one exchange, drawn on every purse that it belongs to: held before the call goes out, made
true after, given back only where the call never went out. All amounts are whole micro-USD.

A hold whose owner died lapses when its lease runs out: it is settled at what was held. Spent and held together stay the
same, so a lapse gives nobody room, and an owner that was only slow still corrects it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from sidecar.engine.state.window import Window

LEASE_S: Final = 900.0
"""How long a hold waits for its owner. Longer calls lose nothing by it: see above."""

SETTLED_KEPT_S: Final = 3600.0
"""For this long a settled or voided charge is known by its id, so that nothing settles it again."""

RECORDED_KEPT_S: Final = 7 * 86_400.0
"""For this long are known a lapsed hold, which its owner may still correct, and a charge that may be sent again."""

DRAWS_MAX: Final = 128
"""Purses that one charge may draw on: every budget that can be configured, and the one handed down."""


class Purse(NamedTuple):
    """What one budget allows one account."""

    budget: str
    """Name of the budget."""
    account: str
    """Who has this purse, as its scope says: a conversation, a callee, an edge; empty where all share one."""
    window: Window = Window.NONE
    keep_s: float | None = None
    """Seconds without use after which it is forgotten. None: never."""


class Hold(NamedTuple):
    """One purse that a call draws on, and how far."""

    purse: Purse
    limit_micro_usd: int
    is_binding: bool = True
    """Whether the limit may refuse; if not, the money is counted all the same."""


class Draw(NamedTuple):
    """One purse, in one window, that a charge is counted in."""

    purse: Purse
    period: int
    """As `period_of` numbers windows. Money of a window that has ended changes nothing in the one after it."""


class Balance(NamedTuple):
    """How a purse stands."""

    purse: Purse
    period: int
    spent_micro_usd: int
    held_micro_usd: int
    limit_micro_usd: int
    """The limit in force: the budget's own, or what an operator has set in its place."""

    @property
    def used_micro_usd(self) -> int:
        return self.spent_micro_usd + self.held_micro_usd

    @property
    def left_micro_usd(self) -> int:
        return self.limit_micro_usd - self.used_micro_usd

    @property
    def draw(self) -> Draw:
        return Draw(self.purse, self.period)


class Reservation(NamedTuple):
    """What became of a reserve."""

    balances: tuple[Balance, ...]
    """Of each hold in its order, as they stand after it."""
    held_micro_usd: int
    """What is held; 0 where it was refused."""
    is_new: bool = True
    """False where this exchange holds it already: whoever reserved it settles it."""
    refused_by: int | None = None
    """The first binding hold that has too little left, by its index. Then nothing is held anywhere."""


class Ledger(Protocol):
    """Charges and purses. Every verb is one step, whoever else is at work, and idempotent under the charge's id."""

    async def reserve(
        self,
        charge_id: str,
        amount_micro_usd: int,
        holds: Sequence[Hold],
        *,
        share_percent: int = 0,
        spare_micro_usd: int = 0,
        lease_s: float = LEASE_S,
    ) -> Reservation:
        """Hold the amount in every purse, or in none: spent + held + amount may not exceed any binding limit.

        `share_percent` holds more where there is more: this share of what the tightest binding purse has left.
        `spare_micro_usd` has to be left beside it, or it is refused: who may give it back must not take the last.
        """

    async def settle(self, charge_id: str, amount_micro_usd: int) -> bool:
        """Make a hold true: it may cost more or less than was held. Whether this call did it, and not an earlier one.

        A lapsed hold is corrected; an unknown or settled charge is left alone.
        """

    async def void(self, charge_id: str) -> None:
        """Give a hold back: the call never went out."""

    async def withdraw(self, charge_id: str) -> bool:
        """Undo a reserve as if it had never been asked: what it held is free, and its id is unknown.

        Whether it was held; a charge that is not held any more is left alone.
        """

    async def charge(self, charge_id: str, draws: Sequence[Draw], amount_micro_usd: int) -> bool:
        """Money that nobody reserved here. Whether it was counted now.

        A charge that is held or lapsed under this id is settled instead; any other that is known is left alone.
        """

    async def balances(self, holds: Sequence[Hold]) -> tuple[Balance, ...]:
        """How purses stand. Nothing is held."""

    async def fullest(self, budget: str, limit_micro_usd: int, at_most: int = 1) -> list[Balance]:
        """The purses of a budget that have used the most in the window it is now, fullest first.

        The window of the balances' purses is the one they were last used with.
        """

    async def set_limit(self, budget: str, limit_micro_usd: int | None) -> None:
        """Put a limit in the place of the budget's own, for all its purses; None takes it back."""

    async def reset(self, hold: Hold) -> tuple[Balance, int]:
        """Forget what a purse has spent in the window it is now. How it stands after it, and what it had spent.

        What is held stays held, and is settled as ever.
        """
