"""Changes and comparisons: "rose from 40 to 50, by 25 %", "24 is twice 12", "24 is 3 more than 21"."""

# ruff: noqa: RUF001 - people write dashes and signs of multiplication that look like others; the patterns name them.

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import in_one_unit, is_alike, is_one_kind
from verifiers.arithmetic.quantity import Quantity
from verifiers.arithmetic.range import HUNDRED, Range, plain
from verifiers.arithmetic.sentence import ANY, N, P, Q, Sentence, Y

_WORDS = rf"[^{ANY[1:-1]},.:()]{{0,40}}"
_UP = (
    r"rose|rises?|risen|grew|grows?|grown|increased|increases?|climbed|went up|jumped|gained|gain|growth|increase|rise"
)
_DOWN = (
    r"fell|falls?|fallen|dropped|drops?|declined|declines?|decreased|decreases?|shrank|went down|reduced|reduction|cut"
)
_END = r"(?!\s(?:per|a|each|every|annual\w*|annum|year\w*|points? (?:a|per)|compound\w*|CAGR|faster|slower|on average))"
_FROM_TO = rf"\bfrom\s(?P<old>{Q})[^{N}{P},.:()]{{0,40}}\bto\s(?P<new>{Q})"
_AFTER = re.compile(
    rf"\b(?P<verb>{_UP}|{_DOWN})\b{_WORDS}{_FROM_TO}(?:\s[\w{Y}]{{1,20}}){{0,4}}"
    rf"(?:,\s|\s\(|\s[–—]\s|\s)(?P<how>(?:or\s)?(?:by|up|down|an? (?:increase|rise|gain|jump|drop|decline|decrease|fall"
    rf"|reduction|growth) of)\s|or\s|an?\s|\+)?"
    rf"(?P<change>{Q})(?P<points>\s(?:percentage )?points?\b)?(?P<noun>\s(?:increase|rise|gain|drop|decline"
    rf"|decrease|fall|reduction|growth|change)\b)?{_END}"
)
_BEFORE = re.compile(
    rf"\b(?P<verb>{_UP}|{_DOWN})\s(?:by\s)?(?P<change>{Q})(?P<points>\s(?:percentage )?points?\b)?,?{_END}\s{_FROM_TO}"
)
_TO_FROM = re.compile(
    rf"(?P<new>{Q}){_WORDS},\s(?P<verb>up|down)\s(?:by\s)?(?P<change>{Q})(?P<points>\s(?:percentage )?points?\b)?"
    rf"\s(?:from|on|compared with|against)\s(?:the\s)?(?P<old>{Q})"
)
_BEYOND = re.compile(
    rf"(?P<new>{Q})(?P<what>{_WORDS}),\s(?:or\s|which is\s|that is\s)?(?P<change>{Q})\s(?:\w{{1,20}}\s){{0,2}}"
    rf"(?P<verb>more|less|fewer|higher|lower|longer|shorter|above|below|over|under)\s(?:than\s)?(?:the\s)?(?:\w{{2,20}}\sof\s)?(?P<old>{Q})"
)
_GAP = re.compile(
    rf"(?P<one>{Q}){_WORDS}\s(?:and|against|versus|to)\s{_WORDS}?(?P<other>{Q})(?:\s[^\W\d_]{{1,12}}){{0,3}},\s"
    rf"(?:which is\s|that is\s)?an?\s(?:difference|gap|margin|lead|spread)\sof\s(?P<change>{Q})"
)
_HAD_BEEN = re.compile(
    rf"\b(?:had been|was|were)\s(?P<old>{N}){_WORDS},\s(?:which makes|which is|so|that is|making)\s(?:a|an)\s"
    rf"(?P<way>gain|rise|increase|growth|loss|drop|fall|decline|decrease)\sof\s(?P<change>{N})"
)
_MULTIPLE = re.compile(rf"\b(?P<times>doubled|tripled|trebled|quadrupled|halved)\b{_WORDS}{_FROM_TO}")
_AS = rf"(?:\s(?:\w{{1,20}}\s)?(?:is|are|was|were)\s|{_WORDS},\s)"
_THAN = r"(?:\w{1,20}\swith\s)?(?:the\s)?"
_TIMES = re.compile(
    rf"(?P<new>{Q}){_AS}(?P<times>twice|double|half|three times|four times"
    rf"|five times|ten times)\s"
    rf"(?:as (?:many|much|high|large|long) as\s)?{_THAN}(?P<old>{Q})(?!\s(?:times|more))"
)
_MORE = re.compile(
    rf"(?P<new>{N})\s(?:\w{{1,20}}\s)?(?:is|are|was|were)\s(?P<change>{Q})\s(?:\w{{1,20}}\s)?(?P<verb>more|less"
    rf"|fewer|higher|lower|greater|larger|smaller)"
    rf"\sthan\s(?:the\s)?(?P<old>{N})"
)
_FACTORS = {
    "doubled": "2",
    "twice": "2",
    "double": "2",
    "tripled": "3",
    "trebled": "3",
    "three times": "3",
    "quadrupled": "4",
    "four times": "4",
    "five times": "5",
    "ten times": "10",
    "halved": "0.5",
    "half": "0.5",
}
_LESS = re.compile(rf"(?:{_DOWN}|down|less|fewer|lower|smaller|shorter|below|under)$", re.IGNORECASE)
_HEDGED = re.compile(r"\b(?:nearly|almost|roughly|about|more than|over|approximately|well|slightly)\s(?:as\s)?$")
_LOOSE = Range(Decimal("0.9"), Decimal("1.1"))
"""A verb such as "doubled" is no figure: a tenth more or less is still called so."""


def changes(sentence: Sentence) -> Iterator[Claim]:
    for found in _AFTER.finditer(sentence.text):
        if found["how"] or found["noun"]:
            yield from _change(sentence, found, bool(found["points"]))
    for found in _BEFORE.finditer(sentence.text):
        yield from _change(sentence, found, bool(found["points"]))
    for found in _MORE.finditer(sentence.text):
        yield from _change(sentence, found, is_points=False)
    for found in _TO_FROM.finditer(sentence.text):
        yield from _change(sentence, found, bool(found["points"]))
    for found in _BEYOND.finditer(sentence.text):
        if is_one_kind(sentence.text, *(found.start(name) for name in ("new", "change", "old"))):
            yield from _change(sentence, found, is_points=False)
    yield from _since(sentence)
    yield from _gaps(sentence)
    for pattern, slack in ((_MULTIPLE, _LOOSE), (_TIMES, Range.around(Decimal(1)))):
        yield from _multiples(sentence, pattern, slack)


def _gaps(sentence: Sentence) -> Iterator[Claim]:
    for found in _GAP.finditer(sentence.text):
        one, other, change = (sentence.quantity(found, name) for name in ("one", "other", "change"))
        if in_one_unit([one, other, change]):
            made = one.given() - other.given() if one.value > other.value else other.given() - one.given()
            yield claim("change-wrong", made.meets(change.stated()), change.text, plain(made.middle))


def _since(sentence: Sentence) -> Iterator[Claim]:
    """The new figure stands in the sentence before, and is one of those there."""
    tokens = sentence.previous.tokens.values() if sentence.previous else ()
    for found in _HAD_BEEN.finditer(sentence.text):
        old, change = sentence.quantity(found, "old"), sentence.quantity(found, "change")
        sign = Decimal(1) if found["way"] in ("gain", "rise", "increase", "growth") else Decimal(-1)
        news = [each for each in tokens if isinstance(each, Quantity) and is_alike([each, old, change])]
        news = [each for each in news if old.value / 2 <= each.value <= old.value * 2]
        made = [(new.given() - old.given()).scaled(sign) for new in news]
        if made:
            is_held = any(way.meets(change.stated()) for way in made)
            yield claim("change-wrong", is_held, change.text, plain(made[0].middle))


def _change(sentence: Sentence, found: re.Match[str], is_points: bool) -> Iterator[Claim]:
    old, new, change = (sentence.quantity(found, name) for name in ("old", "new", "change"))
    if not is_alike([old, new]) or change.is_bound or old.value <= 0 or change.value < 0:
        return
    made = _made(old, new, change, is_points)
    if not made:
        return
    sign = -1 if _LESS.search(found["verb"]) else 1
    directed = [way.scaled(Decimal(sign)) for way in made]
    is_held = any(way.meets(change.stated()) for way in directed)
    yield claim("change-wrong", is_held, change.text, plain(directed[0].middle))


def _made(old: Quantity, new: Quantity, change: Quantity, is_points: bool) -> list[Range]:
    """The changes that the figure may mean. Of two percentages, "by 5 %" is said of points as well."""
    difference = new.given() - old.given()
    if change.unit == "%":
        relative = (
            Range(new.given().low / old.given().high, new.given().high / old.given().low)
            if old.given().low > 0
            else None
        )
        ways = [] if relative is None else [(relative - Range.around(Decimal(1))).scaled(HUNDRED)]
        return [difference] if is_points else [*ways, *([difference] if old.unit == "%" else [])]
    if is_points and old.unit == "%" and not change.unit:
        return [difference]
    return [difference] if is_alike([old, change]) else []


def _multiples(sentence: Sentence, pattern: re.Pattern[str], slack: Range) -> Iterator[Claim]:
    for found in pattern.finditer(sentence.text):
        old, new = sentence.quantity(found, "old"), sentence.quantity(found, "new")
        if is_alike([old, new]) and not _HEDGED.search(sentence.text, 0, found.start("times")):
            made = old.given() * slack.scaled(Decimal(_FACTORS[found["times"].lower()]))
            yield claim("change-wrong", made.meets(new.stated()), new.text, plain(made.middle))
