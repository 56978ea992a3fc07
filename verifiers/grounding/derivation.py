"""Is a figure one step away from the sources, or from other figures of the answer that are?

What is one step away by chance is no derivation. So a step is believed the more readily, the fewer results there are
that it could have been mistaken for (`steps.py`), and where the sentence says that something was computed. Figures of
the sentence itself come first: most of what is computed is computed from those beside it. Whether it was computed
rightly is another verifier's question.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, islice

from verifiers.grounding import compositions, operands, settings, units
from verifiers.grounding.compounds import is_compound
from verifiers.grounding.dates import Date, Time
from verifiers.grounding.figures import Figure
from verifiers.grounding.operands import MAX_OPERANDS, Operand
from verifiers.grounding.periods import factors as periods_of
from verifiers.grounding.sources import Sources
from verifiers.grounding.spans import Spans
from verifiers.grounding.steps import Pool, Steps
from verifiers.grounding.units import Unit

_CUE = re.compile(
    r"\b(?:totals?|totall?ing|sum|sums|altogether|together|combined|overall|plus|minus|add(?:s|ed|ing)?|difference"
    r"|differs?|more|less|fewer|greater|higher|lower|larger|smaller|longer|shorter|older|younger|faster|slower|cheaper"
    r"|dearer|above|below|ahead|behind|gap|margin|remain(?:s|ing|der)?|rest|left over|others?|per ?cent(?:age)?"
    r"|percentage|share|ratio|average|mean|each|twice|double[sd]?|triple[sd]?|half|third|quarter|fold"
    r"|r[io]se[sn]?|fell|fall(?:s|en|ing)?|grew|grow(?:s|n|th|ing)?|increas\w+|decreas\w+|declin\w+|dropp?\w*|gain\w*|lost"
    r"|net|gross|owed?|owing|due|in all|this (?:is|makes|comes)|makes?|(?:comes?|came|coming|adds?|amounts?) to|excess"
    r"|shortfall|saving\w*|saved?|changed?)\b|%|\btimes (?:as|more|the)\b|=|\bper (?:100|1,?000|hundred|thousand)\b"
    r"|\b(?:an?|per|every|each) (?:second|minute|hour|day|night|week|month|quarter|year)\b",
    re.IGNORECASE,
)
_SPAN_CUE = re.compile(r"\b(?:years?|days?|weeks?|months?|decades?|later|earlier|ago|aged?)\b", re.IGNORECASE)
_PER_HUNDRED = re.compile(r"\bper[ _]?(?:100|hundred|cent)|%|\bof (?:100|a hundred)\b", re.IGNORECASE)
_MAX_SUBSET = 8
"""Longest group of which part sums are known: 256 of them."""
_MAX_PART_SUMS = 10_000


@dataclass(frozen=True, slots=True)
class Belief:
    """The greatest chance of an accident at which a step is still believed."""

    sums: float
    products: float


UNSAID = Belief(sums=0.35, products=0.35)
SAID = Belief(sums=float("inf"), products=1.0)
"""Where the sentence says that something was computed."""


@lru_cache(maxsize=256)
def has_cue(text: str) -> bool:
    return bool(_CUE.search(text))


class Derivation:
    """What one step from the sources can give. Tries a bounded number of times and says when it ran out."""

    def __init__(self, known: Sources) -> None:
        self.tries_left = self._retries_left = settings.MAX_DERIVATIONS
        self.spans = Spans(known)
        self._known = known
        groups = operands.groups(known)
        self._wholes = list(operands.wholes(known, groups))
        self._operands = operands.of_sources(known, self._wholes)
        self._part_sums = sorted(islice(_part_sums(groups), _MAX_PART_SUMS))
        self._is_per_hundred = any(_PER_HUNDRED.search(passage.key or passage.text) for passage in known.passages)

    def reaches(self, figure: Figure, within: Sequence[Operand], beside: Sequence[Operand], text: str) -> bool:
        """`within` are the other figures of its sentence, `beside` those near by: it may be made of either. What was
        reached may be stepped from as well.
        """
        if self.explains(figure, text):
            return True
        self.tries_left -= 1
        is_reached = self.tries_left < 0 or self._computes(figure, within, beside, text)
        self._remember(figure, is_reached)
        return is_reached

    def reaches_now(self, figure: Figure, within: Sequence[Operand], beside: Sequence[Operand], text: str) -> bool:
        """Tries once more what was out of reach; past the limit it stays there."""
        self._retries_left -= 1
        is_reached = self._retries_left >= 0 and self._computes(figure, within, beside, text)
        self._remember(figure, is_reached)
        return is_reached

    def _remember(self, figure: Figure, is_reached: bool) -> None:
        if is_reached and len(self._operands) < MAX_OPERANDS:
            self._operands.append(Operand(abs(figure.value), figure.unit))

    def reaches_date(self, date: Date) -> bool:
        return self.spans.leads_to(date)

    def reaches_time(self, time: Time) -> bool:
        return self.spans.leads_to_time(time)

    def explains(self, figure: Figure, text: str) -> bool:
        """Without arithmetic: the same quantity in another unit, or a span between two moments."""
        return self.converts(figure) or self._is_span(figure, text)

    def _is_span(self, figure: Figure, text: str) -> bool:
        if figure.unit:
            return self.spans.has(figure)
        return bool(_SPAN_CUE.search(text)) and self.spans.has_bare(figure)

    def _computes(self, figure: Figure, within: Sequence[Operand], beside: Sequence[Operand], text: str) -> bool:
        if compositions.is_plain(figure, within, beside, self._wholes):
            return True
        if is_compound(figure, within) or is_compound(figure, [*self._operands, *beside]):
            return True
        belief = SAID if has_cue(text) else UNSAID
        is_per_hundred = self._is_per_hundred or bool(_PER_HUNDRED.search(text))
        for left, right in self._scopes(figure, within, beside, text):
            if _is_step(figure, Steps(figure, left, right, is_per_hundred), belief):
                return True
        is_said = belief is SAID and figure.unit is None
        return is_said and _is_near(self._part_sums, abs(figure.value), figure.tolerance)

    def _scopes(
        self, figure: Figure, within: Sequence[Operand], beside: Sequence[Operand], text: str
    ) -> Iterator[tuple[Pool, Pool]]:
        """From the sentence outwards: the fewer operands, the less is due to chance."""
        is_time = figure.unit is not None and figure.unit.dimension == "time"
        known = [*self._operands, *beside, *(self.spans.lengths if is_time else ())]
        periods = [] if is_time else [Operand(factor, None) for factor in periods_of(text)]
        here, near = Pool(figure.unit, [*within, *periods]), Pool(figure.unit, beside)
        everywhere = Pool(figure.unit, [*known, *periods])
        return iter(((here, here), (here, everywhere), (near, near), (everywhere, everywhere)))

    def converts(self, figure: Figure) -> bool:
        """The same quantity in another unit of its dimension."""
        for unit in figure.unit.readings() if figure.unit else ():
            if any(self._known.near(*_converted(figure, unit, other)) for other in self._others(unit)):
                return True
        return False

    def _others(self, unit: Unit) -> list[Unit]:
        known = {reading for other in self._known.units for reading in other.readings()}
        return [other for other in known if other.dimension == unit.dimension and not units.is_same(other, unit)]


def _is_step(figure: Figure, steps: Steps, belief: Belief) -> bool:
    if _is_within(steps.sums(), belief.sums) or _is_within(steps.products(), belief.products):
        return True
    if figure.unit is not None and figure.unit.dimension == "percent":
        return steps.shares() is not None
    chances = (steps.lines(), steps.proportions(), steps.rates())
    return any(_is_within(chance, belief.products) for chance in chances)


def _is_within(chance: float | None, limit: float) -> bool:
    return chance is not None and chance <= limit


def _part_sums(groups: Sequence[Sequence[Operand]]) -> Iterator[float]:
    """Sums of parts of a group, and how many it has."""
    for group in groups:
        yield float(len(group))
        for size in range(2, len(group) if len(group) <= _MAX_SUBSET else 0):
            yield from (sum(operand.value for operand in some) for some in combinations(group, size))


def _converted(figure: Figure, unit: Unit, other: Unit) -> tuple[float, float]:
    base = figure.value * unit.factor + unit.offset
    slack = max(figure.tolerance, _convenient(figure))
    return (base - other.offset) / other.factor, slack * unit.factor / other.factor


def _convenient(figure: Figure) -> float:
    """Half a unit of the last digit that is not zero, of two or more: 392 °F is told as 390 °F."""
    kept = f"{abs(figure.value):.0f}".rstrip("0")
    return 10.0 ** (len(f"{abs(figure.value):.0f}") - len(kept)) / 2 if len(kept) >= 2 and figure.step == 1 else 0.0


def _is_near(values: Sequence[float], value: float, slack: float) -> bool:
    at = bisect_left(values, value - slack)
    return at < len(values) and values[at] <= value + slack
