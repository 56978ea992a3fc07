"""Weekdays, durations and ages: "Monday, 11 March 2024", "from 3 May to 10 May, 7 days", "9 years after 2015"."""

# ruff: noqa: RUF001 - people write dashes and signs of multiplication that look like others; the patterns name them.

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from verifiers.arithmetic.calendar import OLDEST, WEEKDAYS, Day
from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import Range, plain
from verifiers.arithmetic.sentence import ANY, D, N, Sentence, T, Y

_NAMES = "|".join(sorted(WEEKDAYS, key=len, reverse=True))
_WEEKDAY_FIRST = re.compile(rf"\b(?P<weekday>{_NAMES})\b(?:,\s|\.\s|\s|\s\()(?:the\s)?(?P<day>{D})", re.IGNORECASE)
_DAY_FIRST = re.compile(
    rf"(?P<day>{D})(?:\s\(|,\sa\s|\s(?:is|was|fell on|falls on|will be)\s(?:on\s)?(?:a\s)?)(?P<weekday>{_NAMES})\b",
    re.IGNORECASE,
)
_SPAN = (
    r"(?:(?:\bfrom\s)?(?P<start>{0})(?:\s?[–—-]\s?|\s(?:to|until|till|through)\s)(?P<end>{0})"
    r"|\bbetween\s(?P<start2>{0})\sand\s(?P<end2>{0}))"
)
_LENGTH = (
    rf"(?:,\s|\s\(|\s(?:is|was|are|lasts|lasted|takes|took)\s|\s[–—]\s)(?:a (?:total|period|span) of\s|exactly\s"
    rf"|or\s|for\s)?"
    rf"(?P<count>{N})(?:\s?(?P<unit>days?|nights?|weeks?|months?|years?|hours?|minutes?)\b)?"
    rf"(?!\s(?:later|before|after|ago|old|earlier|each|per|of|long\w+|short\w*|more|fewer|less|from|in advance)\b)"
)
_DAY_SPAN = re.compile(_SPAN.replace("{0}", D) + _LENGTH)
_YEAR_SPAN = re.compile(_SPAN.replace("{0}", Y) + _LENGTH)
_TIME_SPAN = re.compile(_SPAN.replace("{0}", T) + _LENGTH)
_YEARS_AFTER = re.compile(
    rf"\bin\s(?P<late>{Y}),?\s(?:exactly\s)?(?P<count>{N})\syears\s(?P<way>after|before)\s(?P<early>{Y})(?=\s?[,.)]|$)"
)
_AGE = re.compile(rf"(?:\baged\s|\bat the age of\s|\bat age\s)(?P<age>{N})")
_BORN = re.compile(
    rf"\bborn\b[^{ANY[1:-1]}]{{0,40}}(?P<born>{Y})[^{ANY[1:-1]}]{{0,60}}\bdied\b[^{ANY[1:-1]}]{{0,40}}(?P<died>{Y})"
)


def days(sentence: Sentence) -> Iterator[Claim]:
    for pattern in (_WEEKDAY_FIRST, _DAY_FIRST):
        for found in pattern.finditer(sentence.text):
            yield from _weekday(sentence.day(found, "day"), found["weekday"])
    for found in _DAY_SPAN.finditer(sentence.text):
        yield from _day_span(sentence, found)
    for found in _YEAR_SPAN.finditer(sentence.text):
        yield from _year_span(sentence, found)
    for found in _TIME_SPAN.finditer(sentence.text):
        yield from _time_span(sentence, found)
    yield from _years_after(sentence)
    yield from _age(sentence)


def _weekday(day: Day, name: str) -> Iterator[Claim]:
    if day.year is None or day.year < OLDEST:
        return
    known = day.in_year(day.year)
    if known is not None:
        yield claim(
            "weekday-wrong", known.weekday() == WEEKDAYS[name.lower()], f"{name} for {day.text}", known.strftime("%A")
        )


def _sides(found: re.Match[str]) -> tuple[str, str]:
    return ("start", "end") if found["start"] else ("start2", "end2")


def _duration(quantity: Quantity, lengths: set[int], per_unit: int) -> Iterator[Claim]:
    """Of the lengths in base units, any may be meant: with the last day or without it."""
    if quantity.is_bound:
        return
    made = [Range.around(Decimal(length) / per_unit) for length in sorted(lengths)]
    is_held = any(way.meets(quantity.stated()) for way in made)
    yield claim("duration-wrong", is_held, quantity.text, plain(made[0].middle))


def _unit(quantity: Quantity, found: re.Match[str]) -> str:
    """Known units are read with the number; nights, months and years stand as words beside it."""
    return (quantity.unit or found["unit"] or "").removesuffix("s")


def _day_span(sentence: Sentence, found: re.Match[str]) -> Iterator[Claim]:
    start, end = (sentence.day(found, side) for side in _sides(found))
    quantity = sentence.quantity(found, "count")
    per_unit = {"day": 1, "night": 1, "week": 7}.get(_unit(quantity, found))
    lengths = _lengths(start, end)
    if per_unit is None or not lengths:
        return
    lengths |= set() if _unit(quantity, found) == "night" else {length + 1 for length in lengths}
    yield from _duration(quantity, lengths, per_unit)


def _lengths(start: Day, end: Day) -> set[int]:
    """Days between the two, in each year that may be meant; a year is at most unsaid on the first day."""
    years = (
        [(end.year, end.year)]
        if end.year
        else [(year, year) for year in ([start.year] if start.year else [2023, 2024])]
    )
    found: set[int] = set()
    for start_year, end_year in years:
        first, last = start.in_year(start_year), end.in_year(end_year)
        if first and last and last < first and not (start.year and end.year):
            first, last = (start.in_year(start_year - 1), last) if end.year else (first, end.in_year(end_year + 1))
        found |= _between(first, last)
    return found


def _between(first: date | None, last: date | None) -> set[int]:
    return {(last - first).days} if first and last and last >= first else set()


def _year_span(sentence: Sentence, found: re.Match[str]) -> Iterator[Claim]:
    start, end = (sentence.year(found, side) for side in _sides(found))
    quantity = sentence.quantity(found, "count")
    if _unit(quantity, found) == "year" and end > start:
        yield from _duration(quantity, {end - start, end - start + 1}, 1)


def _time_span(sentence: Sentence, found: re.Match[str]) -> Iterator[Claim]:
    """Modulo twelve hours: a clock without am and pm says no more, and a shift may pass midnight."""
    start, end = (_minutes(str(sentence.tokens[found.start(side)])) for side in _sides(found))
    quantity = sentence.quantity(found, "count")
    per_unit = {"h": 60, "hr": 60, "hour": 60, "min": 1, "minute": 1}.get(_unit(quantity, found))
    if per_unit is not None:
        yield from _duration(quantity, {(end - start) % 720 + half for half in (0, 720)}, per_unit)


def _minutes(text: str) -> int:
    hours, minutes = text[:5].rstrip("apmAPM ").split(":")
    return int(hours) * 60 + int(minutes)


def _years_after(sentence: Sentence) -> Iterator[Claim]:
    for found in _YEARS_AFTER.finditer(sentence.text):
        late, early = sentence.year(found, "late"), sentence.year(found, "early")
        gap = late - early if found["way"] == "after" else early - late
        yield from _duration(sentence.quantity(found, "count"), {gap}, 1)


def _age(sentence: Sentence) -> Iterator[Claim]:
    """Born in one year and dead in another: of two ages one, as the birthday falls."""
    life, age = _BORN.search(sentence.text), _AGE.search(sentence.text)
    if life and age:
        gap = sentence.year(life, "died") - sentence.year(life, "born")
        yield from _duration(sentence.quantity(age, "age"), {gap, gap - 1}, 1)
