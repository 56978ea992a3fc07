"""The till: holds and settles in the shared ledger, or in the spool while that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from sidecar.engine.ahead import Key
from sidecar.engine.exchange import Exchange
from sidecar.engine.state.ledger import Balance, Draw, Hold, Ledger, Reservation
from sidecar.engine.state.reach import is_consistent
from sidecar.engine.state.spool import Spool
from sidecar.errors import StoreUnavailable

SPARED: Final = 4
"""What is asked ahead leaves as much as it takes for this many others: it may be given back."""


class Receipt(NamedTuple):
    """A reservation, and where it was made."""

    charge_id: str
    reservation: Reservation
    is_local: bool = False

    @property
    def draws(self) -> tuple[Draw, ...]:
        return tuple(balance.draw for balance in self.reservation.balances)

    @property
    def held_micro_usd(self) -> int:
        return self.reservation.held_micro_usd


class Till:
    """One process's way to the money."""

    def __init__(self, shared: Ledger, spool: Spool | None = None, *, told: Callable[[], None] = lambda: None) -> None:
        """`spool` None: nothing stands in. `told` counts reservations that were made locally."""
        self._shared = shared
        self._spool = spool
        self._told = told
        self._background: set[asyncio.Future[None]] = set()

    async def reserve(
        self, exchange: Exchange, amount_micro_usd: int, holds: Sequence[Hold], *, share_percent: int = 0
    ) -> Receipt:
        """Raises StoreUnavailable where the spec would rather be refused, or nothing can stand in.

        A caller that leaves while we ask does not hear the answer; what was held for it is given back.
        """
        try:
            return await self._reserve(exchange, amount_micro_usd, holds, share_percent)
        except asyncio.CancelledError:
            task = asyncio.ensure_future(self._give_back(exchange.lineage.exchange_id))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
            raise

    def reserve_ahead(self, exchange: Exchange, amount_micro_usd: int, holds: Sequence[Hold]) -> None:
        """Ask now what `reserve` will ask, without a share. Where it would take the last, it is asked in its turn."""
        if exchange.ahead is None:
            return
        charge_id = exchange.lineage.exchange_id
        spare = SPARED * amount_micro_usd
        verb = partial(self._shared.reserve, charge_id, amount_micro_usd, holds, spare_micro_usd=spare)
        exchange.ahead.ask(key_of(charge_id, amount_micro_usd, holds, 0), verb, partial(self._withdraw, charge_id))

    async def _withdraw(self, charge_id: str, reservation: Reservation | None) -> None:
        """Nobody came for it. What another sidecar of this exchange holds is its own."""
        if reservation is not None and (not reservation.is_new or reservation.refused_by is not None):
            return
        try:
            await self._shared.withdraw(charge_id)
        except StoreUnavailable:
            if self._spool is not None:
                await self._spool.charge_later(charge_id, (), 0)

    async def _give_back(self, charge_id: str) -> None:
        """Whether the reservation was made or still will be: a charge that is known to be done holds nothing."""
        is_owed = False
        try:
            await self._shared.charge(charge_id, (), 0)
        except StoreUnavailable:
            is_owed = True
        if self._spool is not None and not await self._spool.settle(charge_id, 0) and is_owed:
            await self._spool.charge_later(charge_id, (), 0)

    async def _reserve(
        self, exchange: Exchange, amount_micro_usd: int, holds: Sequence[Hold], share_percent: int
    ) -> Receipt:
        charge_id = exchange.lineage.exchange_id
        verb = partial(self._shared.reserve, charge_id, amount_micro_usd, holds, share_percent=share_percent)
        try:
            if exchange.ahead is None:
                answer = await verb()
            else:
                key = key_of(charge_id, amount_micro_usd, holds, share_percent)
                is_foreseen = exchange.ahead.has(key)
                answer = await exchange.ahead.fetch(key, verb)
                if is_foreseen and answer.refused_by is not None:
                    answer = await verb()  # what was asked ahead was not to take the last
        except StoreUnavailable as away:
            if self._spool is not None and is_consistent(exchange) and away.may_have_happened:
                # The hold may stand although the call will not go out: what nobody gave back would be spent in the end.
                await self._spool.charge_later(charge_id, (), 0)
            if self._spool is None or is_consistent(exchange):
                raise
            self._told()
            answer = await self._spool.reserve(charge_id, amount_micro_usd, holds, share_percent=share_percent)
            return Receipt(charge_id, answer, is_local=True)
        if self._spool is not None:
            self._spool.saw(answer.balances)
        return Receipt(charge_id, answer)

    async def settle(self, receipt: Receipt, amount_micro_usd: int) -> bool:
        """Whatever becomes of the store: what was spent is spent. False where another sidecar had settled it before."""
        if receipt.is_local:
            assert self._spool is not None
            return await self._spool.settle(receipt.charge_id, amount_micro_usd)
        try:
            return await self._shared.settle(receipt.charge_id, amount_micro_usd)
        except StoreUnavailable:
            if self._spool is None:
                raise
            await self._spool.settle_later(receipt.charge_id, amount_micro_usd, receipt.draws, receipt.held_micro_usd)
            return True

    async def leave(self, receipt: Receipt) -> None:
        """Another sidecar settles it, in the shared ledger; what stood in for that here is forgotten."""
        if receipt.is_local:
            assert self._spool is not None
            await self._spool.forget(receipt.charge_id)

    async def charge(self, charge_id: str, holds: Sequence[Hold], amount_micro_usd: int) -> bool:
        """Money that nobody reserved. False where another sidecar had charged it before."""
        balances: Sequence[Balance] = ()
        try:
            balances = await self._shared.balances(holds)
            return await self._shared.charge(charge_id, [balance.draw for balance in balances], amount_micro_usd)
        except StoreUnavailable:
            if self._spool is None:
                raise
            draws = [balance.draw for balance in balances] or self._spool.draws(holds)
            await self._spool.charge_later(charge_id, draws, amount_micro_usd)
            return True

    async def used(self, hold: Hold) -> int:
        """What was spent and is held of one purse."""
        try:
            return (await self._shared.balances([hold]))[0].used_micro_usd
        except StoreUnavailable:
            # Nobody knows: all of it may be.
            return hold.limit_micro_usd


def key_of(charge_id: str, amount_micro_usd: int, holds: Sequence[Hold], share_percent: int) -> Key:
    return "reserve", charge_id, amount_micro_usd, tuple(holds), share_percent
