"""Spans of time between dates, years and times of day of the sources, and the dates and times that spans lead to."""

from __future__ import annotations

import datetime
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations

from verifiers.grounding.dates import Date, Time
from verifiers.grounding.figures import Figure
from verifiers.grounding.operands import Operand
from verifiers.grounding.sources import Sources
from verifiers.grounding.units import Unit

_MAX_MOMENTS = 60
_MAX_SPANS = 30
_MAX_REACHED = 20_000
_DAY_S = 86400
_MONTH_S = 2629746
_ANY_YEAR = 2023
"""Of dates that tell none."""
_YEAR_DAYS = 365.2425


class Spans:
    """Answers with yes or no; how long a span is in seconds is nobody else's matter."""

    def __init__(self, known: Sources) -> None:
        dates = known.dates[:_MAX_MOMENTS]
        self._days = sorted({day for date in dates if (day := _day(date))})
        self._yearless = sorted(
            {day for date in dates if not date.year and (day := _day(replace(date, year=_ANY_YEAR)))}
        )
        self._years = sorted(known.years)[:_MAX_MOMENTS]
        times = known.times[:_MAX_MOMENTS]
        self._minutes = {minute for time in times for minute in time.minutes}
        self._seconds = sorted({minute * 60 + time.second for time in times for minute in time.minutes})
        self._lengths_s = sorted({*self._between_days(), *self._between_times()})
        self._bare = {float(b - a) for a, b in combinations(self._years, 2)}
        self._bare |= {span - 1 for span in self._bare}  # an age before the birthday
        self._bare |= {float((b - a).days + more) for a, b in combinations(self._days, 2) for more in (0, 1)}
        self._bare |= {(b - a).days // _YEAR_DAYS for a, b in combinations(self._days, 2)}
        self._told_s = sorted(known.spans_s)[:_MAX_SPANS]
        self._reached_days = self._days_after(self._days)
        self._whole: dict[float, list[float]] = {}
        self._months = sorted({(date.year, date.month) for date in dates})

    def _between_days(self) -> Iterator[float]:
        """With both ends counted or one."""
        for first, last in (*combinations(self._days, 2), *combinations(self._yearless, 2)):
            yield from ((last - first).days * float(_DAY_S), ((last - first).days + 1) * float(_DAY_S))

    def _between_times(self) -> Iterator[float]:
        """Also over midnight."""
        for first, last in combinations(self._seconds, 2):
            yield from (float(last - first), float(_DAY_S - last + first))

    def has(self, figure: Figure) -> bool:
        """Whether a figure with a unit of time is such a span."""
        unit = figure.unit
        if unit is None or unit.dimension != "time":
            return False
        slack = figure.tolerance
        if unit.factor >= 28 * _DAY_S and _is_near(self._in_years(unit.factor), figure.value, slack):
            return True
        if unit.factor == _MONTH_S and figure.value in self._between_months():
            return True
        return _is_near(self._lengths_s, figure.value * unit.factor, slack * unit.factor)

    def _between_months(self) -> Iterator[float]:
        """From September to December, where no day or no year is told."""
        for (year, month), (other_year, other) in combinations(self._months, 2):
            yield float(abs(12 * (other_year - year) + other - month) if year and other_year else (other - month) % 12)
            yield float((month - other) % 12)

    @property
    def lengths(self) -> list[Operand]:
        """The spans as something to compute with."""
        second = Unit("time")
        return [Operand(length, second) for length in dict.fromkeys(self._lengths_s)][:_MAX_SPANS]

    def _in_years(self, factor_s: float) -> list[float]:
        """Years between two years, and whole months or years gone by between two days. Sorted."""
        if factor_s not in self._whole:
            per_year = round(_YEAR_DAYS * _DAY_S / factor_s)
            years = {float((b - a) * per_year) for a, b in combinations(self._years, 2)}
            gone = [length * per_year / (_YEAR_DAYS * _DAY_S) for length in self._lengths_s]
            whole = {each for length in gone for each in (length // 1, float(round(length + 0.1)))}
            self._whole[factor_s] = sorted(years | whole)
        return self._whole[factor_s]

    def has_bare(self, figure: Figure) -> bool:
        """Whether a figure without a unit is one, in days or years: `aged 33`."""
        return any(abs(abs(figure.value) - span) <= figure.tolerance for span in self._bare)

    def leads_to(self, date: Date) -> bool:
        """A source date plus or minus a span that a source states; its month, where no day is told."""
        found = (date.year, date.month, date.day) in self._reached_days
        day = _day(date)
        if found and day and len(self._reached_days) < _MAX_REACHED:  # the next date may be counted from this one
            self._reached_days |= self._days_after([day])
        return found

    def leads_to_time(self, time: Time) -> bool:
        """A source time plus or minus such a span, or one that was reached so."""
        spans = {round(span / 60) for span in self._told_s if 60 <= span < _DAY_S}
        wanted = {minute % 1440 for minute in time.minutes}
        starts = {(minute + sign * span) % 1440 for minute in wanted for span in spans for sign in (1, -1)}
        found = not starts.isdisjoint(self._minutes)
        self._minutes |= wanted if found and len(self._minutes) < 2 * _MAX_MOMENTS else set()
        return found

    def _days_after(self, days: Iterable[datetime.date]) -> set[tuple[int, int, int]]:
        spans = [span / _DAY_S for span in self._told_s if _DAY_S <= span <= 3660 * _DAY_S]
        near = {
            _shifted(day, sign * span + slip)
            for day in days
            for span in spans
            for sign in (1, -1)
            for slip in (-1, 0, 1)
        }
        days = {day for day in near if day}
        whole = {(day.year, day.month, day.day) for day in days}
        return whole | {(day.year, day.month, 0) for day in days} | {(0, day.month, day.day) for day in days}


def _day(date: Date) -> datetime.date | None:
    try:
        return datetime.date(date.year, date.month, date.day)
    except ValueError:
        return None


def _shifted(day: datetime.date, days: float) -> datetime.date | None:
    try:
        return day + datetime.timedelta(days=round(days))
    except OverflowError:
        return None


def _is_near(values: list[float], value: float, slack: float) -> bool:
    """Whether one of the sorted values lies within the slack."""
    at = bisect_left(values, value - slack)
    return at < len(values) and values[at] <= value + slack
