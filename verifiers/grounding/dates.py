"""Dates and times of day in text, as far as they are stated: a month of a year, a day of a month, a whole date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MONTHS = str.split("january february march april may june july august september october november december")
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}
_MONTH_NUMBERS |= {name[:3]: number for name, number in _MONTH_NUMBERS.items()} | {"sept": 9}
_MONTH = rf"(?P<month>(?:{'|'.join(_MONTHS)})\b|(?:jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec)\b\.?)"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_JOIN = r"(?:\s?[-\u2013\u2014]\s?| to | and | until | through )"
_YEAR = r"(?P<year>[12]\d{3})(?!\d)"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?<!\d)(?P<year>[12]\d{3})-(?P<month>[01]\d)-(?P<day>[0-3]\d)(?!\d)",
        rf"(?<![\w.,])(?:(?P<first>[0-3]?\d)(?:st|nd|rd"
        rf"|th)?{_JOIN})?(?:the )?{_DAY}(?: of)?[ -]{_MONTH}(?:,?[ -]{_YEAR})?",
        rf"(?<!\w){_MONTH} (?:the )?{_DAY}(?![\d.%]|,\d)(?:{_JOIN}(?P<last>[0-3]?\d)(?:st|nd|rd"
        rf"|th)?(?![\d.%]))?(?:,? {_YEAR})?",
        rf"(?<!\w){_MONTH}(?: of)? {_YEAR}",
        rf"(?<!\w){_MONTH}, (?P<year>(?:1[5-9]|20)\d\d)(?!\d)",
        r"(?<![\w/.])(?P<day>[0-3]?\d)(?P<mark>[/.])(?P<month>[0-3]?\d)(?P=mark)(?P<year>[12]\d{3})(?![\d/])",
        r"(?<![\w-])(?P<year>[12]\d{3})-(?P<month>0[1-9]|1[0-2])(?![\d-])",
        r"(?<![\w/.])(?P<month>0?[1-9]|1[0-2])/(?P<year>(?:19|20)\d\d)(?![\d/])",
    )
)
_TIME = re.compile(
    r"(?<![\d:.])(?P<hour>[0-2]?\d)(?:[:.](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:\.\d{1,9})?)?)?\s?(?P<half>[ap]\.?m\b\.?)?(?!\d)"
    r"(?:Z|[+-]\d\d:\d\d)?",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\d:[0-5]\d|\d\s?[ap]\.?m\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Date:
    start: int
    end: int
    token: str
    year: int = 0
    month: int = 0
    day: int = 0
    swapped: bool = False
    """Day and month may change places: 03/04/2024."""

    def readings(self) -> tuple[tuple[int, int, int], ...]:
        plain = (self.year, self.month, self.day)
        return (plain, (self.year, self.day, self.month)) if self.swapped else (plain,)


@dataclass(frozen=True, slots=True)
class Time:
    start: int
    end: int
    token: str
    minutes: tuple[int, ...]
    """Minutes since midnight; two readings where neither am nor pm is said."""
    second: int = 0


def read(text: str) -> list[Date]:
    """Every date of a text that names at least a month, none overlapping. Years alone are figures."""
    found: list[Date] = []
    for pattern in _PATTERNS:
        fresh = [date for match in pattern.finditer(text) for date in _dates(match)]
        text = _blank(text, fresh)
        found += fresh
    return sorted(found, key=lambda date: date.start)


def _blank(text: str, dates: list[Date]) -> str:
    pieces, at = [], 0
    for date in dates:
        pieces += [text[at : date.start], " " * (date.end - max(at, date.start))]
        at = max(at, date.end)
    return "".join((*pieces, text[at:]))


def _dates(match: re.Match[str]) -> Iterator[Date]:
    groups = match.groupdict()
    year, month, day = int(groups.get("year") or 0), _month(groups["month"]), int(groups.get("day") or 0)
    swapped = bool(groups.get("mark")) and month <= 12 and day <= 12
    if groups.get("mark") and month > 12:
        month, day = day, month
    if not 1 <= month <= 12 or day > 31 or (groups.get("day") and not day):
        return
    yield Date(match.start(), match.end(), match.group(), year, month, day, swapped)
    other = groups.get("first") or groups.get("last")
    if other and 1 <= int(other) <= 31:
        yield Date(match.start(), match.end(), match.group(), year, month, int(other))


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTH_NUMBERS[text.lower().rstrip(".")]


def times(text: str) -> list[Time]:
    """Times of day written with a colon or with am or pm."""
    return [time for match in _TIME.finditer(text) if (time := _time(match))]


def _time(match: re.Match[str]) -> Time | None:
    token, hour, minute = match.group().strip(), int(match["hour"]), int(match["minute"] or 0)
    if hour > 24 or not _CLOCK.search(token):
        return None
    half = (match["half"] or "").lower()[:1]
    hours = {"a": (hour % 12,), "p": (hour % 12 + 12,)}.get(half, (hour, hour + 12) if hour < 12 else (hour,))
    return Time(match.start(), match.end(), token, tuple(60 * h + minute for h in hours), int(match["second"] or 0))
