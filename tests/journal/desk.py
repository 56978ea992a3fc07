"""A journal without a sidecar: exchanges are told to it as an engine would, and its file is read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sidecar.engine.hybrid_clock import HybridClock
from sidecar.engine.redaction import Redactor
from sidecar.telemetry.journal import (
    Entry,
    Filter,
    Journal,
    JournalSettings,
    SinkSettings,
    SqliteReader,
    SqliteSink,
    UnreadableJournal,
)
from sidecar.telemetry.journal.record import NO_EXCHANGE, About, Kind, Record
from sidecar.telemetry.journal.sink import Sink
from sidecar.testing import ManualClock
from tests.telemetry import story

QUICK = JournalSettings(SinkSettings(flush_s=0.01))


class Counts:
    """What the metrics would show."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str], int] = {}

    def __call__(self, sink: str, outcome: str, count: int) -> None:
        self.all[sink, outcome] = self.all.get((sink, outcome), 0) + count

    def of(self, sink: str, outcome: str) -> int:
        return self.all.get((sink, outcome), 0)


@contextmanager
def journal_of(
    *sinks: Sink,
    clock: ManualClock | None = None,
    settings: JournalSettings = QUICK,
    redactor: Redactor | None = None,
    counts: Counts | None = None,
) -> Iterator[Journal]:
    """Started, and stopped at the end, so that all that was told is written by then."""
    clock = clock or ManualClock()
    journal = Journal(
        sinks,
        clock=clock,
        hybrid=HybridClock(clock),
        redactor=redactor or Redactor(),
        count=counts or Counts(),
        settings=settings,
    )
    journal.start()
    try:
        yield journal
    finally:
        journal.stop(10.0)


def sqlite(path: Path, clock: ManualClock | None = None, **bounds: Any) -> SqliteSink:
    limits = {"max_age_s": None, "max_size_bytes": 1 << 30} | bounds
    return SqliteSink(path, clock=clock or ManualClock(), **limits)


def tell_exchange(journal: Journal, **facts: Any) -> None:
    """One unary call, from its start to its end."""
    call = story.exchange(**facts)
    journal.exchange_started(call)
    journal.message_seen(call, story.message())
    journal.message_seen(call, story.message(story.Direction.RESPONSE))
    journal.exchange_ended(story.ended(call))


def written(path: Path, *calls: dict[str, Any], **bounds: Any) -> None:
    """A journal of these calls, opened and closed."""
    with journal_of(sqlite(path, **bounds)) as journal:
        for facts in calls:
            tell_exchange(journal, **facts)


def entries(path: Path, wanted: Filter | None = None) -> list[Entry]:
    reader = SqliteReader(path)
    try:
        return list(reader.entries(wanted or Filter()))
    finally:
        reader.close()


def kinds(path: Path) -> list[str]:
    """None yet where the file is being begun just now."""
    try:
        return [entry.record.kind.value for entry in entries(path)]
    except UnreadableJournal:
        return []


def record(number: int = 1, kind: Kind = Kind.ENDED, about: About = NO_EXCHANGE, **body: Any) -> Record:
    return Record(kind, number << 16, number * 1_000_000, about, "", body)


def records(numbers: Sequence[int]) -> list[Record]:
    return [record(number) for number in numbers]
