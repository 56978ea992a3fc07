"""Counts what verifiers say, how long they take, where they disagree with their panel, and which are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from sidecar.engine.costs import Cost
from sidecar.engine.ports import PanelReporter
from sidecar.engine.verdict import Failure, Opinion, Value
from sidecar.telemetry import names
from sidecar.telemetry.breaker_gauge import BreakerGauge
from sidecar.telemetry.families import SERIES_LIMIT, CounterFamily, HistogramFamily

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

NOT_ASKED = frozenset({Failure.BREAKER_OPEN, Failure.UNKNOWN, Failure.UNREADABLE})
"""Opinions that took no time, which would make a verifier look fast."""


class PanelMetrics(PanelReporter):
    """The families of verifiers, in a registry that a MetricsServer serves.

    Coverage needs no family of its own: it is the share of `pass` and `fail` in `verdicts_total`.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        verifiers: Iterable[str],
        series_limit: int = SERIES_LIMIT,
        breakers: BreakerGauge | None = None,
        spent: Callable[[str, Cost], None] = lambda *_: None,
    ) -> None:
        """`breakers` is the registry's, where it has one already. `spent` counts what verdicts cost, by agent."""
        self._spent = spent
        self._verdicts = CounterFamily(names.VERDICTS, series_limit)
        self._durations = HistogramFamily(names.VERIFIER_DURATION, series_limit)
        self._dissent = CounterFamily(names.VERIFIER_DISSENT, series_limit)
        self._failures = CounterFamily(names.VERIFIER_FAILURES, series_limit)
        self._disagreements = CounterFamily(names.ENGINE_DISAGREEMENTS, series_limit)
        self._breakers = breakers or BreakerGauge(registry)
        for verifier in verifiers:
            self._begin(verifier)
        for family in (self._verdicts, self._durations, self._dissent, self._failures, self._disagreements):
            registry.register(family)

    def opinion_given(self, opinion: Opinion) -> None:
        self._verdicts.series(opinion.verifier, opinion.value.label).add()
        if opinion.failure is not None:
            self._failures.series(opinion.verifier, opinion.failure).add()
        if opinion.failure not in NOT_ASKED:
            self._durations.series(opinion.verifier).observe(opinion.duration_s)
        if opinion.cost is not None:
            self._spent(target_of(opinion.verifier), opinion.cost)

    def dissented(self, opinion: Opinion) -> None:
        self._dissent.series(opinion.verifier).add()

    def breaker_changed(self, verifier: str, is_open: bool) -> None:
        self._breakers.set(target_of(verifier), is_open)

    def engines_compared(self, spec: str, is_disagreement: bool) -> None:
        """The series begins with the first comparison."""
        self._disagreements.series(spec).add(float(is_disagreement))

    def _begin(self, verifier: str) -> None:
        """Everything starts at 0, so that an alert sees the first increase."""
        for value in Value:
            self._verdicts.series(verifier, value.label)
        self._dissent.series(verifier)
        self._breakers.set(target_of(verifier), False)


def target_of(verifier: str) -> str:
    """The label of `breaker_open` and of money: upstreams have both too, and an agent may be called like a verifier."""
    return f"verifier:{verifier}"
