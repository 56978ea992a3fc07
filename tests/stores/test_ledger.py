"""The ledger: what every store promises about money."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from sidecar.engine.state import Store
from sidecar.engine.state.ledger import LEASE_S, RECORDED_KEPT_S, SETTLED_KEPT_S, Balance, Draw, Hold, Purse
from sidecar.engine.state.window import Window, end_of, period_of
from tests.stores.places import Place

USD = 1_000_000
DAY_S = 86_400
ALL = Purse("all", "")
ONE = Purse("one", "conversation-1")


def hold(purse: Purse = ALL, limit: int = 2 * USD, *, is_binding: bool = True) -> Hold:
    return Hold(purse, limit, is_binding)


async def money(store: Store, purse: Purse = ALL) -> tuple[int, int]:
    balance = (await store.ledger.balances([hold(purse)]))[0]
    return balance.spent_micro_usd, balance.held_micro_usd


async def test_a_reservation_is_held_and_not_spent(store: Store):
    """Until the answer is here, nobody knows what it costs."""
    reservation = await store.ledger.reserve("x", 300_000, [hold(), hold(ONE)])
    assert (reservation.is_new, reservation.refused_by, reservation.held_micro_usd) == (True, None, 300_000)
    assert reservation.balances == (Balance(ALL, 0, 0, 300_000, 2 * USD), Balance(ONE, 0, 0, 300_000, 2 * USD))
    assert await money(store) == (0, 300_000)


@pytest.mark.parametrize(("amount", "is_allowed"), [(0, True), (1, True), (2 * USD, True), (2 * USD + 1, False)])
async def test_the_limit_itself_may_be_spent_and_not_a_millionth_more(store: Store, amount: int, is_allowed: bool):
    """Spent + held + amount ≤ limit."""
    reservation = await store.ledger.reserve("x", amount, [hold()])
    assert reservation.refused_by == (None if is_allowed else 0)
    assert await money(store) == (0, amount if is_allowed else 0)


async def test_what_one_purse_refuses_is_held_in_none(store: Store):
    """One atomic step: no purse is left with a hold that nobody will settle."""
    reservation = await store.ledger.reserve("x", 2 * USD, [hold(limit=5 * USD), hold(ONE, USD)])
    assert (reservation.refused_by, reservation.held_micro_usd) == (1, 0)
    assert (await money(store), await money(store, ONE)) == ((0, 0), (0, 0))
    assert await store.ledger.settle("x", USD) is False
    assert (await store.ledger.reserve("x", USD, [hold(limit=5 * USD), hold(ONE, USD)])).is_new


async def test_a_purse_that_does_not_bind_counts_past_its_limit(store: Store):
    """Observe changes nothing for the call, and the money is spent all the same."""
    reservation = await store.ledger.reserve("x", 3 * USD, [hold(is_binding=False)])
    assert (reservation.refused_by, reservation.balances[0].left_micro_usd) == (None, -USD)
    await store.ledger.settle("x", 3 * USD)
    assert await money(store) == (3 * USD, 0)


@pytest.mark.parametrize(("spare", "is_allowed"), [(0, True), (USD, True), (USD + 1, False)])
async def test_what_has_to_be_left_beside_a_hold_is_left(store: Store, spare: int, is_allowed: bool):
    """It is not held: the next one may have it."""
    reservation = await store.ledger.reserve("x", USD, [hold()], spare_micro_usd=spare)
    assert (reservation.refused_by is None) == is_allowed
    assert await money(store) == (0, USD if is_allowed else 0)
    assert (await store.ledger.reserve("y", USD, [hold()])).refused_by is None


async def test_what_is_withdrawn_was_never_reserved(store: Store):
    """Its hold is free in every purse, and its id may reserve again, in other purses as well."""
    await store.ledger.reserve("x", 300_000, [hold(), hold(ONE)])
    assert await store.ledger.withdraw("x")
    assert (await money(store), await money(store, ONE)) == ((0, 0), (0, 0))
    assert await store.ledger.withdraw("x") is False
    assert await store.ledger.settle("x", 100_000) is False
    assert (await store.ledger.reserve("x", 200_000, [hold()])).is_new
    assert await store.ledger.settle("x", 100_000)
    assert await money(store) == (100_000, 0)


async def test_what_is_settled_or_charged_is_not_withdrawn(store: Store):
    """The money was spent."""
    await store.ledger.reserve("settled", 300_000, [hold()])
    await store.ledger.settle("settled", 100_000)
    await store.ledger.charge("charged", [Draw(ALL, 0)], 50_000)
    for charge_id in ("settled", "charged", "unknown"):
        assert await store.ledger.withdraw(charge_id) is False
    assert await money(store) == (150_000, 0)


async def test_settling_replaces_the_hold_once(store: Store):
    """It may cost less, or more than was held; a second settle of the same charge changes nothing."""
    await store.ledger.reserve("less", 300_000, [hold()])
    await store.ledger.reserve("more", 300_000, [hold()])
    assert await store.ledger.settle("less", 100_000)
    assert await store.ledger.settle("more", 4 * USD)
    assert await money(store) == (4_100_000, 0)
    assert await store.ledger.settle("less", 900_000) is False
    await store.ledger.void("more")
    assert await money(store) == (4_100_000, 0)
    assert (await store.ledger.reserve("next", 0, [hold()])).refused_by == 0


async def test_a_void_gives_the_hold_back(store: Store):
    """A call that never went out cost nothing."""
    await store.ledger.reserve("x", 2 * USD, [hold()])
    await store.ledger.void("x")
    assert await money(store) == (0, 0)
    assert await store.ledger.settle("x", USD) is False
    await store.ledger.void("unknown")
    assert await money(store) == (0, 0)


async def test_the_second_sidecar_of_one_exchange_holds_nothing_more(store: Store):
    """Both sidecars may keep the state of a call until they know of each other."""
    await store.ledger.reserve("x", 300_000, [hold()])
    again = await store.ledger.reserve("x", 700_000, [hold()])
    assert (again.is_new, again.held_micro_usd) == (False, 300_000)
    assert await money(store) == (0, 300_000)
    await store.ledger.settle("x", 100_000)
    assert not (await store.ledger.reserve("x", 700_000, [hold()])).is_new
    assert await money(store) == (100_000, 0)


async def test_a_hold_whose_owner_died_is_spent_when_its_lease_runs_out(place: Place):
    """Whoever held it may have spent it; spent and held together stay the same."""
    await place.store.ledger.reserve("x", 300_000, [hold()])
    place.advance(LEASE_S - 1)
    await place.store.ledger.settle("unknown", 0)
    assert await money(place.store) == (0, 300_000)
    place.advance(2)
    await place.store.ledger.settle("unknown", 0)
    assert await money(place.store) == (300_000, 0)


@pytest.mark.parametrize(("actual", "spent"), [(100_000, 100_000), (900_000, 900_000), (0, 0)])
async def test_an_owner_that_was_only_slow_corrects_a_lapsed_hold(place: Place, actual: int, spent: int):
    """A stream may last longer than a lease."""
    await place.store.ledger.reserve("x", 300_000, [hold()])
    place.advance(LEASE_S + 1)
    await place.store.ledger.settle("unknown", 0)
    place.advance(RECORDED_KEPT_S - 10)
    assert await place.store.ledger.settle("x", actual)
    assert await money(place.store) == (spent, 0)
    assert await place.store.ledger.settle("x", 5) is False


async def test_a_charge_without_a_hold_is_counted_once(store: Store):
    """Money that was spent while the store was away is brought in afterwards, perhaps twice."""
    draws = [Draw(ALL, 0), Draw(ONE, 0)]
    assert await store.ledger.charge("x", draws, 300_000)
    assert await store.ledger.charge("x", draws, 300_000) is False
    assert (await money(store), await money(store, ONE)) == ((300_000, 0), (300_000, 0))
    assert not (await store.ledger.reserve("x", USD, [hold()])).is_new


async def test_a_charge_settles_the_hold_that_its_exchange_has_here(place: Place):
    """The reservation was made and its answer lost: then the same exchange was charged elsewhere."""
    await place.store.ledger.reserve("held", 500_000, [hold()])
    await place.store.ledger.reserve("lapsed", 500_000, [hold()])
    assert await place.store.ledger.charge("held", [Draw(ALL, 0)], 100_000)
    place.advance(LEASE_S + 1)
    await place.store.ledger.settle("unknown", 0)
    assert await place.store.ledger.charge("lapsed", [Draw(ALL, 0)], 200_000)
    assert await money(place.store) == (300_000, 0)


async def test_finished_charges_are_forgotten_after_their_time(place: Place):
    """A settled one in an hour, one that may be sent again in a week."""
    await place.store.ledger.reserve("settled", 1, [hold()])
    await place.store.ledger.settle("settled", 1)
    await place.store.ledger.charge("charged", [Draw(ALL, 0)], 1)
    place.advance(SETTLED_KEPT_S + 1)
    await place.store.ledger.settle("unknown", 0)
    assert (await place.store.ledger.reserve("settled", 1, [hold()])).is_new
    assert await place.store.ledger.charge("charged", [Draw(ALL, 0)], 1) is False
    place.advance(RECORDED_KEPT_S)
    await place.store.ledger.settle("unknown", 0)
    assert await place.store.ledger.charge("charged", [Draw(ALL, 0)], 1)


@pytest.mark.parametrize(("window", "seconds"), [("hour", 3_600), ("day", DAY_S), ("month", 31 * DAY_S)])
async def test_a_window_that_ends_starts_the_purse_anew(place: Place, window: str, seconds: int):
    """What was spent in it counts no longer, and what is settled late is counted where it was held."""
    purse = Purse("windowed", "", Window(window))
    await place.store.ledger.reserve("spent", USD, [hold(purse)])
    await place.store.ledger.settle("spent", USD)
    await place.store.ledger.reserve("late", USD, [hold(purse)], lease_s=10 * seconds)
    assert (await place.store.ledger.reserve("full", 1, [hold(purse)])).refused_by == 0
    place.advance(seconds)
    assert await money(place.store, purse) == (0, 0)
    assert (await place.store.ledger.reserve("anew", 2 * USD, [hold(purse)])).refused_by is None
    assert await place.store.ledger.settle("late", 5 * USD)
    assert await money(place.store, purse) == (0, 2 * USD)


async def test_a_charge_of_a_window_that_has_ended_changes_nothing_now(place: Place):
    """It was counted against the limit of its own time."""
    purse = Purse("windowed", "", Window.DAY)
    period = (await place.store.ledger.balances([hold(purse)]))[0].period
    await place.store.ledger.charge("old", [Draw(purse, period - 1)], USD)
    await place.store.ledger.charge("now", [Draw(purse, period)], 5)
    await place.store.ledger.charge("older", [Draw(purse, period - 1)], USD)
    assert await money(place.store, purse) == (5, 0)


async def test_stores_number_windows_as_the_calendar_does(place: Place):
    """The months of two years and a leap day, by the store's own clock."""
    purses = [Purse(window, "", Window(window)) for window in ("none", "hour", "day", "month")]
    seen: list[int] = []
    for _ in range(27):
        balances = await place.store.ledger.balances([hold(purse) for purse in purses])
        month = balances[3].period
        end = end_of(Window.MONTH, month)
        assert end is not None
        assert balances[0].period == 0
        assert balances[2].period == balances[1].period // 24
        day = int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()) // DAY_S
        assert day <= balances[2].period < int(end.timestamp()) // DAY_S
        seen.append(month)
        place.advance(28 * DAY_S)
    assert seen == sorted(seen)
    assert seen[-1] - seen[0] >= 23


@pytest.mark.parametrize("window", list(Window))
def test_a_window_ends_where_the_next_begins(window: Window):
    """The last millisecond belongs to the old one."""
    for text in ("2024-02-29T23:59:59", "2024-12-31T23:59:59", "2025-01-01T00:00:00", "1970-01-01T00:00:00"):
        moment = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
        period = period_of(window, moment)
        end = end_of(window, period)
        if end is None:
            assert window is Window.NONE
            continue
        end_ms = int(end.timestamp() * 1000)
        assert (period_of(window, end_ms - 1), period_of(window, end_ms)) == (period, period + 1)


async def test_a_purse_of_a_conversation_is_forgotten_after_its_time_without_use(place: Place):
    """Conversations are many and end; each use keeps a purse for as long again."""
    purse = Purse("conversation", "c", keep_s=100)
    await place.store.ledger.reserve("x", USD, [hold(purse)])
    await place.store.ledger.settle("x", USD)
    place.advance(99)
    assert (await place.store.ledger.reserve("y", 2 * USD, [hold(purse)])).refused_by == 0
    assert (await place.store.ledger.reserve("y", USD, [hold(purse)])).refused_by is None
    await place.store.ledger.void("y")
    place.advance(99)
    assert await money(place.store, purse) == (USD, 0)
    place.advance(2)
    assert await money(place.store, purse) == (0, 0)
    assert (await place.store.ledger.reserve("z", 2 * USD, [hold(purse)])).refused_by is None


@pytest.mark.parametrize(("share", "held"), [(0, 10), (1, 10_000), (50, 500_000), (100, USD)])
async def test_a_share_of_what_is_left_is_held_and_never_less_than_the_amount(store: Store, share: int, held: int):
    """The tightest binding purse decides; one that does not bind has no say."""
    holds = [hold(limit=2 * USD), hold(ONE, USD), hold(Purse("loose", ""), 5, is_binding=False)]
    reservation = await store.ledger.reserve("x", 10, holds, share_percent=share)
    assert reservation.held_micro_usd == held


async def test_shares_of_shares_never_hold_more_than_there_is(store: Store):
    """Half, half of the rest, and so on: each is taken from what the others left."""
    held = [
        (await store.ledger.reserve(f"{number}", 1, [hold(limit=1000)], share_percent=50)).held_micro_usd
        for number in range(20)
    ]
    assert held[:4] == [500, 250, 125, 62]
    assert sum(held) == (await money(store))[1] <= 1000


async def test_a_limit_set_by_an_operator_holds_for_all_purses_until_it_is_taken_back(store: Store):
    """Whatever the configuration of each sidecar says."""
    await store.ledger.set_limit("all", 5)
    assert (await store.ledger.reserve("x", 6, [hold()])).refused_by == 0
    assert (await store.ledger.balances([hold()]))[0].limit_micro_usd == 5
    await store.ledger.set_limit("all", None)
    assert (await store.ledger.reserve("x", 6, [hold()])).refused_by is None


async def test_the_fullest_purses_of_a_budget_are_told_first(place: Place):
    """Of this window, and of no other budget."""
    for number, amount in enumerate((3, 9, 5)):
        purse = Purse("conversation", f"c-{number}", Window.DAY, keep_s=10 * DAY_S)
        await place.store.ledger.reserve(f"{number}", amount, [hold(purse), hold(ALL)])
    await place.store.ledger.settle("0", 30)
    fullest = await place.store.ledger.fullest("conversation", 100, 2)
    assert [(each.purse.account, each.used_micro_usd, each.limit_micro_usd) for each in fullest] == [
        ("c-0", 30, 100),
        ("c-1", 9, 100),
    ]
    assert await place.store.ledger.fullest("nobody", 100) == []
    place.advance(DAY_S)
    assert [each.used_micro_usd for each in await place.store.ledger.fullest("conversation", 100, 5)] == [0, 0, 0]


async def test_accounts_are_compared_exactly(store: Store):
    """What stands in a conversation's id means nothing to a store."""
    accounts = ["a", "A", " a", "a|b", "*", "ä", "😀", "'", '"', "{x}", ""]
    for number, account in enumerate(accounts):
        await store.ledger.charge(f"{number}", [Draw(Purse("exact", account), 0)], number + 1)
    assert [await money(store, Purse("exact", account)) for account in accounts] == [
        (number + 1, 0) for number in range(len(accounts))
    ]
    assert {each.purse.account for each in await store.ledger.fullest("exact", 1, 99)} == set(accounts)


async def test_large_amounts_are_exact(store: Store):
    """The largest limit that can be configured, to the micro-USD."""
    limit = 100_000_000 * USD
    await store.ledger.charge("x", [Draw(ALL, 0)], limit - 1)
    assert (await store.ledger.reserve("y", 2, [hold(limit=limit)])).refused_by == 0
    assert (await store.ledger.reserve("y", 1, [hold(limit=limit)])).refused_by is None
    assert await money(store) == (limit - 1, 1)


async def test_200_calls_at_once_hold_exactly_what_fits(place: Place):
    """$2.00 at three cents a call: 66 of them, in whatever order."""
    stores = [place.store, place.again()] if place.again else [place.store]
    calls = [stores[number % len(stores)].ledger.reserve(f"{number}", 30_000, [hold()]) for number in range(200)]
    reservations = await asyncio.gather(*calls)
    allowed = [number for number, each in enumerate(reservations) if each.refused_by is None]
    assert len(allowed) == 66
    await asyncio.gather(*(stores[number % len(stores)].ledger.settle(f"{number}", 30_000) for number in allowed))
    assert await money(stores[-1]) == (1_980_000, 0)
    for store in stores[1:]:
        await store.close()


async def test_money_outlives_the_process(place: Place):
    """What was acknowledged is there for the next one, holds too."""
    if place.again is None:
        return
    await place.store.ledger.reserve("held", 300_000, [hold()])
    await place.store.ledger.charge("spent", [Draw(ALL, 0)], 500_000)
    await place.store.ledger.set_limit("one", 7)
    reopened = place.again()
    assert await money(reopened) == (500_000, 300_000)
    assert await reopened.ledger.settle("held", 1)
    assert (await reopened.ledger.balances([hold(ONE)]))[0].limit_micro_usd == 7
    await reopened.close()


async def test_a_reset_forgets_what_was_spent_and_keeps_what_is_held(store: Store):
    """What is held is settled as ever; other purses keep theirs; and again there is nothing to forget."""
    await store.ledger.reserve("x", USD, [hold(), hold(ONE)])
    await store.ledger.settle("x", USD)
    await store.ledger.reserve("y", USD // 2, [hold(), hold(ONE)])
    assert await store.ledger.reset(hold()) == (Balance(ALL, 0, 0, USD // 2, 2 * USD), USD)
    assert await money(store) == (0, USD // 2)
    assert await money(store, ONE) == (USD, USD // 2)
    assert (await store.ledger.reset(hold()))[1] == 0
    await store.ledger.settle("y", USD)
    assert await money(store) == (USD, 0)
    assert [each.used_micro_usd for each in await store.ledger.fullest("all", 2 * USD)] == [USD]


async def test_a_purse_that_nobody_used_has_nothing_to_forget(store: Store):
    """And comes into being by no reset."""
    balance, forgotten = await store.ledger.reset(hold(Purse("all", "nobody")))
    assert (balance.spent_micro_usd, balance.limit_micro_usd, forgotten) == (0, 2 * USD, 0)
    assert await store.ledger.fullest("all", 2 * USD, 10) == []


async def test_a_reset_is_of_the_window_it_is_now(place: Place):
    """What an earlier window spent is forgotten already."""
    daily = Purse("daily", "", Window.DAY)
    await place.store.ledger.reserve("x", USD, [hold(daily)])
    await place.store.ledger.settle("x", USD)
    place.advance(DAY_S)
    assert (await place.store.ledger.reset(hold(daily)))[1] == 0
