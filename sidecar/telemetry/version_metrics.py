"""Metrics of resources, filled by the consistency check."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from sidecar.telemetry import names
from sidecar.telemetry.families import CounterFamily


class VersionMetrics:
    """Written on the event loop, read by a scrape."""

    def __init__(self, registry: CollectorRegistry, series_limit: int) -> None:
        self._stale = CounterFamily(names.STALE_READS, series_limit)
        self._lost = CounterFamily(names.LOST_UPDATES, series_limit)
        registry.register(self._stale)
        registry.register(self._lost)

    def read_was_stale(self, resource: str) -> None:
        self._stale.series(resource).add()

    def update_was_lost(self, resource: str) -> None:
        self._lost.series(resource).add()
