"""Sums in prose: "12 apples, 7 pears and 5 plums, a total of 24"."""

# ruff: noqa: RUF001 - people write dashes and signs of multiplication that look like others; the patterns name them.

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import noun_after
from verifiers.arithmetic.enumeration import alike_tail, list_after, list_before, total_range
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import Range, plain
from verifiers.arithmetic.sentence import ANY, N, Q, Sentence

_TOTAL = (
    r"\b(?:(?:for |making |giving |with |which is )?(?:a |an |the )?(?:grand |combined |overall |net |gross )?"
    r"(?:total(?:l?ing|s| of| is| comes to| was)|sum of)|add(?:s|ing)? up to|sum(?:s|ming)? to|total:)\s(?:a |the )?"
)
_AFTER = re.compile(rf"{_TOTAL}(?P<total>{Q})(?!\s(?:less|more|fewer))")
_TRAILING = re.compile(
    rf"[,:=(–—]\s?(?:or |so |i\.e\. )?(?P<total>{Q})[^{ANY[1:-1]},]{{0,25}}\b(?:in total|altogether|in all)\b"
    rf"(?!\s(?:with|including|counting|plus)\b)"
)
_TOGETHER = re.compile(
    rf"[,:(–—]\s?(?:or |so |and |which is |that is )?(?:together|altogether|combined|making|in all|in total),?"
    rf"\s(?P<total>{Q})(?!\s?\w{{0,8}}\s(?:with|including|counting|plus)\b)"
)
_MAKE = re.compile(
    rf"\s(?:is|are|makes?|give|gives)\s(?P<total>{N})(?=\s?[\w%]{{0,12}}\s?(?:[.,;:]|$|in (?:all|total)))"
)
_MAKES = re.compile(
    r"(?<!\bthat)(?<!\bthis)(?<!\bit)(?<!\bwhich)"
    rf"\s(?:makes?|made|gives?|comes? to|came to|adds? up to)\s(?P<total>{N})"
)
"""After a list of two or more, as in "the legs of 68 and 112 km make 180 km"."""
_KINDS = r"(?:people|persons|pieces|items|units|vehicles|animals|participants)\b"
_PEOPLE = re.compile(rf",\s(?P<total>{N})\s{_KINDS}")
_ARE_PEOPLE = re.compile(rf"\s(?:are|is|makes?)\s(?P<total>{N})\s{_KINDS}")
_BEFORE = re.compile(rf"\b[Tt]otal (?:of|is|was)\s(?P<total>{Q})[^{ANY[1:-1]},:()]{{0,40}}(?::\s|\s\(|\s[–—]\s)")

_PRICES = re.compile(r"\b(?:costs?|priced?|prices|charges?|fees?|rates?)\b", re.IGNORECASE)
"""Before the list: its figures may be for one piece each."""
_LIKELY = Range(Decimal("0.8"), Decimal("1.25"))
"""Where the total counts something with another name ("fruits" of apples and pears, but also "fields" of screens), only
a total this close to the sum is taken for one."""


def sums(sentence: Sentence) -> Iterator[Claim]:
    for pattern in (_AFTER, _TRAILING, _TOGETHER, _MAKES):
        for found in pattern.finditer(sentence.text):
            yield from _judged(sentence, list_before(sentence, found.start()), found)
    for found in _ARE_PEOPLE.finditer(sentence.text):
        yield from _judged(sentence, list_before(sentence, found.start()), found, is_said=True)
    for pattern in (_MAKE, _PEOPLE):
        yield from _likely_ones(sentence, pattern)
    for found in _BEFORE.finditer(sentence.text):
        yield from _judged(sentence, list_after(sentence, found.end()), found)


def _likely_ones(sentence: Sentence, pattern: re.Pattern[str]) -> Iterator[Claim]:
    """Nothing here says that it is a total, so only what comes near one is taken for it."""
    for found in pattern.finditer(sentence.text):
        parts, total = list_before(sentence, found.start()), sentence.quantity(found, "total")
        if len(parts) >= 2 and _is_likely(total, total_range([sentence.quantity_at(part) for part in parts])):
            yield from _judged(sentence, parts, found)


def _judged(sentence: Sentence, listed: list[int], found: re.Match[str], is_said: bool = False) -> Iterator[Claim]:
    """What comes first in a list may be no part of the sum, so that any longer end of it makes the total right."""
    total = sentence.quantity(found, "total")
    parts = alike_tail(sentence, listed, found.start("total"))
    if len(parts) < 2 or total.is_bound:
        return
    ends = [total_range([sentence.quantity_at(part) for part in parts[first:]]) for first in range(len(parts) - 1)]
    is_held = any(made.meets(total.stated()) for made in ends)
    if is_held or is_said or _is_clear(sentence, parts, found.start("total"), total, ends[0]):
        yield claim("sum-wrong", is_held, total.text, plain(ends[0].middle))


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
