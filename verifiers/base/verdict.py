"""A verdict: pass, inconclusive or fail, and the findings that it rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum


class Value(IntEnum):
    """In order, so that several verdicts are combined with max()."""

    PASS = 1
    INCONCLUSIVE = 2
    FAIL = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not hold."""

    rule: str
    """Lower case letters, digits and dashes."""
    message: str
    """A sentence a person can act on. It reaches logs and spans, so it quotes one token of the payload at most."""
    pointer: str = ""
    """JSON Pointer (RFC 6901) into the response's document."""
    in_request: bool = False
    """The pointer is one into the request's document."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a verdict has cost."""

    model: str
    input_tokens: int
    output_tokens: int
    cost_micro_usd: int
    """Millionths of a US dollar."""
    is_priced: bool
    """False where the model's price is not known; the cost is 0 then."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge answers."""

    value: Value
    score: float
    """How much of what could be checked holds, from 0 to 1."""
    findings: tuple[Finding, ...] = ()
    """A FAIL has at least one."""
    usage: Usage | None = None


def flaw_of(answer: object) -> str:
    """Why what a judge has answered is no verdict, or nothing. A flawed verdict must not count as one."""
    if not isinstance(answer, Verdict):
        return "It answered with something that is no verdict."
    if answer.value not in tuple(Value):
        return "The value is none of pass, inconclusive and fail."
    if not isinstance(answer.score, int | float) or not math.isfinite(answer.score) or not 0 <= answer.score <= 1:
        return "The score is not a number from 0 to 1."
    if answer.value is Value.FAIL and not answer.findings:
        return "It is a fail without a finding."
    return ""


def unknown(rule: str, message: str) -> Verdict:
    """INCONCLUSIVE, for a reason that lies with the verifier and not with the evidence."""
    return Verdict(Value.INCONCLUSIVE, 0.0, (Finding(rule, message),))
