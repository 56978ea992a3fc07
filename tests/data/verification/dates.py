"""Dates as the answers write them (`4 March 2021`, `March 2021`): made wrong, and written in another way."""

from __future__ import annotations

import calendar
from random import Random

MONTHS = tuple(calendar.month_name)

Date = tuple[int, int, int]
"""Day (0 where only the month is told), month, year."""


def made_wrong(text: str, told: str, chance: Random) -> str:
    """The same form with another day, month or year, and not a date that `told` has in any form."""
    *days, month, year = text.split()
    date = int(days[0]) if days else 0, MONTHS.index(month), int(year)
    forms = [[other for other in form if not _is_told(other, told)] for form in _neighbours(*date)]
    return _written(*chance.choice(chance.choice([form for form in forms if form])))


def _neighbours(day: int, month: int, year: int) -> tuple[list[Date], list[Date], list[Date]]:
    """Dates that differ in the day, in the month, and in the year."""
    days = [(other, month, year) for other in range(1, 29) if day and other != day]
    months = [(day, other, year) for other in range(1, 13) if other != month and day <= 28]
    return days, months, [(day, month, year + step) for step in (-9, -2, -1, 1, 2, 3)]


def _is_told(date: Date, told: str) -> bool:
    """Also where only the month and year of a full date stand elsewhere."""
    day, month, year = date
    return _written(*date) in told or f"{year}-{month:02d}" + (f"-{day:02d}" if day else "") in told


def _written(day: int, month: int, year: int) -> str:
    return f"{day} {MONTHS[month]} {year}" if day else f"{MONTHS[month]} {year}"


def written_otherwise(text: str, chance: Random) -> str:
    """A full date as an American or an ISO 8601 date; a month with its year stays as it is."""
    *days, month, year = text.split()
    if not days:
        return text
    iso = f"{year}-{MONTHS.index(month):02d}-{int(days[0]):02d}"
    return chance.choice((f"{month} {days[0]}, {year}", iso))
