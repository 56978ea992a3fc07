"""Counts requests past a loop limit. Implements the loop check's reporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.telemetry import names
from sidecar.telemetry.families import CounterFamily

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class LoopMetrics:
    """Written on the event loop, read by a scrape."""

    def __init__(self, registry: CollectorRegistry, series_limit: int) -> None:
        self._loops = CounterFamily(names.LOOPS, series_limit)
        registry.register(self._loops)

    def past_limit(self, kind: str, caller: str, callee: str, action: str) -> None:
        self._loops.series(kind, caller, callee, action).add()
