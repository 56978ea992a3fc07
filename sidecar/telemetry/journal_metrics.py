"""Counts what became of the journal's records."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from sidecar.telemetry import names
from sidecar.telemetry.families import SERIES_LIMIT, CounterFamily

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

OUTCOMES: Final = ("written", "dropped", "failed")


class JournalMetrics:
    """Written by the threads of the journal, a batch at a time, so a lock costs nothing."""

    def __init__(self, registry: CollectorRegistry, sinks: Iterable[str], series_limit: int = SERIES_LIMIT) -> None:
        self._events = CounterFamily(names.JOURNAL_EVENTS, series_limit)
        self._lock = threading.Lock()
        for sink in sinks:
            for outcome in OUTCOMES:
                self._events.series(sink, outcome)
        registry.register(self._events)

    def count(self, sink: str, outcome: str, records: int) -> None:
        if records:
            with self._lock:
                self._events.series(sink, outcome).add(records)
