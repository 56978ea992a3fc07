"""Deadlines that never grow: what we give upstream is not later than what the caller gave us.

grpc writes `grpc-timeout` with three significant digits and rounds up, so a relayed 2,000 ms could arrive as 2,009 ms.
We round down to the same steps first; then there is nothing left to round up.
"""

from __future__ import annotations

STEPS_MS = ((1_000, 1), (10_000, 10), (100_000, 100), (1_000_000, 1_000), (10_000_000, 10_000), (100_000_000, 100_000))
"""Below this many milliseconds, grpc's encoder counts in these steps."""

COARSEST_STEP_MS = 3_600_000

SLACK_MS = 2
"""Taken off as well: grpc's own clock rounds a deadline up by a millisecond, which could take it to the next step."""


def relayed(remaining_s: float | None) -> float | None:
    """Seconds to give upstream for `remaining_s` left downstream; None is no deadline, 0 is already too late."""
    if remaining_s is None:
        return None
    remaining_ms = int(remaining_s * 1000)
    step_ms = next((step for limit, step in STEPS_MS if remaining_ms < limit), COARSEST_STEP_MS)
    return max(remaining_ms - remaining_ms % step_ms - SLACK_MS, 0) / 1000
