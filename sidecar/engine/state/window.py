"""Windows: when a purse starts anew. Every window begins and ends in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Window(StrEnum):
    """How long money counts against a limit."""

    NONE = "none"
    """For ever."""
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


def period_of(window: Window, unix_ms: int) -> int:
    """The number of the window that a moment lies in; it grows by one from each window to the next."""
    if window is Window.NONE:
        return 0
    if window is Window.MONTH:
        moment = EPOCH + timedelta(milliseconds=unix_ms)
        return moment.year * 12 + moment.month - 1
    return unix_ms // (HOUR_MS if window is Window.HOUR else DAY_MS)


def end_of(window: Window, period: int) -> datetime | None:
    """The first moment after a window; None where it never ends."""
    if window is Window.NONE:
        return None
    if window is Window.MONTH:
        year, month = divmod(period + 1, 12)
        return datetime(year, month + 1, 1, tzinfo=UTC)
    return EPOCH + (period + 1) * timedelta(milliseconds=HOUR_MS if window is Window.HOUR else DAY_MS)
