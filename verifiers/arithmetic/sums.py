"""Sums in prose: "12 apples, 7 pears and 5 plums, a total of 24"."""

# ruff: noqa: RUF001 - people write dashes and signs of multiplication that look like others; the patterns name them.

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import is_alike, noun_after
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import Range, plain
from verifiers.arithmetic.sentence import ANY, Q, Sentence

_TOTAL = (
    r"\b(?:(?:for |making |giving |with |which is )?(?:a |an |the )?(?:grand |combined |overall )?"
    r"(?:total(?:l?ing|s| of| is| comes to| was)|sum of)|add(?:s|ing)? up to|sum(?:s|ming)? to|total:)\s(?:a |the )?"
)
_AFTER = re.compile(rf"{_TOTAL}(?P<total>{Q})(?!\s(?:less|more|fewer))")
_TRAILING = re.compile(
    rf"[,:=(–—]\s?(?:or |so |i\.e\. )?(?P<total>{Q})[^{ANY[1:-1]},]{{0,25}}\b(?:in total|altogether|in all)\b"
)
_BEFORE = re.compile(rf"\b[Tt]otal (?:of|is|was)\s(?P<total>{Q})[^{ANY[1:-1]},:()]{{0,40}}(?::\s|\s\(|\s[–—]\s)")

_WORDS = r"[^,():–—]{0,45}"
_COMMA = re.compile(rf"{_WORDS},\s(?:\w{{1,12}}\s){{0,3}}[$€£]?")
_AND = re.compile(rf"{_WORDS},?\s(?:and|plus|\+|&)\s(?:\w{{1,12}}\s){{0,3}}")
_RANGE = re.compile(r"\b(?:between|from|either|both)\s$", re.IGNORECASE)
_TAIL = re.compile(r"[^()]{0,45}[,:–—(]?\s{0,2}")
_UNEVEN = re.compile(
    r"\b(?:refund\w*|lost|minus|less|fewer|return\w*|cancel\w*|remov\w*|withdr\w*|subtract\w*|discount\w*|each"
    r"|per|times|every"
    r"|which|includ\w*|old|ago|than|apiece|out of|of the|by)\b"
)
_PRICES = re.compile(r"\b(?:costs?|priced?|prices|charges?|fees?|rates?)\b", re.IGNORECASE)
"""Before the list: its figures may be for one piece each."""
_LIKELY = Range(Decimal("0.8"), Decimal("1.25"))
"""Where the total counts something with another name ("fruits" of apples and pears, but also "fields" of screens), only
a total this close to the sum is taken for one."""


def sums(sentence: Sentence) -> Iterator[Claim]:
    for found in _AFTER.finditer(sentence.text):
        yield from _judged(sentence, _list_before(sentence, found.start()), found)
    for found in _TRAILING.finditer(sentence.text):
        yield from _judged(sentence, _list_before(sentence, found.start()), found)
    for found in _BEFORE.finditer(sentence.text):
        yield from _judged(sentence, _list_after(sentence, found.end()), found)


def _judged(sentence: Sentence, parts: list[int], found: re.Match[str]) -> Iterator[Claim]:
    total = sentence.quantity(found, "total")
    addends = [sentence.quantity_at(position) for position in parts]
    if len(addends) < 2 or not is_alike([*addends, total]):
        return
    made = _sum(addends)
    is_held = made.meets(total.stated())
    if is_held or _is_clear(sentence, parts, found.start("total"), total, made):
        yield claim("sum-wrong", is_held, total.text, plain(made.middle))


def _sum(addends: list[Quantity]) -> Range:
    made = Range.around(Decimal(0))
    for addend in addends:
        made += addend.given()
    return made


def _is_clear(sentence: Sentence, parts: list[int], at: int, total: Quantity, made: Range) -> bool:
    if _PRICES.search(sentence.text, 0, parts[0]):
        return _is_likely(total, made)
    counted = noun_after(sentence.text, at)
    nouns = {noun_after(sentence.text, position) for position in parts}
    if total.unit or not counted or counted in nouns or nouns == {""}:
        return True
    return _is_likely(total, made)


def _is_likely(total: Quantity, made: Range) -> bool:
    return made.middle > 0 and _LIKELY.has(total.value / made.middle)


def _list_before(sentence: Sentence, end: int) -> list[int]:
    """The quantities that a clause starts with, where they are one list that ends here; else none."""
    start = max(sentence.text.rfind(":", 0, end), sentence.text.rfind("(", 0, end)) + 1
    places = _quantities(sentence, start, end)
    if (
        not places
        or _RANGE.search(sentence.text, start, places[0])
        or not _TAIL.fullmatch(sentence.text, places[-1] + 1, end)
    ):
        return []
    return places if _is_list(sentence.text, places, end) else []


def _list_after(sentence: Sentence, start: int) -> list[int]:
    close = sentence.text.find(")", start)
    end = close if close >= 0 else len(sentence.text)
    places = _quantities(sentence, start, end)
    return places if _is_list(sentence.text, places, end) else []


def _quantities(sentence: Sentence, start: int, end: int) -> list[int]:
    inside = (position for position in sentence.tokens if start <= position < end)
    return [position for position in inside if isinstance(sentence.tokens[position], Quantity)]


def _is_list(text: str, places: list[int], end: int) -> bool:
    if len(places) < 2 or _UNEVEN.search(text, places[0], end):
        return False
    gaps = list(pairwise(places))
    return all(_COMMA.fullmatch(text, a + 1, b) or _AND.fullmatch(text, a + 1, b) for a, b in gaps) and bool(
        _AND.fullmatch(text, gaps[-1][0] + 1, gaps[-1][1])
    )
