"""Sentences of the answer beside the source sentences that speak of the same thing.

Two things show only so: a figure that the source ties to other words, and a negation added or dropped.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from verifiers.grounding import derivation, sources
from verifiers.grounding.dates import Date
from verifiers.grounding.figures import Figure
from verifiers.grounding.mentions import Mentions
from verifiers.grounding.rows import Tables
from verifiers.grounding.sentences import Sentence, stem, within, words
from verifiers.grounding.sources import Sources

MIN_SHARED = 3
MIN_OVERLAP = 0.6
"""Share of the answer sentence's content words that the source sentence must hold before their figures are compared."""
CLEAR_LEAD = 0.25
"""By how much that sentence must lead over any other that holds the answer's own figure."""
MIN_REPEAT = 0.8
"""Share of the longer sentence's content words before a negation counts as flipped."""
_MAX_POSTINGS = 64
"""A word of more source sentences than this tells none of them apart."""
_MAX_SENTENCES = 500
_MAX_FIGURES = 64


@dataclass(frozen=True, slots=True)
class Aligned:
    """A sentence with the one figure or date of each kind that it states."""

    sentence: Sentence
    words: frozenset[str]
    figures: dict[str, Figure] = field(default_factory=dict)
    dates: tuple[Date, ...] = ()


@dataclass(frozen=True, slots=True)
class Clash:
    rule: str
    token: str
    start: int
    end: int


class Alignment:
    """Finds the source sentences nearest to a sentence by the words they share."""

    def __init__(self, known: Sources) -> None:
        self._statements = [align(r, s) for r, s in sources.sentences_of(known.readings) if s.words]
        self._tables = Tables(known)
        self._postings: dict[str, list[int]] = defaultdict(list)
        for number, statement in enumerate(self._statements):
            for word in statement.words:
                if len(self._postings[word]) <= _MAX_POSTINGS:
                    self._postings[word].append(number)

    def clashes(self, reading: Mentions) -> Iterator[Clash | None]:
        """For each sentence that repeats or contradicts a source sentence: the clash, or None where there is none."""
        for sentence in reading.sentences[:_MAX_SENTENCES]:
            if sentence.words and not sentence.is_question:
                yield from self._judge(align(reading, sentence))

    def _judge(self, claim: Aligned) -> Iterator[Clash | None]:
        shared = self._shared(claim)
        yield from self._repeats(claim, shared)
        if not derivation.has_cue(claim.sentence.text[:2000]):
            yield from self._contradicts(claim, shared)
            yield from self._misplaces(claim)

    def _shared(self, claim: Aligned) -> Counter[int]:
        """How many words each source sentence shares; words of very many sentences tell nothing."""
        lists = (self._postings.get(word, ()) for word in claim.words)
        return Counter(number for postings in lists if len(postings) <= _MAX_POSTINGS for number in postings)

    def _repeats(self, claim: Aligned, shared: Counter[int]) -> Iterator[Clash | None]:
        alike = [
            self._statements[n] for n, count in shared.items() if self._is_repeat(claim, self._statements[n], count)
        ]
        if not alike:
            return
        is_kept = any(other.sentence.is_negated == claim.sentence.is_negated for other in alike)
        start = claim.sentence.start
        yield None if is_kept else Clash("negation-flipped", "not", start, start)

    @staticmethod
    def _is_repeat(claim: Aligned, other: Aligned, count: int) -> bool:
        return count >= MIN_SHARED and count >= MIN_REPEAT * max(len(claim.words), len(other.words))

    def _contradicts(self, claim: Aligned, shared: Counter[int]) -> Iterator[Clash | None]:
        near = [(n, count / len(claim.words)) for n, count in shared.items() if count >= MIN_SHARED]
        best = max((overlap for _, overlap in near), default=0.0)
        if best < MIN_OVERLAP:
            return
        for kind, figure in claim.figures.items():
            if self._is_tied_otherwise(claim, kind, figure, near, best):
                yield Clash("contradicts-source", figure.token, figure.start, figure.end)

    def _misplaces(self, claim: Aligned) -> Iterator[Clash | None]:
        for figure in self._tables.misplaced(claim.sentence, claim.figures.values()):
            yield Clash("contradicts-source", figure.token, figure.start, figure.end)

    def _is_tied_otherwise(
        self, claim: Aligned, kind: str, figure: Figure, near: Sequence[tuple[int, float]], best: float
    ) -> bool:
        close = [self._statements[n] for n, overlap in near if overlap > best - CLEAR_LEAD]
        top = [self._statements[n] for n, overlap in near if overlap == best]
        if any(_states(other, figure) for other in close) or not all(kind in other.figures for other in top):
            return False
        return not any(self._is_elsewhere(claim, other, figure) for other in top)

    def _is_elsewhere(self, claim: Aligned, top: Aligned, figure: Figure) -> bool:
        """A word that the top sentence lacks may be the subject: then a sentence with that word and figure vouches for
        it, and a known name that the top sentence lacks makes the comparison void.
        """
        missing = claim.words - top.words
        if any(word in self._postings for word in missing & _capitalised(claim.sentence)):
            return True
        numbers = {number for word in missing for number in self._postings.get(word, ())}
        return any(_states(self._statements[number], figure) for number in numbers)


def _states(other: Aligned, figure: Figure) -> bool:
    """Any figure of the sentence will do, of whatever kind: a match is never held against the answer."""
    values = (*other.figures.values(),)
    if any(abs(abs(value.value) - abs(figure.value)) <= figure.tolerance for value in values):
        return True
    return figure.is_year and any(date.year == figure.value for date in other.dates)


def _capitalised(sentence: Sentence) -> set[str]:
    return {stem(word) for word in words(sentence.text) if word[0].isupper()}


def align(reading: Mentions, sentence: Sentence) -> Aligned:
    figures = within(reading.figures, sentence)[:_MAX_FIGURES]
    kinds = Counter(kind(figure) for figure in figures)
    lone = {kind(figure): figure for figure in figures if kinds[kind(figure)] == 1}
    # A kind that occurs twice is kept under a name that no other sentence asks for: its values still count as stated.
    rest = {f"{kind(figure)}#{figure.start}": figure for figure in figures if kinds[kind(figure)] > 1}
    return Aligned(sentence, sentence.words, lone | rest, tuple(within(reading.dates, sentence)))


def kind(figure: Figure) -> str:
    """Only figures of one kind are compared: years, quantities of one dimension, counts of one noun."""
    if figure.is_year:
        return "year"
    return f"unit {figure.unit.dimension}" if figure.unit else f"count {stem(figure.noun)}"
