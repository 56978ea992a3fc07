"""What is added to or taken off a total that the sentence before states.

"... 810 EUR in all. After the advance of 400 EUR, 410 EUR is still owed." Or "with VAT of 94.61 EUR the total is".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import is_alike, is_one_kind
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import plain
from verifiers.arithmetic.sentence import ANY, N, Sentence

_WORDS = rf"[^{ANY[1:-1]}.:()]{{0,60}}"
_STATED = re.compile(
    rf"\b(?:(?:total|sum|net|bill)(?:\sof|\sis|\swas|:)|(?:together|that|this|it)\s(?:is|makes|costs?|comes to)"
    rf"|came to)\s(?P<after>{N})"
    rf"|(?P<before>{N})[^{ANY[1:-1]}.,:()]{{0,15}}\s(?:in all|in total|altogether)\b"
    rf"|(?P<head>{N})[^{ANY[1:-1]},:()]{{0,40}}:\s"
)
_LEFT = re.compile(
    rf"\b(?:[Aa]fter|[Ss]ince|[Aa]s|[Ll]ess|[Ww]ith)\s(?:\w{{2,20}}\s){{0,3}}?(?P<part>{N}){_WORDS}?,\s(?:so\s)?"
    rf"(?P<rest>{N})\s?(?:[^\W\d_]{{1,10}}\s)?(?:(?:is|are)\s(?:still\s|now\s)?"
    rf"(?:owed|due|left|open|outstanding|to be paid|to pay)|remains?\b(?!\s(?:of|in)))"
)
_OTHER = re.compile(
    rf"\b(?:gave|paid|covered|brought|contributed|took|sold)\s(?P<part>{N}){_WORDS}\sthe\s(?:other|remaining)\s(?P<rest>{N})"
)
_WITH = re.compile(
    rf"\b(?:[Ww]ith|[Pp]lus|[Ii]ncluding)\s(?:\w{{2,20}}\s){{0,3}}?(?:of\s)?(?P<part>{N}){_WORDS}?\s"
    rf"(?:the total|it|this|that|the sum)\s(?:is|makes|comes to|rises to)\s(?P<rest>{N})"
)


def balances(sentence: Sentence) -> Iterator[Claim]:
    total = _total(sentence.previous) if sentence.previous else None
    if total is None:
        return
    for pattern, sign in ((_LEFT, -1), (_OTHER, -1), (_WITH, 1)):
        for found in pattern.finditer(sentence.text):
            if is_one_kind(sentence.text, found.start("part"), found.start("rest")):
                yield from _balance(total, sentence.quantity(found, "part"), sentence.quantity(found, "rest"), sign)


def _total(sentence: Sentence) -> Quantity | None:
    """The one total of a sentence; None where there is none or more than one."""
    places = {
        match.start(name)
        for match in _STATED.finditer(sentence.text)
        for name in ("after", "before", "head")
        if match[name]
    }
    return sentence.quantity_at(places.pop()) if len(places) == 1 else None


def _balance(total: Quantity, part: Quantity, rest: Quantity, sign: int) -> Iterator[Claim]:
    if not is_alike([total, part, rest]) or not 0 < part.value < total.value:
        return
    made = total.exactly() - part.exactly() if sign < 0 else total.exactly() + part.exactly()
    yield claim(
        "difference-wrong" if sign < 0 else "sum-wrong", made.meets(rest.stated()), rest.text, plain(made.middle)
    )
