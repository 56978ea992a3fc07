"""The spool: what was charged while the shared ledger was away, and how it is brought in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.checks.budget import Till
from sidecar.engine.exchange import Exchange
from sidecar.engine.state.ledger import Draw, Hold, Purse
from sidecar.engine.state.spool import Entry, Kind, Spool
from sidecar.engine.state.window import Window
from sidecar.errors import StoreUnavailable
from sidecar.stores.memory import MemoryLedger
from sidecar.stores.sqlite import SqliteSpool
from sidecar.testing import ManualClock
from tests.checks.money import Sidecar

ALL = Purse("all", "")
LIMIT = 1_000


class Flaky:
    """A ledger that can be away, and can lose the answer to what it has done."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self.ledger = ledger
        self.is_away = False
        self.loses_answers = False
        self.hangs = False
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        async def verb(*arguments: Any, **more: Any) -> Any:
            if self.is_away:
                raise StoreUnavailable("away")
            self.asked.append(name)
            answer = await getattr(self.ledger, name)(*arguments, **more)
            if self.hangs:
                await asyncio.sleep(60)
            if self.loses_answers:
                raise StoreUnavailable("the answer was lost")
            return answer

        return verb


class Scene:
    """A shared ledger, a spool before it, and money."""

    def __init__(self, file: SqliteSpool | None = None) -> None:
        self.clock = ManualClock()
        self.shared = Flaky(MemoryLedger(self.clock))
        self.file = file
        self.spool = Spool(self.shared, self.clock, file)  # type: ignore[arg-type]
        self.till = Till(self.shared, self.spool)  # type: ignore[arg-type]

    async def exchange(self) -> Exchange:
        return await Sidecar("writer").arrives()

    async def spent(self) -> tuple[int, int]:
        balance = (await self.shared.ledger.balances([Hold(ALL, LIMIT)]))[0]
        return balance.spent_micro_usd, balance.held_micro_usd

    async def merged(self) -> None:
        self.shared.is_away = self.shared.loses_answers = False
        await self.spool.merge()


@pytest.fixture(params=["memory", "file"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    file = SqliteSpool(tmp_path / "spool.db", ManualClock()) if request.param == "file" else None
    made = Scene(file)
    yield made
    await made.spool.close()
    if file is not None:
        await file.close()


HOLDS = [Hold(ALL, LIMIT)]


async def test_calls_go_on_by_what_was_last_known_and_what_was_charged_since(scene: Scene):
    """Not beyond what the purse had left."""
    first = await scene.till.reserve(await scene.exchange(), 600, HOLDS)
    scene.shared.is_away = True
    allowed = await scene.till.reserve(await scene.exchange(), 300, HOLDS)
    refused = await scene.till.reserve(await scene.exchange(), 101, HOLDS)
    assert (first.is_local, allowed.is_local) == (False, True)
    assert (allowed.reservation.refused_by, refused.reservation.refused_by) == (None, 0)
    await scene.till.settle(allowed, 100)
    assert (await scene.till.reserve(await scene.exchange(), 300, HOLDS)).reservation.refused_by is None


async def test_local_charges_are_brought_in_once_when_the_ledger_is_back(scene: Scene):
    """Under their own ids, whatever is asked twice. The first alone finds out whether anybody answers."""
    scene.shared.is_away = True
    receipts = [await scene.till.reserve(await scene.exchange(), 10, HOLDS) for _ in range(5)]
    for number, receipt in enumerate(receipts, 1):
        await scene.till.settle(receipt, number)
    assert (scene.spool.waiting, await scene.spent()) == (5, (0, 0))
    scene.shared.is_away, scene.shared.loses_answers = False, True
    await scene.spool.merge()
    assert (scene.spool.waiting, await scene.spent()) == (5, (1, 0))
    await scene.merged()
    assert (scene.spool.waiting, await scene.spent()) == (0, (15, 0))


async def test_what_another_sidecar_settles_is_left_to_it(scene: Scene):
    """What stood in for the ledger here holds nothing any more, and the next process finds nothing of it."""
    scene.shared.is_away = True
    receipt = await scene.till.reserve(await scene.exchange(), LIMIT, HOLDS)
    await scene.till.leave(receipt)
    assert (await scene.till.reserve(await scene.exchange(), LIMIT, HOLDS)).reservation.refused_by is None
    assert scene.spool.waiting == 1
    if scene.file is not None:
        assert len(await scene.file.load()) == 1
    await scene.till.leave(receipt)  # a second time, or of what was settled: nothing happens
    assert scene.spool.waiting == 1


async def test_a_call_that_is_still_under_way_is_brought_in_when_it_ends(scene: Scene):
    """It was reserved here, and ends after the ledger is back."""
    scene.shared.is_away = True
    receipt = await scene.till.reserve(await scene.exchange(), 10, HOLDS)
    await scene.merged()
    assert scene.spool.waiting == 1
    await scene.till.settle(receipt, 7)
    await asyncio.sleep(0.05)
    assert (scene.spool.waiting, await scene.spent()) == (0, (7, 0))


async def test_a_hold_in_the_shared_ledger_is_settled_when_it_is_back(scene: Scene):
    """The ledger left while the call was under way."""
    receipt = await scene.till.reserve(await scene.exchange(), 600, HOLDS)
    scene.shared.is_away = True
    await scene.till.settle(receipt, 100)
    assert (await scene.till.reserve(await scene.exchange(), 900, HOLDS)).reservation.refused_by is None
    await scene.merged()
    assert await scene.spent() == (100, 0)


@pytest.mark.parametrize("lost", ["reserve", "settle"])
async def test_what_was_done_and_not_answered_is_not_done_twice(scene: Scene, lost: str):
    """The connection broke between the deed and the word."""
    scene.shared.loses_answers = lost == "reserve"
    receipt = await scene.till.reserve(await scene.exchange(), 50, HOLDS)
    scene.shared.loses_answers = lost == "settle"
    await scene.till.settle(receipt, 20)
    await scene.merged()
    assert (scene.spool.waiting, await scene.spent()) == (0, (20, 0))


async def test_a_void_while_the_ledger_is_away_gives_everything_back(scene: Scene):
    """Voiding is settling at nothing."""
    held = await scene.till.reserve(await scene.exchange(), 50, HOLDS)
    scene.shared.is_away = True
    local = await scene.till.reserve(await scene.exchange(), 50, HOLDS)
    for receipt in (held, local):
        await scene.till.settle(receipt, 0)
    await scene.merged()
    assert await scene.spent() == (0, 0)


async def test_a_second_partition_knows_what_the_first_one_charged(scene: Scene):
    """Also where nobody reserved in between."""
    await scene.till.reserve(await scene.exchange(), 100, HOLDS)
    scene.shared.is_away = True
    await scene.till.settle(await scene.till.reserve(await scene.exchange(), 500, HOLDS), 500)
    await scene.merged()
    scene.shared.is_away = True
    assert (await scene.till.reserve(await scene.exchange(), 401, HOLDS)).reservation.refused_by == 0
    assert (await scene.till.reserve(await scene.exchange(), 400, HOLDS)).reservation.refused_by is None


async def test_money_of_a_window_that_ended_during_the_partition_counts_in_its_own(scene: Scene):
    """It is brought in late, and changes nothing in the window it is then."""
    daily = Hold(Purse("daily", "", Window.DAY), LIMIT)
    scene.shared.is_away = True
    receipt = await scene.till.reserve(await scene.exchange(), LIMIT, [daily])
    await scene.till.settle(receipt, LIMIT)
    scene.clock.advance(86_400)
    assert (await scene.till.reserve(await scene.exchange(), LIMIT, [daily])).reservation.refused_by is None
    await scene.merged()
    assert (await scene.shared.ledger.balances([daily]))[0].used_micro_usd == 0


async def test_a_full_spool_stands_in_for_nobody(scene: Scene):
    """A limit on everything: the call is then as one whose store is away, and nothing stands in."""
    spool = Spool(scene.shared, scene.clock, entries_max=1)  # type: ignore[arg-type]
    await spool.reserve("1", 1, HOLDS)
    with pytest.raises(StoreUnavailable):
        await spool.reserve("2", 1, HOLDS)
    assert not (await spool.reserve("1", 1, HOLDS)).is_new


async def test_a_caller_that_leaves_while_we_ask_holds_nothing(scene: Scene):
    """Its reservation was made, and nobody is there to settle it."""
    exchange, scene.shared.hangs = await scene.exchange(), True
    asking = asyncio.ensure_future(scene.till.reserve(exchange, 50, HOLDS))
    await asyncio.sleep(0)
    assert await scene.spent() == (0, 50)
    scene.shared.hangs = False
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)
    assert await scene.spent() == (0, 0)
    # A reservation that arrives after its own end, as pipelines may have it, holds nothing either.
    assert not (await scene.shared.reserve(exchange.lineage.exchange_id, 50, HOLDS)).is_new
    assert await scene.spent() == (0, 0)


async def test_a_dead_process_leaves_its_charges_to_the_next(tmp_path: Path):
    """What was settled as it was, what was under way at what it held."""
    before = Scene(SqliteSpool(tmp_path / "spool.db", ManualClock()))
    known = await before.till.reserve(await before.exchange(), 30, HOLDS)
    before.shared.is_away = True
    settled = await before.till.reserve(await before.exchange(), 50, HOLDS)
    await before.till.settle(settled, 20)
    await before.till.reserve(await before.exchange(), 7, HOLDS)
    await before.till.settle(known, 3)
    after = Scene(SqliteSpool(tmp_path / "spool.db", ManualClock()))
    after.shared.ledger = before.shared.ledger
    await after.spool.start()
    await asyncio.sleep(0.05)
    assert (after.spool.waiting, await after.spent()) == (0, (20 + 7 + 3, 0))
    third = Scene(SqliteSpool(tmp_path / "spool.db", ManualClock()))
    await third.spool.start()
    assert third.spool.waiting == 0
    for scene in (before, after, third):
        assert scene.file is not None
        await scene.file.close()


async def test_a_file_that_cannot_be_written_refuses_holds_and_loses_no_end(scene: Scene):
    """What was not written cannot be promised; what was spent is spent, and kept in memory at least."""

    class Broken:
        async def load(self) -> list[Entry]:
            return []

        async def keep(self, entry: Entry) -> None:
            raise StoreUnavailable("disk full")

        async def drop(self, charge_ids: Sequence[str]) -> None:
            raise StoreUnavailable("disk full")

    spool = Spool(scene.shared, scene.clock, Broken())  # type: ignore[arg-type]
    with pytest.raises(StoreUnavailable):
        await spool.reserve("1", 1, HOLDS)
    assert spool.waiting == 0
    await spool.charge_later("2", [Draw(ALL, 0)], 5)
    assert spool.waiting == 1
    await spool.merge()
    assert (spool.waiting, await scene.spent()) == (0, (5, 0))


STEPS = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "void", "away", "back", "lose", "restart"]), st.integers(0, 90)),
    max_size=40,
)


@given(STEPS)
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=150)
def test_no_order_of_partitions_loses_or_doubles_a_charge(steps: list[tuple[str, int]]):
    """After the last return, what is spent is what the calls cost, to the micro-USD."""
    asyncio.run(played(steps))


async def played(steps: list[tuple[str, int]]) -> None:
    file = Remembering()
    scene = Scene(file)  # type: ignore[arg-type]
    cost, under_way = 0, []
    for step, amount in steps:
        if step == "reserve":
            receipt = await scene.till.reserve(await scene.exchange(), amount, [Hold(ALL, 10**9)])
            under_way.append(receipt)
        elif step in ("settle", "void") and under_way:
            amount = amount if step == "settle" else 0
            await scene.till.settle(under_way.pop(0), amount)
            cost += amount
        elif step in ("away", "back", "lose"):
            scene.shared.is_away, scene.shared.loses_answers = step == "away", step == "lose"
            scene.spool.merge_soon()
        elif step == "restart":
            for receipt in under_way:
                cost += receipt.held_micro_usd  # nobody settles them any more
            under_way = []
            await scene.spool.close()
            shared = scene.shared
            scene = Scene(file)  # type: ignore[arg-type]
            scene.shared, scene.clock = shared, shared.ledger._clock  # type: ignore[assignment]
            scene.spool = Spool(shared, scene.clock, file)  # type: ignore[arg-type]
            scene.till = Till(shared, scene.spool)  # type: ignore[arg-type]
            await scene.spool.start()
        await asyncio.sleep(0)
    for receipt in under_way:
        await scene.till.settle(receipt, 5)
        cost += 5
    await asyncio.sleep(0)
    await scene.spool.close()
    await scene.merged()
    spent, held = await scene.spent()
    # A hold in the shared ledger whose owner died is still held: its lease has not run out.
    assert spent + held == cost
    assert scene.spool.waiting == 0


class Remembering:
    """A SpoolFile without a file."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    async def load(self) -> list[Entry]:
        return list(self.entries.values())

    async def keep(self, entry: Entry) -> None:
        self.entries[entry.charge_id] = entry

    async def drop(self, charge_ids: Sequence[str]) -> None:
        for charge_id in charge_ids:
            self.entries.pop(charge_id, None)


def test_entries_survive_the_file_exactly(tmp_path: Path):
    """Every field of every kind."""

    async def story() -> None:
        file = SqliteSpool(tmp_path / "spool.db", ManualClock())
        draws = (Draw(Purse("a|b", "ä😀'", Window.MONTH, 9.5), 24_000), Draw(ALL, 0))
        entries = [Entry(f"{kind}", kind, 10**14, draws, 7) for kind in Kind]
        for entry in entries:
            await file.keep(entry)
        assert sorted(await file.load(), key=lambda each: each.charge_id) == sorted(
            entries, key=lambda each: each.charge_id
        )
        await file.drop([entries[0].charge_id])
        assert len(await file.load()) == 2
        await file.close()

    asyncio.run(story())
