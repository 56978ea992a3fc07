"""A resource's record: what a store keeps of its versions, and how a touch changes that.

Redis does the same in its own language; one contract suite holds for all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sidecar.engine.state.versions import AGENTS_MAX, HISTORY_MAX, LATE_S, RANKED, Overwritten, Touch, Touched

LATE_MS = int(LATE_S * 1000)


@dataclass(slots=True)
class Mark:
    """The newest version that one agent has seen or written. Moments are the store's own, in Unix ms."""

    version: str
    since_ms: int
    exchange: str
    sequence: int
    has_written: bool


@dataclass(slots=True)
class VersionRecord:
    """One resource."""

    newest: str = ""
    writer: str = ""
    since_ms: int = 0
    exchange: str = ""
    """The one that told of the newest."""
    seen_ms: int = 0
    history: list[str] = field(default_factory=list)
    """Tokens in the order in which they were first seen."""
    marks: dict[str, Mark] = field(default_factory=dict)
    """By agent, the one that touched it last at the end."""

    def is_older(self, one: str, other: str) -> bool:
        """Whether it is known that one version came before the other."""
        if one == other:
            return False
        if one[:1] == other[:1] and one[:1] in RANKED:
            return one < other
        known = self.history
        return one in known and other in known and known.index(one) < known.index(other)

    def known_to(self, agent: str) -> str:
        mark = self.marks.get(agent)
        return mark.version if mark is not None else ""

    def overwritten(self, base: str, now_ms: int) -> Overwritten | None:
        is_stale = self.is_older(base, self.newest)
        return Overwritten(self.writer, (now_ms - self.since_ms) / 1000) if is_stale else None


def touched(record: VersionRecord, touch: Touch, now_ms: int) -> Touched:
    """Take a touch into a record."""
    mark = record.marks.get(touch.agent)
    is_again = mark is not None and mark.exchange == touch.exchange and touch.sequence <= mark.sequence
    answer = Touched(
        record.newest,
        record.writer,
        mark.version if mark else "",
        mark is not None and mark.has_written,
        is_stale=not is_again and is_stale(record, mark, touch, now_ms),
        is_lost=not is_again and is_lost(record, touch),
    )
    record.seen_ms = now_ms
    if is_again:
        return answer
    remember(record, touch.base)
    remember(record, touch.version)
    if touch.version != record.newest and not record.is_older(touch.version, record.newest):
        record.newest, record.writer = touch.version, touch.agent if touch.is_write else ""
        record.since_ms, record.exchange = now_ms, touch.exchange
    elif touch.version == record.newest and touch.is_write and not record.writer:
        record.writer = touch.agent
    put_mark(record, mark, touch, now_ms)
    return answer


def is_stale(record: VersionRecord, mark: Mark | None, touch: Touch, now_ms: int) -> bool:
    if mark is None or touch.is_write or not record.is_older(touch.version, mark.version):
        return False
    if mark.exchange == touch.exchange:
        return True
    if touch.knew is not None:
        return record.is_older(touch.version, touch.knew)
    return now_ms - int(touch.age_s * 1000) >= mark.since_ms + LATE_MS


def is_lost(record: VersionRecord, touch: Touch) -> bool:
    is_others = touch.is_write and bool(touch.base) and record.exchange != touch.exchange
    return is_others and record.is_older(touch.base, record.newest)


def remember(record: VersionRecord, version: str) -> None:
    if version and version not in record.history:
        record.history = [*record.history, version][-HISTORY_MAX:]


def put_mark(record: VersionRecord, mark: Mark | None, touch: Touch, now_ms: int) -> None:
    """An agent's mark never goes back."""
    record.marks.pop(touch.agent, None)
    if mark is None or (touch.version != mark.version and not record.is_older(touch.version, mark.version)):
        mark = Mark(touch.version, now_ms, touch.exchange, touch.sequence, touch.is_write)
    else:
        mark.exchange, mark.sequence = touch.exchange, touch.sequence
        mark.has_written = mark.has_written or (touch.is_write and touch.version == mark.version)
    record.marks[touch.agent] = mark
    while len(record.marks) > AGENTS_MAX:
        record.marks.pop(next(iter(record.marks)))


def written(record: VersionRecord) -> list[Any]:
    """As JSON can hold it, for a store that keeps texts."""
    marks = [
        [agent, mark.version, mark.since_ms, mark.exchange, mark.sequence, mark.has_written]
        for agent, mark in record.marks.items()
    ]
    facts = [record.newest, record.writer, record.since_ms, record.exchange, record.seen_ms]
    return [*facts, record.history, marks]


def read(fields: list[Any]) -> VersionRecord:
    """What `written` wrote."""
    newest, writer, since_ms, exchange, seen_ms, history, marks = fields
    known = {agent: Mark(*mark) for agent, *mark in marks}
    return VersionRecord(newest, writer, since_ms, exchange, seen_ms, history, known)
