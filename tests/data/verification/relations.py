"""Relations that an answer states: a figure, and beside it all that it follows from. Which of them does a change break?

Only such a change can be seen by arithmetic. Where the answer gives a total and keeps its terms to itself, or a date
from which nothing in the answer follows, the answer agrees with itself whatever stands there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from tests.data.verification import numerals
from tests.data.verification.dates import MONTHS
from tests.data.verification.formula import Formula, is_figure
from tests.data.verification.sources import Claim, Source

_DAY = re.compile(rf"\d{{1,2}} (?:{'|'.join(filter(None, MONTHS))}) \d{{4}}")
_TIME = re.compile(r"\d\d:\d\d")
_FIGURE = re.compile(
    rf"(?P<digits>{numerals.FIGURE.pattern})(?: (?P<scale>{'|'.join(numerals.SCALES)}))?"
    rf"|\b(?P<word>{'|'.join(numerals.WORDS)})\b",
    re.IGNORECASE,
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Relation:
    claim: Claim
    formula: Formula

    def is_broken(self, old: str, new: str) -> bool:
        """Whether it held in the old answer and does not in the new one; they differ in figures and dates alone."""
        replaced = {term: read for term in self.formula.terms if (read := _now(term, old, new)) not in (None, term)}
        figures = ((before.start(), after) for before, after in _pairs(_FIGURE, old, new))
        stated = next(after[0] for start, after in figures if self.claim.start <= start < self.claim.end)
        made = self.formula.value(replaced) * (100 if self.claim.kind == "percent" else 1)
        step = Decimal(1).scaleb(int(stated.as_tuple().exponent))
        return abs(made.quantize(step, ROUND_HALF_UP) - stated) > (step if replaced else 0)


@dataclass(frozen=True, slots=True)
class Weekday:
    """`Saturday, 20 April 2024`"""

    claim: Claim
    day: str

    def is_broken(self, old: str, new: str) -> bool:
        day = date.fromisoformat(_now(self.day, old, new) or self.day)
        return day.weekday() != WEEKDAYS.index(self.claim.text)


def breaks_a_relation(source: Source, answer: str) -> bool:
    """Whether the changed answer contradicts what it states itself."""
    return any(relation.is_broken(source.answer, answer) for relation in stated(source))


def stated(source: Source) -> Iterator[Relation | Weekday]:
    """Every relation of which the answer states each term."""
    for claim in source.claims_of("total", "percent"):
        formula = Formula(claim.follows_from)
        if all(_places(term, source.answer) for term in formula.terms):
            yield Relation(claim, formula)
    for claim in source.claims_of("weekday"):
        if _places(claim.follows_from, source.answer):
            yield Weekday(claim, claim.follows_from)


def _now(term: str, old: str, new: str) -> str | None:
    """What a term has become, where none of its places says it any more."""
    if ":" in term:
        return _changed(after.group() for before, after in _matches(_TIME, old, new) if before.group() == term)
    if not is_figure(term):
        pairs = ((_iso(before), _iso(after)) for before, after in _matches(_DAY, old, new))
        return _changed(after for before, after in pairs if before == term)
    value = Decimal(term)
    pairs_of_figures = ((_readings(before), after) for before, after in _pairs(_FIGURE, old, new))
    return _changed(
        term if value in after else f"{after[before.index(value)]:f}"
        for before, after in pairs_of_figures
        if value in before
    )


def _changed(readings: Iterable[str]) -> str | None:
    """The one new reading, or None where an old one is left or there is none to begin with."""
    found = set(readings)
    return found.pop() if len(found) == 1 else None


def _places(term: str, answer: str) -> bool:
    if ":" in term:
        return term in answer
    if not is_figure(term):
        day = date.fromisoformat(term)
        return f"{MONTHS[day.month]} {day.year}" in answer and bool(re.search(rf"\b{day.day}\b", answer))
    return any(Decimal(term) in _readings(found) for found in _FIGURE.finditer(_bare(answer)))


def _readings(found: re.Match[str]) -> list[Decimal]:
    """The figure, and where a scale follows also the number that it makes."""
    if found["word"]:
        return [Decimal(numerals.WORDS.index(found["word"].lower()))]
    value = Decimal(found["digits"].replace(",", ""))
    return [value, value * numerals.SCALES[found["scale"].lower()]] if found["scale"] else [value]


def _pairs(pattern: re.Pattern[str], old: str, new: str) -> Iterator[tuple[re.Match[str], list[Decimal]]]:
    for before, after in _matches(pattern, _bare(old), _bare(new)):
        yield before, _readings(after)


def _matches(pattern: re.Pattern[str], old: str, new: str) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    return zip(pattern.finditer(old), pattern.finditer(new), strict=True)


def _bare(text: str) -> str:
    """Without days and times: their digits are no terms. Every offset stays true."""
    return _TIME.sub(_blank, _DAY.sub(_blank, text))


def _blank(found: re.Match[str]) -> str:
    return " " * len(found.group())


def _iso(found: re.Match[str]) -> str:
    day, month, year = found.group().split()
    return f"{year}-{MONTHS.index(month):02d}-{int(day):02d}"
