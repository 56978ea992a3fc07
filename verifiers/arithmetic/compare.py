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
        "more",
        "fewer",
        "less",
        "higher",
        "lower",
        "longer",
        "shorter",
        "above",
        "below",
        "over",
        "under",
        "came",
        "went",
        "each",
    ]
)

MONEY = frozenset(
    str.split("eur euro usd dollar gbp pound chf franc dkk nok sek krone kroner pln zloty yen rupee cent crown")
)
"""Nouns, in the singular, that are money."""


def canonical(quantity: Quantity) -> str:
    known = UNITS.get(quantity.unit)
    return known.name if known else quantity.unit


def is_alike(quantities: list[Quantity]) -> bool:
    """In one unit, and each stated rather than bounded. A bare number goes with nothing but bare numbers."""
    units = {canonical(quantity) for quantity in quantities}
    return len(units) == 1 and "?" not in units and not any(quantity.is_bound for quantity in quantities)


def in_one_unit(quantities: list[Quantity]) -> bool:
    """As `is_alike`, but some may leave the unit to the others: "2,400 and 1,800 km, together 4,200"."""
    units = {canonical(quantity) for quantity in quantities}
    if "%" in units and len(units) > 1:
        return False  # what is no percentage does not become one by standing beside it
    units -= {""}
    return len(units) <= 1 and "?" not in units and not any(quantity.is_bound for quantity in quantities)


def is_one_kind(text: str, *positions: int) -> bool:
    """Whether counts may be of one thing: none says otherwise by a noun of its own."""
    return len({noun for position in positions if (noun := noun_after(text, position))}) <= 1


def noun_after(text: str, position: int) -> str:
    """The word that a count counts, in the singular; empty where a preposition follows."""
    found = _NOUN.match(text, position + 1)
    word = found[1].lower() if found else ""
    return "" if word in _NOT_NOUNS else word.removesuffix("s")
