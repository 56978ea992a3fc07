"""Visits: what a conversation has asked lately, edge by edge, and what came of it.

A visit is one exchange as loops see it, in hashes: no payload is kept. The visits of one conversation are its *trail*,
oldest first and bounded; *breaks* are what it may not ask again for a while. Whether a trail is a loop is judged
elsewhere, by a pure function; a store counts each exchange once and tells, atomically, what went before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, Protocol

VISITS_MAX: Final = 256
"""Visits kept of one conversation, 27 KB of them; the oldest make room."""

READS_MAX: Final = 256
"""Reads kept of one conversation, 6 KB of them; the oldest make room."""

BREAKS_MAX: Final = 16
"""Breaks that one conversation may have at a time, 1 KB each at most; the one that ends first makes room."""

BREAKS_LISTED_MAX: Final = 10_000
"""Breaks of all conversations that a store can list."""

NEAR_BITS: Final = 128
"""Length of a likeness. Two of unrelated texts differ in half of the bits."""


class Mark(IntEnum):
    """What came of a visit."""

    OPEN = 0
    """Not answered yet: the agent that was asked may still wait for others."""
    UNDECIDED = 1
    """Over, and nobody can tell: the caller left, or the answer is a task that is still at work."""
    ADDED = 2
    """Its answer was unlike every earlier answer on its edge in this conversation."""
    BARREN = 3
    """Its answer was a near-duplicate of an earlier one."""


class Edge(NamedTuple):
    """Who asked whom, by which method."""

    caller: str
    callee: str
    method: str


class Visit(NamedTuple):
    """One exchange as loops see it. All but `at_ms` and `mark` are hashes: 64 bits, likenesses 128. 0 means none."""

    exchange: int
    edge: int
    caller: int
    callee: int
    fingerprint: int
    """Equal for requests that ask the same."""
    likeness: int
    """Differs in few bits for requests that are near-duplicates."""
    key: int = 0
    """By which a retry says that it is one."""
    task: int = 0
    """The work that it began or went on with, known once it was answered."""
    answer: int = 0
    """Likeness of what the answer added to its question."""
    digest: int = 0
    """Equal for answers that say the same."""
    at_ms: int = 0
    """The store's own time."""
    mark: Mark = Mark.OPEN


class Answered(NamedTuple):
    """What came of one exchange."""

    likeness: int = 0
    digest: int = 0
    task: int = 0
    is_undecided: bool = False
    radius: int = 0
    """Bits in which an answer may differ from an earlier one and still add nothing."""


class Family(NamedTuple):
    """The requests that a break is about."""

    fingerprint: int
    likeness: int = 0
    radius: int = 0
    """Bits within which a request's likeness belongs to it. 0: only requests of this very fingerprint do."""

    def covers(self, fingerprint: int, likeness: int) -> bool:
        if fingerprint == self.fingerprint:
            return True
        return self.radius > 0 and distance(likeness, self.likeness) <= self.radius


@dataclass(frozen=True, slots=True)
class Break:
    """One conversation may not ask one family of requests on one edge until then."""

    conversation: str
    edge: Edge
    edge_id: int
    family: Family
    kind: str
    """Of the loop that it ended: `repeat`, `cycle` or `drift`."""
    until_ms: int
    """The store's own time."""

    def holds(self, visit: Visit, now_ms: int) -> bool:
        is_its_edge = self.edge_id == visit.edge and now_ms < self.until_ms
        return is_its_edge and self.family.covers(visit.fingerprint, visit.likeness)


class Sighting(NamedTuple):
    """What a store knew when it was told of a visit."""

    trail: tuple[Visit, ...] = ()
    """Visits within the window, oldest first; the one asked about is the last. Empty where a break holds."""
    held: Break | None = None
    """A break that covers the visit, which then was not recorded; where several do, any of them."""
    is_new: bool = True
    """False where this exchange was recorded before: by its other sidecar, or by a verb that was asked again."""


class Visits(Protocol):
    """The trails and breaks of all conversations. A conversation is forgotten a window after its last visit."""

    async def visit(self, conversation: str, visit: Visit, *, window_s: float) -> Sighting:
        """Record a visit (its `at_ms` and `mark` are the store's to say), unless a break holds."""

    async def read(self, conversation: str, exchange: int, question: int, *, within_s: float) -> int:
        """Record a read. How often this question was read in the last `within_s` seconds, this time included."""

    async def answered(self, conversation: str, exchange: int, answer: Answered) -> Mark | None:
        """Mark the visit of this exchange or, where it left none, the last undecided one about the answer's task.

        Marked once: what is ADDED or BARREN stays so. None where there is no such visit, or no longer.
        """

    async def withdraw(self, conversation: str, exchange: int) -> bool:
        """Forget the visit, or the read, of an exchange that never came to its callee. Whether it was known."""

    async def break_off(
        self, conversation: str, edge: Edge, edge_id: int, family: Family, *, kind: str, cooldown_s: float
    ) -> Break:
        """Begin a break, and forget the visits that it covers, so that what comes after it starts afresh.

        The break of this fingerprint that already holds is left as it is.
        """

    async def resume(self, conversation: str, edge_id: int, fingerprint: int) -> bool:
        """End a break before its time. False where none holds."""

    async def breaks(self, limit: int = 100) -> tuple[Break, ...]:
        """The breaks that hold in any conversation, the one that ends last first."""


def distance(one: int, two: int) -> int:
    """Bits in which two likenesses differ."""
    return (one ^ two).bit_count()
