"""Verdicts: what independent verifiers think of an answer, and what their panel makes of it.

A panel passes only where enough verifiers say so. Silence, a crash or nonsense is doubt and never a pass; one fail of a
verifier that counts outweighs any number of passes, for a single proof of a mistake is a proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Literal

from sidecar.engine.costs import Cost
from sidecar.engine.exchange import Mode
from sidecar.engine.message import JSON


class Value(IntEnum):
    """In order, so that the graver of two is their max()."""

    PASS = 1
    INCONCLUSIVE = 2
    FAIL = 3

    @property
    def label(self) -> str:
        """As metrics and findings spell it: `pass`, `inconclusive`, `fail`."""
        return self.name.lower()


class Failure(StrEnum):
    """Why a verifier gave no verdict that can be used. Each makes its opinion inconclusive."""

    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    CRASHED = "crashed"
    """It answered with a status that says nothing about the evidence."""
    DECLINED = "declined"
    """It will not judge this evidence: too large, or of a kind that it does not take."""
    GARBAGE = "garbage"
    """Bytes that are no verdict."""
    WRONG_EXCHANGE = "wrong_exchange"
    UNDEFINED_VALUE = "undefined_value"
    BAD_SCORE = "bad_score"
    UNDESCRIBED = "undescribed"
    """It says pass, but not who it is, so nobody knows whether it is independent of the others."""
    BREAKER_OPEN = "breaker_open"
    """It kept failing and was not asked."""
    UNKNOWN = "unknown"
    """No verifier of that name is configured."""
    CUT_OFF = "cut_off"
    """It passes what it was shown, which is not all that the caller was told."""
    UNREADABLE = "unreadable"
    """There is no document to judge."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is judged. Never credentials, never metadata of the call."""

    exchange_id: str
    caller: str
    callee: str
    method: str
    spec: str
    conversation: str = ""
    trace_id: str = ""
    hops: int = 0
    request: JSON = None
    """The document of the last request; None where none was sent."""
    response: JSON = None
    last_message: JSON = None
    """The answer's last message alone, where `response` was assembled from a stream: what schemas are about."""
    size_bytes: int = 0
    """Payload bytes of both, for whoever must bound what waits."""
    is_readable: bool = True
    """False where a payload has no document: then nobody is asked, and nothing can pass."""
    is_cut_off: bool = False
    """True where the answer was longer than what is kept of a stream: then it can fail, but not pass."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that does not hold, in a verifier's own words."""

    rule: str
    message: str
    pointer: str = ""
    in_request: bool = False


@dataclass(frozen=True, slots=True)
class Opinion:
    """What came of asking one verifier."""

    verifier: str
    """The configured name."""
    value: Value
    version: str = ""
    family: str = ""
    """Verifiers of one family share method, model or data: a quorum counts them once. Empty: the name."""
    score: float = 0.0
    """How much of what could be checked holds, 0 to 1."""
    findings: tuple[Complaint, ...] = ()
    duration_s: float = 0.0
    failure: Failure | None = None
    mode: Mode | None = None
    """The verifier's own. In observe its opinion is kept and shown, and decides nothing."""
    fail: Literal["open", "closed"] = "open"
    cost: Cost | None = None
    """What it took to come to the verdict, where the verifier says; None where it says nothing."""
    judged_schemas: bool = False
    """It was handed the spec's own schemas, so its verdict is one on what the sidecar's engine has judged too."""

    @property
    def counts(self) -> bool:
        """Whether it may help a panel pass or make it fail."""
        return self.mode is not Mode.OBSERVE

    def dissents_from(self, value: Value) -> bool:
        """Whether it was given and says otherwise. One that failed to come is no dissent."""
        return self.failure is None and self.value is not value


@dataclass(frozen=True, slots=True)
class PanelVerdict:
    """What a panel says, and everything its members said."""

    value: Value
    opinions: tuple[Opinion, ...]

    @property
    def dissent(self) -> tuple[Opinion, ...]:
        """Opinions that were given and differ from the panel's."""
        return tuple(opinion for opinion in self.opinions if opinion.dissents_from(self.value))

    @property
    def coverage(self) -> float:
        """Share of the verifiers that came to a pass or a fail, 0 to 1."""
        settled = sum(opinion.value is not Value.INCONCLUSIVE for opinion in self.opinions)
        return settled / len(self.opinions) if self.opinions else 0.0

    @property
    def doubtful(self) -> tuple[Opinion, ...]:
        """The opinions that an inconclusive panel is inconclusive for; all that count, where all of them pass."""
        if self.value is not Value.INCONCLUSIVE:
            return ()
        bench = bench_of(self.opinions)
        return tuple(opinion for opinion in bench if opinion.value is Value.INCONCLUSIVE) or tuple(bench)

    @property
    def lacks_families(self) -> bool:
        """Whether nobody is in doubt, and it is inconclusive only because too few families pass."""
        return self.value is Value.INCONCLUSIVE and all(each.value is Value.PASS for each in self.doubtful)

    @property
    def doubt(self) -> str:
        """A fixed word for why it is inconclusive: a failure, `inconclusive` (a verifier said so) or `quorum`."""
        if self.lacks_families:
            return "quorum"
        return self.doubtful[0].failure or Value.INCONCLUSIVE.label

    @property
    def fails_closed(self) -> bool:
        """Whether an inconclusive panel asks for a refusal: one of those in doubt was declared to fail closed."""
        return any(opinion.fail == "closed" for opinion in self.doubtful)


def combined(opinions: Sequence[Opinion], quorum: int) -> PanelVerdict:
    """Any fail is a fail; else a quorum of families that pass is a pass; all else is inconclusive.

    Verifiers in observe neither help nor harm, and the quorum is never more than the verifiers that count: putting one
    of two into observe must not make every call inconclusive. Where all are in observe, all are heard, to be watched.
    """
    bench = bench_of(opinions)
    needed = max(1, min(quorum, len(bench)))
    passing = {opinion.family or opinion.verifier for opinion in bench if opinion.value is Value.PASS}
    if any(opinion.value is Value.FAIL for opinion in bench):
        value = Value.FAIL
    else:
        value = Value.PASS if len(passing) >= needed else Value.INCONCLUSIVE
    return PanelVerdict(value, tuple(opinions))


def bench_of(opinions: Sequence[Opinion]) -> Sequence[Opinion]:
    """Those that count; all of them, where none does."""
    return [opinion for opinion in opinions if opinion.counts] or opinions
