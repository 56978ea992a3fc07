"""Tasks: the last known state of each, since when, and how long nothing has come of it.

A callee makes task ids, so a task is known by callee and id. What an answer says of a task may be older than what is
known already, because answers overtake each other; a store tells that apart from a task that goes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

KEEP_S: Final = 7 * 86_400
"""A task that nobody saw for a week is forgotten."""

TASKS_MAX: Final = 10_000
"""Tasks kept of one callee: about 6 MB. The one that was not seen for longest makes room."""

EXCHANGES_MAX: Final = 8
"""Exchanges remembered per task, so that a message which passes two sidecars counts once."""

LATE_S: Final = 0.05
"""A call that began this long after a state was seen may still tell of the one before: queues are not exact."""


class Step(StrEnum):
    """What a sighting is to what was known."""

    FIRST = "first"
    """Nobody had seen the task."""
    SAME = "same"
    MOVED = "moved"
    ILLEGAL = "illegal"
    """The machine knows no such step."""
    LATE = "late"
    """Its call began before the newer state was seen, so it may be true of an earlier moment; nothing is changed."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The exchange by which a task was seen last: what a finding about it is told with."""

    caller: str = ""
    method: str = ""
    exchange: str = ""
    conversation: str = ""
    trace_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One message says that a task is in a state."""

    callee: str
    task: str
    """Its id, in a form that is safe to keep (`conversation.bounded`)."""
    state: str
    follows: frozenset[str]
    """The states after which it may come, itself not among them."""
    cause: Cause
    sequence: int
    """Of the message in its exchange."""
    is_terminal: bool = False
    is_waiting: bool = False
    """Whether the task waits for somebody else, so that it cannot be stuck."""
    is_progress: bool = False
    """Whether the same state again is a sign of life."""
    is_held: bool = False
    """Whether an illegal step is refused, and so does not happen."""
    age_s: float = 0.0
    """Seconds since its call went out: what it says may be as old as that."""
    work: str = ""
    """Digest of what was asked for; empty where the call asks for no new task."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was known when a sighting came."""

    step: Step
    before: str = ""
    """The state until then; empty at the first."""
    for_s: float = 0.0
    """Seconds since `before` was first seen."""
    idle_s: float = 0.0
    """Seconds since the last progress."""
    rival: str = ""
    """Another open task of the same work: the first of them by id."""
    is_again: bool = False
    """Whether this very sighting, or a later one of its exchange, was counted before."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a task."""

    state: str
    is_terminal: bool
    for_s: float


@dataclass(frozen=True, slots=True)
class StuckTask:
    """An open task of which nothing has come for too long."""

    task: str
    state: str
    idle_s: float
    is_answered: bool
    """Whether an answer has been seen all the same."""
    cause: Cause


@dataclass(frozen=True, slots=True)
class SeenTask:
    """A task as it was seen last."""

    task: str
    state: str
    is_terminal: bool
    is_waiting: bool
    """Whether it waits for somebody else."""
    for_s: float
    """Seconds in its state."""
    idle_s: float
    """Seconds since the last progress."""
    cause: Cause


@dataclass(frozen=True, slots=True)
class Census:
    """How many tasks of a callee there are."""

    states: Mapping[str, int]
    stuck: int


class Tasks(Protocol):
    """Tasks that were seen, by callee and id."""

    async def observe_task(self, sighting: Sighting) -> Observed:
        """Keep what a message says of a task. The first state and every step are progress.

        An illegal step out of a terminal state is never kept; another is, unless the sighting is held.
        """

    async def progress(self, callee: str, task: str, *, is_answer: bool = False) -> None:
        """Something came of an open task, perhaps the whole answer. A task that nobody has seen is not made up."""

    async def known_task(self, callee: str, task: str) -> Known | None:
        """What is known of a task; None where it is not, or not any more."""

    async def latest(self, callee: str, *, limit: int = 1000) -> Sequence[SeenTask]:
        """Tasks of one callee, the one seen last first."""

    async def stuck(self, callee: str, older_than_s: float, *, limit: int = 100) -> Sequence[StuckTask]:
        """Open tasks that wait for nobody else and had no progress for longer than that, the longest first."""

    async def take_stuck(self, callee: str, older_than_s: float, *, limit: int = 100) -> Sequence[StuckTask]:
        """As `stuck`, and each only once until there is progress again: whoever takes it tells of it."""

    async def census(self, callee: str, older_than_s: float) -> Census:
        """Tasks by state, and how many are stuck in the sense of `stuck`."""


class TaskReporter(Protocol):
    """Watches tasks and can never fail a call."""

    def task_moved(self, callee: str, before: str, after: str, *, is_legal: bool) -> None:
        """A task was seen in another state. `_none`: it was not seen before; `_other`: its machine does not know it."""

    def tasks_counted(self, callee: str, census: Census) -> None:
        """The tasks of a callee were looked at."""
