"""Pressure: how much an agent is asked at once, and what becomes of calls that are too many.

- *limit*: how many calls of one kind may be in flight (they have *places* in a *room*) or begin (*tokens*).
- *retry*: a call that is sent again. An edge has a *budget* of them, earned by its calls.
- *breaker*: leaves a callee alone that keeps failing; a *ticket* is what it told one call, a *probe* tries again.
- *flight*: an identical read under way; its *leader* asks the callee, its *waiters* get the leader's recorded answer.
- *herd*: many retries that come at the same moment.
- *deadlock*: exchanges that wait for each other's agents, all of which are full.
- *shed*: refused for pressure, with a *delay* that is another one for each caller.
"""

from __future__ import annotations

from sidecar.checks.pressure.check import PressureCheck
from sidecar.checks.pressure.settings import (
    BreakerTerms,
    DeadlockTerms,
    Limit,
    PressureSettings,
    RetryTerms,
)

__all__ = ["BreakerTerms", "DeadlockTerms", "Limit", "PressureCheck", "PressureSettings", "RetryTerms"]
