"""The sweep: every so often, what tasks there are, and which of them nothing comes of.

A stuck task makes no noise: no message passes that a check could be asked about. So somebody has to look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from sidecar.checks.task.findings import stuck
from sidecar.engine.exchange import Arrival, Exchange, Route
from sidecar.engine.finding import Finding
from sidecar.engine.lineage import JoinSource, Lineage
from sidecar.engine.ports import Clock
from sidecar.engine.state.tasks import StuckTask, TaskReporter, Tasks
from sidecar.errors import StoreUnavailable

log = logging.getLogger(__name__)

EVERY_S: Final = 15.0
"""Longest time between two looks: as often as Prometheus scrapes. A shorter limit is looked at four times within it."""

TOLD_AT_ONCE: Final = 100
"""Stuck tasks of one callee that one look tells of. The next tells of the next."""


class TaskSweep:
    """Looks for stuck tasks. Each is told of once, until there is progress again."""

    def __init__(
        self,
        tasks: Tasks,
        *,
        clock: Clock,
        reporter: TaskReporter,
        stuck_after_s: float,
        routes: Callable[[], Iterable[Route]],
        tell: Callable[[Exchange, Finding], None],
    ) -> None:
        """`routes`: those whose tasks this sidecar keeps at the moment. `tell` hears of findings without a message."""
        self._tasks = tasks
        self._clock = clock
        self._reporter = reporter
        self._stuck_after_s = stuck_after_s
        self._routes = routes
        self._tell = tell

    async def run(self) -> None:
        """For ever. A store that is away is asked again the next time."""
        while True:
            await self._clock.sleep(min(EVERY_S, self._stuck_after_s / 4))
            try:
                await self.look()
            except StoreUnavailable as away:
                log.debug("tasks were not looked at: %s", away)
            except Exception:
                log.exception("tasks could not be looked at")

    async def look(self) -> None:
        """Count the tasks of every callee, and tell of those that are stuck since the last look."""
        for callee, route in {route.callee: route for route in self._routes()}.items():
            census = await self._tasks.census(callee, self._stuck_after_s)
            self._reporter.tasks_counted(callee, census)
            for found in await self._tasks.take_stuck(callee, self._stuck_after_s, limit=TOLD_AT_ONCE):
                self._tell(exchange_of(route, found), stuck(found))


def exchange_of(route: Route, found: StuckTask) -> Exchange:
    """The exchange by which the task was seen last, as far as it was kept: reporters tell of findings by exchanges."""
    cause = found.cause
    lineage = Lineage(
        trace_id=cause.trace_id,
        span_id="",
        parent_span_id="",
        is_sampled=False,
        is_random=False,
        tracestate=(),
        source=JoinSource.ROOT,
        links=(),
        exchange_id=cause.exchange,
        conversation=cause.conversation,
        hops=0,
        path=(),
    )
    return Exchange(Arrival(route, cause.method), lineage, cause.caller, started_ns=0, started_unix_ns=0)
