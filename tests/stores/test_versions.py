"""Versions of resources: what every store promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.engine.state import Versions
from sidecar.engine.state import versions as port
from sidecar.engine.state.versions import AGENTS_MAX, HISTORY_MAX, KEEP_S, Overwritten, Touch, Touched
from sidecar.stores.memory import MemoryVersions
from sidecar.stores.redis import RedisLink, RedisVersions
from sidecar.stores.sqlite import Database, SqliteVersions
from sidecar.testing import ManualClock
from tests.stores.places import Place

ACCOUNT = port.Place("bank", "account/v1", "7")
NUMBERS = iter(range(1_000_000))


def n(number: int) -> str:
    """The token of a small number."""
    return f"n10001{number}"


def touch(version: str, agent: str = "planner", exchange: str = "", **facts: Any) -> Touch:
    common = {"place": ACCOUNT, "agent": agent, "version": version, "exchange": exchange or f"e{next(NUMBERS)}"}
    return Touch(**{**common, **facts})


def written(version: str, agent: str = "planner", base: str = "", **facts: Any) -> Touch:
    return touch(version, agent, is_write=True, base=base, **facts)


@pytest.fixture
def versions(place: Place) -> Versions:
    return place.store.versions


async def test_the_first_touch_of_a_resource_knows_nothing_before_it(versions: Versions):
    """There is nothing to be older than."""
    assert await versions.observe_version(touch(n(5))) == Touched()
    assert await versions.overwritten(replace(ACCOUNT, key="8"), n(1)) is None


async def test_the_newest_version_and_its_writer_are_told(versions: Versions):
    """A version that was only read has no writer that anybody saw."""
    await versions.observe_version(touch(n(1), "planner"))
    seen = await versions.observe_version(written(n(2), "editor"))
    assert (seen.newest, seen.writer, seen.own) == (n(1), "", "")
    seen = await versions.observe_version(touch(n(2), "planner"))
    assert (seen.newest, seen.writer, seen.own, seen.has_written) == (n(2), "editor", n(1), False)
    seen = await versions.observe_version(touch(n(2), "editor"))
    assert (seen.own, seen.has_written) == (n(2), True)


async def test_a_read_older_than_what_the_agent_wrote_or_saw_is_stale(place: Place, versions: Versions):
    """Its own writes and reads only: that somebody else saw more is no promise to it."""
    await versions.observe_version(written(n(3), "planner"))
    await versions.observe_version(touch(n(3), "editor"))
    place.advance(1)
    assert (await versions.observe_version(touch(n(2), "planner"))).is_stale
    assert (await versions.observe_version(touch(n(2), "editor"))).is_stale
    assert not (await versions.observe_version(touch(n(2), "stranger"))).is_stale
    assert not (await versions.observe_version(touch(n(3), "planner"))).is_stale
    assert not (await versions.observe_version(touch(n(4), "planner"))).is_stale


async def test_an_agents_mark_never_goes_back(place: Place, versions: Versions):
    """A stale read is stale again: being told the old does not make it right."""
    await versions.observe_version(touch(n(3)))
    place.advance(1)
    assert [(await versions.observe_version(touch(n(2)))).is_stale for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(("age_s", "is_stale"), [(0.0, True), (0.5, True), (1.5, False), (60.0, False)])
async def test_a_read_that_began_before_the_newer_one_was_seen_is_not_stale(
    place: Place, versions: Versions, age_s: float, is_stale: bool
):
    """Answers overtake each other; it was fresh when it was asked for."""
    await versions.observe_version(touch(n(3)))
    place.advance(1)
    assert (await versions.observe_version(touch(n(2), age_s=age_s))).is_stale is is_stale


async def test_a_read_is_held_to_what_its_agent_knew_when_it_asked(versions: Versions):
    """No clock is needed for that, however fast one call follows the other."""
    assert await versions.known_version(ACCOUNT, "planner") == ""
    await versions.observe_version(written(n(3)))
    assert await versions.known_version(ACCOUNT, "planner") == n(3)
    assert await versions.known_version(ACCOUNT, "editor") == ""
    assert await versions.known_version(replace(ACCOUNT, key="8"), "planner") == ""
    assert (await versions.observe_version(touch(n(2), knew=n(3)))).is_stale
    assert not (await versions.observe_version(touch(n(2), knew=n(1)))).is_stale
    assert not (await versions.observe_version(touch(n(2), knew=""))).is_stale


async def test_messages_of_one_exchange_are_in_order_however_old_it_is(place: Place, versions: Versions):
    """A stream that goes back does so itself."""
    await versions.observe_version(touch(n(3), exchange="e", sequence=0, age_s=50))
    place.advance(1)
    assert (await versions.observe_version(touch(n(2), exchange="e", sequence=1, age_s=51))).is_stale


async def test_a_message_that_passes_twice_is_no_complaint(place: Place, versions: Versions):
    """Two sidecars on one store see the same exchange; the second finds what the first has kept."""
    await versions.observe_version(touch(n(1), exchange="e", sequence=0))
    await versions.observe_version(touch(n(2), exchange="e", sequence=1))
    place.advance(1)
    again = await versions.observe_version(touch(n(1), exchange="e", sequence=0))
    assert not again.is_stale
    await versions.observe_version(written(n(4), base=n(2), exchange="w"))
    again = await versions.observe_version(written(n(4), base=n(2), exchange="w"))
    assert (again.is_lost, again.newest) == (False, n(4))


async def test_a_base_that_was_overwritten_is_told_with_its_writer(place: Place, versions: Versions):
    """Before the write goes out."""
    await versions.observe_version(touch(n(1), "planner"))
    assert await versions.overwritten(ACCOUNT, n(1)) is None
    await versions.observe_version(written(n(2), "editor", base=n(1)))
    place.advance(10)
    assert await versions.overwritten(ACCOUNT, n(1)) == Overwritten("editor", pytest.approx(10, abs=1))
    assert await versions.overwritten(ACCOUNT, n(2)) is None
    assert await versions.overwritten(ACCOUNT, n(3)) is None


async def test_a_write_that_lost_a_race_is_told_after_the_fact(versions: Versions):
    """Both were based on version 1 and both were taken: the first one's change is gone."""
    await versions.observe_version(touch(n(1), "planner"))
    first = await versions.observe_version(written(n(2), "editor", base=n(1)))
    second = await versions.observe_version(written(n(3), "planner", base=n(1)))
    third = await versions.observe_version(written(n(4), "planner", base=n(3)))
    assert (first.is_lost, second.is_lost, second.writer, third.is_lost) == (False, True, "editor", False)


async def test_versions_that_do_not_compare_stand_in_the_order_in_which_they_were_seen(
    place: Place, versions: Versions
):
    """ETags: the one seen later is the newer, and one that nobody saw is nobody's to judge."""
    for version in ("oaaa", "occc", "obbb"):
        await versions.observe_version(touch(version, "planner"))
    place.advance(1)
    assert await versions.overwritten(ACCOUNT, "oaaa") is not None
    assert await versions.overwritten(ACCOUNT, "obbb") is None
    assert await versions.overwritten(ACCOUNT, "onever") is None
    assert (await versions.observe_version(touch("occc", "planner"))).is_stale
    assert not (await versions.observe_version(touch("onever", "planner"))).is_stale


async def test_numbers_compare_whatever_the_order_in_which_they_were_seen(versions: Versions):
    """The agent saw 3 before anybody saw 2; 2 is the older all the same."""
    await versions.observe_version(touch(n(3), "planner"))
    assert await versions.overwritten(ACCOUNT, n(2)) is not None
    assert (await versions.observe_version(touch(n(2), "editor"))).newest == n(3)
    assert (await versions.observe_version(touch(n(1), "editor"))).newest == n(3)


async def test_resources_are_told_apart(versions: Versions):
    """By callee, by kind and by key, each compared exactly."""
    await versions.observe_version(touch(n(9)))
    for other in (
        replace(ACCOUNT, callee="shop"),
        replace(ACCOUNT, resource="order/v1"),
        *(replace(ACCOUNT, key=key) for key in ("07", "7 ", "ä", "*", "'", "7:7")),
    ):
        assert await versions.observe_version(touch(n(1), place=other)) == Touched()


@pytest.mark.parametrize("others", [0, 1, AGENTS_MAX - 1, AGENTS_MAX])
async def test_the_agents_that_touched_a_resource_last_are_remembered(place: Place, versions: Versions, others: int):
    """Past that an agent begins anew."""
    await versions.observe_version(touch(n(5), "first"))
    await asyncio.gather(*(versions.observe_version(touch(n(5), f"agent-{number}")) for number in range(others)))
    place.advance(1)
    assert (await versions.observe_version(touch(n(4), "first"))).is_stale is (others < AGENTS_MAX)


@pytest.mark.parametrize("others", [1, HISTORY_MAX - 1, HISTORY_MAX])
async def test_the_newest_versions_of_a_resource_are_remembered(versions: Versions, others: int):
    """Of one that is forgotten nobody can say that it is older."""
    await versions.observe_version(touch("ofirst"))
    for number in range(others):
        await versions.observe_version(touch(f"o{number}"))
    assert (await versions.overwritten(ACCOUNT, "ofirst") is not None) is (others < HISTORY_MAX)


@pytest.mark.parametrize(("age_s", "is_known"), [(KEEP_S - 60, True), (KEEP_S + 60, False)])
async def test_a_resource_that_nobody_touches_is_forgotten(
    place: Place, versions: Versions, age_s: int, is_known: bool
):
    """After a week."""
    await versions.observe_version(touch(n(5)))
    place.advance(age_s)
    assert (await versions.overwritten(ACCOUNT, n(4)) is not None) is is_known
    assert (await versions.observe_version(touch(n(4)))).newest == (n(5) if is_known else "")


async def test_what_was_seen_outlives_the_process(place: Place, versions: Versions):
    """A restart forgets no write."""
    if place.again is None:
        pytest.skip("memory is gone with its process")
    await versions.observe_version(written(n(2), "editor"))
    other = place.again()
    found = await other.versions.overwritten(ACCOUNT, n(1))
    await other.close()
    assert found is not None
    assert found.writer == "editor"


async def test_of_concurrent_writes_on_one_base_all_but_one_are_lost(versions: Versions):
    """Each takes the version after it; whoever is not the first has undone somebody's change unseen."""
    await versions.observe_version(touch(n(1)))
    writes = [written(f"n10002{10 + number}", f"agent-{number}", base=n(1)) for number in range(20)]
    seen = await asyncio.gather(*(versions.observe_version(each) for each in writes))
    assert sum(each.is_lost for each in seen) == 19


Make = Callable[[int], Versions]


@pytest.fixture
def small(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """The same kind of store, with room for as many resources as a test says."""

    def make(resources_max: int) -> Versions:
        if place.store.kind == "memory":
            return MemoryVersions(ManualClock(), resources_max=resources_max)
        if place.store.kind == "sqlite":
            clock = ManualClock()
            database = Database(tmp_path / "small.db", clock=clock, schema=[SqliteVersions.SCHEMA])
            return SqliteVersions(database, resources_max=resources_max)
        return RedisVersions(RedisLink(request.getfixturevalue("redis_url")), resources_max=resources_max)

    return make


@pytest.mark.parametrize("room", [1, 2, 3])
async def test_past_the_limit_the_resource_not_touched_for_longest_makes_room(small: Make, room: int):
    """What was touched last is what will be asked for."""
    versions: Any = small(room)
    for key in "abc":
        await versions.observe_version(touch(n(5), place=replace(ACCOUNT, key=key)))
        await asyncio.sleep(0.003)  # Redis measures by its own clock
    kept = [key for key in "abc" if await versions.overwritten(replace(ACCOUNT, key=key), n(4))]
    assert kept == ["a", "b", "c"][-room:]
    for part in ("_database", "_link"):
        if hasattr(versions, part):
            await getattr(versions, part).close()


VERSIONS = st.sampled_from([n(1), n(2), n(3), "t1", "t2", "oa", "ob", "oc"])
OPS = st.lists(
    st.tuples(
        st.sampled_from(["planner", "editor"]),
        VERSIONS,
        st.tuples(st.sampled_from(["e1", "e2", "e3"]), st.integers(0, 3)),
        st.booleans(),
        st.just("") | VERSIONS,
        st.sampled_from([0.5, 4.5, 24.5]),
        VERSIONS,
        st.none() | st.just("") | VERSIONS,
    ),
    max_size=25,
)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ops=OPS)
def test_every_store_says_what_memory_says(kind: str, ops: list[Any], tmp_path: Path, redis_url: str):
    """The rules are written down twice, in Python and in Lua; this is what keeps them one."""

    async def story() -> None:
        clock, where = ManualClock(), replace(ACCOUNT, key=f"key-{next(NUMBERS)}")
        model = MemoryVersions(clock)
        database = Database(tmp_path / "model.db", clock=clock, schema=[SqliteVersions.SCHEMA])
        link = RedisLink(redis_url, timeout_s=5.0)
        tested = SqliteVersions(database) if kind == "sqlite" else RedisVersions(link)
        for agent, version, (exchange, sequence), is_write, base, age_s, asked, knew in ops:
            clock.advance(1.0)
            link.skew_ms += 1000
            facts = {"place": where, "sequence": sequence, "is_write": is_write, "base": base, "age_s": age_s}
            one = touch(version, agent, exchange, knew=knew, **facts)
            assert await model.observe_version(one) == await tested.observe_version(one), one
            assert await model.known_version(where, agent) == await tested.known_version(where, agent)
            said = [await each.overwritten(where, asked) for each in (model, tested)]
            assert [each and each.writer for each in said] == [said[0] and said[0].writer] * 2
        await database.close()
        await link.close()

    asyncio.run(story())
