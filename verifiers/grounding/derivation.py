"""Is a number one step away from the sources: a sum, difference, ratio, share, mean, conversion or span of days?

Asked only where the sentence says that something was computed; whether it was computed rightly is another verifier's.
"""

from __future__ import annotations

import datetime
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations

from verifiers.grounding import settings
from verifiers.grounding.dates import Date
from verifiers.grounding.figures import Figure
from verifiers.grounding.sources import Sources
from verifiers.grounding.units import Unit

_CUE = re.compile(
    r"\b(?:totals?|totall?ing|sum|sums|altogether|together|combined|plus|minus|add(?:s|ed|ing)?|difference|differs?"
    r"|more|less|fewer|greater|higher|lower|larger|smaller|longer|shorter|older|younger|gap|margin|remain(?:s|ing|der)?"
    r"|per ?cent(?:age)?|percentage|share|ratio|average|mean|twice|double[sd]?|triple[sd]?|half|third|quarter|fold"
    r"|r[io]se[sn]?|fell|fall(?:s|en|ing)?|grew|grow(?:s|n|th|ing)?|increas\w+|decreas\w+|declin\w+|dropp?\w*|gain\w*|lost"
    r"|net|gross|owed|in all|this (?:is|makes|comes)|comes to|excess|shortfall|saving\w*|saved?"
    r"|changed?)\b|%|\btimes (?:as|more|the)\b",
    re.IGNORECASE,
)
_SPAN_CUE = re.compile(r"\b(?:years?|days?|weeks?|months?|decades?|later|earlier|ago|aged?)\b", re.IGNORECASE)
_MAX_OPERANDS = 150
_MAX_SUBSET = 8
"""Longest column of which part sums are known: 256 of them."""
_MAX_DATES = 60
_INDEX = re.compile(r"/\d+(?=/|$)")


@lru_cache(maxsize=64)
def has_cue(text: str) -> bool:
    return bool(_CUE.search(text))


@lru_cache(maxsize=64)
def has_span_cue(text: str) -> bool:
    return bool(_SPAN_CUE.search(text))


class Derivation:
    """What one step from the sources can give. Tries a bounded number of times and says when it ran out."""

    def __init__(self, known: Sources) -> None:
        self.tries_left = settings.MAX_DERIVATIONS
        self._known = known
        self._operands = [value for value in known.distinct if value][:_MAX_OPERANDS]
        self._results = sorted({*_group_results(known)})
        self._spans = sorted({*_spans(known.dates), *_year_spans(known.years)})
        self._days = _days_after(known)

    def reaches(self, figure: Figure, beside: Iterable[Figure], text: str) -> bool:
        """`beside` are the other figures of the sentence: a total may be theirs."""
        if self._converts(figure) or (
            has_span_cue(text) and _is_near(self._spans, abs(figure.value), figure.tolerance)
        ):
            return True
        others = [abs(other.value) for other in beside]
        self.tries_left -= 1
        is_reached = self.tries_left < 0 or _is_part_sum(figure, others)
        is_reached = is_reached or (has_cue(text) and self._computes(abs(figure.value), figure.tolerance, others))
        if is_reached and len(self._operands) < _MAX_OPERANDS:
            self._operands.append(
                abs(figure.value)
            )  # the next step may start from this one: 810 in all, 400 paid, 410 owed
        return is_reached

    def _computes(self, value: float, tolerance: float, others: Sequence[float]) -> bool:
        operands = sorted({*self._operands, *others})
        if _is_near(self._results, value, tolerance) or (len(others) > 1 and abs(sum(others) - value) <= tolerance):
            return True
        return any(_pairs(value, tolerance, operand, operands) for operand in operands)

    def _converts(self, figure: Figure) -> bool:
        """The same quantity in another unit of its dimension."""
        unit = figure.unit
        return unit is not None and any(
            self._known.near(*_converted(figure, unit, other)) for other in self._others(unit)
        )

    def _others(self, unit: Unit) -> list[Unit]:
        return [other for other in self._known.units if other.dimension == unit.dimension and other != unit]

    def reaches_date(self, date: Date) -> bool:
        """A source date plus or minus a span that a source states."""
        return date.year > 0 and date.day > 0 and (date.year, date.month, date.day) in self._days


def _is_part_sum(figure: Figure, others: Sequence[float]) -> bool:
    """The sum of some of the few other figures of its sentence needs no word that says so."""
    if not 2 <= len(others) <= _MAX_SUBSET:
        return False
    some = (part for size in range(2, len(others) + 1) for part in combinations(others, size))
    return any(abs(sum(part) - abs(figure.value)) <= figure.tolerance for part in some)


def _converted(figure: Figure, unit: Unit, other: Unit) -> tuple[float, float]:
    base = figure.value * unit.factor + unit.offset
    return (base - other.offset) / other.factor, figure.tolerance * unit.factor / other.factor


def _pairs(value: float, slack: float, a: float, operands: Sequence[float]) -> bool:
    """Is the value a + b, a - b, a / b, a / b in percent, or a change from b to a in percent, for some operand b?"""
    if _is_near(operands, abs(value - a), slack) or _is_near(operands, value + a, slack):
        return True
    if not value or _is_near(operands, 2 * value - a, 2 * slack):
        return bool(value)
    if a and _is_near(operands, value / a, slack / a):
        return True
    low, high = max(value - slack, value / 2), value + slack
    if _between(operands, a / high, a / low) or _between(operands, 100 * a / high, 100 * a / low):
        return True
    rise = _between(operands, a / (1 + high / 100), a / (1 + low / 100))
    return rise or (high < 100 and _between(operands, a / (1 - low / 100), a / (1 - high / 100)))


def _is_near(values: Sequence[float], value: float, slack: float) -> bool:
    return _between(values, value - slack, value + slack)


def _between(values: Sequence[float], low: float, high: float) -> bool:
    at = bisect_left(values, low)
    return at < len(values) and values[at] <= high


def _group_results(known: Sources) -> Iterable[float]:
    """Sum, mean and count of the figures that stand together: one column of a list, one passage of prose."""
    groups: dict[str, list[float]] = defaultdict(list)
    for passage, reading in zip(known.passages, known.readings, strict=True):
        column = _INDEX.sub("/*", passage.pointer) if passage.row else passage.pointer
        values = (
            [abs(float(passage.text))]
            if passage.is_number
            else [abs(f.value) for f in reading.figures if not f.is_year]
        )
        groups[column] += values
    for values in groups.values():
        if 2 < len(values) <= _MAX_SUBSET:
            yield from (sum(some) for size in range(2, len(values)) for some in combinations(values, size))
        if len(values) > 1:
            yield from (sum(values), sum(values) / len(values), float(len(values)))


def _day(date: Date) -> datetime.date | None:
    try:
        return datetime.date(date.year, date.month, date.day)
    except ValueError:
        return None


def _spans(dates: Sequence[Date]) -> Iterable[float]:
    """Days, weeks and years between any two source dates, with both ends counted or one."""
    days = sorted({day for date in dates[:_MAX_DATES] if (day := _day(date))})
    for i, first in enumerate(days):
        for last in days[i + 1 :]:
            span = (last - first).days
            yield from (float(span), float(span + 1), span / 7, span // 365.25)


def _year_spans(years: Iterable[int]) -> Iterable[float]:
    ordered = sorted(years)[:_MAX_DATES]
    return (float(b - a) for i, a in enumerate(ordered) for b in ordered[i + 1 :])


def _days_after(known: Sources) -> set[tuple[int, int, int]]:
    days = {day for date in known.dates[:_MAX_DATES] if (day := _day(date))}
    spans = [span for span in sorted(known.spans_days) if 1 <= span <= 3660][:30]
    near = {
        _shifted(day, sign * span + slip) for day in days for span in spans for sign in (1, -1) for slip in (-1, 0, 1)
    }
    return {(day.year, day.month, day.day) for day in near if day}


def _shifted(day: datetime.date, days: float) -> datetime.date | None:
    try:
        return day + datetime.timedelta(days=round(days))
    except OverflowError:
        return None
