"""The ledger, in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice
from typing import Final

from sidecar.engine.ports import Clock
from sidecar.engine.state.ledger import (
    LEASE_S,
    RECORDED_KEPT_S,
    SETTLED_KEPT_S,
    Balance,
    Draw,
    Hold,
    Purse,
    Reservation,
)
from sidecar.engine.state.window import period_of

LOOKED_AT_ONCE: Final = 5
"""The least recently used purses that one verb looks at, whether they are to be forgotten."""

PURSES_MAX: Final = 100_000
"""Past that the least recently used purse in which nothing is held is forgotten, those first that would be one day."""

CHARGES_MAX: Final = 100_000
"""Past that the oldest hold lapses early, and the oldest finished charge is forgotten."""

TIDIED_AT_ONCE: Final = 20
"""What one verb lapses and forgets at most: more than it adds."""


@dataclass(slots=True)
class Account:
    """One purse as it is kept."""

    purse: Purse
    period: int
    spent: int = 0
    held: int = 0
    used_ms: int = 0

    def is_forgotten(self, now_ms: int) -> bool:
        keep_s = self.purse.keep_s
        return keep_s is not None and self.used_ms + keep_s * 1000 < now_ms


@dataclass(slots=True)
class Charge:
    """One charge as it is kept."""

    amount: int
    draws: tuple[Draw, ...]
    """Purses that finishing it still changes."""
    due_ms: float
    """When it lapses, if it is held; else when it is forgotten."""


class MemoryLedger:
    """The Ledger port in one process. Each verb is one step because none awaits."""

    def __init__(self, clock: Clock, *, purses_max: int = PURSES_MAX, charges_max: int = CHARGES_MAX) -> None:
        self._clock = clock
        self._purses_max = purses_max
        self._charges_max = charges_max
        self._accounts: OrderedDict[tuple[str, str], Account] = OrderedDict()
        """The least recently used first."""
        self._held: OrderedDict[str, Charge] = OrderedDict()
        self._settled: OrderedDict[str, Charge] = OrderedDict()
        self._recorded: OrderedDict[str, Charge] = OrderedDict()
        """Lapsed, or charged without a hold. Each of the three is in the order in which it falls due."""
        self._limits: dict[str, int] = {}

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
        now_ms = self._tidy()
        if (known := self._known(charge_id)) is not None:
            return Reservation(tuple(self._balances(holds, now_ms)), known.amount, is_new=False)
        before = list(self._balances(holds, now_ms))
        lefts = [(index, each.left_micro_usd) for index, each in enumerate(before) if holds[index].is_binding]
        for index, left in lefts:
            if left < amount_micro_usd + spare_micro_usd:
                return Reservation(tuple(before), 0, refused_by=index)
        held = max([amount_micro_usd, min((left for _, left in lefts), default=0) * share_percent // 100])
        for each in before:
            self._account(each.purse, each.period, now_ms).held += held
        draws = tuple(each.draw for each in before)
        self._held[charge_id] = Charge(held, draws, now_ms + lease_s * 1000)
        self._make_room()
        return Reservation(tuple(self._balances(holds, now_ms)), held)

    async def settle(self, charge_id: str, amount_micro_usd: int) -> bool:
        now_ms = self._tidy()
        return self._finish(charge_id, amount_micro_usd, now_ms)

    async def void(self, charge_id: str) -> None:
        now_ms = self._tidy()
        self._finish(charge_id, 0, now_ms)

    async def withdraw(self, charge_id: str) -> bool:
        self._tidy()
        charge = self._held.pop(charge_id, None)
        if charge is None:
            return False
        for account in self._drawn_on(charge):
            account.held -= charge.amount
        return True

    async def charge(self, charge_id: str, draws: Sequence[Draw], amount_micro_usd: int) -> bool:
        now_ms = self._tidy()
        if self._known(charge_id) is not None:
            return self._finish(charge_id, amount_micro_usd, now_ms)
        for draw in draws:
            account = self._account(draw.purse, draw.period, now_ms)
            if account.period == draw.period:
                account.spent += amount_micro_usd
        self._recorded[charge_id] = Charge(amount_micro_usd, (), now_ms + RECORDED_KEPT_S * 1000)
        self._make_room()
        return True

    async def balances(self, holds: Sequence[Hold]) -> tuple[Balance, ...]:
        return tuple(self._balances(holds, self._tidy()))

    async def fullest(self, budget: str, limit_micro_usd: int, at_most: int = 1) -> list[Balance]:
        now_ms = self._tidy()
        holds = [Hold(each.purse, limit_micro_usd) for key, each in self._accounts.items() if key[0] == budget]
        return nlargest(at_most, self._balances(holds, now_ms), key=lambda each: each.used_micro_usd)

    async def set_limit(self, budget: str, limit_micro_usd: int | None) -> None:
        if limit_micro_usd is None:
            self._limits.pop(budget, None)
        else:
            self._limits[budget] = limit_micro_usd

    async def reset(self, hold: Hold) -> tuple[Balance, int]:
        now_ms = self._tidy()
        account = self._accounts.get((hold.purse.budget, hold.purse.account))
        [before] = self._balances([hold], now_ms)
        if account is not None and before.spent_micro_usd:
            account.spent = 0
        return next(self._balances([hold], now_ms)), before.spent_micro_usd

    def _balances(self, holds: Sequence[Hold], now_ms: int) -> Iterator[Balance]:
        for hold in holds:
            purse, limit = hold.purse, self._limits.get(hold.purse.budget, hold.limit_micro_usd)
            period, account = period_of(purse.window, now_ms), self._accounts.get((purse.budget, purse.account))
            if account is None or account.is_forgotten(now_ms) or account.period < period:
                yield Balance(purse, period, 0, 0, limit)
            else:
                yield Balance(purse, account.period, account.spent, account.held, limit)

    def _account(self, purse: Purse, period: int, now_ms: int) -> Account:
        """The purse, begun anew where it was forgotten or its window has ended."""
        key = (purse.budget, purse.account)
        account = self._accounts.get(key)
        if account is None or account.is_forgotten(now_ms) or account.period < period:
            account = self._accounts[key] = Account(purse, period)
        account.used_ms = now_ms
        self._accounts.move_to_end(key)
        return account

    def _known(self, charge_id: str) -> Charge | None:
        return self._held.get(charge_id) or self._settled.get(charge_id) or self._recorded.get(charge_id)

    def _finish(self, charge_id: str, amount: int, now_ms: int) -> bool:
        if (charge := self._held.pop(charge_id, None)) is not None:
            for account in self._drawn_on(charge):
                account.held -= charge.amount
                account.spent += amount
        elif (charge := self._recorded.get(charge_id)) is not None and charge.draws:
            del self._recorded[charge_id]
            for account in self._drawn_on(charge):
                account.spent += amount - charge.amount
        else:
            return False
        self._settled[charge_id] = Charge(amount, (), now_ms + SETTLED_KEPT_S * 1000)
        return True

    def _lapse(self, charge: Charge) -> None:
        for account in self._drawn_on(charge):
            account.held -= charge.amount
            account.spent += charge.amount

    def _drawn_on(self, charge: Charge) -> Iterator[Account]:
        """The purses that still are what they were: those of a window that has ended have nothing to change."""
        for draw in charge.draws:
            account = self._accounts.get((draw.purse.budget, draw.purse.account))
            if account is not None and account.period == draw.period:
                yield account

    def _tidy(self) -> int:
        """Lapse and forget what is due, a few at a time. The time now."""
        now_ms = self._clock.unix_ns() // 1_000_000
        for charge_id in due(self._held, now_ms):
            charge = self._held.pop(charge_id)
            self._lapse(charge)
            charge.due_ms = now_ms + RECORDED_KEPT_S * 1000
            self._recorded[charge_id] = charge
        for finished in (self._settled, self._recorded):
            for charge_id in due(finished, now_ms):
                del finished[charge_id]
        oldest = islice(self._accounts.items(), LOOKED_AT_ONCE)
        for key in [key for key, account in oldest if account.is_forgotten(now_ms)]:
            del self._accounts[key]
        return now_ms

    def _make_room(self) -> None:
        for charges in (self._held, self._settled, self._recorded):
            while len(charges) > self._charges_max:
                charge = charges.popitem(last=False)[1]
                if charges is self._held:
                    self._lapse(charge)
        while len(self._accounts) > self._purses_max and (victim := self._least_missed()) is not None:
            del self._accounts[victim]

    def _least_missed(self) -> tuple[str, str] | None:
        idle = (key for key, account in self._accounts.items() if not account.held and account.purse.keep_s is not None)
        return next(idle, None)


def due(charges: OrderedDict[str, Charge], now_ms: int) -> list[str]:
    """The first that are due; each queue is in the order in which its charges fall due."""
    found: list[str] = []
    for charge_id, charge in charges.items():
        if charge.due_ms >= now_ms or len(found) == TIDIED_AT_ONCE:
            break  # nearly always at the first
        found.append(charge_id)
    return found
