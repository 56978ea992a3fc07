"""Percentages in prose: "12 of 37 (32 %)", "20 % of 50 is 10", and shares that are said to make up a whole."""

# ruff: noqa: RUF001 - people write dashes and signs of multiplication that look like others; the patterns name them.

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import canonical, noun_after
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import HUNDRED, Range, plain
from verifiers.arithmetic.sentence import ANY, N, P, Sentence

_WORDS = rf"[^{ANY[1:-1]},.:()=]{{0,40}}"
_END = r"(?=\s?(?:[),;.!?]|$))"
_OF = r"(?:\sof|\sout of)\s(?:the |all |our |its |a total of |total )?"
_SHARE = re.compile(
    rf"(?P<part>{N})(?:\s\w{{1,20}})?{_OF}(?P<whole>{N})(?P<noun>{_WORDS})"
    rf"(?:\s?\(|,\s(?:or |i\.e\. |that is |which is )?|\s?=\s?|\s[–—]\s)(?P<share>{P}){_END}"
)
_SHARE_FIRST = re.compile(
    rf"(?P<share>{P})(?P<noun>{_WORDS})\s\((?P<part>{N})(?:\sof\s|\sout of\s|/)(?P<whole>{N}){_END}"
)
_RESULT = re.compile(
    rf"(?P<share>{P})\sof\s(?P<whole>{N})(?:\s\w{{1,20}})?(?:\s(?:is|equals|makes|comes to)\s"
    rf"|\s?=\s?)(?P<part>{N}){_END}"
)
_CHANGE_WORDS = re.compile(
    r"\b(?:gr[eo]w\w*|r[io]se\w*|fell|fall\w*|gain\w*|drop\w*|increas\w*|decreas\w*|up|down|discount\w*|cut\w*"
    r"|lost|los[et]\w*|more|less|fewer"
    r"|higher|lower|declin\w*|improv\w*|chang\w*|average\w*|confiden\w*|cover\w*|with|at|than)\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"\b(?:split|divided|broken down|breaks down|break down|made up of|consists? of|composed of|breakdown"
    r"|allocated as|apportioned)\b",
    re.IGNORECASE,
)
_PARTIAL = re.compile(
    r"\b(?:top|including|includes|such as|among|largest|biggest|rest|remainder|remaining|others?|mostly|mainly"
    r"|multiple|several answers|of which|each)\b",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[^()]{0,45}(?:,|\band\b|/|\bto\b|&|\+)[^()]{0,25}|\s?/\s?")


def percents(sentence: Sentence) -> Iterator[Claim]:
    for found in _SHARE.finditer(sentence.text):
        yield from _share(sentence, found)
    for found in _SHARE_FIRST.finditer(sentence.text):
        yield from _share(sentence, found)
    for found in _RESULT.finditer(sentence.text):
        yield from _part(sentence, found)
    yield from _shares(sentence)


def _share(sentence: Sentence, found: re.Match[str]) -> Iterator[Claim]:
    part, whole, share = (sentence.quantity(found, name) for name in ("part", "whole", "share"))
    if _CHANGE_WORDS.search(found["noun"]) or not _is_ratio(part, whole) or share.is_bound:
        return
    made = part.given() / whole.given() * Range(HUNDRED, HUNDRED)
    yield claim("percent-wrong", made.meets(share.stated()), share.text, f"{plain(made.middle)} %")


def _part(sentence: Sentence, found: re.Match[str]) -> Iterator[Claim]:
    part, whole, share = (sentence.quantity(found, name) for name in ("part", "whole", "share"))
    nouns = {noun_after(sentence.text, found.start(name)) for name in ("part", "whole")}
    if not _is_ratio(part, whole) or share.is_bound or (len(nouns) > 1 and "" not in nouns):
        return
    made = whole.given() * Range.around(share.value).scaled(1 / HUNDRED)
    yield claim("percent-wrong", made.meets(part.stated()), part.text, plain(made.middle))


def _is_ratio(part: Quantity, whole: Quantity) -> bool:
    is_stated = not part.is_bound and not whole.is_bound and whole.value > 0
    return is_stated and canonical(part) in ("", canonical(whole)) and "?" not in (part.unit, whole.unit)


def _shares(sentence: Sentence) -> Iterator[Claim]:
    """Only where the sentence says that the shares are a whole, and names none left out."""
    cue = _WHOLE.search(sentence.text)
    if cue is None or _PARTIAL.search(sentence.text):
        return
    places = [place for place in sentence.tokens if place > cue.end() and sentence.text[place] == P]
    gaps = list(pairwise(places))
    if len(places) < 2 or not all(_BETWEEN.fullmatch(sentence.text, a + 1, b) for a, b in gaps):
        return
    yield from whole_of([sentence.quantity_at(place) for place in places])


def whole_of(shares: list[Quantity]) -> Iterator[Claim]:
    if any(share.is_bound for share in shares):
        return
    made = shares[0].given()
    for share in shares[1:]:
        made += share.given()
    yield claim("shares-not-100", made.has(HUNDRED), f"{plain(made.middle)} %", "100 %")
