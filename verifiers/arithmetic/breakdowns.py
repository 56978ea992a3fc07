"""A figure and after a colon what it is made of: "800 mm: 180 in spring, 240 in summer, 380 in autumn and winter".

Parts may not make more than their whole. That they make less is wrong only where the sentence says that there is no
more, for a list need not name all parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from verifiers.arithmetic.claim import Claim, claim
from verifiers.arithmetic.compare import MONEY, noun_after
from verifiers.arithmetic.enumeration import alike_tail, is_item, list_after, total_range
from verifiers.arithmetic.range import plain
from verifiers.arithmetic.sentence import ANY, N, Sentence

_HEAD = re.compile(rf"(?P<total>{N})[^{ANY[1:-1]},:()]{{0,40}}(?::\s|,\sof which\s)")
_IN_PARTS = re.compile(
    rf"(?P<total>{N})[^{ANY[1:-1]},:()]{{0,60}}\s(?:in|into)\s(?P<number>{N})\s\w{{2,20}}\s(?:of\s|:\s)(?={N})"
)
_FEW = 12
"""So many are counted rather than made of parts: "3 shops: 120, 80 and 95 customers"."""
_SAID = re.compile(
    r"\b(?:totals?|in all|in total|altogether|together|sum|c[ao]me to|comes to|amount(?:s|ed)? to|add(?:s|ed)? up"
    r"|made up|consists?|lasted|cost)\b",
    re.IGNORECASE,
)
"""The sentence says that the figure is all there is."""
_WHOLE = re.compile(
    r"\b(?:totals?|in all|in total|altogether|together|sum|c[ao]me to|comes to|amount(?:s|ed)? to|add(?:s|ed)? up"
    r"|made up|lent|sold|baked|filled|cost|counted|gave|covered|collected|raised|spent|scored|won|produced|handled)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\b(?:is|are|was|were|have|has|had|came|went|will|did|do)\b")
"""After the parts: then they are the subject of something else."""
_LOOSE = re.compile(
    r"\b(?:includ\w+|such as|among|for example|e\.g|mainly|mostly|of which|each|per|at|several|multiple|top|largest"
    r"|biggest|best|first|last|between|up to|twice|both|some)\b",
    re.IGNORECASE,
)


def breakdowns(sentence: Sentence) -> Iterator[Claim]:
    for found in _HEAD.finditer(sentence.text):
        is_whole = _WHOLE.search(sentence.text, 0, found.end()) is not None
        yield from _breakdown(sentence, found, list_after(sentence, found.end()), is_whole)
    for found in _IN_PARTS.finditer(sentence.text):
        parts = list_after(sentence, found.end())
        if len(parts) == sentence.quantity(found, "number").value:
            yield from _breakdown(sentence, found, parts, is_whole=True)


def _breakdown(sentence: Sentence, found: re.Match[str], listed: list[int], is_whole: bool) -> Iterator[Claim]:
    total = sentence.quantity(found, "total")
    places = alike_tail(sentence, listed, found.start("total"))
    if (
        is_item(sentence, found.start("total"))
        or len(places) < 2
        or places != listed
        or total.is_bound
        or _LOOSE.search(sentence.text, found.end())
    ):
        return
    parts = [sentence.quantity_at(place) for place in places]
    is_whole = (is_whole and found[0].endswith(": ")) or found.re is _IN_PARTS
    is_said = _SAID.search(sentence.text, 0, found.end()) is not None or found.re is _IN_PARTS
    is_said = is_said and not _GOES_ON.search(sentence.text, places[-1])
    is_count = total.value <= _FEW or (total.value < max(part.value for part in parts) and not is_whole)
    made = total_range(parts)
    is_held = made.meets(total.stated())
    is_over = made.low > total.stated().high and (is_whole or total.unit != "" or _is_money(sentence.text, found))
    if not is_count and (is_held or is_said or is_over):
        yield claim("sum-wrong", is_held, total.text, plain(made.middle))


def _is_money(text: str, found: re.Match[str]) -> bool:
    return noun_after(text, found.start("total")) in MONEY
