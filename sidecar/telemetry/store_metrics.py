"""What the store does beside its verbs: errors, absences and losses, as metrics. Implements the StoreReporter port."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from prometheus_client import CollectorRegistry

from sidecar.telemetry import names
from sidecar.telemetry.families import CounterFamily, ScrapedGauge


class StoreMetrics:
    """Written on the event loop, read by a scrape."""

    def __init__(self, registry: CollectorRegistry, series_limit: int, kinds: Iterable[str] = ()) -> None:
        """`kinds` of stores in use that can be away: each begins at 0, so that an alert sees the first change."""
        self._errors = CounterFamily(names.STORE_ERRORS, series_limit)
        self._losses = CounterFamily(names.STORE_LOSSES, series_limit)
        self._away: dict[tuple[str, ...], float] = {}
        for kind in kinds:
            self.store_returned(kind)
            for what in ("all", "last"):
                self._losses.series(kind, what)
        registry.register(self._errors)
        registry.register(self._losses)
        registry.register(ScrapedGauge(names.STORE_AWAY, self._away.copy))

    def verb_failed(self, kind: str, verb: str) -> None:
        self._errors.series(kind, verb).add()

    def store_left(self, kind: str) -> None:
        self._away[kind,] = 1.0

    def store_returned(self, kind: str) -> None:
        self._away[kind,] = 0.0

    def store_forgot(self, kind: str, what: Literal["all", "last"]) -> None:
        self._losses.series(kind, what).add()
