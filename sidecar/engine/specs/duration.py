"""Durations as specs write them: every number with its unit, because `30` could be seconds or milliseconds."""

from __future__ import annotations

import re
from decimal import Decimal

from sidecar.engine.specs.flaws import BrokenValue
from sidecar.engine.specs.sentences import shown

UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

MIN_S = 0.001
MAX_S = 366 * 86_400.0

_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)"
_DURATION = re.compile("".join(rf"(?:{_NUMBER}{unit})?" for unit in UNITS_MS))


def parse_duration(text: str) -> float:
    """Seconds in `1h30m`: units from large to small, each at most once. Raises BrokenValue."""
    match = _DURATION.fullmatch(text) if text else None
    if match is None:
        raise BrokenValue(shown(text), "a number with its unit: 500ms, 30s, 10m, 1h30m, 7d")
    parts = zip(match.groups(), UNITS_MS.values(), strict=True)
    seconds = float(sum(Decimal(number) * unit_ms for number, unit_ms in parts if number is not None) / 1000)
    if not MIN_S <= seconds <= MAX_S:
        raise BrokenValue(shown(text), "a duration from 1ms to 366d")
    return seconds
