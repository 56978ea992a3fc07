"""Tokens, places, retries and waits: what every store promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.engine.state.pressure import Pressure, Rate, RetryBudget, Wait
from sidecar.engine.state.store import Store
from tests.stores.places import Place


@pytest.fixture
def pressure(store: Store) -> Pressure:
    return store.pressure


SLOW = Rate(per_s=1, burst=3)
"""A token a second, so that the time a test takes gives none."""


@pytest.mark.parametrize("burst", [1, 2, 7])
async def test_a_full_bucket_gives_its_burst_and_not_one_more(pressure: Pressure, burst: int):
    """N pass at once, N + 1 does not and hears when it may."""
    rate = Rate(per_s=0.01, burst=burst)
    waits = [await pressure.take("b", rate, f"{number}") for number in range(burst + 1)]
    assert waits[:burst] == [0.0] * burst
    assert 95 < waits[burst] <= 100


async def test_a_bucket_fills_again_at_its_rate(place: Place):
    """Whoever waits as long as it was told finds its token, and one only."""
    for number in range(3):
        await place.store.pressure.take("b", SLOW, f"{number}")
    wait_s = await place.store.pressure.take("b", SLOW, "early")
    assert 0.5 < wait_s <= 1.0
    place.advance(wait_s + 0.001)
    assert await place.store.pressure.take("b", SLOW, "early") == 0.0
    assert await place.store.pressure.take("b", SLOW, "next") > 0.0


async def test_a_bucket_holds_no_more_than_its_burst(place: Place):
    """An hour of silence saves nothing up."""
    place.advance(3600)
    waits = [await place.store.pressure.take("b", SLOW, f"{number}") for number in range(4)]
    assert [wait > 0 for wait in waits] == [False, False, False, True]


@pytest.mark.parametrize("burst", [1, 3])
async def test_a_token_that_is_put_back_is_there_for_the_next(pressure: Pressure, burst: int):
    """As if it had not been taken: no more, and no less, whoever asks how often."""
    rate = Rate(per_s=0.01, burst=burst)
    for number in range(burst):
        assert await pressure.take("b", rate, f"{number}") == 0.0
    for _ in range(3):
        await pressure.put_back("b", rate, "0")
        await pressure.put_back("b", rate, "never took any")
        await pressure.put_back("unknown", rate, "0")
    assert await pressure.take("b", rate, "next") == 0.0
    assert await pressure.take("b", rate, "0") > 0.0


async def test_a_call_that_is_forgotten_earns_and_spends_nothing(pressure: Pressure):
    """It was neither a call nor a retry: its share is gone, and what it spent may be spent by another."""
    budget = RetryBudget(ratio=0.5, minimum=0, window_s=600)
    for number in range(4):
        await pressure.note_call("e", f"call-{number}", 600)
    assert await pressure.spend_retry("e", "retry-1", budget)
    assert await pressure.spend_retry("e", "retry-2", budget)
    assert not await pressure.spend_retry("e", "retry-3", budget)
    await pressure.forget_call("e", "retry-1")
    await pressure.forget_call("e", "nobody")
    await pressure.forget_call("unknown", "retry-1")
    assert await pressure.spend_retry("e", "retry-3", budget)
    await pressure.forget_call("e", "retry-2")
    await pressure.forget_call("e", "call-0")
    assert not await pressure.spend_retry("e", "retry-4", budget)


async def test_one_exchange_takes_once(pressure: Pressure):
    """A verb that timed out is asked again, and an exchange that passes two sidecars counts once."""
    for _ in range(5):
        assert await pressure.take("b", SLOW, "same") == 0.0
    assert await pressure.take("b", SLOW, "second") == 0.0
    assert await pressure.take("b", SLOW, "third") == 0.0
    assert await pressure.take("b", SLOW, "fourth") > 0.0


async def test_a_refused_exchange_took_nothing(place: Place):
    """Asking in vain does not put off whoever asks."""
    for number in range(3):
        await place.store.pressure.take("b", SLOW, f"{number}")
    first_s = await place.store.pressure.take("b", SLOW, "x")
    for number in range(20):
        await place.store.pressure.take("b", SLOW, f"late-{number}")
    assert await place.store.pressure.take("b", SLOW, "x") <= first_s


async def test_several_tokens_are_taken_together_or_not_at_all(pressure: Pressure):
    """Two of three leave one, so two more do not fit and one does."""
    assert await pressure.take("b", SLOW, "two", 2) == 0.0
    assert 0.5 < await pressure.take("b", SLOW, "two more", 2) <= 1.0
    assert await pressure.take("b", SLOW, "one") == 0.0


async def test_buckets_do_not_share_tokens(pressure: Pressure):
    """Each name has its own, and names are compared exactly."""
    names = ["b", "B", "b ", "{b}", "b:exchange", "ä", ""]
    rate = Rate(per_s=0.01, burst=1)
    assert [await pressure.take(name, rate, "x") for name in names] == [0.0] * len(names)
    assert all([await pressure.take(name, rate, "y") > 0 for name in names])


async def test_concurrent_takers_never_overdraw(pressure: Pressure):
    """Deciding and taking are one step: fifty at once get what the bucket holds."""
    rate = Rate(per_s=0.01, burst=10)
    waits = await asyncio.gather(*(pressure.take("b", rate, f"{number}") for number in range(50)))
    assert sum(wait == 0.0 for wait in waits) == 10


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_a_room_holds_its_limit_and_not_one_more(pressure: Pressure, limit: int):
    """N enter, N + 1 does not, and one that leaves makes room for one."""
    entered = [await pressure.enter("r", limit, f"{number}", 30) for number in range(limit + 1)]
    assert entered == [True] * limit + [False]
    await pressure.leave("r", "0")
    assert await pressure.enter("r", limit, "late", 30) is (limit > 0)
    assert await pressure.enter("r", limit, "later", 30) is False


async def test_entering_twice_holds_one_place(pressure: Pressure):
    """The place is the exchange's, however often it asks and whoever asks for it."""
    assert [await pressure.enter("r", 2, "same", 30) for _ in range(3)] == [True] * 3
    assert await pressure.enter("r", 2, "other", 30) is True
    assert await pressure.enter("r", 2, "third", 30) is False


async def test_a_full_room_keeps_those_inside(pressure: Pressure):
    """Renewing works where nobody else could enter."""
    await pressure.enter("r", 1, "inside", 30)
    assert await pressure.enter("r", 1, "inside", 30) is True


async def test_leaving_a_room_one_is_not_in_is_nothing(pressure: Pressure):
    """Also twice, also a room that nobody knows."""
    await pressure.enter("r", 1, "inside", 30)
    for _ in range(2):
        await pressure.leave("r", "stranger")
        await pressure.leave("unknown", "inside")
    assert await pressure.enter("r", 1, "other", 30) is False


async def test_a_lease_that_ends_frees_the_place(place: Place):
    """Its holder crashed; while it renews it keeps the place."""
    pressure = place.store.pressure
    await pressure.enter("r", 1, "crashed", 30)
    place.advance(20)
    await pressure.enter("r", 1, "crashed", 30)
    place.advance(29)
    assert await pressure.enter("r", 1, "waiting", 30) is False
    place.advance(2)
    assert await pressure.enter("r", 1, "waiting", 30) is True
    assert await pressure.enter("r", 1, "crashed", 30) is False


async def test_places_are_shared_with_a_second_process(place: Place):
    """A fleet has one room."""
    if place.again is None:
        pytest.skip("this place is one process's own")
    await place.store.pressure.enter("r", 1, "first", 30)
    second = place.again()
    try:
        assert await second.pressure.enter("r", 1, "second", 30) is False
        await second.pressure.leave("r", "first")
        assert await place.store.pressure.enter("r", 1, "third", 30) is True
    finally:
        await second.close()


async def test_concurrent_entries_never_exceed_the_limit(pressure: Pressure):
    """Looking and entering are one step."""
    entered = await asyncio.gather(*(pressure.enter("r", 7, f"{number}", 30) for number in range(50)))
    assert sum(entered) == 7


BUDGET = RetryBudget(ratio=0.2, minimum=3, window_s=10)


async def test_the_minimum_is_allowed_without_any_call(pressure: Pressure):
    """Three retries are no storm; the fourth needs calls that earned it."""
    assert [await pressure.spend_retry("e", f"{number}", BUDGET) for number in range(4)] == [True] * 3 + [False]


@pytest.mark.parametrize(("calls", "allowed"), [(0, 3), (15, 3), (19, 3), (20, 4), (50, 10)])
async def test_calls_earn_retries(pressure: Pressure, calls: int, allowed: int):
    """A fifth of the calls, rounded down, and never less than the minimum."""
    for number in range(calls):
        await pressure.note_call("e", f"call-{number}", 10)
    spent = [await pressure.spend_retry("e", f"{number}", BUDGET) for number in range(allowed + 2)]
    assert spent == [True] * allowed + [False] * 2


async def test_a_budget_without_minimum_and_calls_allows_nothing(pressure: Pressure):
    """Zero is zero."""
    assert await pressure.spend_retry("e", "1", RetryBudget(0.0, 0, 10)) is False
    await pressure.note_call("e", "call", 10)
    assert await pressure.spend_retry("e", "1", RetryBudget(0.0, 0, 10)) is False
    assert await pressure.spend_retry("e", "1", RetryBudget(1.0, 0, 10)) is True
    assert await pressure.spend_retry("e", "2", RetryBudget(1.0, 0, 10)) is False


async def test_a_call_and_a_retry_count_once(pressure: Pressure):
    """By the exchange's id, whoever tells of it and how often."""
    budget = RetryBudget(1.0, 0, 10)
    for _ in range(3):
        await pressure.note_call("e", "call", 10)
    assert [await pressure.spend_retry("e", "same", budget) for _ in range(3)] == [True] * 3
    assert await pressure.spend_retry("e", "other", budget) is False


async def test_a_call_told_twice_counts_from_the_first_time(place: Place):
    """The second sidecar of an exchange, or a verb asked again, earns nothing more and no longer."""
    pressure, budget = place.store.pressure, RetryBudget(1.0, 0, 10)
    await pressure.note_call("e", "call", 10)
    place.advance(6)
    await pressure.note_call("e", "call", 10)
    await pressure.note_call("f", "call", 10)
    place.advance(1)
    await pressure.note_call("f", "call", 10)
    assert [await pressure.spend_retry("f", f"{number}", budget) for number in range(2)] == [True, False]
    place.advance(4)
    assert await pressure.spend_retry("e", "late", budget) is False


@pytest.mark.parametrize("ratio", [0.29, 0.57, 0.07])
async def test_a_share_that_binary_cannot_write_is_kept_exactly(pressure: Pressure, ratio: float):
    """0.29 of a hundred calls are 29 retries, although 0.29 * 100 is a little less in binary."""
    for number in range(100):
        await pressure.note_call("e", f"call-{number}", 10)
    budget = RetryBudget(ratio, 0, 10)
    spent = [await pressure.spend_retry("e", f"{number}", budget) for number in range(101)]
    assert sum(spent) == round(100 * ratio)


async def test_calls_and_retries_leave_the_window(place: Place):
    """What was earned and what was spent is forgotten after the same time."""
    pressure = place.store.pressure
    for number in range(20):
        await pressure.note_call("e", f"call-{number}", 10)
    for number in range(4):
        await pressure.spend_retry("e", f"{number}", BUDGET)
    assert await pressure.spend_retry("e", "too many", BUDGET) is False
    place.advance(11)
    spent = [await pressure.spend_retry("e", f"new-{number}", BUDGET) for number in range(4)]
    assert spent == [True] * 3 + [False]


async def test_edges_have_budgets_of_their_own(pressure: Pressure):
    """One caller's storm costs no other caller its retries."""
    for number in range(4):
        await pressure.spend_retry("a", f"{number}", BUDGET)
    assert await pressure.spend_retry("b", "0", BUDGET) is True


async def test_concurrent_retries_never_overdraw(pressure: Pressure):
    """Counting and spending are one step."""
    spent = await asyncio.gather(*(pressure.spend_retry("e", f"{number}", BUDGET) for number in range(30)))
    assert sum(spent) == 3


def wait(exchange: str, *path: str, conversation: str = "c") -> Wait:
    return Wait(exchange, conversation, path)


async def test_waits_are_told_once_their_agent_is_full(pressure: Pressure):
    """One is served; with the second, whoever waits may close a cycle, so it sees everyone, oldest first."""
    first, second, third = wait("1", "a"), wait("2", "b"), wait("3", "b", "a", conversation="d")
    assert await pressure.wait(first, 1, 30) == ()
    assert await pressure.wait(second, 1, 30) == ()
    assert await pressure.wait(third, 1, 30) == (first, second, third)


async def test_a_wait_that_is_asked_again_keeps_its_place_in_line(pressure: Pressure):
    """A renewed lease makes nobody younger."""
    first, second = wait("1", "a"), wait("2", "a")
    await pressure.wait(first, 1, 30)
    await pressure.wait(second, 1, 30)
    assert await pressure.wait(first, 1, 30) == (first, second)


async def test_a_wait_that_is_done_stands_no_longer(pressure: Pressure):
    """Nor does it count against its agent; telling twice, or of a stranger, is nothing."""
    await pressure.wait(wait("1", "a"), 1, 30)
    for _ in range(2):
        await pressure.done("a", "1")
        await pressure.done("a", "stranger")
    assert await pressure.wait(wait("2", "a"), 1, 30) == ()


async def test_a_wait_whose_lease_ended_stands_no_longer(place: Place):
    """The sidecar that told of it is gone."""
    pressure = place.store.pressure
    await pressure.wait(wait("1", "a"), 1, 30)
    place.advance(31)
    assert await pressure.wait(wait("2", "a"), 1, 30) == ()
    assert await pressure.wait(wait("1", "a"), 1, 30) == (wait("2", "a"), wait("1", "a"))


async def test_names_in_waits_come_back_as_they_were(pressure: Pressure):
    """Whatever characters an agent's name has."""
    odd = wait("1", "planner ä", 'a"b', "spiffe://d/x", conversation="c d")
    await pressure.wait(odd, 0, 30)
    assert await pressure.wait(odd, 0, 30) == (odd,)


async def test_of_waits_that_close_a_cycle_together_the_last_sees_the_others(pressure: Pressure):
    """Recording and reading are one step: with three asked at once, somebody sees all three."""
    waits = [wait(f"{number}", "a") for number in range(3)]
    seen = await asyncio.gather(*(pressure.wait(each, 0, 30) for each in waits))
    assert sorted(len(each) for each in seen) == [1, 2, 3]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.integers(0, 5)),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("pass"), st.integers(1, 15)),
    ),
    max_size=25,
)
ROOMS = iter(range(10_000_000))


@given(steps=STEPS, limit=st.integers(0, 3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_places_are_what_a_plain_table_says(place: Place, steps: list[Any], limit: int):
    """Whatever comes in whatever order: nobody is inside past a lease, and never more than the limit."""
    room, inside, now = f"room-{next(ROOMS)}", dict[int, float](), 0.0
    for step, value in steps:
        if step == "pass":
            place.advance(value)
            now += value
            continue
        inside = {each: until for each, until in inside.items() if until > now}
        if step == "leave":
            await place.store.pressure.leave(room, f"{value}")
            inside.pop(value, None)
            continue
        expected = value in inside or len(inside) < limit
        # Leases of 20.5 s: no number of whole seconds ends within the time that the test itself takes.
        assert await place.store.pressure.enter(room, limit, f"{value}", 20.5) is expected
        if expected:
            inside[value] = now + 20.5
        assert len(inside) <= limit


BUDGET_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["call", "retry"]), st.integers(0, 9)),
        st.tuples(st.just("pass"), st.integers(1, 9)),
    ),
    max_size=30,
)


@given(steps=BUDGET_STEPS, ratio=st.sampled_from([0.0, 0.5, 1.0]), minimum=st.integers(0, 2))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_budgets_are_what_a_plain_table_says(place: Place, steps: list[Any], ratio: float, minimum: int):
    """Whatever comes in whatever order, told once or several times: never more retries than the window earned."""
    edge, budget, now = f"edge-{next(ROOMS)}", RetryBudget(ratio, minimum, 10.5), 0.0
    calls, retries = dict[int, float](), dict[int, float]()
    for step, value in steps:
        if step == "pass":
            place.advance(value)
            now += value
            continue
        calls = {each: at for each, at in calls.items() if at > now - 10.5}
        retries = {each: at for each, at in retries.items() if at > now - 10.5}
        if step == "call":
            await place.store.pressure.note_call(edge, f"{value}", 10.5)
            calls.setdefault(value, now)
            continue
        expected = value in retries or len(retries) < max(minimum, int(ratio * len(calls)))
        assert await place.store.pressure.spend_retry(edge, f"{value}", budget) is expected
        if expected:
            retries.setdefault(value, now)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits, small enough to be reached."""
    for where in ("memory", "sqlite", "redis"):
        monkeypatch.setattr(f"sidecar.stores.{where}.pressure.CALLS_MAX", 5)
        monkeypatch.setattr(f"sidecar.stores.{where}.pressure.WAITS_MAX", 3)


@pytest.mark.usefixtures("small")
async def test_an_edge_with_too_many_calls_has_the_budget_of_the_limit(pressure: Pressure):
    """Twenty calls are told apart as five, and no more retries than that are remembered either."""
    for number in range(20):
        await pressure.note_call("e", f"{number}", 10)
    spent = [await pressure.spend_retry("e", f"{number}", RetryBudget(1.0, 0, 10)) for number in range(7)]
    assert spent == [True] * 5 + [False] * 2
    assert await pressure.spend_retry("f", "x", RetryBudget(1.0, 100, 10)) is True
    assert sum([await pressure.spend_retry("f", f"{number}", RetryBudget(1.0, 100, 10)) for number in range(9)]) == 4


@pytest.mark.usefixtures("small")
async def test_waits_past_the_limit_are_not_recorded(place: Place):
    """They are told nothing and stand in nobody's way; room comes back with a lease that ends."""
    pressure = place.store.pressure
    for number in range(4):
        told = await pressure.wait(wait(f"{number}", "a"), 0, 30)
        assert len(told) == (number + 1 if number < 3 else 0)
    assert len(await pressure.wait(wait("0", "a"), 0, 30)) == 3
    place.advance(31)
    assert await pressure.wait(wait("late", "a"), 0, 30) == (wait("late", "a"),)


@given(
    gaps_s=st.lists(st.floats(0, 3), min_size=1, max_size=25),
    per_s=st.sampled_from([0.5, 1.0, 3.0]),
    burst=st.integers(1, 4),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_stretch_of_time_gets_more_than_rate_and_burst(
    place: Place, gaps_s: list[float], per_s: float, burst: int
):
    """Over any stretch the takers are at most the burst and what flowed in, whatever their rhythm."""
    bucket, now, taken = f"bucket-{next(ROOMS)}", 0.0, list[float]()
    for number, gap_s in enumerate(gaps_s):
        gap_s = round(gap_s, 3)
        place.advance(gap_s)
        now += gap_s
        if await place.store.pressure.take(bucket, Rate(per_s, burst), f"{number}") == 0.0:
            taken.append(now)
    # Where time is real, what flows in while the test itself runs counts as well.
    slack = per_s if place.store.kind == "redis" else 0.0
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + per_s * (taken[last] - taken[first]) + slack + 1e-6
