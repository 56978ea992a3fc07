"""The detector: this trail went in, these numbers came out."""

from __future__ import annotations

import time
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.checks.loop.detector import (
    NEAR_BITS,
    NEAR_UNTOLD_BITS,
    Kind,
    Limits,
    Measure,
    drifts_of,
    is_reentry,
    last_change,
    measured,
    repeats_of,
    rounds_of,
    without_retries,
)
from sidecar.engine.state.visits import VISITS_MAX, Mark, Visit

NUMBERS = count(1)
A, B, C, D = 101, 102, 103, 104
"""Edges."""


def visit(
    edge: int = A, asks: int = 1, mark: Mark = Mark.BARREN, *, says: int = 0, like: int | None = None, key: int = 0
) -> Visit:
    """`asks` is what is asked, `says` what was answered: equal numbers are equal, others are far apart."""
    likeness = far(asks) if like is None else like
    answer = far(says) if says else 0
    return Visit(next(NUMBERS), edge, 11, 12, asks, likeness, key, 0, answer, says + 1, 0, mark)


def far(number: int) -> int:
    """Numbers as likenesses that differ in about half of the bits."""
    return (number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128


def open_visit(edge: int = A, asks: int = 1, *, like: int | None = None, key: int = 0) -> Visit:
    return visit(edge, asks, Mark.OPEN, like=like, key=key)


def differing(bits: int) -> int:
    return far(1) ^ (2**bits - 1)


def counted(trail: list[Visit]) -> dict[Kind, int]:
    return {measure.kind: measure.count for measure in measured(trail, Limits())}


def kinds_past(trail: list[Visit], limits: Limits) -> list[Kind]:
    return [measure.kind for measure in measured(trail, limits) if measure.is_past]


@pytest.mark.parametrize(("made", "is_past"), [(1, False), (5, False), (6, True)])
def test_the_same_request_past_its_limit_is_a_repeat(made: int, is_past: bool):
    """The limit is what is allowed, whatever the answers were."""
    for mark in (Mark.BARREN, Mark.ADDED, Mark.UNDECIDED, Mark.OPEN):
        trail = [*(visit(mark=mark, says=number) for number in range(1, made)), open_visit()]
        assert repeats_of(trail) == made
        assert (Kind.REPEAT in kinds_past(trail, Limits(repeats=5, drifts=99, cycles=99))) is is_past


def test_other_requests_and_other_edges_are_no_repeats():
    """A text with other content, and the same text to another agent."""
    trail = [visit(asks=1), visit(B, asks=1), visit(asks=2), open_visit()]
    assert repeats_of(trail) == 2


def test_what_is_asked_again_after_new_work_is_no_repeat_where_it_is_answered_anew():
    """Read, edit, read, edit: another edit each time, and another text."""
    trail: list[Visit] = []
    for number in range(8):
        trail += [visit(asks=1, mark=Mark.ADDED, says=number + 1), visit(B, asks=100 + number, says=0)]
    assert counted([*trail, open_visit()]) == {Kind.REPEAT: 1, Kind.DRIFT: 1, Kind.CYCLE: 1}


def test_a_large_text_that_changes_little_is_a_change_all_the_same():
    """Near-duplicates of each other, but no two the same."""
    trail: list[Visit] = []
    for number in range(12):
        read = visit(asks=1, says=3)._replace(digest=1000 + number)
        trail += [read, visit(B, asks=100 + number)]
    assert counted([*trail, open_visit()]) == {Kind.REPEAT: 1, Kind.DRIFT: 1, Kind.CYCLE: 1}


def test_the_same_answer_after_new_work_is_a_repeat_all_the_same():
    """Work that changes nothing is no excuse to ask again."""
    trail: list[Visit] = []
    for number in range(6):
        trail += [visit(asks=1, says=7), visit(B, asks=100 + number)]
    assert counted([*trail, open_visit()])[Kind.REPEAT] == 7


def test_other_answers_without_new_work_between_are_repeats():
    """Whoever asks the same thing six times in a row repeats himself, even if each answer is worded anew."""
    trail = [visit(asks=1, mark=Mark.ADDED, says=number + 1) for number in range(5)]
    assert counted([*trail, open_visit()])[Kind.REPEAT] == 6


def test_work_of_another_agent_is_no_excuse():
    """What a sibling in the conversation does brings this caller nothing."""
    trail: list[Visit] = []
    for number in range(5):
        trail += [visit(asks=1, mark=Mark.ADDED, says=number + 1), visit(B, asks=100 + number)._replace(caller=99)]
    assert counted([*trail, open_visit()])[Kind.REPEAT] == 6
    assert last_change(trail) == -1


def test_a_retry_with_its_key_is_no_visit():
    """The same key with the same request on the same edge; anything else is a call of its own."""
    first = visit(key=5)
    others = [visit(key=6), visit(asks=2, key=5), visit(B, key=5), visit(key=0), visit(key=0)]
    assert without_retries([first, *others, visit(key=5)]) == [first, *others]


def test_a_retry_is_not_measured_at_all():
    """However often it comes."""
    assert measured([visit(key=5) for _ in range(50)], Limits(repeats=1)) == []
    assert [measure.count for measure in measured([open_visit(key=5)], Limits())] == [1, 1, 1]


@pytest.mark.parametrize(("barren", "is_past"), [(6, False), (7, True)])
def test_near_duplicates_without_a_new_answer_are_a_drift(barren: int, is_past: bool):
    """Eight are allowed: the first, whose answer was new, those that added nothing, and this one."""
    trail = [visit(asks=1, mark=Mark.ADDED, says=3, like=differing(0))]
    trail += [visit(asks=2 + number, says=3, like=differing(number)) for number in range(barren)]
    trail.append(open_visit(asks=99, like=differing(9)))
    assert drifts_of(trail) == (barren + 2, NEAR_BITS)
    assert (kinds_past(trail, Limits(drifts=8)) == [Kind.DRIFT]) is is_past


def test_an_answer_that_adds_something_begins_anew():
    """What was asked before it is forgiven."""
    trail = [visit(asks=number, says=3) for number in range(2, 7)]
    trail = [each._replace(likeness=far(1)) for each in trail]
    assert drifts_of([*trail, visit(mark=Mark.ADDED, says=4), visit(says=4), open_visit()])[0] == 3


@pytest.mark.parametrize("mark", [Mark.OPEN, Mark.UNDECIDED])
def test_what_is_not_answered_yet_is_no_drift(mark: Mark):
    """Twenty requests at once, or twenty tasks that are still at work, say nothing of what they will bring."""
    trail = [visit(asks=number, mark=mark, like=far(1)) for number in range(2, 22)]
    assert drifts_of([*trail, open_visit()])[0] == 1


@pytest.mark.parametrize(
    ("says", "bits", "count"),
    [
        (3, NEAR_BITS, 4),
        (3, NEAR_BITS + 1, 1),
        (0, NEAR_UNTOLD_BITS, 4),
        (0, NEAR_UNTOLD_BITS + 1, 2),
        (0, NEAR_BITS, 2),
        (0, NEAR_BITS + 1, 1),
    ],
)
def test_how_near_is_near_depends_on_what_the_answer_says(says: int, bits: int, count: int):
    """After an `ok`, three requests that are only alike count as one: records written one after the other are alike."""
    trail = [visit(asks=2 + number, says=says, like=differing(bits)) for number in range(3)]
    assert drifts_of([*trail, open_visit()])[0] == count


def test_a_request_that_grows_is_followed():
    """Each is near to its successor, though the first and the last have little in common."""
    trail = [visit(asks=2 + number, says=3, like=differing(10 * number)) for number in range(9)]
    assert drifts_of([*trail, open_visit(asks=99, like=differing(90))])[0] == 10


def test_labels_that_differ_are_no_drift():
    """Short answers that depend on the question are a reason to ask the next one."""
    labels = [visit(asks=2 + number, like=far(1))._replace(digest=5 + number % 2) for number in range(9)]
    assert drifts_of([*labels, open_visit()])[0] == 2
    assert drifts_of([*(each._replace(digest=5) for each in labels), open_visit()])[0] == 10


def rounds(edges: list[int], times: int, mark: Mark = Mark.BARREN) -> list[Visit]:
    return [visit(edge, asks=edge, mark=mark) for _ in range(times) for edge in edges]


@pytest.mark.parametrize("edges", [[A, B], [A, B, C], [A, B, A, C, D], [A, B, C, D, A, B, C, C]])
def test_a_pattern_past_its_limit_is_a_cycle(edges: list[int]):
    """Three rounds are allowed; the call that completes the fourth is past the limit."""
    limits = Limits(repeats=99, drifts=99, cycles=3)
    trail = rounds(edges, 4)
    assert rounds_of(trail) == 4
    assert kinds_past(trail, limits) == [Kind.CYCLE]
    assert kinds_past(trail[:-1], limits) == []


def test_one_edge_alone_is_no_cycle():
    """Repeats and drifts have rules of their own."""
    assert rounds_of(rounds([A], 20)) == 1


def test_alternating_work_with_new_requests_is_no_cycle():
    """Read, edit, read, edit, as long as each edit is another one."""
    trail = [each for number in range(10) for each in (visit(A, 1), visit(B, asks=100 + number))]
    assert rounds_of(trail) == 1


def test_a_round_whose_answers_are_new_is_no_round():
    """Information came in, so the count begins there."""
    trail = rounds([A, B], 5)
    assert rounds_of(trail) == 5
    trail[4] = trail[4]._replace(mark=Mark.ADDED)
    assert rounds_of(trail) == 3


def test_calls_that_wait_for_each_other_are_a_cycle_too():
    """In A asks B asks C asks A nobody has answered anything yet."""
    assert kinds_past(rounds([A, B, C], 4, Mark.OPEN), Limits(repeats=99)) == [Kind.CYCLE]


def test_a_pattern_longer_than_is_looked_for_is_none():
    """Eight edges; nine are left to the count of repeats."""
    assert rounds_of(rounds(list(range(8)), 4)) == 4
    assert rounds_of(rounds(list(range(9)), 4)) == 1


def test_the_worst_trail_costs_little():
    """Work is bounded: a full trail of visits that all look alike is judged within milliseconds."""
    trail = [visit(asks=number, edge=A + number % 2, says=3, like=far(1)) for number in range(VISITS_MAX)]
    begun = time.perf_counter()
    for _ in range(10):
        measured(trail, Limits(200, 200, 60))
    assert (time.perf_counter() - begun) / 10 < 0.05


def test_no_visits_are_no_loop():
    """As after a break."""
    assert measured([], Limits()) == []


VISITS = st.builds(
    visit,
    edge=st.integers(1, 3),
    asks=st.integers(1, 4),
    mark=st.sampled_from(Mark),
    says=st.integers(0, 3),
    like=st.one_of(st.none(), st.integers(0, 40).map(lambda bits: far(1) ^ (2**bits - 1))),
    key=st.integers(0, 2),
)


@given(st.lists(VISITS, max_size=40))
def test_no_count_is_more_than_the_calls_that_were_made(trail: list[Visit]):
    """Whatever the trail: each kind counts this call and some of those before it, and a retry is none of them."""
    calls = without_retries(trail)
    for measure in measured(trail, Limits()):
        edge = [call for call in calls if call.edge == trail[-1].edge]
        assert 1 <= measure.count <= (len(calls) if measure.kind is Kind.CYCLE else len(edge))


@given(st.lists(VISITS, min_size=1, max_size=30), st.lists(VISITS, max_size=10))
def test_what_other_edges_do_makes_no_repeat_worse(trail: list[Visit], others: list[Visit]):
    """Calls elsewhere can excuse a request that is asked again; they never accuse it."""
    last = trail[-1]._replace(key=0)
    elsewhere = [other._replace(edge=9) for other in others]
    alone, among = ([*trail[:-1], last], [*trail[:-1], *elsewhere, last])
    for before, after in zip(measured(alone, Limits()), measured(among, Limits()), strict=True):
        assert before.kind is Kind.CYCLE or after.count <= before.count


@pytest.mark.parametrize(
    ("count", "limit", "is_near", "is_past"),
    [
        (1, 1, False, False),
        (2, 1, False, True),
        (1, 2, False, False),
        (2, 2, True, False),
        (2, 4, False, False),
        (3, 5, False, False),
        (4, 5, True, False),
        (5, 5, True, False),
        (6, 5, False, True),
    ],
)
def test_the_last_calls_allowed_are_near_the_limit(count: int, limit: int, is_near: bool, is_past: bool):
    """One, or two where five or more are allowed; a first time is never near anything."""
    measure = Measure(Kind.REPEAT, count, limit)
    assert (measure.is_near, measure.is_past) == (is_near, is_past)
    assert measure.remaining == max(limit - count, 0)


PLANNER, WRITER, EDITOR = 1, 2, 3


def call(caller: int, callee: int, mark: Mark = Mark.OPEN) -> Visit:
    return open_visit()._replace(caller=caller, callee=callee, mark=mark)


def test_an_agent_that_still_waits_is_reentered():
    """It was called in this chain, and its call is open; one that has answered waits for nobody."""
    chain = [call(9, PLANNER), call(PLANNER, WRITER), call(WRITER, PLANNER)]
    assert is_reentry(chain, PLANNER, [PLANNER, WRITER])
    assert not is_reentry([chain[0]._replace(mark=Mark.ADDED), *chain[1:]], PLANNER, [PLANNER, WRITER])
    assert not is_reentry([chain[0]._replace(mark=Mark.UNDECIDED), *chain[1:]], PLANNER, [PLANNER, WRITER])


def test_the_agent_that_began_the_chain_waits_too():
    """Nobody called it, but it waits for the first of the chain."""
    assert is_reentry([call(PLANNER, WRITER), call(WRITER, PLANNER)], PLANNER, [WRITER])


def test_an_agent_at_work_in_another_branch_is_not_reentered():
    """Planner asks both; that the editor asks the writer is no circle."""
    chain = [call(9, PLANNER), call(PLANNER, WRITER), call(PLANNER, EDITOR), call(EDITOR, WRITER)]
    assert not is_reentry(chain, WRITER, [PLANNER, EDITOR])
    assert not is_reentry([call(PLANNER, WRITER)], WRITER, [])
