"""Likenesses: 128 bits that differ little between near-duplicates.

The words of a text make a MinHash (Broder 1997) of 128 values, of which one bit each is kept (b-bit minwise hashing, Li
and König 2010): of two texts, 64 * (1 - J) bits differ on average, J being the share of words that they have in common.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final

from rensa import RMinHash

from sidecar.engine.message import JSON

SETTINGS: Final = frozenset({"role", "configuration", "mediaType", "media_type", "kind"})
"""Fields whose texts are the same in most messages of a protocol: counted, they would make short questions alike."""

VALUES: Final = 128
VALUES_LAYOUT: Final = Struct(f"<{VALUES}I")
LOW_BITS: Final = bytes(b"01"[value & 1] for value in range(256))
"""The digit that stands for a value, by its lowest byte."""

SEED: Final = 0x51DECA
"""The same in every sidecar, or none would recognise another's."""

TEXT_MAX_CHARS: Final = 64 * 1024
"""Text beyond this is not looked at."""

WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""Scripts that put no spaces between words are read letter by letter."""

ASCII_WORDS: Final = "".join(chr(code).lower() if WORD.match(chr(code)) else " " for code in range(128))
"""What each ASCII character is in a text that only has to be split: its small letter, or a space."""

FIGURE: Final = re.compile(r"\d")

FIGURE_WEIGHT: Final = 4
"""How much a word with a digit counts in an answer: figures, dates and identifiers are what makes it another answer."""


def words_of(value: JSON, left_out: frozenset[str] = SETTINGS) -> set[str]:
    """The words of all texts and numbers in a document but those under fields left out; field names say nothing."""
    text = " ".join(texts_in(value, left_out))
    # The same words, and most texts are ASCII: splitting costs a tenth of matching.
    return set(text.translate(ASCII_WORDS).split() if text.isascii() else WORD.findall(text.lower()))


def texts_in(value: JSON, left_out: frozenset[str] = SETTINGS) -> list[str]:
    """Texts up to the limit, nearest to the top first. Does not recurse, so that depth costs nothing."""
    left, texts = TEXT_MAX_CHARS, list[str]()
    waiting: list[Sequence[JSON]] = [(value,)]  # grows while it is read: the values of each object, level by level
    for values in waiting:
        for each in values:
            if isinstance(each, str):
                texts.append(each)
                left -= len(each)
            elif isinstance(each, dict):
                waiting.append([inner for name, inner in each.items() if name not in left_out])
            elif isinstance(each, list):
                waiting.append(each)
            elif each is not None:
                text = str(each)
                texts.append(text)
                left -= len(text)
            if left <= 0:
                texts[-1] = texts[-1][: len(texts[-1]) + left]
                return texts
    return texts


def likeness_of(words: Iterable[str]) -> int:
    """128 bits; 0 for no words at all."""
    listed = words if isinstance(words, list) else list(words)
    if not listed:
        return 0
    sketch = RMinHash(num_perm=VALUES, seed=SEED)
    sketch.update(listed)
    return int(VALUES_LAYOUT.pack(*sketch.digest())[::4].translate(LOW_BITS), 2)


def weighed(words: Iterable[str]) -> list[str]:
    """Words of an answer, with those that hold a figure counted as several."""
    listed = list(words)
    # Letters alone hold no figure, and most words are letters alone: that is told faster than by a search.
    figures = [word for word in listed if not word.isalpha() and FIGURE.search(word)]
    return [*listed, *(f"{word}\x00{copy}" for word in figures for copy in range(1, FIGURE_WEIGHT))]
