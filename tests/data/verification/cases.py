"""The labelled cases: controls, harmless rewrites, and mutations with the verifiers that ought to catch them.

Who ought to catch what follows from what verifiers say of themselves, not from what they do: a figure, date, name or
citation that the request does not have is a matter of `grounding`, and so is a total that the request states. Any
change that breaks a relation which the answer states itself (a total and its terms, a share, a span of days, a weekday)
is one of `arithmetic`, and no other change is: see `relations.py`. Where every word is from the source and only the
sense is wrong (a negation, two names exchanged), nothing short of a reader can tell, and that is `judge`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from tests.data.verification.mutate import MUTATIONS, Spoiled
from tests.data.verification.numerals import figures_of, value_of
from tests.data.verification.relations import breaks_a_relation
from tests.data.verification.rewrite import REWRITES
from tests.data.verification.sources import Half, Source, sources

Group = Literal["control", "rewrite", "mutation"]

SEED = 1
CATCHERS: Mapping[str, frozenset[str]] = {
    "swapped-number": frozenset({"grounding", "judge"}),
    "exchanged-numbers": frozenset({"judge"}),
    "shifted-date": frozenset({"grounding", "judge"}),
    "invented-source": frozenset({"grounding", "judge"}),
    "changed-unit": frozenset({"grounding", "judge"}),
    "negation": frozenset({"judge"}),
    "dropped-clause": frozenset({"judge"}),
    "wrong-total": frozenset({"judge"}),
    "wrong-percent": frozenset({"judge"}),
    "swapped-names": frozenset({"judge"}),
    "invented-name": frozenset({"grounding", "judge"}),
    "altered-quote": frozenset({"grounding", "judge"}),
    "leaked-secret": frozenset({"secrets"}),
    "payment-data": frozenset({"secrets"}),
    "personal-data": frozenset({"secrets"}),
    "missing-artifact": frozenset({"schema"}),
    "text-as-number": frozenset({"schema"}),
    "other-context": frozenset({"rules"}),
}
"""Who ought to catch every case of a kind. Single cases may have more: see `_catchers`."""
FIGURES = frozenset({"swapped-number", "exchanged-numbers", "shifted-date", "wrong-total", "wrong-percent"})
TOLD = frozenset({"wrong-total", "wrong-percent"})


@dataclass(frozen=True, slots=True)
class Case:
    """One pair of documents and what a verifier should make of it."""

    source: str
    half: Half
    group: Group
    kind: str
    """`control`, or the name of the rewrite or mutation."""
    catchers: frozenset[str]
    """Verifiers that should fail it. Empty for controls and rewrites, which nobody may fail."""
    request: dict[str, Any]
    response: dict[str, Any]

    @property
    def is_bad(self) -> bool:
        return self.group == "mutation"


def cases(half: Half | None = None, seed: int = SEED) -> Iterator[Case]:
    """All cases, of one half or of both, source by source."""
    for source in sources():
        if half in (None, source.half):
            yield _case(source, "control", "control", copy.deepcopy(source.response))
            yield from _rewritten(source, seed)
            yield from _mutated(source, seed)
            yield from _misshapen(source)


def _case(
    source: Source, group: Group, kind: str, response: dict[str, Any], catchers: frozenset[str] = frozenset()
) -> Case:
    return Case(source.name, source.half, group, kind, catchers, copy.deepcopy(source.request), response)


def _rewritten(source: Source, seed: int) -> Iterator[Case]:
    for kind, rewrite in REWRITES.items():
        answer = rewrite(source, Random(f"{seed}/{source.name}/{kind}"))
        if answer != source.answer:
            yield _case(source, "rewrite", kind, source.answering(answer))


def _mutated(source: Source, seed: int) -> Iterator[Case]:
    for kind, mutation in MUTATIONS.items():
        spoiled = mutation(source, Random(f"{seed}/{source.name}/{kind}"))
        if spoiled is not None:
            yield _case(source, "mutation", kind, source.answering(spoiled.answer), _catchers(source, kind, spoiled))


def _catchers(source: Source, kind: str, spoiled: Spoiled) -> frozenset[str]:
    """A total that the request states is a claim like any other figure; a broken relation is one of arithmetic."""
    catchers = CATCHERS[kind]
    if kind in TOLD and spoiled.claim and value_of(spoiled.claim.text).normalize() in figures_of(source.request):
        catchers |= {"grounding"}
    if kind in FIGURES and breaks_a_relation(source, spoiled.answer):
        catchers |= {"arithmetic"}
    return catchers


def _misshapen(source: Source) -> Iterator[Case]:
    """Documents whose shape is wrong, for the verifiers that look at nothing else."""
    missing = copy.deepcopy(source.response)
    missing["task"]["artifacts"] = []
    yield _case(source, "mutation", "missing-artifact", missing, CATCHERS["missing-artifact"])
    mistyped = copy.deepcopy(source.response)
    mistyped["task"]["artifacts"][0]["parts"][0]["text"] = 20250211
    yield _case(source, "mutation", "text-as-number", mistyped, CATCHERS["text-as-number"])
    other = copy.deepcopy(source.response)
    other["task"]["contextId"] = "00000000-0000-5000-8000-000000000000"
    yield _case(source, "mutation", "other-context", other, CATCHERS["other-context"])
