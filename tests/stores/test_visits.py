"""Trails and breaks of loops: what every store promises."""

from __future__ import annotations

import asyncio
import uuid
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.engine.state import Store
from sidecar.engine.state.visits import (
    BREAKS_MAX,
    READS_MAX,
    VISITS_MAX,
    Answered,
    Break,
    Edge,
    Family,
    Mark,
    Sighting,
    Visit,
    Visits,
)
from tests.stores.places import Place, in_file, in_memory, in_redis

HIGH = 2**64 - 1
EDGE = Edge("planner", "researcher", "/pkg.Service/Ask")
EDGE_ID = HIGH - 7
TEXT = (1 << 127) | 0xFF00
"""A likeness with its highest bit set: no store may take it for a negative number."""


def visit(exchange: int, fingerprint: int = 5, *, edge: int = EDGE_ID, likeness: int = TEXT, key: int = 0) -> Visit:
    return Visit(HIGH - exchange, edge, 11, HIGH - 12, fingerprint, likeness, key)


async def visited(visits: Visits, *made: Visit, conversation: str = "c", window_s: float = 60) -> Sighting:
    sighting = Sighting()
    for each in made:
        sighting = await visits.visit(conversation, each, window_s=window_s)
    return sighting


async def begin(visits: Visits, family: Family, *, conversation: str = "c", edge: int = EDGE_ID) -> Break:
    return await visits.break_off(conversation, EDGE, edge, family, kind="repeat", cooldown_s=30)


def exchanges(sighting: Sighting) -> list[int]:
    return [HIGH - each.exchange for each in sighting.trail]


async def test_the_trail_ends_with_the_visit_itself(store: Store):
    """Oldest first, every field as it was given, with the store's own time and nothing answered yet."""
    sighting = await visited(store.visits, visit(1), visit(2, 6, key=HIGH))
    assert exchanges(sighting) == [1, 2]
    assert sighting.is_new
    assert sighting.held is None
    last = sighting.trail[-1]
    assert last._replace(at_ms=0) == visit(2, 6, key=HIGH)
    assert last.at_ms >= sighting.trail[0].at_ms > 1_600_000_000_000
    assert last.mark is Mark.OPEN


async def test_one_exchange_is_counted_once(store: Store):
    """Its second sidecar, or a verb that was asked again, hears what was known when it was first seen."""
    await visited(store.visits, visit(1), visit(2), visit(3))
    again = await visited(store.visits, visit(2))
    assert exchanges(again) == [1, 2]
    assert not again.is_new
    assert exchanges(await visited(store.visits, visit(4))) == [1, 2, 3, 4]


async def test_conversations_have_trails_of_their_own(store: Store):
    """What one asked is nothing to another."""
    await visited(store.visits, visit(1))
    assert exchanges(await visited(store.visits, visit(2), conversation="d")) == [2]


async def test_a_visit_leaves_the_trail_when_the_window_has_passed(place: Place):
    """At the window's length it is gone; a millisecond before that it counts."""
    await visited(place.store.visits, visit(1), window_s=10)
    place.advance(9.5)
    assert exchanges(await visited(place.store.visits, visit(2), window_s=10)) == [1, 2]
    place.advance(0.5)
    assert exchanges(await visited(place.store.visits, visit(3), window_s=10)) == [2, 3]
    place.advance(100)
    assert exchanges(await visited(place.store.visits, visit(4), window_s=10)) == [4]


@pytest.mark.parametrize(("made", "kept"), [(VISITS_MAX, VISITS_MAX), (VISITS_MAX + 1, VISITS_MAX)])
async def test_a_trail_is_bounded(store: Store, made: int, kept: int):
    """The oldest makes room."""
    sighting = await visited(store.visits, *map(visit, range(made)))
    assert exchanges(sighting) == list(range(made - kept, made))


async def test_the_first_answer_adds_something_and_its_like_does_not(store: Store):
    """Within the radius it is a near-duplicate; one bit further it is not."""
    await visited(store.visits, *map(visit, range(5)))
    answers = [Answered(0b0000, radius=2), Answered(0b0011, radius=2), Answered(0b0111 << 100, radius=2)]
    marks = [await store.visits.answered("c", HIGH - each, answer) for each, answer in enumerate(answers)]
    assert marks == [Mark.ADDED, Mark.BARREN, Mark.ADDED]
    trail = (await visited(store.visits, visit(9))).trail
    assert [each.mark for each in trail] == [*marks, Mark.OPEN, Mark.OPEN, Mark.OPEN]
    assert [each.answer for each in trail[:3]] == [answer.likeness for answer in answers]


async def test_answers_are_compared_on_their_own_edge_only(store: Store):
    """Two agents may say the same; each said it for the first time."""
    await visited(store.visits, visit(1), visit(2, edge=8))
    assert await store.visits.answered("c", HIGH - 1, Answered(7)) is Mark.ADDED
    assert await store.visits.answered("c", HIGH - 2, Answered(7)) is Mark.ADDED


async def test_an_answer_is_marked_once(store: Store):
    """A verb that is asked again changes nothing, and is told what was decided."""
    await visited(store.visits, visit(1), visit(2))
    assert await store.visits.answered("c", HIGH - 1, Answered(7, digest=HIGH)) is Mark.ADDED
    assert await store.visits.answered("c", HIGH - 1, Answered(7)) is Mark.ADDED
    assert await store.visits.answered("c", HIGH - 2, Answered(7)) is Mark.BARREN
    assert (await visited(store.visits, visit(3))).trail[0].digest == HIGH


async def test_an_answer_without_its_visit_is_nothing(store: Store):
    """It may have been forgotten, or the break may have kept it out."""
    assert await store.visits.answered("c", 1, Answered(7)) is None
    await visited(store.visits, visit(1))
    assert await store.visits.answered("c", 2, Answered(7)) is None


async def test_a_read_that_ends_a_task_decides_the_visit_that_began_it(store: Store):
    """Work that goes on is undecided until somebody reads its end; that answer is then the visit's own."""
    await visited(store.visits, visit(1), visit(2))
    for exchange in (1, 2):
        answer = Answered(task=HIGH - exchange, is_undecided=True)
        assert await store.visits.answered("c", HIGH - exchange, answer) is Mark.UNDECIDED
    assert await store.visits.answered("c", 70, Answered(9, task=HIGH - 2)) is Mark.ADDED
    assert await store.visits.answered("c", 71, Answered(9, task=HIGH - 2)) is None
    assert await store.visits.answered("c", 72, Answered(9, task=HIGH - 1)) is Mark.BARREN
    trail = (await visited(store.visits, visit(3))).trail
    assert [(each.mark, each.task) for each in trail[:2]] == [(Mark.BARREN, HIGH - 1), (Mark.ADDED, HIGH - 2)]


async def test_reads_are_counted_by_question_and_time(place: Place):
    """Within the time given, this one included, and one exchange once."""
    visits = place.store.visits
    assert [await visits.read("c", number, HIGH, within_s=10) for number in (1, 2, 2, 3)] == [1, 2, 2, 3]
    assert await visits.read("c", 4, 1, within_s=10) == 1
    assert await visits.read("d", 5, HIGH, within_s=10) == 1
    place.advance(10)
    assert await visits.read("c", 6, HIGH, within_s=10) == 1


async def test_reads_are_bounded_and_leave_the_trail_alone(store: Store):
    """However long somebody polls, what was asked beside it stays known."""
    await visited(store.visits, visit(1))
    counts = [await store.visits.read("c", number, 7, within_s=3600) for number in range(READS_MAX + 2)]
    assert counts[-3:] == [READS_MAX, READS_MAX, READS_MAX]
    assert exchanges(await visited(store.visits, visit(2))) == [1, 2]


async def test_what_is_withdrawn_was_never_asked(store: Store):
    """One that never came to its callee counts no more, as a visit or as a read; others stay, in their order."""
    visits = store.visits
    await visited(visits, visit(1), visit(2), visit(3))
    assert await visits.withdraw("c", HIGH - 2)
    assert not await visits.withdraw("c", HIGH - 2)
    assert not await visits.withdraw("d", HIGH - 1)
    assert exchanges(await visited(visits, visit(4))) == [1, 3, 4]
    assert [await visits.read("c", number, 7, within_s=10) for number in (1, 2, 3)] == [1, 2, 3]
    assert await visits.withdraw("c", 2)
    assert not await visits.withdraw("c", 2)
    assert await visits.read("c", 4, 7, within_s=10) == 3
    assert exchanges(await visited(visits, visit(5))) == [1, 3, 4, 5]


async def test_the_last_visit_can_be_withdrawn(store: Store):
    """Then the conversation has asked nothing, and no answer finds a visit."""
    await visited(store.visits, visit(1))
    assert await store.visits.withdraw("c", HIGH - 1)
    assert await store.visits.answered("c", HIGH - 1, Answered(7)) is None
    assert exchanges(await visited(store.visits, visit(2))) == [2]


async def test_a_break_keeps_its_family_out(store: Store):
    """The same fingerprint always; near-duplicates where the family has a radius; nothing else."""
    begun = await begin(store.visits, Family(5, TEXT, 2))
    assert begun.edge == EDGE
    same = await visited(store.visits, visit(1, 5, likeness=0))
    assert same == Sighting(held=begun)
    assert (await visited(store.visits, visit(2, 6, likeness=TEXT ^ 0b11))).held == begun
    assert exchanges(await visited(store.visits, visit(3, 6, likeness=TEXT ^ 0b111))) == [3]
    assert exchanges(await visited(store.visits, visit(4, 5, edge=4))) == [3, 4]
    assert exchanges(await visited(store.visits, visit(5), conversation="d")) == [5]


async def test_a_break_without_radius_is_about_one_fingerprint(store: Store):
    """Another question that reads nearly alike may be asked."""
    await begin(store.visits, Family(5, TEXT))
    assert (await visited(store.visits, visit(1, 6))).held is None
    assert (await visited(store.visits, visit(2, 5))).held is not None


async def test_what_a_break_covers_is_forgotten(place: Place):
    """So that after it the count starts afresh; other visits stay."""
    visits = place.store.visits
    await visited(visits, visit(1), visit(2, 6, likeness=0), visit(3, 7), visit(4, edge=3), window_s=600)
    await begin(visits, Family(5, TEXT, 4))
    place.advance(30)
    assert exchanges(await visited(visits, visit(5), window_s=600)) == [2, 4, 5]


async def test_a_break_ends_by_itself(place: Place):
    """After the cooldown, on the store's own clock."""
    await begin(place.store.visits, Family(5))
    place.advance(29)
    assert (await visited(place.store.visits, visit(1))).held is not None
    place.advance(1)
    assert (await visited(place.store.visits, visit(1))).held is None
    assert await place.store.visits.breaks() == ()
    assert not await place.store.visits.resume("c", EDGE_ID, 5)


async def test_a_break_that_holds_is_not_made_longer(place: Place):
    """Two sidecars that find the loop together begin one break; a later one begins anew."""
    first = await begin(place.store.visits, Family(5))
    place.advance(10)
    assert await begin(place.store.visits, Family(5)) == first
    place.advance(30)
    assert (await begin(place.store.visits, Family(5))).until_ms == pytest.approx(first.until_ms + 40_000, abs=2_000)


async def test_resume_ends_a_break_at_once(store: Store):
    """Once: the second word finds nothing to resume."""
    await begin(store.visits, Family(5))
    assert not await store.visits.resume("c", EDGE_ID, 6)
    assert not await store.visits.resume("d", EDGE_ID, 5)
    assert await store.visits.resume("c", EDGE_ID, 5)
    assert not await store.visits.resume("c", EDGE_ID, 5)
    assert (await visited(store.visits, visit(1))).held is None
    assert await store.visits.breaks() == ()


async def test_breaks_are_listed_with_all_that_resuming_needs(place: Place):
    """The one that ends last first, and no more than asked for."""
    visits = place.store.visits
    first = await begin(visits, Family(5, TEXT, 3))
    place.advance(1)
    second = await begin(visits, Family(HIGH), conversation="ü 😀")
    assert await visits.breaks() == (second, first)
    assert await visits.breaks(1) == (second,)
    assert await visits.breaks(0) == ()


async def test_breaks_of_one_conversation_are_bounded(place: Place):
    """Past the limit the one that ends first makes room."""
    for number in range(BREAKS_MAX + 1):
        await begin(place.store.visits, Family(number))
        place.advance(0.01)
    left = await place.store.visits.breaks(100)
    assert sorted(held.family.fingerprint for held in left) == list(range(1, BREAKS_MAX + 1))
    assert (await visited(place.store.visits, visit(1, 0))).held is None


async def test_at_the_same_time_each_visit_sees_another_number(store: Store):
    """Of fifty requests at once, exactly one is the sixth."""
    sightings = await asyncio.gather(*(visited(store.visits, visit(number)) for number in range(50)))
    assert sorted(len(sighting.trail) for sighting in sightings) == list(range(1, 51))


async def test_what_is_known_survives_a_restart(place: Place):
    """Or is seen by a second process, where the store is not memory."""
    if place.again is None:
        pytest.skip("memory goes with its process")
    await visited(place.store.visits, visit(1))
    await place.store.visits.answered("c", HIGH - 1, Answered(3, HIGH, 4))
    begun = await begin(place.store.visits, Family(6))
    other = place.again()
    try:
        sighting = await visited(other.visits, visit(2))
        assert [(each.mark, each.digest) for each in sighting.trail] == [(Mark.ADDED, HIGH), (Mark.OPEN, 0)]
        assert await other.visits.breaks() == (begun,)
        await other.visits.resume("c", EDGE_ID, 6)
        assert await place.store.visits.breaks() == ()
    finally:
        await other.close()


async def test_an_exchange_id_inside_another_field_is_not_mistaken_for_an_exchange(store: Store):
    """A record is found at its own place only, whatever its fields happen to hold."""
    numbers = count(1)
    odd = visit(next(numbers))._replace(edge=HIGH - 99, fingerprint=HIGH - 99, likeness=HIGH - 99, key=HIGH - 99)
    sighting = await visited(store.visits, odd, visit(99))
    assert exchanges(sighting) == [1, 99]
    assert sighting.is_new


STEPS = st.one_of(
    st.tuples(st.just("visit"), st.integers(1, 12), st.integers(1, 3), st.integers(1, 2), st.integers(0, 7)),
    st.tuples(st.just("answer"), st.integers(1, 14), st.integers(0, 3), st.booleans(), st.integers(0, 7)),
    st.tuples(st.just("read"), st.integers(1, 9), st.integers(1, 2)),
    st.tuples(st.just("break"), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2)),
    st.tuples(st.just("resume"), st.integers(1, 3), st.integers(1, 2)),
    st.tuples(st.just("withdraw"), st.integers(1, 12), st.booleans()),
    st.tuples(st.just("wait"), st.integers(1, 3)),
)
"""A small world, so that steps meet: few exchanges, edges, fingerprints and tasks."""


async def told(place: Place, step: tuple[Any, ...], conversation: str) -> object:
    """What a store says to one step, without its own time."""
    visits = place.store.visits
    match step:
        case ("visit", exchange, fingerprint, edge, likeness):
            made = visit(exchange, fingerprint, edge=edge, likeness=likeness)
            seen = await visits.visit(conversation, made, window_s=2.5)
            is_covered = seen.held is not None and seen.held.family.covers(fingerprint, likeness)
            return [each._replace(at_ms=0) for each in seen.trail], is_covered, seen.held is None, seen.is_new
        case ("answer", exchange, task, is_undecided, likeness):
            answer = Answered(likeness, likeness, task, is_undecided, radius=1)
            return await visits.answered(conversation, HIGH - exchange, answer)
        case ("read", exchange, question):
            return await visits.read(conversation, exchange, question, within_s=2.5)
        case ("withdraw", exchange, is_visit):
            return await visits.withdraw(conversation, HIGH - exchange if is_visit else exchange)
        case ("break", fingerprint, edge, radius):
            family = Family(fingerprint, fingerprint, radius)
            held = await visits.break_off(conversation, EDGE, edge, family, kind="drift", cooldown_s=1.5)
            return held.family
        case ("resume", fingerprint, edge):
            return await visits.resume(conversation, edge, fingerprint)
        case _:
            place.advance(step[1])
            return sorted(held.family for held in await visits.breaks(1_000) if held.conversation == conversation)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(STEPS, max_size=40))
def test_every_store_tells_the_same_story(script: list[tuple[Any, ...]], redis_url: str, tmp_path: Path):
    """Whatever is asked in whatever order: memory, file and Redis agree on each answer."""
    conversation = uuid.uuid4().hex

    async def play() -> None:
        places = [in_memory(), in_file(tmp_path / f"{conversation}.db"), in_redis(redis_url)]
        try:
            for step in script:
                first, *others = [await told(place, step, conversation) for place in places]
                assert others == [first, first], step
        finally:
            for place in places:
                await place.store.close()

    asyncio.run(play())
