"""Counts what is sent again, and shows which callees are left alone. What is shed is counted with the refusals."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from sidecar.engine.ports import PressureReporter
from sidecar.telemetry import names
from sidecar.telemetry.breaker_gauge import BreakerGauge
from sidecar.telemetry.families import SERIES_LIMIT, CounterFamily


class PressureMetrics(PressureReporter):
    """In a registry that a MetricsServer serves."""

    def __init__(
        self,
        registry: CollectorRegistry,
        breakers: BreakerGauge,
        callees: Iterable[str] = (),
        series_limit: int = SERIES_LIMIT,
    ) -> None:
        """`callees` are those that have breakers: each starts at 0, so that an alert sees the first change."""
        self._retries = CounterFamily(names.RETRIES, series_limit)
        self._breakers = breakers
        registry.register(self._retries)
        for callee in callees:
            self.breaker_changed(callee, False)

    def call_retried(self, caller: str, callee: str) -> None:
        self._retries.series(caller, callee).add()

    def breaker_changed(self, callee: str, is_open: bool) -> None:
        self._breakers.set(f"agent:{callee}", is_open)
