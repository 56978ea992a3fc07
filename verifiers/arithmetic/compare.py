"""What several checks ask of quantities before they compare them."""

from __future__ import annotations

import re

from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.unit import UNITS

_NOUN = re.compile(r"\s(?:new |more |other |different )?([A-Za-z]{2,30})")
_NOT_NOUNS = frozenset(
    [
        "in",
        "from",
        "for",
        "at",
        "on",
        "of",
        "to",
        "and",
        "or",
        "by",
        "with",
        "the",
        "per",
        "is",
        "are",
        "was",
        "were",
        "as",
        "out",
        "since",
        "during",
        "last",
        "this",
        "that",
        "which",
        "than",
        "plus",
    ]
)


def canonical(quantity: Quantity) -> str:
    known = UNITS.get(quantity.unit)
    return known.name if known else quantity.unit


def is_alike(quantities: list[Quantity]) -> bool:
    """In one unit, and each stated rather than bounded. A bare number goes with nothing but bare numbers."""
    units = {canonical(quantity) for quantity in quantities}
    return len(units) == 1 and "?" not in units and not any(quantity.is_bound for quantity in quantities)


def noun_after(text: str, position: int) -> str:
    """The word that a count counts, in the singular; empty where a preposition follows."""
    found = _NOUN.match(text, position + 1)
    word = found[1].lower() if found else ""
    return "" if word in _NOT_NOUNS else word.removesuffix("s")
