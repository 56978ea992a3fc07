"""The detector: whether the newest visit of a trail goes round in circles. Pure: no store, no clock.

Each kind gives a number that grows as the circle goes on and a limit up to which that is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sidecar.engine.state.visits import Mark, Visit, distance

NEAR_BITS: Final = 26
"""Requests within this are near-duplicates: on average they share 59 % of their words."""

NEAR_UNTOLD_BITS: Final = 14
"""The same where the answer to one of them says nothing either way (none yet, an `ok`, an empty list): 78 %.

Records written one after the other look alike and are all confirmed alike; only what is nearly the same is a drift.
"""

NEAR_ANSWER_BITS: Final = 8
"""Answers within this add nothing: they share 88 % of their words, where each figure counts as four words."""

DECIDED: Final = (Mark.ADDED, Mark.BARREN)

PATTERN_MIN: Final = 2
PATTERN_MAX: Final = 8
"""Edges in the longest pattern that is looked for."""


class Kind(StrEnum):
    """What a loop is made of."""

    REPEAT = "repeat"
    CYCLE = "cycle"
    DRIFT = "drift"
    HOPS = "hops"
    REENTRY = "reentry"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed before it is a loop."""

    repeats: int = 5
    drifts: int = 8
    cycles: int = 3
    hops: int = 16
    reads: int = 50


@dataclass(frozen=True, slots=True)
class Measure:
    """How far one kind of loop has got."""

    kind: Kind
    count: int
    limit: int
    radius: int = 0
    """Bits within which another request belongs to this loop. 0: only the very same does."""

    @property
    def is_past(self) -> bool:
        return self.count > self.limit

    @property
    def remaining(self) -> int:
        """How many more are allowed."""
        return max(self.limit - self.count, 0)

    @property
    def is_near(self) -> bool:
        """The last one allowed, and where the limit is no less than five the one before it; a first time never is."""
        return not self.is_past and self.count > 1 and self.remaining <= (1 if self.limit >= 5 else 0)


def measured(trail: Sequence[Visit], limits: Limits) -> list[Measure]:
    """How far the trail's last visit has got in each kind. One request is one loop: the first one past its limit."""
    calls = without_retries(trail)
    if not calls or calls[-1] is not trail[-1]:
        return []  # a retry, which is nothing new
    since = last_change(calls)
    drifts, radius = drifts_of(calls[since + 1 :])
    return [
        Measure(Kind.REPEAT, repeats_of(calls, since), limits.repeats),
        Measure(Kind.DRIFT, drifts, limits.drifts, radius),
        Measure(Kind.CYCLE, rounds_of(calls), limits.cycles, NEAR_UNTOLD_BITS),
    ]


def without_retries(trail: Sequence[Visit]) -> list[Visit]:
    """Visits whose key no earlier visit with the same request had on that edge."""
    seen: set[tuple[int, int, int]] = set()
    calls = []
    for visit in trail:
        name = (visit.edge, visit.fingerprint, visit.key)
        if not visit.key or name not in seen:
            calls.append(visit)
            seen.add(name)
    return calls


def repeats_of(calls: Sequence[Visit], since: int = -1) -> int:
    """How often the last request was made on its edge after the place `since`."""
    return sum(same_request(visit, calls[-1]) for visit in calls[since + 1 :])


def last_change(calls: Sequence[Visit]) -> int:
    """The place of the last request before that made it worth asking again: -1 where there is none.

    Its answer had changed, and the caller has done new work since: read, edit, read, edit is no loop.
    """
    last = calls[-1]
    places = [place for place, visit in enumerate(calls) if same_request(visit, last)]
    changes = [
        (earlier, later)
        for before, earlier, later in zip(places, places[1:], places[2:], strict=False)
        if 0 != calls[before].digest != calls[earlier].digest != 0
    ]
    if not changes:
        return -1  # nearly always
    new = first_times(calls)
    for earlier, later in reversed(changes):
        if any(new[place] and calls[place].caller == last.caller for place in range(earlier + 1, later)):
            return earlier
    return -1


def same_request(one: Visit, two: Visit) -> bool:
    return one.fingerprint == two.fingerprint and one.edge == two.edge


def first_times(calls: Sequence[Visit]) -> list[bool]:
    """Whether each visit's request was made for the first time on its edge."""
    seen: set[tuple[int, int]] = set()
    first = []
    for visit in calls:
        name = (visit.edge, visit.fingerprint)
        first.append(name not in seen)
        seen.add(name)
    return first


def drifts_of(calls: Sequence[Visit]) -> tuple[int, int]:
    """How many requests like the last were made on its edge since an answer to one of them was new, and how near.

    Each is near to the last one or, where its answer says something, to its own successor: so a request that grows with
    each attempt is followed.
    The one whose answer was new is the first of them; what is not answered yet says nothing, and is not counted.
    Short answers must all be the same: labels that differ depend on the question, so asking on has a reason. And where
    they are short, three requests that are no more than alike count as one: a batch of orders looks so, too.
    """
    last = successor = calls[-1]
    count, wide, radius, short = 1, 0, NEAR_UNTOLD_BITS, 0
    for visit in reversed(calls[:-1]):
        if visit.edge != last.edge or visit.mark not in DECIDED:
            continue
        if not is_within(NEAR_BITS, visit, last) and not (visit.answer and is_within(NEAR_BITS, visit, successor)):
            continue
        if not visit.answer:
            if short not in (0, visit.digest):
                break
            short = visit.digest
        if visit.answer or is_within(NEAR_UNTOLD_BITS, visit, last):
            count += 1
        else:
            wide += 1
        successor = visit
        if visit.answer or wide:
            radius = NEAR_BITS
        if visit.mark is Mark.ADDED:
            break
    return count + wide // 3, radius


def is_within(bits: int, one: Visit, two: Visit) -> bool:
    return one.fingerprint == two.fingerprint or distance(one.likeness, two.likeness) <= bits


def rounds_of(calls: Sequence[Visit]) -> int:
    """How often the trail's last edges came round in one pattern, the first round included, without anything new."""
    return max((1 + stale // length for length, stale in stale_runs(calls)), default=1)


def stale_runs(calls: Sequence[Visit]) -> Iterator[tuple[int, int]]:
    """For each length of a pattern, how many visits at the end only said again what was said one pattern earlier."""
    if len(calls) < 2 * PATTERN_MIN:
        return
    new = first_times(calls)
    for length in range(PATTERN_MIN, min(PATTERN_MAX, len(calls) // 2) + 1):
        if len({visit.edge for visit in calls[-length:]}) > 1:
            yield length, stale_run(calls, new, length)


def stale_run(calls: Sequence[Visit], new: Sequence[bool], length: int) -> int:
    run = 0
    for at in range(len(calls) - 1, length - 1, -1):
        visit, earlier = calls[at], calls[at - length]
        if (
            visit.edge != earlier.edge
            or visit.mark is Mark.ADDED
            or not is_within(NEAR_BITS if earlier.answer else NEAR_UNTOLD_BITS, earlier, visit)
            or is_moved_on(calls, new, at - length, at)
        ):
            break
        run += 1
    return run


def is_moved_on(calls: Sequence[Visit], new: Sequence[bool], earlier: int, later: int) -> bool:
    """Whether the same request had another answer after its caller did new work: the round went by and left a trace."""
    if not same_request(calls[earlier], calls[later]) or not 0 != calls[earlier].digest != calls[later].digest != 0:
        return False
    return any(new[place] and calls[place].caller == calls[later].caller for place in range(earlier + 1, later))


def is_reentry(trail: Sequence[Visit], callee: int, ancestors: Sequence[int]) -> bool:
    """Whether the last visit calls an agent that still waits in the same chain.

    `ancestors` are the callees between the root and this call. An agent waits while a call to it is open, or, at the
    root, while its own call to the first of them is.
    """
    waiting = (visit for visit in trail[:-1] if visit.mark is Mark.OPEN)
    first = ancestors[0] if ancestors else 0
    return any(
        (visit.callee == callee and callee in ancestors) or (visit.caller == callee and visit.callee == first)
        for visit in waiting
    )
