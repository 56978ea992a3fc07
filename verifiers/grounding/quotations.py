"""Quotations: text in quotation marks that is long enough to be someone's words, and how it is compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from verifiers.grounding import sentences

_QUOTED = re.compile(
    r"(?<![\w\"])\"(?=\S)([^\"\n]{8,1000}?)(?<=\S)\"(?!\w)|“([^“”]{8,1000})”|«\s?([^«»]{8,1000}?)\s?»|„([^„“”]{8,1000})[“”]"
)
_GAP = re.compile(r"\[[^\]]{0,60}\]|\.\.\.|…")
_LOOSE = re.compile(r"[\s\"“”„«»'\u2018\u2019`*_]+")
MIN_WORDS = 4
"""Fewer words in quotation marks are a term or irony as often as a quotation."""


@dataclass(frozen=True, slots=True)
class Quotation:
    start: int
    pieces: tuple[str, ...]
    """What must occur, in normal form; an ellipsis or a bracketed change divides it."""
    first_word: str


def read(text: str) -> Iterator[Quotation]:
    for match in _QUOTED.finditer(text):
        body = next(group for group in match.groups() if group)
        words = sentences.words(body)
        if len(words) >= MIN_WORDS:
            pieces = tuple(piece for part in _GAP.split(body) if (piece := normal(part).strip(" .,;:!?-\u2013\u2014")))
            yield Quotation(match.start(), pieces, words[0])


def normal(text: str) -> str:
    """Case, accents, white space, emphasis and the style of quotation marks do not count."""
    return _LOOSE.sub(" ", sentences.fold(text))
