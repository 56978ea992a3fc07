"""Reads: A2A operations that look at a task and let the agent do no work. They hold nothing.

What they report was reported before, or is the first that anybody hears of work done in the background: a task's usage
is counted once, however often it is read.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from sidecar.engine.exchange import Exchange
from sidecar.engine.usage import NO_USAGE, Usage

READS: Final = ("Get", "List", "Subscribe", "TaskSubscription", "CancelTask", "DeleteTask", "CreateTaskPush")
"""How the methods of A2A begin that send the agent no message (A2A v1, section 3.1, and v0.3)."""

TASKS_MAX: Final = 10_000
"""Tasks whose usage is remembered, in this process. The least recently used is forgotten."""


def is_read(method: str) -> bool:
    service, _, name = method.rpartition("/")
    return service.endswith(".A2AService") and name.startswith(READS)


class CountedTasks:
    """What was counted of each task's usage."""

    def __init__(self, tasks_max: int = TASKS_MAX) -> None:
        self._tasks_max = tasks_max
        self._counted: OrderedDict[tuple[str, str], Usage] = OrderedDict()

    def uncounted(self, exchange: Exchange, usage: Usage) -> Usage:
        """The part of what an exchange reports that is new, which counts as counted from now on."""
        task_id = exchange.names.task_id
        if not task_id or usage.is_empty:
            return usage
        key = (exchange.callee, task_id)
        counted = self._counted.pop(key, NO_USAGE)
        new = usage.beyond(counted) if is_read(exchange.method) else usage
        self._counted[key] = counted.plus(new)
        if len(self._counted) > self._tasks_max:
            self._counted.popitem(last=False)
        return new
