"""What is left of a figure: "of 184 people 23 were turned away, so 161 gave blood", "900 EUR, less 300: 600 EUR"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import in_one_unit
from verifiers.arithmetic.range import Range, plain
from verifiers.arithmetic.sentence import ANY, D, N, Sentence, T, Y

_WORDS = rf"[^{ANY[1:-1]}:()]{{0,60}}"
_DATED = rf"(?:{_WORDS}[{D}{Y}{T}]){{0,3}}{_WORDS}"
"""Days between the figures do not matter."""
_THE = r"(?:the |all |these |its )?"
_LEFT = r"(?:,?\s(?:so|leaving|which leaves|that leaves|and so|thus|hence)\s(?:that\s)?(?:only\s|the other\s|just\s)?)"
_OF = re.compile(
    rf"\b(?:Of|of|From|from|Out of)\s{_THE}(?P<whole>{N}){_DATED}\s(?P<part>{N}){_WORDS}?{_LEFT}(?P<left>{N})"
    rf"(?!\s(?:more|less|fewer|of|per|%))"
)
_LESS = re.compile(
    rf"(?P<whole>{N}){_WORDS}?,?\s(?:less|minus|after deducting)\s(?:the |a |an )?(?:\w{{2,20}} of )?(?P<part>{N})"
    rf"(?!\s?\w{{0,8}}\sthan){_WORDS}(?:[:=]|,?\s(?:makes?|leaves|leaving|gives|is|are))\s?(?P<left>{N})"
)
_OTHER = re.compile(
    rf"(?P<part>{N}){_WORDS}?\sof\s{_THE}(?P<whole>{N}){_WORDS}[;,]\sthe (?:other|remaining|rest,)\s(?P<left>{N})"
)
_LIKELY = Range(Decimal("0.4"), Decimal("2.5"))
"""What follows "so" may be another thing: "of 184 people 23 were turned away, so 3 nurses went home"."""


def remainders(sentence: Sentence) -> Iterator[Claim]:
    seen: set[int] = set()
    for pattern in (_OF, _LESS, _OTHER):
        for found in pattern.finditer(sentence.text):
            if found.start("left") in seen:
                continue
            seen.add(found.start("left"))
            whole, part, left = (sentence.quantity(found, name) for name in ("whole", "part", "left"))
            if in_one_unit([whole, part, left]) and whole.value > part.value > 0:
                made = whole.given() - part.given()
                is_held = made.meets(left.stated())
                if is_held or pattern is _LESS or _LIKELY.has(left.value / made.middle):
                    yield claim("difference-wrong", is_held, left.text, plain(made.middle))
