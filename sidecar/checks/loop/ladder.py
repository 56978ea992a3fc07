"""The ladder: what follows from a measure. A warning and a hint as the limit nears, then a delay, then a break."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sidecar.checks.loop.detector import Kind, Limits, Measure
from sidecar.engine.exchange import Exchange, Mode, weakest
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.state.visits import Break, Family, Visit
from sidecar.errors import Reason

CHECK: Final = "loop"

DEADLINE_SHARE: Final = 0.25
"""Of the time that a caller still waits, a delay of ours takes no more than this."""

SENTENCES: Final = {
    Kind.REPEAT: "the same request {count} times in one conversation",
    Kind.DRIFT: "{count} nearly equal requests in one conversation, and no answer added anything",
    Kind.CYCLE: "the same calls came round {count} times in one conversation, and nothing is new",
    Kind.HOPS: "the chain of calls is {count} agents long",
    Kind.REENTRY: "the agent is called while it still waits in the same chain of calls",
}
ADVICE: Final = {
    Kind.REPEAT: "ask something else, or stop",
    Kind.DRIFT: "the answer will not change: change the question, or stop",
    Kind.CYCLE: "one of these agents must decide instead of asking on",
    Kind.HOPS: "one of these agents must answer instead of asking on",
    Kind.REENTRY: "it may be a callback; if it is not, answer instead of asking back",
}


@dataclass(frozen=True, slots=True)
class Ladder:
    """What an operator decides about loops."""

    limits: Limits = field(default_factory=Limits)
    window_s: float = 600.0
    cooldown_s: float = 600.0
    slow_s: float = 1.0
    """Delay of the last call allowed; the one before it waits half as long. 0: none."""
    reentry: Mode | None = Mode.OBSERVE
    """None: not looked for."""
    mode: Mode | None = None

    def mode_of(self, exchange: Exchange, kind: Kind) -> Mode | None:
        """The weakest of the levels below the route; None where all left it out."""
        spec_mode = exchange.spec.mode if exchange.spec else None
        own = (self.reentry if self.reentry is Mode.OBSERVE else None) if kind is Kind.REENTRY else None
        modes = [mode for mode in (spec_mode, self.mode, own) if mode is not None]
        return weakest(*modes) if modes else None

    def past(self, exchange: Exchange, measure: Measure) -> Finding:
        """A request past its limit."""
        allowed = "" if measure.kind is Kind.REENTRY else f"; {measure.limit} are allowed"
        return self._finding(
            exchange,
            measure.kind,
            severity=Severity.INFO if self._is_only_watched(measure.kind) else Severity.ERROR,
            message=f"{said(exchange, measure)}{allowed}; {ADVICE[measure.kind]}",
            reason=Reason.LOOP_DETECTED,
            evidence={"count": str(measure.count), "limit": str(measure.limit)},
        )

    def held(self, exchange: Exchange, held: Break) -> Finding:
        """A request that a break covers."""
        kind = Kind(held.kind)
        sentence = f"{exchange.callee}: this {kind} was broken off; {ADVICE[kind]}, or wait until the break ends"
        evidence = {"break_until_unix_ms": str(held.until_ms)}
        return self._finding(
            exchange,
            kind,
            severity=Severity.ERROR,
            message=sentence,
            reason=Reason.LOOP_DETECTED,
            evidence=evidence,
        )

    def near(self, exchange: Exchange, measure: Measure) -> Finding:
        """A request that is allowed, one of the last."""
        return self._finding(
            exchange,
            measure.kind,
            severity=Severity.WARNING,
            message=f"{said(exchange, measure)}; {measure.remaining} more allowed; {ADVICE[measure.kind]}",
            evidence={"count": str(measure.count), "limit": str(measure.limit)},
            hint=f"loop; remaining={measure.remaining}; kind={measure.kind}",
        )

    def delay_s(self, exchange: Exchange, measure: Measure) -> float:
        """How long one of the last calls allowed is held back. Depth is no matter of pace."""
        if measure.kind is Kind.HOPS:
            return 0.0
        delay_s = self.slow_s if measure.remaining == 0 else self.slow_s / 2
        remaining_s = exchange.arrival.remaining_s
        return delay_s if remaining_s is None else min(delay_s, max(remaining_s, 0.0) * DEADLINE_SHARE)

    def family_of(self, visit: Visit, measure: Measure) -> Family:
        """What a break covers: a repeated request alone; of a drift or a cycle, whatever is nearly the same."""
        return Family(visit.fingerprint, visit.likeness, measure.radius)

    def _is_only_watched(self, kind: Kind) -> bool:
        return kind is Kind.REENTRY and self.reentry is Mode.OBSERVE

    def _finding(
        self,
        exchange: Exchange,
        kind: Kind,
        *,
        severity: Severity,
        message: str,
        evidence: dict[str, str],
        reason: Reason | None = None,
        hint: str = "",
    ) -> Finding:
        return Finding(
            check=CHECK,
            rule=kind.value if reason else f"{kind}-near",
            severity=severity,
            message=message,
            reason=reason,
            mode=self.mode_of(exchange, kind),
            spec=exchange.spec.name if exchange.spec else "",
            evidence=evidence,
            hint=hint,
        )


def said(exchange: Exchange, measure: Measure) -> str:
    return f"{exchange.callee}: {SENTENCES[measure.kind].format(count=measure.count)}"


def is_broken_off(kind: Kind) -> bool:
    """Depth and reentry belong to one call: there is nothing to break off for later ones."""
    return kind in (Kind.REPEAT, Kind.CYCLE, Kind.DRIFT)
