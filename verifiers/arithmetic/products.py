"""So many at so much: "4 nights at 132 EUR are 528 EUR", "24 instalments of 320 pounds, 7,680 in all".

A price for one may stand in the sentence after what is counted: "14,200 kWh ... At 0.11 EUR per kWh that costs 1,562".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import MONEY, canonical, in_one_unit, noun_after
from verifiers.arithmetic.quantity import CENT, Quantity
from verifiers.arithmetic.range import plain
from verifiers.arithmetic.sentence import ANY, N, Sentence
from verifiers.arithmetic.unit import UNITS

_WORDS = rf"[^{ANY[1:-1]},.:()]{{0,40}}"
_IS = (
    r"(?:(?:,?\s(?:which|that|this)|,\s?so\sit)?\s(?:is|are|makes?|made|comes? to|came to|costs?|cost|brought|brings?"
    r"|gives?|adds? up to|amounts? to|totals?)\s(?:a total of\s)?|\s?=\s?)"
)
_AT = re.compile(rf"(?P<count>{N})(?P<what>{_WORDS})\sat\s(?P<price>{N}){_WORDS}{_IS}(?P<total>{N})")
_PER = re.compile(
    rf"(?P<count>{N})(?P<what>{_WORDS})\s(?:at|for|fetched|cost|costs|brought|earned)\s(?P<price>{N})\s?\w{{0,8}}\s"
    rf"(?:per|an?|each|apiece){_WORDS}{_IS}(?P<total>{N})"
)
_OF = re.compile(
    rf"(?P<count>{N})\s(?P<what>\w{{2,20}})\sof\s(?P<price>{N}){_WORDS},\s(?:or\s|so\s|making\s|which is\s)?"
    rf"(?P<total>{N})[^{ANY[1:-1]},.]{{0,25}}\b(?:in all|in total|altogether|together)\b"
)
_EACH = re.compile(
    rf"(?P<count>{N})(?P<what>{_WORDS})\sat\s(?P<price>{N})\s?\w{{0,8}}\s(?:each|apiece|a piece),\s(?:so\s)?"
    rf"(?P<total>{N})[^{ANY[1:-1]},.]{{0,25}}\b(?:in all|in total|altogether|together)\b"
)
_RATE = re.compile(
    rf"\b[Aa]t\s(?P<price>{N})\s?(?:[\w€$£³²]{{1,8}}\s)?(?:per|an?|for each|for every)\s"
    rf"(?P<unit>[\w³²]{{1,20}})\b{_WORDS},?\s(?:this|that|it|they|which)\s"
    rf"(?:is|are|makes?|made|comes? to|costs?|needs?)\s(?P<total>{N})"
)
_MORE = re.compile(
    r"\b(?:over|average|nearly|almost|up to|discount\w*|off|reduc\w+|rebate|vat|fees?|plus|including|without|broken"
    r"|lost)\b",
    re.IGNORECASE,
)
_PRICE = re.compile(rf"\bat\s{N}")
_UNIT_PRICE = re.compile(r"\s?[\w€$£]{0,8}\s(?:per|an?|each|apiece)\b")


def products(sentence: Sentence) -> Iterator[Claim]:
    seen: set[int] = set()
    for pattern in (_AT, _PER, _OF, _EACH):
        for found in pattern.finditer(sentence.text):
            if found.start("total") not in seen and _is_clear(sentence, found):
                seen.add(found.start("total"))
                count, price, total = (sentence.quantity(found, name) for name in ("count", "price", "total"))
                yield from _product(count, price, total)
    yield from _rates(sentence)


def _is_clear(sentence: Sentence, found: re.Match[str]) -> bool:
    """Money for money, nothing added or taken off, and no second item with a price of its own."""
    text, price, total = sentence.text, found.start("price"), found.start("total")
    if len(_PRICE.findall(text, 0, found.end())) > 1 or _MORE.search(text, found.start()):
        return False
    is_one_noun = noun_after(text, price) == noun_after(text, total) != ""
    is_total = is_one_noun or not noun_after(text, total) or noun_after(text, total) in MONEY
    if found.re is _OF:
        return is_total
    is_priced = is_one_noun or _is_money(sentence, price) or sentence.quantity_at(price).step == CENT
    return is_priced and is_total and not _UNIT_PRICE.match(text, found.end())


def _is_money(sentence: Sentence, place: int) -> bool:
    return noun_after(sentence.text, place) in MONEY or sentence.quantity_at(place).unit in ("$", "€", "£", "¥", "₹")


def _product(count: Quantity, price: Quantity, total: Quantity) -> Iterator[Claim]:
    """The total is in the price's unit: a measure may be multiplied by a price, not by another measure."""
    if any(each.is_bound or each.unit == "?" for each in (count, price, total)) or not in_one_unit([price, total]):
        return
    if count.unit == "%" or price.unit == "%":
        return
    made = count.given() * price.exactly()
    yield claim("product-wrong", made.meets(total.stated()), total.text, plain(made.middle))


def _rates(sentence: Sentence) -> Iterator[Claim]:
    """What is counted stands in the sentence before. Any bare figure there may be meant as well as the named one."""
    before = sentence.previous
    for found in _RATE.finditer(sentence.text) if before else ():
        assert before is not None
        named = _counted(before, found["unit"])
        bare = [each for each in before.tokens.values() if isinstance(each, Quantity) and not each.unit]
        claims = [
            made
            for count in dict.fromkeys((*named, *bare))
            for made in _product(count, sentence.quantity(found, "price"), sentence.quantity(found, "total"))
        ]
        if named and claims:
            yield next((made for made in claims if made.is_held), claims[0])


def _counted(sentence: Sentence, name: str) -> list[Quantity]:
    """Quantities of a sentence in this unit, or of this noun; none where there are several."""
    wanted = UNITS[name].name if name in UNITS else name.lower().removesuffix("s")
    found = {
        token
        for place, token in sentence.tokens.items()
        if isinstance(token, Quantity) and wanted in (canonical(token), noun_after(sentence.text, place))
    }
    return list(found) if len(found) == 1 else []
