"""Averages: of the figures listed beside them, and of one figure over the number of what it is an average of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import in_one_unit
from verifiers.arithmetic.enumeration import list_before, total_range
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import plain
from verifiers.arithmetic.sentence import ANY, N, Sentence

_OF_LIST = re.compile(rf",\s(?:on average\s|(?:or |which is |that is |giving )?an average of\s)(?P<mean>{N})")
_RATIO = re.compile(
    rf"(?P<count>{N})\s(?P<noun>\w{{2,20}})[^{ANY[1:-1]}.:()]{{1,30}}(?P<whole>{N})[^{ANY[1:-1]}.:()]{{0,40}},\s"
    rf"(?:which is |that is |or )?an average of\s(?P<mean>{N})\s?(?:[^\W\d_]{{1,12}}\s)?(?:per|an?|for each)\s"
    rf"(?P<each>\w{{2,20}})"
)
_EACH_HAD = re.compile(
    rf"(?P<count>{N})\s\w{{2,20}}\s(?:for|before|with)\s(?P<whole>{N})\s\w{{2,20}},\s(?P<mean>{N})\son average"
)


def averages(sentence: Sentence) -> Iterator[Claim]:
    for found in _OF_LIST.finditer(sentence.text):
        places = list_before(sentence, found.start())
        parts = [sentence.quantity_at(place) for place in places]
        mean = sentence.quantity(found, "mean")
        yield from _of_list(_after_total(parts), mean)
    for found in _RATIO.finditer(sentence.text):
        yield from _ratio(sentence, found)
    for found in _EACH_HAD.finditer(sentence.text):
        yield from _over(*(sentence.quantity(found, name) for name in ("whole", "count", "mean")))


def _after_total(parts: list[Quantity]) -> list[Quantity]:
    """A list may begin with its own total: "3,000 guests, with 310 in June, ..."."""
    is_total = len(parts) > 2 and total_range(parts[1:]).meets(parts[0].stated())
    return parts[1:] if is_total else parts


def _of_list(parts: list[Quantity], mean: Quantity) -> Iterator[Claim]:
    """A mean lies among its parts; a figure outside is one of something else, or wrong: that cannot be told apart."""
    if len(parts) < 3 or not in_one_unit([*parts, mean]):
        return
    made = total_range(parts).scaled(1 / Decimal(len(parts)))
    if min(part.value for part in parts) <= mean.value <= max(part.value for part in parts):
        yield claim("average-wrong", made.meets(mean.stated()), mean.text, plain(made.middle))


def _ratio(sentence: Sentence, found: re.Match[str]) -> Iterator[Claim]:
    count, whole, mean = (sentence.quantity(found, name) for name in ("count", "whole", "mean"))
    if found["each"].lower() in found["noun"].lower() and not count.unit:
        yield from _over(whole, count, mean)


def _over(whole: Quantity, count: Quantity, mean: Quantity) -> Iterator[Claim]:
    if count.value > 0 and not count.is_bound and in_one_unit([whole, mean]):
        made = whole.given() / count.given()
        yield claim("average-wrong", made.meets(mean.stated()), mean.text, plain(made.middle))
