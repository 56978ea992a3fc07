"""Moments: the timestamps of payloads as numbers, so that later and earlier can be told."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d{0,20})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment_ns(text: str) -> int | None:
    """Nanoseconds since 1970 of an RFC 3339 timestamp; None for a text that is none. A leap second counts as its next.

    Digits beyond the ninth are cut off.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    date, clock, fraction, offset = found.groups()
    is_leap = clock.endswith(":60")
    try:
        whole = datetime.fromisoformat(f"{date}T{clock[:-2] + '59' if is_leap else clock}{offset.upper()}")
        since = whole - _EPOCH
    except (ValueError, OverflowError):
        return None
    return ((since.days * 86_400 + since.seconds + is_leap) * 1_000_000_000) + int((fraction or "").ljust(9, "0"))
