"""How many of one period make another: a price a month becomes one a year, requests a minute become some a second."""

from __future__ import annotations

import re

_FACTORS = {
    "year": (12.0, 52.0, 365.0),
    "annual": (12.0, 52.0, 365.0),
    "quarter": (3.0, 4.0),
    "month": (12.0, 30.0),
    "week": (7.0, 52.0),
    "day": (24.0, 7.0, 365.0),
    "daily": (24.0, 7.0, 365.0),
    "hour": (24.0, 60.0),
    "minute": (60.0,),
    "second": (60.0, 3600.0),
}
_PERIOD = re.compile(rf"\b(?:per |a |an |each |every )?({'|'.join(_FACTORS)})(?:s|ly)?\b", re.IGNORECASE)


def factors(text: str) -> set[float]:
    """The factors between periods that a sentence names and others."""
    return {factor for match in _PERIOD.finditer(text) for factor in _FACTORS[match[1].lower()]}
