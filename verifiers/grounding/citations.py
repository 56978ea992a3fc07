"""Citation markers: [3], [S2], (Okafor, 2021). Each must point to something that is listed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_NUMBERED = re.compile(
    r"(?<![\w\]])\[(\d{1,3}(?:\s?[,\u2013-]\s?\d{1,3}){0,8})\](?![(:])|(?<=[\w.,\]])\[(\d{1,3}(?:\s?[,\u2013-]\s?\d{1,3}){0,8})\](?![(:\w])"
)
_LABELLED = re.compile(r"\[([A-Z][A-Za-z]{0,9}[-_ ]?\d{1,4})\](?![(:])")
_AUTHOR = re.compile(
    r"\(((?:van |de |von )?[A-Z][^\W\d_]+(?:[-\u2019'][A-Z][^\W\d_]+)?)(?:,? et al\.?| (?:and"
    r"|&) [A-Z][^\W\d_]+)?,? [12]\d{3}[a-z]?\)"
)
_LISTED = re.compile(r"^[ \t]{0,8}(?:[-*][ \t]{0,4})?(?:\[(\d{1,3})\]:?|(\d{1,3})[.)])[ \t]{1,4}\S", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Citation:
    start: int
    end: int
    token: str
    numbers: tuple[int, ...] = ()
    label: str = ""
    author: str = ""


def read(text: str) -> Iterator[Citation]:
    """Markers of a text. A bracketed number that opens a line is an entry of a list, not a marker."""
    entries = {match.start(1) - 1 for match in _LISTED.finditer(text) if match[1]}
    for match in _NUMBERED.finditer(text):
        if match.start() not in entries:
            yield Citation(match.start(), match.end(), match.group(), numbers=tuple(_numbers(match[1] or match[2])))
    for match in _LABELLED.finditer(text):
        yield Citation(match.start(), match.end(), match.group(), label=match[1])
    for match in _AUTHOR.finditer(text):
        yield Citation(match.start(1), match.end(1), match[1], author=match[1])


def _numbers(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = (end.strip() for end in part.replace("\u2013", "-").partition("-"))
        yield from (int(end) for end in (first, last) if end)


def listed(texts: Iterable[str]) -> set[int]:
    """Numbers under which the texts list something: `[2] ...` or `2. ...` at the start of a line."""
    return {int(match[1] or match[2]) for text in texts for match in _LISTED.finditer(text)}
