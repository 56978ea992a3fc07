"""Sentences and their content words: what two sentences must share to speak of the same thing."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar

_BREAK = re.compile(
    r"[.!?]+[\"”\u2019)\]*_]{0,3}(?=\s{1,4}[\"“(\[*_]{0,3}[A-Z0-9])|\n[ \t\r]{0,20}\n|\n(?=[ \t]{0,20}[^\sa-z])|;\s"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:dr|mr|mrs|ms|prof|st|no|vs|inc|ltd|co|fig|approx|gen|col|sr|jr|e\.g|i\.e|[a-z])\.)$", re.IGNORECASE
)
_MEASURE = re.compile(r"\d[ \u00a0]?[A-Za-z]\.$")
"""A letter after a number is a unit, and no initial: "takes 4,186 J. Melting ..."."""
_WORD = re.compile(r"[^\W\d_](?:[^\W_]|[-'\u2019](?=[^\W_]))*")
_NEGATION = re.compile(
    r"\b(?:not(?! only\b)|never|cannot|none|neither|without|nobody|nothing"
    r"|no(?= (?!(?:more|less|fewer|later|earlier|sooner) than\b)[a-z]))\b|n['\u2019]t\b",
    re.IGNORECASE,
)
_STOP = frozenset(
    str.split(
        "a an the and or but nor so yet of in on at to for from by with as is are was were be been being has have"
        " had having do does did it its this that these those there here which who whom whose what when where how"
        " than then also will would can could may might shall should must into onto over under about after before"
        " between during through he she they them his her their we our you your i me my not no never none neither"
        " without cannot nobody nothing still just both each every all any some such only very more most while"
        " because if since until per via up out"
    )
)


@dataclass(frozen=True, slots=True)
class Sentence:
    start: int
    text: str
    words: frozenset[str]
    is_negated: bool

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def is_question(self) -> bool:
        return self.text.rstrip(' \n"”\u2019)*_').endswith("?")


def split(text: str) -> list[Sentence]:
    """Sentences, list items and lines that stand alone, with their offsets."""
    return [_sentence(start, text[start:end]) for start, end in _spans(text) if text[start:end].strip()]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _BREAK.finditer(text):
        before = text[max(start, match.start() - 9) : match.start() + 1]
        if match.group().startswith(".") and _ABBREVIATION.search(before) and not _MEASURE.search(before):
            continue
        yield start, match.end()
        start = match.end()
    yield start, len(text)


def _sentence(start: int, text: str) -> Sentence:
    return Sentence(start, text, frozenset(content(text)), len(_NEGATION.findall(text)) % 2 == 1)


class Placed(Protocol):
    """Anything with an offset."""

    @property
    def start(self) -> int: ...


_P = TypeVar("_P", bound=Placed)


def within(found: Sequence[_P], sentence: Sentence) -> Sequence[_P]:
    """Those that stand in the sentence. They must be in order."""
    low = bisect_left(found, sentence.start, key=lambda each: each.start)
    return found[low : bisect_left(found, sentence.end, key=lambda each: each.start)]


def words(text: str) -> list[str]:
    return _WORD.findall(text)


def content(text: str) -> Iterator[str]:
    """Stems of the words that carry meaning."""
    for word in _WORD.findall(text):
        lowered = word.lower()
        if lowered not in _STOP and len(word) > 1 and not lowered.endswith(("n't", "n\u2019t")):
            yield stem(word)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Case, accents, possessives and the commonest endings do not count."""
    word = fold(word)
    word = re.sub(r"['\u2019]s?$", "", word)
    for ending in ("ies", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word.removesuffix("e") if len(word) > 5 else word


def fold(text: str) -> str:
    """Lower case without accents."""
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
