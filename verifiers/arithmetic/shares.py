"""Shares whose part and whole stand apart in a sentence: "of 400 people invited 320 answered, a response rate of 80 %".

Also "320 of 400 people answered, which is 80 %", "46 donors, 29 % of the 161", "204 of its 240, so it is 85 % full".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import in_one_unit
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import HUNDRED, Range, plain
from verifiers.arithmetic.sentence import ANY, D, N, P, Sentence, Y

_WORDS = rf"[^{ANY[1:-1]}:()]{{0,50}}"
_THE = r"(?:the |all |our |its |these |those |a total of |total )?"
_IS = (
    r"(?:,\s(?:which|that)\s(?:is|was|are|were)\s|,\sor\s|,\si\.e\.\s|,\sso\s(?:it|that)\s(?:is|was)\s"
    r"|,\s(?:an?|its)\s(?:\w{2,12}\s)?(?:rate|turnout|proportion|percentage|ratio|occupancy|coverage|share|quota)\sof\s"
    rf"|,\s(?={P}\s?(?:[.,;)]|$)))"
)
_OF_FIRST = re.compile(
    rf"(?:^\s?|[.,;:(]\s|\bthat\s)[Oo]f\s{_THE}(?P<whole>{N}){_WORDS}?(?:[{D}{Y}]{_WORDS}?)?\s(?P<part>{N}){_WORDS}?{_IS}"
    rf"(?P<share>{P})(?!\s(?:of|more|less|fewer|higher|lower))"
)
_PART_OF = re.compile(
    rf"(?P<part>{N})(?:\s[\w-]{{1,20}}){{0,2}}\s(?:of|out of)\s{_THE}(?P<whole>{N}){_WORDS}?{_IS}"
    rf"(?P<share>{P})(?!\s(?:of|more|less|fewer|higher|lower))"
)
_SHARE_OF = re.compile(
    rf"(?P<part>{N})(?:\s[\w-]{{2,20}}){{0,3}},\s(?:or |that is |which is |i\.e\. )?(?P<share>{P})\sof"
    rf"\s(?:the|all|these|its)\s(?P<whole>{N})"
)
_OTHER = re.compile(
    r"\b(?:gr[eo]w\w*|r[io]se\w*|fell|fall\w*|gain\w*|drop\w*|increas\w*|decreas\w*|up|down|discount\w*|cut|more|less|fewer"
    r"|higher|lower|declin\w*|improv\w*|chang\w*|average\w*|confiden\w*|than|market|interest|tax|vat|margin|growth|points?"
    r"|compared|against|versus|from|to|by|each|per)\b",
    re.IGNORECASE,
)
_OF_THEM = re.compile(
    rf"(?P<part>{N})\sof\s(?:them|these|those)\b{_WORDS}?,\s(?:or\s|that is\s|which is\s)?(?P<share>{P})(?=\s?[,.;)])"
)


def shares(sentence: Sentence) -> Iterator[Claim]:
    seen: set[int] = set()
    for pattern in (_SHARE_OF, _PART_OF, _OF_FIRST):
        for found in pattern.finditer(sentence.text):
            if found.start("share") not in seen and not _OTHER.search(_words(found)):
                seen.add(found.start("share"))
                yield from _share(sentence, found)
    yield from _of_them(sentence)


def _of_them(sentence: Sentence) -> Iterator[Claim]:
    """They were counted in the sentence before, by one of its figures."""
    tokens = sentence.previous.tokens.values() if sentence.previous else ()
    for found in _OF_THEM.finditer(sentence.text):
        part, share = sentence.quantity(found, "part"), sentence.quantity(found, "share")
        wholes = [
            each for each in tokens if isinstance(each, Quantity) and not each.unit and each.value > part.value > 0
        ]
        made = [part.given() / whole.given() * Range(HUNDRED, HUNDRED) for whole in wholes if not whole.is_bound]
        if made and not share.is_bound and not _OTHER.search(found[0][1:-1]):
            is_held = any(way.meets(share.stated()) for way in made)
            yield claim("percent-wrong", is_held, share.text, f"{plain(made[-1].middle)} %")


def _words(found: re.Match[str]) -> str:
    """Everything between the first figure and the share."""
    return found[0][: found.start("share") - found.start()]


def _share(sentence: Sentence, found: re.Match[str]) -> Iterator[Claim]:
    part, whole, share = (sentence.quantity(found, name) for name in ("part", "whole", "share"))
    if not in_one_unit([part, whole]) or share.is_bound or not 0 < part.value <= whole.value or whole.unit == "%":
        return
    made = part.given() / whole.given() * Range(HUNDRED, HUNDRED)
    yield claim("percent-wrong", made.meets(share.stated()), share.text, f"{plain(made.middle)} %")
