"""Time that went by between two moments: "left at 05:20 and arrived at 06:35, 75 minutes later"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from verifiers.arithmetic.calendar import Day
from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import Range, plain
from verifiers.arithmetic.sentence import ANY, D, N, Sentence, T

_WORDS = rf"[^{ANY[1:-1]}:()]{{0,60}}"
_UNIT = r"(?:\s?(?P<unit>days?|weeks?|months?|years?|hours?|minutes?|min|h))?"
_TIMES = re.compile(
    rf"(?P<start>{T})(?:{_WORDS}{D}){{0,2}}{_WORDS}(?P<end>{T}){_WORDS}?,\s(?:after\s(?P<after>{N})(?=\s?(?:[.,;]|$))"
    rf"|(?P<later>{N}){_UNIT}\s(?:later(?!\sthan)|in all|altogether))"
)
_DAYS = re.compile(rf"(?P<start>{D}){_WORDS}(?P<end>{D}),\s(?:exactly\s)?(?P<count>{N}){_UNIT}\slater\b(?!\sthan)")
_LATER = re.compile(rf"(?P<start>{D}){_WORDS}?\s(?P<count>{N}){_UNIT}\slater,?\s(?:on\s|by\s)?(?P<end>{D})")
_TOOK = re.compile(
    rf"\b[Ff]rom\s(?P<start>{D})\s(?:to|until|till|through)\s(?P<end>{D}),?\s(?:it|they|this|that|the \w{{2,20}})\s"
    rf"(?:is|are|was|were|took|lasted|makes?|makes up|ran for)\s(?P<count>{N}){_UNIT}"
)
_MINUTES = {"h": 60, "hour": 60, "hr": 60, "min": 1, "minute": 1}
_DAYS_OF = {"day": 1, "week": 7}
_MONTHS_OF = {"month": 1, "year": 12}


def elapsed(sentence: Sentence) -> Iterator[Claim]:
    for found in _TIMES.finditer(sentence.text):
        yield from _between_times(sentence, found)
    for pattern in (_DAYS, _LATER, _TOOK):
        for found in pattern.finditer(sentence.text):
            yield from _between_days(sentence, found)


def _between_times(sentence: Sentence, found: re.Match[str]) -> Iterator[Claim]:
    """Modulo twelve hours, for a clock without am and pm says no more; also over midnight."""
    quantity = sentence.quantity(found, "after" if found["after"] else "later")
    per_unit = _MINUTES.get(_unit(quantity, found))
    if per_unit is None or quantity.is_bound:
        return
    start, end = (_minutes(str(sentence.tokens[found.start(side)])) for side in ("start", "end"))
    gap = (end - start) % 720
    ways = [Range.around(Decimal(minutes) / per_unit) for minutes in (gap, gap + 720)]
    is_held = any(way.meets(quantity.stated()) for way in ways)
    yield claim("duration-wrong", is_held, quantity.text, plain(ways[0].middle))


def _between_days(sentence: Sentence, found: re.Match[str]) -> Iterator[Claim]:
    start, end, quantity = sentence.day(found, "start"), sentence.day(found, "end"), sentence.quantity(found, "count")
    first, last = _dates(start, end)
    name = _unit(quantity, found)
    if first is None or last is None or last < first or quantity.is_bound:
        return
    if name in _DAYS_OF:
        ways = [Range.around(Decimal((last - first).days + more) / _DAYS_OF[name]) for more in (0, 1)]
    elif name in _MONTHS_OF:
        months = 12 * (last.year - first.year) + last.month - first.month + Decimal(last.day - first.day) / 30
        ways = [Range.around(months / _MONTHS_OF[name], Decimal("0.5"))]
    else:
        return
    is_held = any(way.meets(quantity.stated()) for way in ways)
    yield claim("duration-wrong", is_held, quantity.text, plain(ways[0].middle))


def _dates(start: Day, end: Day) -> tuple[date | None, date | None]:
    """Either day may leave its year to the other; where neither has one, leap days leave it open."""
    year = start.year or end.year
    return (start.in_year(year), end.in_year(year)) if year else (None, None)


def _unit(quantity: Quantity, found: re.Match[str]) -> str:
    return (quantity.unit or found["unit"] or "").removesuffix("s")


def _minutes(text: str) -> int:
    hours, minutes = text[:5].rstrip("apmAPM ").split(":")
    return int(hours) * 60 + int(minutes)
