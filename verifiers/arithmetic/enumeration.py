"""Quantities in a row, as prose enumerates them: "12 apples, 7 pears and 5 plums", "kitchen 2,640, office 440"."""

# ruff: noqa: RUF001 - people write dashes and signs of multiplication that look like others; the patterns name them.

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise

from verifiers.arithmetic.compare import canonical, noun_after
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import Range
from verifiers.arithmetic.sentence import Sentence

_WORDS = r"[^,():–—]{0,45}"
_COMMA = re.compile(rf"{_WORDS},\s(?:\w{{1,12}}\s){{0,3}}[$€£]?")
_AND = re.compile(rf"{_WORDS},?\s(?:and|plus|\+|&)\s(?:[\w'’]{{1,12}}\s){{0,4}}[$€£]?")
_RANGE = re.compile(r"\b(?:between|from|either|both)\s$", re.IGNORECASE)
_TAIL = re.compile(r"[^()]{0,45}[,:–—(]?\s{0,2}")
UNEVEN = re.compile(
    r"\b(?:refund\w*|lost|minus|less|fewer|return\w*|cancel\w*|remov\w*|withdr\w*|subtract\w*|discount\w*|each"
    r"|per|times|every"
    r"|which|includ\w*|old|ago|than|apiece|out of|of the|by)\b"
)
_VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|that|who|gave|gives?|paid|pays?|made|took|takes?|sold|cost|costs)\b"
)
"""Between two figures: then they are told of different things, and are no row."""
_NESTED = re.compile(r"\b(?:at|@)\s(?:[$€£]\s?)?$")
"""Before a price of one piece, inside of what the pieces cost: "354 for three nights at 118"."""


def list_before(sentence: Sentence, end: int) -> list[int]:
    """The quantities of a clause that are one list which ends here; none where there is no such list."""
    start = max(sentence.text.rfind(":", 0, end), sentence.text.rfind("(", 0, end)) + 1
    places = quantities(sentence, start, end)
    if not places or not _TAIL.fullmatch(sentence.text, places[-1] + 1, end):
        return []
    for first in range(len(places) - 1):
        if is_list(sentence.text, places[first:], end):
            is_rest = first > 0 and is_item(sentence, places[first])
            return [] if is_rest or _RANGE.search(sentence.text, start, places[first]) else places[first:]
    return []


def list_after(sentence: Sentence, start: int) -> list[int]:
    """The quantities from here to the end of the clause. The last comma may do for an "and"."""
    close = sentence.text.find(")", start)
    end = close if close >= 0 else len(sentence.text)
    places = quantities(sentence, start, end)
    return places if is_list(sentence.text, places, end) else []


def quantities(sentence: Sentence, start: int, end: int) -> list[int]:
    """Where quantities stand, but for prices inside of an item and the counts that go with them."""
    inside = (position for position in sentence.tokens if start <= position < end)
    places = [position for position in inside if isinstance(sentence.tokens[position], Quantity)]
    nested = {place for place in places if _NESTED.search(sentence.text, 0, place)}
    counts = {a for a, b in pairwise(places) if b in nested and a != places[0]}
    return [place for place in places if place not in nested | counts]


def is_list(text: str, places: list[int], end: int) -> bool:
    if len(places) < 2 or UNEVEN.search(text, places[0], end):
        return False
    gaps = list(pairwise(places))
    if any(_VERB.search(text, a + 1, b) for a, b in gaps):
        return False
    ands = [_AND.fullmatch(text, a + 1, b) is not None for a, b in gaps]
    joined = all(is_and or _COMMA.fullmatch(text, a + 1, b) for is_and, (a, b) in zip(ands, gaps, strict=True))
    return joined and not any(ands[:-1]) and (ands[-1] or len(places) >= 3)


def is_item(sentence: Sentence, place: int) -> bool:
    """Whether a quantity is itself one of a row, with others before it."""
    before = [other for other in sentence.tokens if other < place and isinstance(sentence.tokens[other], Quantity)]
    start = before[-1] + 1 if before else 0
    return (
        bool(before)
        and not _VERB.search(sentence.text, start, place)
        and (
            _COMMA.fullmatch(sentence.text, start, place) is not None
            or _AND.fullmatch(sentence.text, start, place) is not None
        )
    )


def alike_tail(sentence: Sentence, places: list[int], total_place: int) -> list[int]:
    """The last quantities of a list that share a unit. A bare one has the unit of the others, unless it counts a thing
    of its own: "2,400 and 1,800 km", but not "420 calories, with 15 g of fat".
    """
    tail: list[int] = []
    total = sentence.quantity_at(total_place)
    unit, counted = canonical(total), noun_after(sentence.text, total_place)
    for place in reversed(places):
        quantity = sentence.quantity_at(place)
        own = canonical(quantity)
        is_foreign = own not in ("", unit) if unit else bool(own and counted)
        if (
            quantity.is_bound
            or "?" in (own, unit)
            or is_foreign
            or (unit and not own and noun_after(sentence.text, place))
        ):
            break
        unit = unit or own
        tail.insert(0, place)
    return tail


def total_range(parts: list[Quantity]) -> Range:
    made = Range.around(Decimal(0))
    for part in parts:
        made += part.exactly()
    return made
