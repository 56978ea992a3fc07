"""A hybrid logical clock: stamps that keep the order of causes, and stay near the time of day.

Kulkarni and others, "Logical Physical Clocks" (2014): a stamp is later than every stamp that was given or heard before
it, whatever the machines' own clocks say. The upper bits are Unix milliseconds, so that a stamp also tells the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sidecar.engine.ports import Clock

COUNT_BITS: Final = 16
"""Of a stamp's 63 bits: what tells stamps of one millisecond apart. Past that the milliseconds go on."""

AHEAD_MAX_MS: Final = 60_000
"""A stamp further ahead of our clock is not believed: one machine with a wrong date must not move all others."""


class HybridClock:
    """Stamps of one process. Not for two threads at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def now(self) -> int:
        """A stamp for what happens now: later than every one before."""
        last, physical = self._last + 1, self._clock.unix_ns() // 1_000_000 << COUNT_BITS
        self._last = stamp = physical if physical > last else last
        return stamp

    def heard(self, stamp: int) -> None:
        """Another process gave this stamp to what led to what happens here."""
        if self._last < stamp <= self._clock.unix_ns() // 1_000_000 + AHEAD_MAX_MS << COUNT_BITS:
            self._last = stamp


def unix_ms_of(stamp: int) -> int:
    """The time of day that a stamp tells, in Unix milliseconds."""
    return stamp >> COUNT_BITS


def first_stamp_of(unix_ms: int) -> int:
    """The earliest stamp of a millisecond."""
    return unix_ms << COUNT_BITS
