"""Names of fields: `lengthKm` and `price_per_kg_eur` read as words, and the unit that they say."""

from __future__ import annotations

import re
from functools import lru_cache

from verifiers.grounding import units
from verifiers.grounding.units import Unit

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_PERIODS = frozenset(("second", "minute", "hour", "day", "night", "week", "month", "year"))
"""Of one such period something may be told that is no time: `{"day": {"guests": 3}}`."""


@lru_cache(maxsize=4096)
def words(key: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORDS.findall(key))


def unit(key: str) -> Unit | None:
    """The unit that ends the key; one letter alone is a name as often as a unit."""
    found = words(key)
    if "per" in found[1:] and (above := units.find(found[found.index("per") - 1])):
        return above  # eur_per_month, but not price_per_kwh_eur
    return units.find(found[-1]) if len(found) > 1 or (found and len(found[-1]) > 1) else None


@lru_cache(maxsize=4096)
def unit_at(pointer: str) -> Unit | None:
    """The unit of a value: its own key's, or that of an object around it: `{"rain_mm": {"spring": 180}}`."""
    own, *around = [part for part in reversed(pointer.split("/")) if part]
    found = unit(own)
    for key in around:
        if found or key.isdigit() or key == "data":
            break
        found = None if key.lower() in _PERIODS else unit(key)
    return found
