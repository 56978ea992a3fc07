"""What stands where a secret would: examples, masks, variables and words. And how random a text is."""

from __future__ import annotations

import math
import re
from collections import Counter

_WORDS = re.compile(
    r"example|sample|change-?_?me|placeholder|your[-_ ]|[-_]your|yourkey|yourtoken|dummy|redacted|masked|insert"
    r"|todo|fake|foobar|lorem|hidden"
    r"|removed|censored|not-?_?real|abcdef|123456789|012345|987654321|deadbeef|qwerty|s3cr3t|xxxx|\*{3}|\.{3}"
    r"|\u2026|\u2022{3}",
    re.IGNORECASE,
)
_VARIABLE = re.compile(
    r"[<>{}]|^\$|^%\w+%$|^(?:os\.|process\.|env[.(:]|getenv|config\.|settings\.|self\.|vault:|secret:|ref:|file:"
    r"|/)|^https?://"
)
_PROSE = re.compile(r"[A-Za-z]{1,24}(?:[-_/.:][A-Za-z]{1,24}|[-_/.:]v?\d{1,4})*[.,!?:]?")
DISTINCT = 5
"""Fewer distinct characters than this are a mask or a filler."""


def is_placeholder(value: str) -> bool:
    """Whether nobody could use this value: a mask, an example of a manual, a variable, or one character repeated."""
    return len(set(value)) < DISTINCT or bool(_WORDS.search(value) or _VARIABLE.search(value))


def is_prose(value: str) -> bool:
    """Words, perhaps joined and numbered: `gpt-large-v2`, `required`."""
    return _PROSE.fullmatch(value) is not None


def bits(value: str) -> float:
    """Shannon entropy per character, in bits. English words have about 3, random base 64 of 20 characters about 4."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts) if value else 0.0


def is_random(value: str, least_bits: float) -> bool:
    has_both = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return has_both and bits(value) >= least_bits
