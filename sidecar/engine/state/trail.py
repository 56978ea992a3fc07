"""What the verbs of Visits do to one trail, for the stores that work in Python. Redis does the same in its scripts."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.engine.state.visits import VISITS_MAX, Answered, Family, Mark, Visit, distance

UNMARKED = (Mark.OPEN, Mark.UNDECIDED)


def fresh(trail: Sequence[Visit], now_ms: int, window_ms: int) -> list[Visit]:
    """The visits within the window."""
    return [visit for visit in trail if visit.at_ms > now_ms - window_ms]


def place_of(trail: Sequence[Visit], exchange: int) -> int | None:
    return next((place for place, visit in enumerate(trail) if visit.exchange == exchange), None)


def appended(trail: Sequence[Visit], visit: Visit, now_ms: int) -> list[Visit]:
    """With one visit more, and without the oldest where there would be too many."""
    return [*trail[1 - VISITS_MAX :], visit._replace(at_ms=now_ms, mark=Mark.OPEN)]


def place_of_answer(trail: Sequence[Visit], exchange: int, task: int) -> int | None:
    """The visit that an answer is about: its own, else the last undecided one about its task."""
    place = place_of(trail, exchange)
    if place is not None or not task:
        return place
    places = range(len(trail) - 1, -1, -1)
    return next((place for place in places if trail[place].task == task and trail[place].mark in UNMARKED), None)


def marked(trail: Sequence[Visit], visit: Visit, answer: Answered) -> Visit:
    """A visit with what came of it."""
    task = answer.task or visit.task
    if answer.is_undecided:
        return visit._replace(task=task, mark=Mark.UNDECIDED)
    decided = (other for other in trail if other.edge == visit.edge and other.mark not in UNMARKED)
    is_near = any(distance(other.answer, answer.likeness) <= answer.radius for other in decided)
    mark = Mark.BARREN if is_near else Mark.ADDED
    return visit._replace(task=task, answer=answer.likeness, digest=answer.digest, mark=mark)


def without(trail: Sequence[Visit], edge: int, family: Family) -> list[Visit]:
    """The visits that a break does not cover."""
    return [visit for visit in trail if visit.edge != edge or not family.covers(visit.fingerprint, visit.likeness)]
