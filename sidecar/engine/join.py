"""Which inbound exchange caused an outbound call that carries no trace context?

Agents drop context, so the question is answered from what passed before: an agent calls out *because of* an exchange
that it is serving, or of a task that it took on and has not finished. Those are the candidates. A call is joined where
the evidence leaves one; between several nobody guesses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import nlargest
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from sidecar.engine.conversation import bounded
from sidecar.engine.message import Names

if TYPE_CHECKING:
    from sidecar.engine.lineage import Lineage

LINKS_MAX = 32
"""Span links of one ambiguous call; the newest candidates are kept."""

KEYS_MAX = 64
"""Ids kept of one exchange; the oldest make room."""

TERMINAL_STATES = frozenset({"completed", "failed", "canceled", "cancelled", "rejected"})
"""A2A v1, section 4.1.3, in lower case and without prefix; version 0.3 spelled one of them with a double l."""

UNTOLD_STATES = frozenset({"", "unspecified", "unknown"})


class JoinMode(StrEnum):
    """How far joining goes."""

    FULL = "full"
    IDS_ONLY = "ids_only"
    """Only ids join; a call without them is ambiguous as soon as there is a candidate."""
    OFF = "off"


class JoinSource(StrEnum):
    """How an exchange came by its trace."""

    PROPAGATED = "propagated"
    IDS = "ids"
    SOLE_INFLIGHT = "sole_inflight"
    AMBIGUOUS = "ambiguous"
    ROOT = "root"


@dataclass(frozen=True, slots=True)
class Link:
    """Another span that may have to do with this one."""

    trace_id: str
    span_id: str


class Key(NamedTuple):
    """One id by which a candidate can be found. The kind is part of it: a contextId `1` is not a taskId `1`."""

    kind: str
    value: str


@dataclass(slots=True, eq=False)
class Candidate:
    """An inbound exchange that may cause calls."""

    lineage: Lineage
    order: int
    """Counts up as candidates come: the higher, the newer."""
    is_open: bool = True
    task_id: str = ""
    task_state: str = ""
    """The last one that tells something, in lower case and without the protocol's prefix."""
    touched_ns: int = 0
    """Once ended: when that was, or when its task was last seen at work."""
    keys: dict[Key, None] = field(default_factory=dict)

    @property
    def is_waiting(self) -> bool:
        """Whether its task is known to go on."""
        return self.task_state not in UNTOLD_STATES and self.task_state not in TERMINAL_STATES

    @property
    def link(self) -> Link:
        return Link(self.lineage.trace_id, self.lineage.span_id)


Filed = dict[str, Candidate]
"""Candidates by span id, in the order in which an id was seen on them."""


@dataclass(frozen=True, slots=True)
class Join:
    """The answer."""

    source: JoinSource
    cause: Candidate | None = None
    links: tuple[Link, ...] = ()


class Candidates:
    """The inbound exchanges of one agent that may cause its calls: open ones, and ended ones whose task goes on."""

    def __init__(self, *, window_ns: int, max_exchanges: int) -> None:
        self._window_ns = window_ns
        self._max_exchanges = max(1, max_exchanges)
        self._order = 0
        self._open: dict[str, Candidate] = {}
        """By span id, oldest first."""
        self._waiting: dict[str, Candidate] = {}
        """Ended, by task id, the longest silent first. A task is one piece of work: its newest exchange is kept."""
        self._visits: dict[str, Candidate] = {}
        """Open, by span id, and no candidates; kept because a call may carry the trace of one."""
        self._by_key: dict[Key, Filed] = {}
        self._blind_until_ns = 0
        """A candidate was forgotten early: until then, the only one that we know may not be the only one there is."""

    def opened(self, lineage: Lineage, names: Names, now_ns: int) -> None:
        """An inbound exchange is dispatched to the agent.

        One that names a task in hand and brings no message (a poll, a subscription) is a visit. It gives the agent no
        work, so it is no candidate: the exchange that began the task is.
        """
        self._expire(now_ns)
        if lineage.span_id in self._open or lineage.span_id in self._visits:
            return
        self._make_room(now_ns)
        self._order += 1
        candidate = Candidate(lineage, self._order)
        kept = self._visits if self._is_visit(names) else self._open
        kept[lineage.span_id] = candidate
        self._file(candidate, Key("trace", lineage.trace_id))
        self.saw(lineage.span_id, names, now_ns)

    def saw(self, span_id: str, names: Names, now_ns: int) -> None:
        """Ids passed in an inbound exchange, in either direction."""
        candidate = self._open.get(span_id)
        if candidate is not None:
            candidate.task_id = bounded(names.task_id) or candidate.task_id
            for key in keys_of(names):
                self._file(candidate, key)
        if names.task_id and plain_state(names.task_state) not in UNTOLD_STATES:
            self._note_state(bounded(names.task_id), plain_state(names.task_state), now_ns)

    def ended(self, span_id: str, now_ns: int) -> None:
        """It stays a candidate while its task goes on, in the place of an earlier exchange on the same task."""
        if visit := self._visits.pop(span_id, None):
            self._unfile(visit)
        candidate = self._open.pop(span_id, None)
        if candidate is None:
            return
        candidate.is_open, candidate.touched_ns = False, now_ns
        if not candidate.is_waiting:
            self._unfile(candidate)
            return
        if earlier := self._waiting.pop(candidate.task_id, None):
            self._unfile(earlier)
        self._waiting[candidate.task_id] = candidate

    def find(self, names: Names, mode: JoinMode, now_ns: int) -> Join:
        """The cause of a call that carries `names` and no trace context: ids, else the sole candidate, else nobody."""
        self._expire(now_ns)
        if mode is JoinMode.OFF or not (self._open or self._waiting):
            return Join(JoinSource.ROOT)
        if fits := self._fits(names):
            cause = cause_among(*fits)
            return Join(JoinSource.IDS, cause) if cause else Join(JoinSource.AMBIGUOUS, links=links_to(union(fits)))
        sole = self._sole(now_ns) if mode is JoinMode.FULL else None
        if sole is not None:
            return Join(JoinSource.SOLE_INFLIGHT, sole)
        return Join(JoinSource.AMBIGUOUS, links=links_to(self._newest()))

    def in_trace(self, trace_id: str, span_id: str, now_ns: int) -> Candidate | None:
        """The cause of a call that carries a trace: the exchange whose span it names, else the newest in that trace."""
        self._expire(now_ns)
        inside = self._by_key.get(Key("trace", trace_id))
        return inside.get(span_id) or cause_among(inside) if inside else None

    def by_ids(self, names: Names, now_ns: int) -> Candidate | None:
        """The cause by ids alone, where they leave one."""
        self._expire(now_ns)
        fits = self._fits(names)
        return cause_among(*fits) if fits else None

    def __len__(self) -> int:
        return len(self._open) + len(self._waiting) + len(self._visits)

    def _sole(self, now_ns: int) -> Candidate | None:
        """The only candidate, if there is just one.

        Ended ones count as much as open ones: an agent that answered "working" calls out afterwards, and nothing on
        such a call tells whose work it is. Only a task that an open exchange has taken up again is counted once.
        """
        if now_ns < self._blind_until_ns or len(self._open) > 1:
            return None
        if not self._open:
            return next(iter(self._waiting.values())) if len(self._waiting) == 1 else None
        only = next(iter(self._open.values()))
        others = len(self._waiting) - (only.task_id in self._waiting)
        return None if others else only

    def _fits(self, names: Names) -> list[Filed]:
        """The candidates for each id that has any, the most specific id first."""
        return [filed for key in keys_of(names) if (filed := self._by_key.get(key))]

    def _newest(self) -> Iterator[Candidate]:
        return chain(*(islice(reversed(kept.values()), LINKS_MAX) for kept in (self._open, self._waiting)))

    def _is_visit(self, names: Names) -> bool:
        return bool(names.task_id and not names.message_id and Key("task", bounded(names.task_id)) in self._by_key)

    def _note_state(self, task_id: str, state: str, now_ns: int) -> None:
        """A task's state holds for every exchange on it, whichever exchange told it."""
        for candidate in self._by_key.get(Key("task", task_id), {}).values():
            if candidate.task_id == task_id:
                candidate.task_state = state
        if waiting := self._waiting.pop(task_id, None):
            if waiting.is_waiting:
                waiting.touched_ns = now_ns
                self._waiting[task_id] = waiting
            else:
                self._unfile(waiting)

    def _make_room(self, now_ns: int) -> None:
        while len(self) >= self._max_exchanges:
            kept = self._visits or self._waiting or self._open
            self._unfile(kept.pop(next(iter(kept))))
            if kept is not self._visits:
                self._blind_until_ns = now_ns + self._window_ns

    def _expire(self, now_ns: int) -> None:
        while self._waiting:
            task_id, candidate = next(iter(self._waiting.items()))
            if candidate.touched_ns + self._window_ns > now_ns:
                return
            del self._waiting[task_id]
            self._unfile(candidate)

    def _file(self, candidate: Candidate, key: Key) -> None:
        if key in candidate.keys:
            candidate.keys[key] = candidate.keys.pop(key)  # used again, so it is the newest
            return
        if len(candidate.keys) >= KEYS_MAX:
            self._drop(candidate, next(islice(candidate.keys, 1, None)))  # the first is its trace
        candidate.keys[key] = None
        self._by_key.setdefault(key, {})[candidate.lineage.span_id] = candidate

    def _unfile(self, candidate: Candidate) -> None:
        for key in list(candidate.keys):
            self._drop(candidate, key)

    def _drop(self, candidate: Candidate, key: Key) -> None:
        del candidate.keys[key]
        filed = self._by_key[key]
        del filed[candidate.lineage.span_id]
        if not filed:
            del self._by_key[key]


def cause_among(specific: Filed, *others: Filed) -> Candidate | None:
    """The newest open one with the most specific id (else the newest), only if no id fits another conversation."""
    if len({candidate.lineage.conversation for candidate in union((specific, *others))}) != 1:
        return None
    return max(specific.values(), key=lambda candidate: (candidate.is_open, candidate.order))


def union(fits: Iterable[Filed]) -> set[Candidate]:
    return set(chain.from_iterable(filed.values() for filed in fits))


def keys_of(names: Names) -> list[Key]:
    """The ids by which work is recognised."""
    ids = (("message", names.message_id), ("task", names.task_id), ("context", names.context_id))
    return [Key(kind, bounded(value)) for kind, value in ids if value]


def links_to(candidates: Iterable[Candidate]) -> tuple[Link, ...]:
    """The newest first."""
    newest = nlargest(LINKS_MAX, candidates, key=lambda candidate: candidate.order)
    return tuple(candidate.link for candidate in newest)


def plain_state(task_state: str) -> str:
    """`TASK_STATE_WORKING` and `working` are the same state."""
    return task_state.lower().removeprefix("task_state_")
