"""Metrics of tasks, filled by the task check and its sweep."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry

from sidecar.engine.state.tasks import Census
from sidecar.telemetry import names
from sidecar.telemetry.families import CounterFamily, ScrapedGauge
from sidecar.telemetry.names import OTHER_SERIES

STATES_MAX: Final = 65
"""States shown of one callee: those of the largest machine, and one for what it does not know."""


class TaskMetrics:
    """Written on the event loop, read by a scrape."""

    def __init__(self, registry: CollectorRegistry, series_limit: int) -> None:
        self._transitions = CounterFamily(names.TASK_TRANSITIONS, series_limit)
        self._tasks: dict[tuple[str, ...], float] = {}
        self._stuck: dict[tuple[str, ...], float] = {}
        registry.register(self._transitions)
        registry.register(ScrapedGauge(names.TASKS, self._tasks.copy))
        registry.register(ScrapedGauge(names.STUCK_TASKS, self._stuck.copy))

    def task_moved(self, callee: str, before: str, after: str, *, is_legal: bool) -> None:
        self._transitions.series(callee, before, after, str(is_legal).lower()).add()

    def tasks_counted(self, callee: str, census: Census) -> None:
        """A state that nothing is in any more goes on at 0: a series that vanishes would hide it."""
        counts = {state: 0 for of, state in self._tasks if of == callee}
        for state, count in census.states.items():
            shown = state if state in counts or len(counts) < STATES_MAX else OTHER_SERIES
            counts[shown] = counts.get(shown, 0) + count
        self._tasks.update({(callee, state): count for state, count in counts.items()})
        self._stuck[callee,] = census.stuck
