"""The claims of an answer, each with its standing among the sources."""

from __future__ import annotations

from collections.abc import Iterator

from verifiers.grounding import citations, names, sentences, sources
from verifiers.grounding.claim import Claim, Standing
from verifiers.grounding.derivation import Derivation
from verifiers.grounding.mentions import Mentions
from verifiers.grounding.numbers import Numbers
from verifiers.grounding.passages import Passage
from verifiers.grounding.sources import Sources


class Reader:
    """Reads claims off one passage of the answer after another."""

    def __init__(self, known: Sources, derivation: Derivation, answer: list[tuple[Passage, Mentions]]) -> None:
        self._known = known
        self._derivation = derivation
        self._numbers = Numbers(known, derivation, answer)
        texts = [passage.text for passage, _ in answer]
        self._initials = sources.initials(texts)
        self._listed = citations.listed(texts)

    def read(self, passage: Passage, reading: Mentions) -> Iterator[Claim]:
        """Every claim of one passage but those about whole sentences."""
        yield from self._numbers.read(passage)
        if passage.is_number:
            return
        yield from self._dates(passage, reading)
        yield from self._names(passage, reading)
        yield from self._references(passage, reading)

    def _dates(self, passage: Passage, reading: Mentions) -> Iterator[Claim]:
        for date in reading.dates:
            standing = Standing.GROUNDED if self._known.has_date(date) else Standing.UNGROUNDED
            if standing is Standing.UNGROUNDED and self._derivation.reaches_date(date):
                standing = Standing.DERIVED
            yield Claim("date-not-in-sources", date.token, passage.pointer, standing, "is in no source", date.start)
        for time in reading.times:
            is_known = self._known.has_time(time) or self._derivation.reaches_time(time)
            yield self._stands("time-not-in-sources", time.token, passage, is_known, at=time.start)

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
        return Claim(rule, token, passage.pointer, Standing.GROUNDED if known else Standing.UNGROUNDED, message, at)
