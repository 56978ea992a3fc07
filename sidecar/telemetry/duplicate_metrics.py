"""Counts duplicates, and where calls that were sent again came from. Implements the idempotency check's reporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.telemetry import names
from sidecar.telemetry.families import SERIES_LIMIT, CounterFamily

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class DuplicateMetrics:
    """Written on the event loop, read by a scrape."""

    def __init__(self, registry: CollectorRegistry, series_limit: int = SERIES_LIMIT) -> None:
        self._duplicates = CounterFamily(names.DUPLICATES, series_limit)
        self._origins = CounterFamily(names.RETRY_ORIGINS, series_limit)
        for family in (self._duplicates, self._origins):
            registry.register(family)

    def duplicate_found(self, callee: str, outcome: str) -> None:
        self._duplicates.series(callee, outcome).add()

    def retry_seen(self, callee: str, origin: str, *, is_near_deadline: bool) -> None:
        self._origins.series(callee, origin, str(is_near_deadline).lower()).add()
