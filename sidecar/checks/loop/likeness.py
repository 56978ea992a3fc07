"""Likenesses: 128 bits that differ little between near-duplicates.

The words of a text make a MinHash (Broder 1997) of 128 values, of which one bit each is kept (b-bit minwise hashing, Li
and König 2010): of two texts, 64 * (1 - J) bits differ on average, J being the share of words that they have in common.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from rensa import RMinHash

from sidecar.engine.message import JSON

SETTINGS: Final = frozenset({"role", "configuration", "mediaType", "media_type", "kind"})
"""Fields whose texts are the same in most messages of a protocol: counted, they would make short questions alike."""

VALUES: Final = 128
SEED: Final = 0x51DECA
"""The same in every sidecar, or none would recognise another's."""

TEXT_MAX_CHARS: Final = 64 * 1024
"""Text beyond this is not looked at."""

WORD: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""Scripts that put no spaces between words are read letter by letter."""

FIGURE: Final = re.compile(r"\d")

FIGURE_WEIGHT: Final = 4
"""How much a word with a digit counts in an answer: figures, dates and identifiers are what makes it another answer."""


def words_of(value: JSON) -> set[str]:
    """The words of all texts and numbers in a document; field names say nothing."""
    return set(WORD.findall(" ".join(texts_in(value)).lower()))


def texts_in(value: JSON) -> Iterator[str]:
    """Texts in order, up to the limit. Does not recurse, so that depth costs nothing."""
    left, waiting = TEXT_MAX_CHARS, [value]
    while waiting and left > 0:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting.extend(reversed([inner for key, inner in each.items() if key not in SETTINGS]))
        elif isinstance(each, list):
            waiting.extend(reversed(each))
        elif each is not None:
            text = each if isinstance(each, str) else str(each)
            yield text[:left]
            left -= len(text)


def likeness_of(words: Iterable[str]) -> int:
    """128 bits; 0 for no words at all."""
    listed = list(words)
    if not listed:
        return 0
    sketch = RMinHash(num_perm=VALUES, seed=SEED)
    sketch.update(listed)
    return int(bytes([48 | value & 1 for value in sketch.digest()]), 2)


def weighed(words: Iterable[str]) -> Iterator[str]:
    """Words of an answer, with those that hold a figure counted as several."""
    for word in words:
        yield word
        if FIGURE.search(word):
            yield from (f"{word}\x00{copy}" for copy in range(1, FIGURE_WEIGHT))
