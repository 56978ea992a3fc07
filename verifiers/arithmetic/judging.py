"""The verdict on one document: all claims of all its texts and records, within limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from verifiers.arithmetic.averages import averages
from verifiers.arithmetic.balances import balances
from verifiers.arithmetic.breakdowns import breakdowns
from verifiers.arithmetic.changes import changes
from verifiers.arithmetic.claim import Claim
from verifiers.arithmetic.conversions import conversions
from verifiers.arithmetic.days import days
from verifiers.arithmetic.elapsed import elapsed
from verifiers.arithmetic.emphasis import plain
from verifiers.arithmetic.equations import equations
from verifiers.arithmetic.percents import percents
from verifiers.arithmetic.products import products
from verifiers.arithmetic.records import records
from verifiers.arithmetic.remainders import remainders
from verifiers.arithmetic.sentence import Sentence, sentences
from verifiers.arithmetic.shares import shares
from verifiers.arithmetic.sums import sums
from verifiers.arithmetic.totals import totals
from verifiers.arithmetic.walk import escaped, walk
from verifiers.base import Evidence, Finding, Value, Verdict

TEXT_CHARACTERS = 200_000
"""Of one document are read; a longer one is judged so far and never passed."""
NUMBERS = 2_000
"""Of its texts are read, for the same reason."""
NODES = 10_000
"""Of its strings and objects are visited, for the same reason."""
FINDINGS = 20

_DIGITS = re.compile(r"\d+")

CHECKS: tuple[Callable[[Sentence], Iterator[Claim]], ...] = (
    sums,
    breakdowns,
    products,
    remainders,
    averages,
    balances,
    percents,
    shares,
    changes,
    conversions,
    days,
    elapsed,
)


def judge(evidence: Evidence) -> Verdict:
    """Judges the response, or the request where there is no response."""
    in_request = evidence.response is None
    document = evidence.request if in_request else evidence.response
    if document is None:
        return Verdict(Value.INCONCLUSIVE, 0.0, (Finding("no-document", "there is neither a request nor a response"),))
    claims, is_whole = _claims(document)
    wrong = tuple(
        Finding(found.rule, found.message, found.pointer, in_request) for found in claims if not found.is_held
    )
    score = (len(claims) - len(wrong)) / len(claims) if claims else 1.0
    if wrong:
        return Verdict(Value.FAIL, score, wrong[:FINDINGS])
    if not is_whole:
        message = f"only {TEXT_CHARACTERS} characters, {NUMBERS} numbers or {NODES} values of it were read"
        return Verdict(Value.INCONCLUSIVE, score, (Finding("too-long", message, in_request=in_request),))
    return Verdict(Value.PASS, score)


@dataclass(slots=True)
class Allowance:
    """What is still read of one document."""

    characters: int = TEXT_CHARACTERS
    numbers: int = NUMBERS
    nodes: int = NODES

    @property
    def is_spent(self) -> bool:
        return self.characters < 0 or self.numbers < 0 or self.nodes < 0

    def of(self, text: str) -> str:
        """The part of a text that is read; takes it off."""
        readable = text[: max(self.characters, 0)]
        runs = list(islice(_DIGITS.finditer(readable), self.numbers + 1))
        self.characters -= len(text)
        self.numbers -= len(runs)
        return readable[: runs[-1].start()] if self.numbers < 0 and runs else readable


def _claims(document: object) -> tuple[list[Claim], bool]:
    """The claims, each once, and whether the document was read to its end."""
    claims: dict[tuple[str, str, str], Claim] = {}
    allowance = Allowance()
    for pointer, value in walk(document):
        allowance.nodes -= 1
        found_here = _of_text(allowance.of(value)) if isinstance(value, str) else _of_record(value)
        for found in found_here:
            placed = replace(found, pointer=pointer + found.pointer)
            claims.setdefault((placed.pointer, placed.rule, placed.message or str(len(claims))), placed)
        if allowance.is_spent:
            break
    return list(claims.values()), not allowance.is_spent


def _of_text(text: str) -> Iterator[Claim]:
    text = plain(text)
    for sentence in sentences(text):
        if not sentence.is_disputed:
            yield from (found for check in CHECKS for found in check(sentence))
    for line in text.split("\n"):
        yield from equations(line)
    yield from totals(text)


def _of_record(value: object) -> Iterator[Claim]:
    for name, found in records(value):
        yield replace(found, pointer=f"/{escaped(name)}")
