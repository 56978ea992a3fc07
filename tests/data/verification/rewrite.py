"""Says the same in another way. Whoever blocks one of these blocks a true answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random

from tests.data.verification import dates, numerals
from tests.data.verification.sources import Claim, Source

Rewrite = Callable[[Source, Random], str]
"""Returns the answer unchanged where it has no place for this rewrite."""

SENTENCE_END = re.compile(r"(?<=[a-z0-9)\"%][.?!])\s+|(?<=[.?!]\")\s+")
UNITS = {
    "km": "kilometres",
    "m": "metres",
    "kg": "kilograms",
    "g": "grams",
    "mm": "millimetres",
    "cm": "centimetres",
    "mg": "milligrams",
    "nm": "nanometres",
    "ms": "milliseconds",
    "µs": "microseconds",
    "kWh": "kilowatt hours",
    "GWh": "gigawatt hours",
    "MW": "megawatts",
    "EUR": "euros",
    "°C": "degrees Celsius",
    "kPa": "kilopascals",
    "hPa": "hectopascals",
    "square kilometres": "km²",
    "minutes": "min",
    "seconds": "s",
    "litres": "l",
    "kcal": "kilocalories",
}


def _each(source: Source, new: Callable[[Claim], str], *kinds: str) -> str:
    """Every claim of these kinds, written anew; from the back, so that offsets hold."""
    answer = source.answer
    for claim in sorted(source.claims_of(*kinds), key=lambda claim: -claim.start):
        answer = answer[: claim.start] + new(claim) + answer[claim.end :]
    return answer


def synonyms(source: Source, _chance: Random) -> str:
    return _each(source, lambda claim: claim.other, "synonym")


def number_format(source: Source, _chance: Random) -> str:
    return _each(source, lambda claim: numerals.written_otherwise(claim.text), "number", "total")


def date_format(source: Source, chance: Random) -> str:
    return _each(source, lambda claim: dates.written_otherwise(claim.text, chance), "date")


def unit_spelling(source: Source, _chance: Random) -> str:
    return _each(source, lambda claim: UNITS.get(claim.text, claim.text), "unit")


def percent_format(source: Source, _chance: Random) -> str:
    return re.sub(r"(\d)%", r"\1 percent", source.answer)


def aside_dropped(source: Source, _chance: Random) -> str:
    """Words that add nothing to what is claimed are left out."""
    return _each(source, lambda _claim: "", "aside")


def reordered(source: Source, _chance: Random) -> str:
    """The last sentence first: no sentence loses its words."""
    *others, last = sentences(source.answer)
    return " ".join([last, *others])


def as_markdown(source: Source, _chance: Random) -> str:
    """A list with figures in bold, the way that models like to answer."""
    bold = _each(source, lambda claim: f"**{claim.text}**", "number", "total")
    return "\n".join(f"- {sentence}" for sentence in sentences(bold))


def sentences(text: str) -> list[str]:
    return SENTENCE_END.split(text)


REWRITES: Mapping[str, Rewrite] = {
    "synonyms": synonyms,
    "number-format": number_format,
    "date-format": date_format,
    "unit-spelling": unit_spelling,
    "percent-format": percent_format,
    "aside-dropped": aside_dropped,
    "reordered": reordered,
    "as-markdown": as_markdown,
}
