"""The claims of an answer, each with its standing among the sources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from verifiers.grounding import citations, mentions, names, sentences, sources, units
from verifiers.grounding.derivation import Derivation
from verifiers.grounding.figures import Figure
from verifiers.grounding.mentions import Mentions
from verifiers.grounding.passages import Passage
from verifiers.grounding.sentences import Sentence
from verifiers.grounding.sources import Sources

_LABEL = re.compile(
    r"(?:\b(?:step|figure|fig\.?|table|section|part|option|phase|point|item|chapter|note|page|line|no\.?|number|question"
    r"|answer|source|sources|fact|reason|appendix|exhibit|slide|tip|day|week|level|priority)|#|№)\s?$",
    re.IGNORECASE,
)
_LIST_MARK = re.compile(r"(?:^|\n)[ \t>*_-]*$")
_MAX_CUE_CHARS = 600
"""Of a sentence, looked at for words that say something was computed."""
_MAX_BESIDE = 40
"""Figures of a sentence that a total may be made of."""
_SMALL = 10
"""Counts up to ten are claims only where the sources name what is counted: "two reasons" states nothing of theirs."""


class Standing(Enum):
    GROUNDED = "grounded"
    DERIVED = "derived"
    UNGROUNDED = "ungrounded"


@dataclass(frozen=True, slots=True)
class Claim:
    rule: str
    token: str
    pointer: str
    standing: Standing
    message: str
    at: int = 0
    """Offset in its passage."""


class Reader:
    """Reads claims off one passage of the answer after another."""

    def __init__(self, known: Sources, derivation: Derivation, answer: list[tuple[Passage, Mentions]]) -> None:
        self._known = known
        self._derivation = derivation
        texts = [passage.text for passage, _ in answer]
        self._initials = sources.initials(texts)
        self._listed = citations.listed(texts)

    def read(self, passage: Passage, reading: Mentions) -> Iterator[Claim]:
        """Every claim of one passage but those about whole sentences."""
        if passage.is_number:
            yield from self._data_number(passage)
            return
        yield from self._figures(passage, reading)
        yield from self._dates(passage, reading)
        yield from self._names(passage, reading)
        yield from self._references(passage, reading)

    def _figures(self, passage: Passage, reading: Mentions) -> Iterator[Claim]:
        for sentence, figures in _by_sentence(reading):
            for figure in figures:
                if self._is_claim(figure, reading.text, passage):
                    yield self._figure(figure, figures, sentence, passage)

    def _is_claim(self, figure: Figure, text: str, passage: Passage) -> bool:
        before = text[max(0, figure.start - 16) : figure.start]
        if figure.is_ordinal and (figure.is_word or figure.noun in ("century", "percentile")):
            return False
        if _LABEL.search(before) or (re.search(r"[A-Za-z]-$|\d{4}\s?[-\u2013/]\s?$", before) and not figure.is_year):
            return False
        if (
            _LIST_MARK.search(before)
            and re.match(r"[.)]\s|[.)]?$", text[figure.end : figure.end + 2])
            and not passage.row
        ):
            return False
        return self._is_worth(figure) and not text.startswith("/7", figure.end)

    def _is_worth(self, figure: Figure) -> bool:
        if (figure.is_word and figure.value <= 1) or figure.token.lower() in ("a dozen", "dozen"):
            return False
        is_small = figure.value <= _SMALL and figure.value.is_integer() and "." not in figure.token
        return not is_small or figure.unit is not None or sentences.stem(figure.noun) in self._known.words

    def _figure(self, figure: Figure, beside: list[Figure], sentence: Sentence, passage: Passage) -> Claim:
        rule = "date-not-in-sources" if figure.is_year else "number-not-in-sources"
        known = self._known.has_figure(figure)
        if known and not self._has_other_unit(figure):
            return _claim(rule, figure.token, passage, Standing.GROUNDED, at=figure.start)
        others = [other for other in beside[:_MAX_BESIDE] if other is not figure]
        if self._derivation.reaches(
            figure, others, f"{sentence.text[:_MAX_CUE_CHARS]} {' '.join(sources.key_words(passage.key))}"
        ):
            return _claim(
                rule, figure.token, passage, Standing.DERIVED, "follows from source figures only", figure.start
            )
        if known:
            return _claim(
                "unit-not-in-sources",
                figure.token,
                passage,
                message="stands in the sources with another unit",
                at=figure.start,
            )
        return _claim(rule, figure.token, passage, message="is in no source", at=figure.start)

    def _has_other_unit(self, figure: Figure) -> bool:
        """Only where each source figure of this value has a unit, and none the same one."""
        near = self._known.near(figure.value, figure.tolerance)
        return figure.unit is not None and bool(near) and all(unit and unit != figure.unit for unit in near)

    def _data_number(self, passage: Passage) -> Iterator[Claim]:
        value, unit = float(passage.text), sources.key_unit(passage.key)
        places = len(passage.text.partition(".")[2]) if "." in passage.text and "e" not in passage.text else 0
        is_small = value.is_integer() and abs(value) <= _SMALL
        if (abs(value) <= 1 and is_small) or (is_small and not self._knows_key(passage.key)):
            return
        figure = Figure(0, len(passage.text), passage.text, value, 10.0**-places if value % 1 else 1.0, unit, "")
        yield self._figure(figure, [figure], Sentence(0, passage.key, frozenset(), False), passage)

    def _knows_key(self, key: str) -> bool:
        return any(sentences.stem(word) in self._known.words for word in sources.key_words(key) if not units.find(word))

    def _dates(self, passage: Passage, reading: Mentions) -> Iterator[Claim]:
        for date in reading.dates:
            standing = Standing.GROUNDED if self._known.has_date(date) else Standing.UNGROUNDED
            if standing is Standing.UNGROUNDED and self._derivation.reaches_date(date):
                standing = Standing.DERIVED
            yield _claim("date-not-in-sources", date.token, passage, standing, "is in no source", date.start)
        for time in reading.times:
            yield self._stands("time-not-in-sources", time.token, passage, self._known.has_time(time), at=time.start)

    def _names(self, passage: Passage, reading: Mentions) -> Iterator[Claim]:
        for sentence in reading.sentences:
            for name in names.read(sentence):
                unknown = self._known.has_name(name, self._initials)
                yield self._stands("name-not-in-sources", unknown or name.token, passage, not unknown, at=name.start)

    def _references(self, passage: Passage, reading: Mentions) -> Iterator[Claim]:
        for reference in reading.references:
            rule = f"{reference.kind}-not-in-sources"
            yield self._stands(rule, reference.token, passage, self._known.has_reference(reference), at=reference.start)
        for quotation in reading.quotations:
            is_known = self._known.has_quotation(quotation.pieces)
            yield self._stands("quote-not-in-sources", f"{quotation.first_word} ...", passage, is_known,
                               "begins a quotation that no source contains word for word", quotation.start)  # fmt: skip
        for citation in reading.citations:
            yield self._stands("citation-missing", citation.token, passage, self._is_listed(citation),
                               "points to no listed source", citation.start)  # fmt: skip

    def _is_listed(self, citation: citations.Citation) -> bool:
        if citation.author:
            return all(sentences.fold(word) in self._known.folded for word in sentences.words(citation.author))
        if citation.label:
            return self._known.has_label(citation.label)
        return all(0 < n <= self._known.most_cited or n in self._listed for n in citation.numbers)

    def _stands(
        self, rule: str, token: str, passage: Passage, known: bool, message: str = "is in no source", at: int = 0
    ) -> Claim:
        return _claim(rule, token, passage, Standing.GROUNDED if known else Standing.UNGROUNDED, message, at)


def _claim(
    rule: str, token: str, passage: Passage, standing: Standing = Standing.UNGROUNDED, message: str = "", at: int = 0
) -> Claim:
    return Claim(rule, token, passage.pointer, standing, message, at)


def _by_sentence(reading: mentions.Mentions) -> Iterator[tuple[Sentence, list[Figure]]]:
    """Each sentence with its figures; both are in order, so one pass does."""
    at = 0
    for sentence in reading.sentences:
        first = at
        while at < len(reading.figures) and reading.figures[at].start < sentence.end:
            at += 1
        if at > first:
            yield sentence, reading.figures[first:at]
