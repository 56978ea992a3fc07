"""The spool: what stands in for a shared ledger that is away, and brings in afterwards what it charged.

While the shared ledger does not answer, calls are allowed by what was last known of each purse and what this process
has charged since. Every charge is kept under its own id until the shared ledger has acknowledged it, and is brought in
under that id, so that one which is sent twice counts once.

Each process decides alone, so a fleet may overshoot: by at most what a purse had left when the partition began, once
for each process but one, and the calls in flight.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from sidecar.engine.ports import Clock
from sidecar.engine.state.ledger import Balance, Draw, Hold, Ledger, Reservation
from sidecar.engine.state.window import period_of
from sidecar.errors import StoreUnavailable

log = logging.getLogger(__name__)

ENTRIES_MAX: Final = 100_000
"""Charges that may wait. Past that nothing stands in, and whoever would go on without the store goes on uncounted."""

PURSES_KNOWN: Final = 100_000
"""Purses whose last known balance is remembered; the least recently used is forgotten."""

MERGED_AT_ONCE: Final = 64
"""Charges that are on their way to the shared ledger together."""


class Kind(StrEnum):
    """What an entry is."""

    HOLD = "hold"
    """A call under way that was reserved here. One that a dead process left is charged at what it held."""
    CHARGE = "charge"
    """Reserved and settled here."""
    SETTLE = "settle"
    """Reserved in the shared ledger, which was away when the call ended."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One charge that the shared ledger has not acknowledged."""

    charge_id: str
    kind: Kind
    amount_micro_usd: int
    draws: tuple[Draw, ...]
    counted_micro_usd: int = 0
    """What the last known balances count of it already: its hold in the shared ledger."""

    @property
    def local_micro_usd(self) -> int:
        return self.amount_micro_usd - self.counted_micro_usd


class SpoolFile(Protocol):
    """Where entries outlive the process. Each verb is durable when it returns; a failure is StoreUnavailable."""

    async def load(self) -> list[Entry]:
        """What an earlier process left."""

    async def keep(self, entry: Entry) -> None:
        """Add it, or put it in the place of the one with its id."""

    async def drop(self, charge_ids: Sequence[str]) -> None: ...


class NoFile:
    """Nothing outlives the process: a crash during a partition loses what was charged in it."""

    async def load(self) -> list[Entry]:
        return []

    async def keep(self, entry: Entry) -> None:
        pass

    async def drop(self, charge_ids: Sequence[str]) -> None:
        pass


class Spool:
    """Local charges of one process."""

    def __init__(
        self,
        shared: Ledger,
        clock: Clock,
        file: SpoolFile | None = None,
        *,
        entries_max: int = ENTRIES_MAX,
        merged: Callable[[Entry], None] = lambda entry: None,  # noqa: ARG005 - nobody listens
    ) -> None:
        """`merged` hears of each entry that the shared ledger has acknowledged."""
        self._shared = shared
        self._clock = clock
        self._file = file or NoFile()
        self._entries_max = entries_max
        self._merged = merged
        self._entries: dict[str, Entry] = {}
        self._local: dict[Draw, int] = {}
        """What the entries add up to, by purse and window."""
        self._known: OrderedDict[tuple[str, str], Balance] = OrderedDict()
        self._merging: asyncio.Task[None] | None = None
        self._one_merge = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Entries that the shared ledger has not acknowledged."""
        return len(self._entries)

    async def start(self) -> None:
        """Take over what an earlier process left, and bring it in if the shared ledger answers."""
        for entry in await self._file.load():
            kind = Kind.CHARGE if entry.kind is Kind.HOLD else entry.kind
            self._put(replace(entry, kind=kind, counted_micro_usd=0))
        self.merge_soon()

    def saw(self, balances: Iterable[Balance]) -> None:
        """How purses stand in the shared ledger, which has just said so."""
        for balance in balances:
            key = (balance.purse.budget, balance.purse.account)
            self._known[key] = balance
            self._known.move_to_end(key)
        while len(self._known) > PURSES_KNOWN:
            self._known.popitem(last=False)
        self.merge_soon()

    async def reserve(
        self, charge_id: str, amount_micro_usd: int, holds: Sequence[Hold], *, share_percent: int = 0
    ) -> Reservation:
        """As Ledger.reserve, by the last known balances. Raises StoreUnavailable where it cannot be kept."""
        before = tuple(self._balance(hold) for hold in holds)
        if (known := self._entries.get(charge_id)) is not None:
            return Reservation(before, known.amount_micro_usd, is_new=False)
        lefts = [(index, each.left_micro_usd) for index, each in enumerate(before) if holds[index].is_binding]
        for index, left in lefts:
            if left < amount_micro_usd:
                return Reservation(before, 0, refused_by=index)
        if len(self._entries) >= self._entries_max:
            raise StoreUnavailable(f"{self._entries_max} charges wait for the shared ledger")
        held = max(amount_micro_usd, min((left for _, left in lefts), default=0) * share_percent // 100)
        await self._keep(Entry(charge_id, Kind.HOLD, held, tuple(each.draw for each in before)))
        return Reservation(tuple(self._balance(hold) for hold in holds), held)

    async def settle(self, charge_id: str, amount_micro_usd: int) -> bool:
        """Of a hold that was reserved here."""
        entry = self._entries.get(charge_id)
        if entry is None or entry.kind is not Kind.HOLD:
            return False
        await self._keep(replace(entry, kind=Kind.CHARGE, amount_micro_usd=amount_micro_usd))
        self.merge_soon()
        return True

    async def forget(self, charge_id: str) -> None:
        """Of a hold that was reserved here and that somebody else settles: nothing is charged for it from here."""
        entry = self._entries.get(charge_id)
        if entry is None or entry.kind is not Kind.HOLD:
            return
        self._take(entry)
        try:
            await self._file.drop([charge_id])
        except StoreUnavailable as error:
            log.warning("a hold stays in the spool's file, and would be charged after a crash: %s", error)

    async def settle_later(
        self, charge_id: str, amount_micro_usd: int, draws: Sequence[Draw], held_micro_usd: int
    ) -> None:
        """Of a hold in the shared ledger, which is away."""
        await self._keep(Entry(charge_id, Kind.SETTLE, amount_micro_usd, tuple(draws), held_micro_usd))

    async def charge_later(self, charge_id: str, draws: Sequence[Draw], amount_micro_usd: int) -> None:
        """Of money that nobody reserved."""
        await self._keep(Entry(charge_id, Kind.CHARGE, amount_micro_usd, tuple(draws)))

    def draws(self, holds: Sequence[Hold]) -> list[Draw]:
        """The windows that it is now, by this process's own clock."""
        return [self._balance(hold).draw for hold in holds]

    def merge_soon(self) -> None:
        """Bring in what can be, beside the calls."""
        is_idle = self._merging is None or self._merging.done()
        if is_idle and any(entry.kind is not Kind.HOLD for entry in self._entries.values()):
            self._merging = asyncio.get_running_loop().create_task(self.merge())

    async def merge(self) -> None:
        """Bring in all that is settled; stops where the shared ledger does not answer."""
        at_once = 1  # the first one finds out whether the ledger answers at all
        async with self._one_merge:
            while ready := [entry for entry in self._entries.values() if entry.kind is not Kind.HOLD][:at_once]:
                if not await self._merge_some(ready):
                    return
                at_once = MERGED_AT_ONCE

    async def _merge_some(self, ready: Sequence[Entry]) -> bool:
        """Whether all of them are the shared ledger's now."""
        answers = await asyncio.gather(*(self._bring_in(entry) for entry in ready), return_exceptions=True)
        brought = [entry for entry, answer in zip(ready, answers, strict=True) if answer is None]
        for entry in brought:
            self._forget(entry)
        try:
            await self._file.drop([entry.charge_id for entry in brought])
        except StoreUnavailable as error:
            log.warning("merged charges stay in the spool, where they do no harm: %s", error)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, StoreUnavailable):
                log.error("a charge cannot be brought in, and stays in the spool: %r", answer)
        return len(brought) == len(ready)

    async def close(self) -> None:
        if self._merging is not None:
            self._merging.cancel()
            await asyncio.gather(self._merging, return_exceptions=True)

    async def _bring_in(self, entry: Entry) -> None:
        """Both verbs count a charge once by its id.

        A settle never charges anew: if its answer alone was lost, its hold may be settled and forgotten by now.
        """
        if entry.kind is Kind.SETTLE:
            await self._shared.settle(entry.charge_id, entry.amount_micro_usd)
        else:
            await self._shared.charge(entry.charge_id, entry.draws, entry.amount_micro_usd)

    def _forget(self, entry: Entry) -> None:
        """It is the shared ledger's now, and so part of what is known of it."""
        self._take(entry)
        for draw in entry.draws:
            known = self._known.get((draw.purse.budget, draw.purse.account))
            if known is not None and known.period == draw.period:
                spent = known.spent_micro_usd + entry.local_micro_usd
                self._known[draw.purse.budget, draw.purse.account] = known._replace(spent_micro_usd=spent)
        self._merged(entry)

    async def _keep(self, entry: Entry) -> None:
        """In memory at once, so that the next decision knows it; then where it is durable."""
        before = self._put(entry)
        try:
            await self._file.keep(entry)
        except StoreUnavailable:
            if entry.kind is Kind.HOLD and before is None:
                self._take(entry)
                raise
            log.warning("a charge is kept in memory alone, because the spool cannot be written")

    def _put(self, entry: Entry) -> Entry | None:
        if (before := self._entries.get(entry.charge_id)) is not None:
            self._take(before)
        self._entries[entry.charge_id] = entry
        for draw in entry.draws:
            self._local[draw] = self._local.get(draw, 0) + entry.local_micro_usd
        return before

    def _take(self, entry: Entry) -> None:
        del self._entries[entry.charge_id]
        for draw in entry.draws:
            left = self._local.pop(draw, 0) - entry.local_micro_usd
            if left:
                self._local[draw] = left

    def _balance(self, hold: Hold) -> Balance:
        """What is known of a purse, and what was charged here since."""
        period = period_of(hold.purse.window, self._clock.unix_ns() // 1_000_000)
        known = self._known.get((hold.purse.budget, hold.purse.account))
        limit = known.limit_micro_usd if known is not None else hold.limit_micro_usd
        used = known.used_micro_usd if known is not None and known.period >= period else 0
        local = self._local.get(Draw(hold.purse, period), 0)
        return Balance(hold.purse, period, used + local, 0, limit)
