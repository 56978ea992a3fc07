"""Scorecards: what each verifier said since the sidecar started. Implements the PanelReporter port."""

from __future__ import annotations

from dataclasses import dataclass, field

from sidecar.engine.ports import Clock, PanelReporter
from sidecar.engine.verdict import Failure, Opinion, Value

NOT_ASKED = frozenset({Failure.BREAKER_OPEN, Failure.UNKNOWN, Failure.UNREADABLE})
"""Opinions that took no time, which would make a verifier look fast."""


@dataclass(slots=True)
class Scorecard:
    """One verifier."""

    verdicts: dict[Value, int] = field(default_factory=lambda: dict.fromkeys(Value, 0))
    failures: dict[str, int] = field(default_factory=dict)
    dissents: int = 0
    timed: int = 0
    total_s: float = 0.0
    slowest_s: float = 0.0
    last_unix_ns: int = 0
    version: str = ""

    @property
    def asked(self) -> int:
        return sum(self.verdicts.values())

    @property
    def mean_s(self) -> float:
        return self.total_s / self.timed if self.timed else 0.0


class Scorecards(PanelReporter):
    """All of them. Verifiers are few: the configuration names them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cards: dict[str, Scorecard] = {}

    def of(self, verifier: str) -> Scorecard:
        return self._cards.setdefault(verifier, Scorecard())

    def opinion_given(self, opinion: Opinion) -> None:
        card = self.of(opinion.verifier)
        card.verdicts[opinion.value] += 1
        card.last_unix_ns = self._clock.unix_ns()
        card.version = opinion.version or card.version
        if opinion.failure is not None:
            card.failures[opinion.failure.value] = card.failures.get(opinion.failure.value, 0) + 1
        if opinion.failure not in NOT_ASKED:
            card.timed += 1
            card.total_s += opinion.duration_s
            card.slowest_s = max(card.slowest_s, opinion.duration_s)

    def dissented(self, opinion: Opinion) -> None:
        self.of(opinion.verifier).dissents += 1

    def breaker_changed(self, verifier: str, is_open: bool) -> None: ...

    def engines_compared(self, spec: str, is_disagreement: bool) -> None: ...
