"""How good are the verifiers? Each judges the labelled set of `tests/data/verification`, one case at a time.

`python -m bench.verifiers` prints the half that nobody tuned on; `--half tune` the other one, and `--show-misses` what
a verifier failed to catch or blocked without reason. A block is a FAIL: INCONCLUSIVE is counted apart and is neither.

A mutation is caught where the verifier blocks it and lets the untouched answer of the same source go: whoever blocks
both has not seen what changed, and such a block counts as a false one. Precision is taken over everything that was
blocked, and depends on how many cases of the set are bad; the two false-block rates (of untouched answers, and of the
same answers in other words) do not. Recall is taken over the mutations in the verifier's scope, which are those that by
its own words it ought to see, and "of all" over all of them. In the scope of arithmetic is what breaks a relation that
the answer states itself, whatever kind of mutation did it: a date or a figure from which nothing in the answer follows
can be wrong, but not for arithmetic.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.data.verification.cases import SEED, Case, cases

PASS, INCONCLUSIVE, FAIL = 1, 2, 3
METHOD = "/lf.a2a.v1.A2AService/SendMessage"

RESPONSE_SCHEMA = {
    "type": "object",
    "required": ["task"],
    "properties": {
        "task": {
            "type": "object",
            "required": ["id", "contextId", "artifacts"],
            "properties": {
                "artifacts": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["parts"],
                        "properties": {
                            "parts": {"type": "array", "items": {"properties": {"text": {"type": "string"}}}},
                        },
                    },
                }
            },
        }
    },
}
RULES = [
    {
        "id": "same-context",
        "expr": "response.task.contextId == request.message.contextId",
        "message": "the answer belongs to another conversation",
    }
]
PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "grounding": {},
    "arithmetic": {},
    "secrets": {"personal": "on"},
    "schema": {"response_schema": json.dumps(RESPONSE_SCHEMA)},
    "rules": {"rules": json.dumps(RULES)},
}
SHARES = ("precision", "recall", "recall_of_all", "blocked_controls", "blocked_rewrites", "inconclusive")

LEFT_OUT = {"judge": "it needs a model behind an endpoint"}

Judge = Callable[[Any], Any]
"""A verifier's function: evidence in, a verdict or the promise of one out."""


Test = Callable[[Case], bool]


@dataclass(slots=True)
class Scorecard:
    """What one verifier made of the cases."""

    name: str
    cases: Sequence[Case]
    values: dict[tuple[str, str], int] = field(default_factory=dict)
    """Verdicts by source and kind."""
    seconds: float = 0.0
    crashes: Counter[str] = field(default_factory=Counter)
    """Exceptions of the verifier. The server makes INCONCLUSIVE of them, and so does this."""

    def blocked(self, case: Case) -> bool:
        return self.values[case.source, case.kind] == FAIL

    def undecided(self, case: Case) -> bool:
        return self.values[case.source, case.kind] == INCONCLUSIVE

    def hit(self, case: Case) -> bool:
        """Blocked, and for mutations: not only because the verifier blocks this answer in any form."""
        return self.blocked(case) and not (case.is_bad and self.values[case.source, "control"] == FAIL)

    def claims(self, case: Case) -> bool:
        return self.name in case.catchers

    def share(self, of: Test, wanted: Test) -> float | None:
        """The share of some cases that are as wanted; None where there are no such cases."""
        chosen = [case for case in self.cases if wanted(case)]
        return sum(map(of, chosen)) / len(chosen) if chosen else None

    @property
    def precision(self) -> float | None:
        """How many of its blocks hit a bad answer; None where it blocked nothing."""
        return self.share(lambda case: case.is_bad and self.hit(case), self.blocked)

    @property
    def ms_per_evidence(self) -> float:
        return self.seconds * 1000 / len(self.cases)


def shipped() -> dict[str, Judge]:
    """The verifiers that can be imported here; of each other one a line says why not."""
    found = {}
    for name in PARAMETERS:
        try:
            found[name] = importlib.import_module(f"verifiers.{name}").judge
        except (ImportError, AttributeError) as error:
            print(f"{name}: skipped, {error}")
    for name, reason in LEFT_OUT.items():
        print(f"{name}: left out, {reason}")
    return found


def evidence_of(case: Case, number: int, parameters: Mapping[str, str]) -> Any:
    base = importlib.import_module("verifiers.base")
    return base.Evidence(
        exchange_id=f"bench-{number}",
        caller="asker",
        callee="answerer",
        method=METHOD,
        spec="bench/v1",
        request=case.request,
        response=case.response,
        conversation=case.source,
        trace_id=f"{number:032x}",
        hops=1,
        parameters=parameters,
    )


async def judged(name: str, judge: Judge, judged_cases: Sequence[Case]) -> Scorecard:
    """Every case through the verifier's own function, the way `base` calls it, without a wire."""
    card = Scorecard(name, judged_cases)
    evidence = [evidence_of(case, number, PARAMETERS[name]) for number, case in enumerate(judged_cases)]
    start = time.perf_counter()
    for case, shown in zip(judged_cases, evidence, strict=True):
        card.values[case.source, case.kind] = await _value(judge, shown, card.crashes)
    card.seconds = time.perf_counter() - start
    return card


async def _value(judge: Judge, evidence: Any, crashes: Counter[str]) -> int:
    try:
        verdict = judge(evidence)
        return int((await verdict if inspect.isawaitable(verdict) else verdict).value)
    except Exception as error:
        crashes[f"{type(error).__name__}: {error}"] += 1
        return INCONCLUSIVE


def is_control(case: Case) -> bool:
    return case.group == "control"


def is_rewrite(case: Case) -> bool:
    return case.group == "rewrite"


def percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def summary(cards: Sequence[Scorecard]) -> list[list[str]]:
    heads = [
        "verifier",
        "precision",
        "scope",
        "recall",
        "of all",
        "blocked controls",
        "blocked rewrites",
        "inconclusive",
        "ms",
    ]
    return [heads, *map(_summary_row, cards)]


def _summary_row(card: Scorecard) -> list[str]:
    measured = figures(card)
    precision, *shares = [measured.get(name) for name in SHARES]
    scope = str(sum(map(card.claims, card.cases)))
    return [card.name, percent(precision), scope, *map(percent, shares), f"{card.ms_per_evidence:.2f}"]


def by_kind(cards: Sequence[Scorecard]) -> list[list[str]]:
    """The share that each verifier catches (of controls and rewrites: blocks), kind by kind, and any of them.

    A star: this is in the verifier's scope, in some of the cases at least; a number after it says in how many, where it
    is not in all.
    """
    kinds = sorted({(case.group, case.kind) for case in cards[0].cases})
    heads = ["group", "kind", "cases", *(card.name for card in cards), "any"]
    return [heads, *(_kind_row(cards, group, kind) for group, kind in kinds)]


def _kind_row(cards: Sequence[Scorecard], group: str, kind: str) -> list[str]:
    alike = [case for case in cards[0].cases if case.kind == kind]

    def cell(card: Scorecard) -> str:
        return f"{sum(map(card.hit, alike)) / len(alike):.0%}{_star(sum(map(card.claims, alike)), len(alike))}"

    hit_by_any = sum(any(card.hit(case) for card in cards) for case in alike)
    return [group, kind, str(len(alike)), *map(cell, cards), f"{hit_by_any / len(alike):.0%}"]


def _star(in_scope: int, cases_of_kind: int) -> str:
    if not in_scope:
        return ""
    return "*" if in_scope == cases_of_kind else f"*{in_scope}"


def misses(card: Scorecard) -> list[str]:
    """Bad answers that it claims to see and let go, and good ones that it blocked."""
    missed = [case for case in card.cases if card.claims(case) and not card.hit(case)]
    false_blocks = [case for case in card.cases if not case.is_bad and card.blocked(case)]
    return [
        *(f"{card.name}: missed {case.kind} of {case.source}" for case in missed),
        *(f"{card.name}: blocked {case.kind} of {case.source}" for case in false_blocks),
    ]


def figures(card: Scorecard) -> dict[str, float]:
    """The shares of the summary by the names under which a verifier publishes them; what has no cases is left out."""
    shares = {
        "precision": card.precision,
        "recall": card.share(card.hit, card.claims),
        "recall_of_all": card.share(card.hit, lambda case: case.is_bad),
        "blocked_controls": card.share(card.blocked, is_control),
        "blocked_rewrites": card.share(card.blocked, is_rewrite),
        "inconclusive": card.share(card.undecided, lambda _case: True),
        "cases": float(len(card.cases)),
    }
    return {name: share for name, share in shares.items() if share is not None}


def save(cards: Sequence[Scorecard], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for card in cards:
        said = importlib.import_module(f"verifiers.{card.name}").DESCRIPTION
        document = {"verifier": said.name, "version": said.version, "figures": figures(card)}
        (folder / f"{card.name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def printed(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    print()


async def measured(chosen: Sequence[Case], only: str | None) -> list[Scorecard]:
    """One verifier after the other, so that none is timed while another works."""
    judges = {name: judge for name, judge in shipped().items() if only in (None, name)}
    return [await judged(name, judge, chosen) for name, judge in judges.items()]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("report", "tune"), default="report")
    parser.add_argument("--verifier", help="this one only")
    parser.add_argument("--seed", type=int, default=SEED, help="of the mutations")
    parser.add_argument("--show-misses", action="store_true")
    parser.add_argument(
        "--save", type=Path, metavar="FOLDER", help="write what a verifier's --scores reads, a file each"
    )
    options = parser.parse_args(arguments)
    chosen = list(cases(options.half, options.seed))
    cards = asyncio.run(measured(chosen, options.verifier))
    if not cards:
        print("no verifier to measure")
        return 1
    bad = sum(case.is_bad for case in chosen)
    print(f"\nhalf {options.half}, seed {options.seed}: {len(chosen)} cases, {bad} of them bad\n")
    printed(summary(cards))
    printed(by_kind(cards))
    for card in cards:
        for error, times in card.crashes.items():
            print(f"{card.name}: crashed {times} times with {error}")
    if options.save:
        save(cards, options.save)
    if options.show_misses:
        print("\n".join(line for card in cards for line in misses(card)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
