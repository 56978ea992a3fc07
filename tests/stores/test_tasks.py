"""Tasks: what every store promises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.engine.specs import A2A
from sidecar.engine.state import Tasks
from sidecar.engine.state.tasks import EXCHANGES_MAX, KEEP_S, LATE_S, Cause, Known, Observed, Sighting, Step
from sidecar.stores.memory import MemoryTasks
from sidecar.stores.redis import RedisLink, RedisTasks
from sidecar.stores.sqlite import Database, SqliteTasks
from sidecar.testing import ManualClock
from tests.stores.places import Place

SUBMITTED, WORKING, WAITING, DONE, FAILED = (
    f"TASK_STATE_{name}" for name in ("SUBMITTED", "WORKING", "INPUT_REQUIRED", "COMPLETED", "FAILED")
)
CAUSE = Cause("planner", "/a.B/Send", "e1", "conversation-1", "trace-1")


def sighting(state: str, exchange: str = "e1", sequence: int = 0, task: str = "t", **facts: Any) -> Sighting:
    common = {
        "callee": "writer",
        "follows": frozenset(each for each in A2A.states if each != state and A2A.is_legal(each, state)),
        "is_terminal": state in A2A.terminal,
        "is_waiting": state in A2A.interrupted,
    }
    cause = replace(CAUSE, exchange=exchange)
    return Sighting(task=task, state=state, cause=cause, sequence=sequence, **{**common, **facts})


def steps(*observed: Observed) -> list[tuple[str, str]]:
    return [(each.step.value, each.before) for each in observed]


@pytest.fixture
def tasks(place: Place) -> Tasks:
    return place.store.tasks


async def test_the_first_sight_of_a_task_knows_no_state_before_it(tasks: Tasks):
    """We may not have been there before."""
    assert await tasks.observe_task(sighting(WORKING)) == Observed(Step.FIRST)
    assert await tasks.known_task("writer", "nobody's") is None


async def test_each_step_tells_the_state_before_it_and_for_how_long(place: Place, tasks: Tasks):
    """Seconds of the store's own clock."""
    await tasks.observe_task(sighting(SUBMITTED, "e1"))
    place.advance(10)
    same = await tasks.observe_task(sighting(SUBMITTED, "e2"))
    place.advance(5)
    moved = await tasks.observe_task(sighting(WORKING, "e3"))
    assert steps(same, moved) == [("same", SUBMITTED), ("moved", SUBMITTED)]
    assert (same.for_s, same.idle_s) == (pytest.approx(10, abs=1), pytest.approx(10, abs=1))
    assert (moved.for_s, moved.idle_s) == (pytest.approx(15, abs=1), pytest.approx(15, abs=1))
    known = await tasks.known_task("writer", "t")
    assert known is not None
    assert (known.state, known.is_terminal, known.for_s < 1) == (WORKING, False, True)


async def test_tasks_belong_to_their_callee(tasks: Tasks):
    """Two agents may count their tasks from 1."""
    await tasks.observe_task(sighting(DONE))
    other = await tasks.observe_task(replace(sighting(WORKING), callee="researcher"))
    assert other.step is Step.FIRST
    assert (await tasks.census("writer", 60)).states == {DONE: 1}


async def test_ids_are_compared_exactly(tasks: Tasks):
    """Case, separators and pattern characters mean nothing to a store."""
    names = ["t", "T", "t:1", "t:2", "%", "*", "ä", "'", "a b"]
    for name in names:
        await tasks.observe_task(sighting(WORKING, task=name, work="0" * 32))
    again = [await tasks.observe_task(sighting(WORKING, "e2", task=name)) for name in names]
    assert {each.step for each in again} == {Step.SAME}


async def test_a_terminal_state_stays(place: Place, tasks: Tasks):
    """Whatever is said later: each time it is a step that nothing allows, and the task is still finished."""
    await tasks.observe_task(sighting(DONE))
    place.advance(10)
    for number in range(3):
        assert steps(await tasks.observe_task(sighting(WORKING, f"late-{number}"))) == [("illegal", DONE)]
    assert (await tasks.observe_task(sighting(DONE, "again"))).step is Step.SAME
    known = await tasks.known_task("writer", "t")
    assert known is not None
    assert known.is_terminal


async def test_an_answer_overtaken_by_a_newer_one_is_late_and_not_illegal(place: Place, tasks: Tasks):
    """It was true when its call began."""
    await tasks.observe_task(sighting(WORKING, "e1"))
    place.advance(10)
    await tasks.observe_task(sighting(DONE, "e2"))
    place.advance(10)
    late = await tasks.observe_task(sighting(WORKING, "e3", age_s=15))
    assert steps(late) == [("late", DONE)]
    assert steps(await tasks.observe_task(sighting(WORKING, "e4", age_s=5))) == [("illegal", DONE)]
    assert steps(await tasks.observe_task(sighting(DONE, "e5"))) == [("same", DONE)]


async def test_the_call_that_told_the_end_cannot_be_late_itself(place: Place, tasks: Tasks):
    """Messages of one stream are in order, however long ago it began."""
    await tasks.observe_task(sighting(DONE, "e1", 0, age_s=100))
    place.advance(1)
    assert steps(await tasks.observe_task(sighting(WORKING, "e1", 1, age_s=101))) == [("illegal", DONE)]


@pytest.mark.parametrize(("age_s", "step"), [(LATE_S + 2.0, "late"), (0.9 - LATE_S, "illegal")])
async def test_what_counts_as_overtaken_ends_soon_after_the_newer_state(
    place: Place, tasks: Tasks, age_s: float, step: str
):
    """Queues are not exact, so a little slack is given and no more."""
    await tasks.observe_task(sighting(DONE, "e1"))
    place.advance(1)
    assert (await tasks.observe_task(sighting(WORKING, "e2", age_s=age_s))).step == step


@pytest.mark.parametrize(("is_held", "state"), [(False, "sent"), (True, "open")])
async def test_an_illegal_step_happens_unless_it_is_refused(place: Place, tasks: Tasks, is_held: bool, state: str):
    """What was refused nobody heard, so it did not happen; else the record follows what is said."""
    await tasks.observe_task(sighting("open", is_terminal=False))
    place.advance(1)
    jump = sighting("sent", "e2", follows=frozenset({"paid"}), is_held=is_held)
    assert steps(await tasks.observe_task(jump)) == [("illegal", "open")]
    known = await tasks.known_task("writer", "t")
    assert known is not None
    assert known.state == state
    assert (await tasks.census("writer", 60)).states == {state: 1}


async def test_a_message_that_passes_twice_counts_once(place: Place, tasks: Tasks):
    """Two sidecars on one store see the same exchange; the second gets the answer of the first."""
    first = await tasks.observe_task(sighting(WORKING, "e1", 0))
    assert await tasks.observe_task(sighting(WORKING, "e1", 0)) == replace(first, is_again=True)
    moved = await tasks.observe_task(sighting(DONE, "e1", 1))
    place.advance(10)
    assert await tasks.observe_task(sighting(WORKING, "e1", 0)) == Observed(
        Step.SAME, DONE, pytest.approx(10, abs=1), pytest.approx(10, abs=1), is_again=True
    )
    assert await tasks.observe_task(sighting(DONE, "e1", 1)) == replace(moved, is_again=True)


@pytest.mark.parametrize("others", [0, 1, EXCHANGES_MAX - 1, EXCHANGES_MAX])
async def test_the_newest_exchanges_of_a_task_are_remembered(tasks: Tasks, others: int):
    """Past that a repeated message is a new one, which says the same."""
    await tasks.observe_task(sighting(WORKING, "e1"))
    for number in range(others):
        await tasks.observe_task(sighting(WORKING, f"other-{number}"))
    assert (await tasks.observe_task(sighting(WORKING, "e1"))).is_again is (others < EXCHANGES_MAX)


async def test_the_same_state_again_is_progress_only_if_it_says_so(place: Place, tasks: Tasks):
    """Being asked for is no sign of life; an update of the agent's own is."""
    await tasks.observe_task(sighting(WORKING, "e1"))
    place.advance(10)
    await tasks.observe_task(sighting(WORKING, "poll"))
    assert [each.idle_s > 9 for each in await tasks.stuck("writer", 5)] == [True]
    await tasks.observe_task(sighting(WORKING, "stream", is_progress=True))
    assert await tasks.stuck("writer", 5) == []


async def test_a_task_without_progress_is_stuck_past_the_limit(place: Place, tasks: Tasks):
    """With what is needed to tell of it: its state, its call and its caller."""
    await tasks.observe_task(sighting(WORKING))
    place.advance(9)
    assert await tasks.stuck("writer", 10) == []
    place.advance(2)
    [found] = await tasks.stuck("writer", 10)
    assert (found.task, found.state, found.is_answered, found.cause) == ("t", WORKING, False, CAUSE)
    assert found.idle_s == pytest.approx(11, abs=1)
    assert await tasks.stuck("nobody", 10) == []


@pytest.mark.parametrize("state", [DONE, FAILED, WAITING])
async def test_a_task_that_is_over_or_waits_for_somebody_is_never_stuck(place: Place, tasks: Tasks, state: str):
    """It is not the callee that holds it up."""
    await tasks.observe_task(sighting(WORKING))
    await tasks.observe_task(sighting(state, "e2"))
    place.advance(1000)
    assert await tasks.stuck("writer", 10) == []
    assert await tasks.census("writer", 10) == replace(await tasks.census("writer", 10), states={state: 1}, stuck=0)


async def test_progress_ends_a_spell_and_an_answer_is_remembered(place: Place, tasks: Tasks):
    """An answer is progress too; that the task goes on without end after it is told apart."""
    await tasks.observe_task(sighting(WORKING))
    place.advance(20)
    await tasks.progress("writer", "t")
    assert await tasks.stuck("writer", 10) == []
    await tasks.progress("writer", "t", is_answer=True)
    place.advance(20)
    assert [each.is_answered for each in await tasks.stuck("writer", 10)] == [True]


async def test_progress_of_an_unknown_or_finished_task_makes_nothing_up(tasks: Tasks):
    """No task comes of it, and no finished one begins again."""
    await tasks.progress("writer", "unknown")
    assert await tasks.known_task("writer", "unknown") is None
    await tasks.observe_task(sighting(DONE))
    await tasks.progress("writer", "t", is_answer=True)
    assert (await tasks.census("writer", 0)).stuck == 0


async def test_a_stuck_task_is_taken_once_a_spell(place: Place, tasks: Tasks):
    """Several sidecars sweep one store; a person wants to hear of it once, and again when it happens again."""
    await tasks.observe_task(sighting(WORKING))
    place.advance(20)
    assert len(await tasks.take_stuck("writer", 10)) == 1
    assert await tasks.take_stuck("writer", 10) == []
    assert len(await tasks.stuck("writer", 10)) == 1
    await tasks.progress("writer", "t")
    place.advance(20)
    assert len(await tasks.take_stuck("writer", 10)) == 1


async def test_concurrent_takers_share_the_stuck_tasks(place: Place, tasks: Tasks):
    """Each is told by exactly one."""
    for number in range(20):
        await tasks.observe_task(sighting(WORKING, task=f"t{number}"))
    place.advance(20)
    taken = await asyncio.gather(*(tasks.take_stuck("writer", 10, limit=6) for _ in range(8)))
    names = [each.task for one in taken for each in one]
    assert sorted(names) == sorted(f"t{number}" for number in range(20))


async def test_the_longest_stuck_come_first_and_the_limit_holds(place: Place, tasks: Tasks):
    """A thousand stuck tasks are told a page at a time."""
    for name in "abc":
        await tasks.observe_task(sighting(WORKING, task=name))
        place.advance(10)
    for limit, expected in ((0, []), (1, ["a"]), (2, ["a", "b"]), (3, ["a", "b", "c"])):
        assert [each.task for each in await tasks.stuck("writer", 5, limit=limit)] == expected


async def test_tasks_are_counted_by_state(place: Place, tasks: Tasks):
    """Each in the state it is in now."""
    for name, state in (("a", SUBMITTED), ("b", WORKING), ("c", WORKING), ("d", DONE)):
        await tasks.observe_task(sighting(state, task=name))
    await tasks.observe_task(sighting(WORKING, "e2", task="a"))
    assert (await tasks.census("writer", 10)).states == {WORKING: 3, DONE: 1}
    place.advance(20)
    assert (await tasks.census("writer", 10)).stuck == 3
    assert (await tasks.census("nobody", 10)).states == {}


async def test_another_open_task_of_the_same_work_is_a_rival(tasks: Tasks):
    """The first by id; one that is over is none, and neither is a task of other work."""
    work, other = "a" * 32, "b" * 32
    assert (await tasks.observe_task(sighting(WORKING, "e1", task="t1", work=work))).rival == ""
    assert (await tasks.observe_task(sighting(WORKING, "e2", task="t2", work=work))).rival == "t1"
    assert (await tasks.observe_task(sighting(WORKING, "e3", task="t3", work=other))).rival == ""
    await tasks.observe_task(sighting(DONE, "e4", task="t1"))
    assert (await tasks.observe_task(sighting(WORKING, "e5", task="t4", work=work))).rival == "t2"
    await tasks.observe_task(sighting(FAILED, "e6", task="t2"))
    await tasks.observe_task(sighting(FAILED, "e7", task="t4"))
    assert (await tasks.observe_task(sighting(WORKING, "e8", task="t5", work=work))).rival == ""


@pytest.mark.parametrize(("age_s", "is_known"), [(KEEP_S - 60, True), (KEEP_S + 60, False)])
async def test_a_task_that_nobody_sees_is_forgotten(place: Place, tasks: Tasks, age_s: int, is_known: bool):
    """After a week; until then it is known whole."""
    await tasks.observe_task(sighting(WORKING, task="old", work="a" * 32))
    place.advance(age_s)
    assert (await tasks.known_task("writer", "old") is not None) is is_known
    assert len(await tasks.stuck("writer", 10)) == is_known
    new = await tasks.observe_task(sighting(WORKING, "e2", task="new", work="a" * 32))
    assert new.rival == ("old" if is_known else "")
    assert (await tasks.census("writer", 10)).states == {WORKING: 1 + is_known}
    again = await tasks.observe_task(sighting(SUBMITTED, "e3", task="old"))
    assert again.step is (Step.MOVED if is_known else Step.FIRST)


async def test_what_was_observed_outlives_the_process(place: Place, tasks: Tasks):
    """A restart is not the end of the tasks under way."""
    if place.again is None:
        pytest.skip("memory is gone with its process")
    await tasks.observe_task(sighting(WORKING, "e1"))
    place.advance(20)
    other = place.again()
    assert steps(await other.tasks.observe_task(sighting(DONE, "e2"))) == [("moved", WORKING)]
    await other.close()
    assert await tasks.known_task("writer", "t") == Known(DONE, True, pytest.approx(0, abs=1))


async def test_concurrent_sightings_make_each_step_once(tasks: Tasks):
    """Fifty calls hear of the end at once: one of them is the step."""
    await tasks.observe_task(sighting(WORKING, "e0"))
    seen = await asyncio.gather(*(tasks.observe_task(sighting(DONE, f"e{number}")) for number in range(1, 51)))
    assert sorted(each.step for each in seen) == [Step.MOVED] + [Step.SAME] * 49


Make = Callable[[int], Tasks]


@pytest.fixture
def small(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> Make:
    """The same kind of store, with room for as many tasks as a test says."""

    def make(tasks_max: int) -> Tasks:
        if place.store.kind == "memory":
            return MemoryTasks(ManualClock(), tasks_max=tasks_max)
        if place.store.kind == "sqlite":
            database = Database(tmp_path / "small.db", clock=ManualClock(), schema=[SqliteTasks.SCHEMA])
            return SqliteTasks(database, tasks_max=tasks_max)
        return RedisTasks(RedisLink(request.getfixturevalue("redis_url")), tasks_max=tasks_max)

    return make


@pytest.mark.parametrize("room", [1, 2, 3])
async def test_past_the_limit_the_task_not_seen_for_longest_makes_room(small: Make, room: int):
    """What was seen last is what will be asked for."""
    tasks = small(room)
    for name in ("a", "b", "c"):
        await tasks.observe_task(sighting(WORKING, task=name))
        await asyncio.sleep(0.003)  # Redis measures by its own clock
    kept = [name for name in ("a", "b", "c") if await tasks.known_task("writer", name)]
    assert kept == ["a", "b", "c"][-room:]
    assert (await tasks.census("writer", 10)).states == {WORKING: room}
    await close(tasks)


async def close(tasks: Any) -> None:
    for part in ("_database", "_link"):
        if hasattr(tasks, part):
            await getattr(tasks, part).close()


# Stores against each other: whatever happens, in whatever order, they say the same.

OPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("see"),
            st.sampled_from(["t1", "t2", "t3"]),
            st.sampled_from(sorted(A2A.states)),
            st.tuples(st.sampled_from(["e1", "e2", "e3"]), st.integers(0, 4)),
            st.sampled_from([0.5, 4.5, 24.5]),
            st.sampled_from(["", "a" * 32, "b" * 32]),
            st.booleans(),
        ),
        st.tuples(st.just("progress"), st.sampled_from(["t1", "t2", "t3"]), st.booleans()),
        st.tuples(st.just("pass"), st.sampled_from([10.0, 30.0])),
        st.tuples(st.just("take")),
    ),
    max_size=25,
)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ops=OPS)
def test_every_store_says_what_memory_says(kind: str, ops: list[Any], tmp_path: Path, redis_url: str):
    """The rules are written down twice, in Python and in Lua; this is what keeps them one."""

    async def story() -> None:
        clock = ManualClock()
        model, callee = MemoryTasks(clock), f"callee-{next(NUMBERS)}"
        database = Database(tmp_path / "model.db", clock=clock, schema=[SqliteTasks.SCHEMA])
        link = RedisLink(redis_url, timeout_s=5.0)
        tested = SqliteTasks(database) if kind == "sqlite" else RedisTasks(link)
        for op in ops:
            seconds = op[1] if op[0] == "pass" else 1.0
            clock.advance(seconds)
            link.skew_ms += int(seconds * 1000)
            said = [await play(each, callee, op) for each in (model, tested)]
            assert said[0] == said[1], op
            censuses = [await each.census(callee, STUCK_S) for each in (model, tested)]
            assert censuses[0] == censuses[1]
        await database.close()
        await link.close()

    asyncio.run(story())


NUMBERS = iter(range(1_000_000))
STUCK_S = 14.5
"""Never a whole number of seconds away from anything, for Redis' own clock goes on while the test runs."""


async def play(tasks: Tasks, callee: str, op: Any) -> Any:
    if op[0] == "see":
        _, task, state, (exchange, sequence), age_s, work, is_progress = op
        facts = {"age_s": age_s, "work": work, "is_progress": is_progress, "callee": callee}
        seen = await tasks.observe_task(sighting(state, exchange, sequence, task, **facts))
        return seen.step, seen.before, seen.rival, seen.is_again, round(seen.for_s), round(seen.idle_s)
    if op[0] == "progress":
        return await tasks.progress(callee, op[1], is_answer=op[2])
    if op[0] == "take":
        found = await tasks.take_stuck(callee, STUCK_S)
        return sorted((each.task, each.state, each.is_answered, each.cause.exchange) for each in found)
    return None


async def test_the_latest_tasks_are_listed_first(place: Place, tasks: Tasks):
    """Of one callee, with what is known of each; no more than are asked for."""
    for task, state in (("a", "TASK_STATE_WORKING"), ("b", "TASK_STATE_WORKING"), ("c", "TASK_STATE_INPUT_REQUIRED")):
        is_waiting = state.endswith("REQUIRED")
        await tasks.observe_task(sighting(state, exchange=f"e-{task}", task=task, is_waiting=is_waiting))
        place.advance(1)
    await tasks.observe_task(sighting("TASK_STATE_COMPLETED", exchange="e-a2", task="a", is_terminal=True))
    place.advance(1)
    latest = await tasks.latest(sighting("x").callee)
    assert [each.task for each in latest] == ["a", "c", "b"]
    first = latest[0]
    assert (first.state, first.is_terminal, first.is_waiting) == ("TASK_STATE_COMPLETED", True, False)
    assert (round(first.for_s), round(first.idle_s)) == (1, 1)
    assert first.cause.exchange == "e-a2"
    assert latest[1].is_waiting
    assert [each.task for each in await tasks.latest(sighting("x").callee, limit=1)] == ["a"]
    assert list(await tasks.latest("another")) == []
