"""Shows which callees are left alone. What is shed is counted with the refusals."""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.engine.ports import PressureReporter
from sidecar.telemetry.breaker_gauge import BreakerGauge


class PressureMetrics(PressureReporter):
    """Writes the gauge that verifiers' breakers share."""

    def __init__(
        self,
        breakers: BreakerGauge,
        callees: Iterable[str] = (),
    ) -> None:
        """`callees` are those that have breakers: each starts at 0, so that an alert sees the first change."""
        self._breakers = breakers
        for callee in callees:
            self.breaker_changed(callee, False)

    def breaker_changed(self, callee: str, is_open: bool) -> None:
        self._breakers.set(f"agent:{callee}", is_open)
