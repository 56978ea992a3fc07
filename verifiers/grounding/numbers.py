"""The numbers of an answer: which of them are claims, and which the sources hold or lead to.

A number may follow from another one of the answer that follows from the sources: 161 donors of 450 ml gave 72.45
litres. In which order the sentences stand does not matter, so numbers are settled together before any is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from verifiers.grounding import keys, operands, sentences, units
from verifiers.grounding.claim import Claim, Standing
from verifiers.grounding.derivation import Derivation
from verifiers.grounding.figures import Figure
from verifiers.grounding.mentions import Mentions
from verifiers.grounding.operands import Operand
from verifiers.grounding.passages import Passage
from verifiers.grounding.sentences import Sentence
from verifiers.grounding.sources import Sources

_LABEL = re.compile(
    r"(?:\b(?:step|figure|fig\.?|table|section|part|option|phase|point|item|chapter|note|page|line|no\.?|number|question"
    r"|answer|source|sources|fact|reason|appendix|exhibit|slide|tip|day|week|level|priority)|#|№)\s?$",
    re.IGNORECASE,
)
_LIST_MARK = re.compile(r"(?:^|\n)[ \t>*_-]*$")
_DENOMINATOR = re.compile(r"\b(?:per|out of|in every|for every|every)\s$", re.IGNORECASE)
"""What is counted by: 30 l per 100 km."""
_MAX_CUE_CHARS = 600
"""Of a sentence, looked at for words that say something was computed."""
_MAX_BESIDE = 12
"""Figures nearest before and after one, of which it may be made."""
_MAX_WITHIN = 40
_MAX_ROUNDS = 3
"""How often what was reached is stepped from again."""
_SMALL = 10
"""Counts up to ten are claims only where the sources name what is counted: "two reasons" states nothing of theirs. Nor
are they where the sources list as many things or more: some of them are counted, by whatever they have in common.
"""


@dataclass(slots=True)
class Number:
    """One numeric claim, with what may explain it."""

    figure: Figure
    passage: Passage
    beside: Sequence[Figure]
    """The nearest figures before and after it."""
    within: Sequence[Figure]
    """The other figures of its sentence."""
    text: str
    """Of its sentence or key: does it say that something was computed?"""
    standing: Standing = Standing.UNGROUNDED
    message: str = "is in no source"
    is_misnamed: bool = False
    """The sources have this number with other units only."""


class Numbers:
    """All numeric claims of an answer, settled."""

    def __init__(self, known: Sources, derivation: Derivation, answer: list[tuple[Passage, Mentions]]) -> None:
        self._known = known
        self._derivation = derivation
        self._found = {passage.pointer: list(self._read(passage, reading)) for passage, reading in answer}
        self._settle([number for numbers in self._found.values() for number in numbers])

    def read(self, passage: Passage) -> Iterator[Claim]:
        for number in self._found[passage.pointer]:
            rule = "date-not-in-sources" if number.figure.is_year else "number-not-in-sources"
            rule = "unit-not-in-sources" if number.is_misnamed and number.standing is Standing.UNGROUNDED else rule
            yield Claim(
                rule, number.figure.token, passage.pointer, number.standing, number.message, number.figure.start
            )

    def _settle(self, numbers: list[Number]) -> None:
        """What is known at once; then, as long as it goes on, what one step from there reaches."""
        waiting = [number for number in numbers if not self._is_grounded(number)]
        for turn in range(_MAX_ROUNDS):
            reached = [number for number in waiting if self._is_derived(number, is_again=turn > 0)]
            waiting = [number for number in waiting if number.standing is Standing.UNGROUNDED]
            if not reached or not waiting:
                return

    def _is_grounded(self, number: Number) -> bool:
        figure = number.figure
        is_known = self._known.has_figure(figure)
        number.is_misnamed = self._is_foreign(figure) or (is_known and self._has_other_unit(figure))
        if number.is_misnamed:
            number.message = "stands in the sources with another unit"
        elif is_known:
            number.standing, number.message = Standing.GROUNDED, ""
        return number.standing is Standing.GROUNDED

    def _is_derived(self, number: Number, is_again: bool) -> bool:
        if self._is_foreign(number.figure) or not self._is_reached(number, is_again):
            return False
        number.standing, number.message = Standing.DERIVED, "follows from source figures only"
        return True

    def _is_reached(self, number: Number, is_again: bool) -> bool:
        if number.is_misnamed and self._known.has_dimension(number.figure):
            return self._derivation.explains(number.figure, number.text)  # 14,200 MWh is no step away from 14,200 kWh
        within, beside = (list(self._operands(figures)) for figures in (number.within, number.beside))
        reaches = self._derivation.reaches_now if is_again else self._derivation.reaches
        return any(reaches(figure, within, beside, number.text) for figure in _scales(number.figure))

    def _operands(self, figures: Sequence[Figure]) -> Iterator[Operand]:
        """A figure that says no unit has the one that the sources give it: "800 mm: 180 in spring"."""
        for operand, figure in operands.of_figures(figures):
            is_bare = operand.unit is None and not figure.noun
            yield replace(operand, unit=self._known.unit_of(figure)) if is_bare else operand

    def _has_other_unit(self, figure: Figure) -> bool:
        """Only where each source figure of this value has a unit, and none the same one."""
        near = self._known.near(figure.value, figure.tolerance)
        return (
            figure.unit is not None
            and bool(near)
            and all(unit and not units.is_same(unit, figure.unit) for unit in near)
        )

    def _is_foreign(self, figure: Figure) -> bool:
        """In a currency that the sources never mention, while they mention others."""
        named = [unit.dimension for unit in figure.unit.readings() if unit.is_currency] if figure.unit else []
        return bool(named) and bool(self._known.currencies) and not self._known.currencies.intersection(named)

    def _read(self, passage: Passage, reading: Mentions) -> Iterator[Number]:
        if passage.is_number:
            yield from self._data_number(passage)
            return
        around = " ".join(keys.words(passage.key))
        figures = [figure for figure in reading.figures if not _is_list_mark(figure, reading.text)]
        for sentence, first, last in _by_sentence(reading.sentences, figures):
            text = f"{sentence.text[:_MAX_CUE_CHARS]} {around}"
            for at in range(first, last):
                if self._is_claim(figures[at], reading.text):
                    within = [*figures[first:at], *figures[at + 1 : last]][:_MAX_WITHIN]
                    yield Number(figures[at], passage, _beside(figures, at), within, text)

    def _is_claim(self, figure: Figure, text: str) -> bool:
        before = text[max(0, figure.start - 16) : figure.start]
        if figure.is_ordinal and (figure.is_word or figure.noun in ("century", "percentile")):
            return False
        if _LABEL.search(before) or (re.search(r"[A-Za-z]-$|\d{4}\s?[-\u2013/]\s?$", before) and not figure.is_year):
            return False
        is_round = str(int(figure.value)).strip("0") == "1"
        if is_round and (_DENOMINATOR.search(before) or self._is_measure(figure)):
            return False
        is_score = bool(re.match(r"[-\u2013:]\d{1,2}(?![\w-])", text[figure.end : figure.end + 4]))
        return (is_score or self._is_worth(figure)) and not text.startswith("/7", figure.end)

    def _is_measure(self, figure: Figure) -> bool:
        """Whether it is "a million" where the sources count in millions."""
        article, _, scale = figure.token.lower().partition(" ")
        return article in ("a", "an", "one") and sentences.stem(scale) in self._known.words

    def _is_worth(self, figure: Figure) -> bool:
        if (figure.is_word and figure.value <= 1) or figure.token.lower() in ("a dozen", "dozen"):
            return False
        is_small = figure.value <= _SMALL and figure.value.is_integer() and "." not in figure.token
        if not is_small or figure.unit is not None:
            return True
        return figure.value > self._known.rows and sentences.stem(figure.noun) in self._known.words

    def _data_number(self, passage: Passage) -> Iterator[Number]:
        value, unit = float(passage.text), keys.unit_at(passage.pointer)
        places = len(passage.text.partition(".")[2]) if "." in passage.text and "e" not in passage.text else 0
        is_small = value.is_integer() and abs(value) <= _SMALL
        if (abs(value) <= 1 and is_small) or (is_small and not self._knows_key(passage.key)):
            return
        figure = Figure(0, len(passage.text), passage.text, value, 10.0**-places if value % 1 else 1.0, unit, "")
        yield Number(figure, passage, [], [], f"{passage.key} {' '.join(keys.words(passage.key))}")

    def _knows_key(self, key: str) -> bool:
        return any(sentences.stem(word) in self._known.words for word in keys.words(key) if not units.find(word))


def _scales(figure: Figure) -> Iterator[Figure]:
    """54 million, and 54 where the sources count in millions without saying so at each figure."""
    yield figure
    if figure.scale > 1:
        yield replace(figure, value=figure.value / figure.scale, step=figure.step / figure.scale, scale=1.0)


def _is_list_mark(figure: Figure, text: str) -> bool:
    """Whether it is "2. " or "2) " at the start of a line, with something after it."""
    opens = _LIST_MARK.search(text[max(0, figure.start - 16) : figure.start]) is not None
    return opens and re.match(r"[.)][ \t]{1,8}\S", text[figure.end : figure.end + 12]) is not None


def _beside(figures: list[Figure], at: int) -> list[Figure]:
    """The figures nearest in the text, of its own sentence or the one before or after it."""
    half = _MAX_BESIDE // 2
    return figures[max(0, at - half) : at] + figures[at + 1 : at + 1 + half]


def _by_sentence(found: list[Sentence], figures: list[Figure]) -> Iterator[tuple[Sentence, int, int]]:
    """Each sentence with the range of its figures; both are in order, so one pass does."""
    at = 0
    for sentence in found:
        first = at
        while at < len(figures) and figures[at].start < sentence.end:
            at += 1
        if at > first:
            yield sentence, first, at
