"""Days as answers write them: 2024-03-12, 12 March 2024, March 12, 2024, 3 May. Days in figures only are ambiguous."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

MONTHS = {
    name: index
    for index, names in enumerate(
        (
            "january jan",
            "february feb",
            "march mar",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sept sep",
            "october oct",
            "november nov",
            "december dec",
        ),
        start=1,
    )
    for name in names.split()
}
WEEKDAYS = {
    name: index
    for index, names in enumerate(
        (
            "monday mon",
            "tuesday tues tue",
            "wednesday wed",
            "thursday thurs thu",
            "friday fri",
            "saturday sat",
            "sunday sun",
        )
    )
    for name in names.split()
}

_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
PATTERN = (
    rf"(?<![\w.,/-])(?:(?P<iso>\d{{4}}-\d\d-\d\d)(?![\w-])"
    rf"|(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<m1>{_MONTH})\b\.?(?:,?\s(?P<y1>\d{{4}})\b(?!,\d))?"
    rf"|(?P<m2>{_MONTH})\b\.?\s(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?![\d.:%]|,\d)(?:,?\s(?P<y2>\d{{4}})\b(?!,\d))?)"
)
"""For a verbose, case-insensitive pattern: no literal blanks."""

OLDEST = 1925
"""Weekdays of earlier days depend on the country's calendar: Greece took up the Gregorian one in 1923."""


@dataclass(frozen=True, slots=True)
class Day:
    day: int
    month: int
    year: int | None
    text: str

    def in_year(self, year: int) -> date | None:
        """None for the 29 February of a year that has none."""
        try:
            return date(self.year or year, self.month, self.day)
        except ValueError:
            return None


def day_of(found: re.Match[str]) -> Day | None:
    """What `PATTERN` matched; None where there is no such day, so that it is not a day at all."""
    if found["iso"]:
        year, month, day = (int(part) for part in found["iso"].split("-"))
        return _real(Day(day, month, year, found["day"]))
    day_text, month_text = found["d1"] or found["d2"], found["m1"] or found["m2"]
    year_text = found["y1"] or found["y2"]
    read = Day(int(day_text), MONTHS[month_text.lower()], int(year_text) if year_text else None, found["day"])
    return _real(read)


def _real(day: Day) -> Day | None:
    if day.year == 0:
        return None
    return day if day.in_year(2024) is not None else None
