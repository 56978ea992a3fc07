"""Log lines about exchanges: refusals, findings worth a warning, failures of our own making; on demand, every exchange.

A rule that is broken ten thousand times a second says so ten times and then how often it did not. Payload content never
appears: a line has names, ids, codes, and sentences that checks wrote.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sidecar.engine.exchange import Origin
from sidecar.engine.finding import Action, Reject, Severity
from sidecar.telemetry.methods import bare

if TYPE_CHECKING:
    from sidecar.engine.exchange import Exchange, Outcome
    from sidecar.engine.finding import Finding
    from sidecar.engine.ports import Clock

log = logging.getLogger(__name__)

LINES_PER_S = 10
"""Lines a rule may have a second."""
RULES_LIMIT = 1000
"""Rules counted one by one in the same second; the others share one allowance."""
METHOD_CHARS = 256
"""Of a method's name; a caller may send kilobytes."""
SECOND_NS = 1_000_000_000

LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.WARNING,
    Severity.INTERNAL: logging.ERROR,
}
"""A finding of severity error is somebody else's fault, so to us it is a warning; `internal` is our own."""

Rule = tuple[str, str]
"""Check and rule."""


class LogReporter:
    """A reporter for the engine. `exchanges` also logs each exchange that simply passed, at level info."""

    def __init__(self, *, clock: Clock, exchanges: bool = False, lines_per_s: int = LINES_PER_S) -> None:
        self._exchanges = exchanges
        self._allowance = Allowance(clock, lines_per_s)

    def finding_made(self, exchange: Exchange, finding: Finding, action: Action) -> None:
        """A refused call's findings are told by its one line at the end."""
        self._tell_suppressed()
        if action is Action.REJECTED or finding.severity is Severity.INFO:
            return
        if self._allowance.takes((finding.check, finding.rule)):
            fields = exchange_fields(exchange) | finding_fields(finding)
            log.log(LEVELS[finding.severity], "finding", extra={"fields": fields})

    def exchange_ended(self, outcome: Outcome) -> None:
        self._tell_suppressed()
        status, decision = outcome.status, outcome.exchange.decision
        if isinstance(decision, Reject):
            self._say(logging.WARNING, "call refused", outcome, refusal_fields(decision))
        elif status.origin is Origin.SIDECAR and status.code != "OK":
            self._say(logging.ERROR, "call failed", outcome, {"detail": status.message})
        elif self._exchanges:
            self._say(logging.INFO, "call ended", outcome, {})

    def close(self) -> None:
        """Say what was suppressed and not told yet."""
        self._tell_suppressed(everything=True)

    def _say(self, level: int, event: str, outcome: Outcome, more: dict[str, object]) -> None:
        if not log.isEnabledFor(level):
            return
        fields = exchange_fields(outcome.exchange) | {
            "code": outcome.status.code,
            "origin": outcome.status.origin.value,
            "duration_ms": round(outcome.duration_s * 1000, 3),
        }
        log.log(level, event, extra={"fields": fields | more})

    def _tell_suppressed(self, *, everything: bool = False) -> None:
        for (check, rule), count in self._allowance.suppressed(everything=everything):
            fields = {"check": check, "rule": rule, "count": count}
            log.warning("more findings of this rule", extra={"fields": fields})


class Allowance:
    """Counts lines by rule in seconds of the engine's clock."""

    def __init__(self, clock: Clock, lines_per_s: int) -> None:
        self._clock = clock
        self._lines_per_s = lines_per_s
        self._until_ns = 0
        self._seen: dict[Rule, int] = {}

    def takes(self, rule: Rule) -> bool:
        if rule not in self._seen and len(self._seen) >= RULES_LIMIT:
            rule = ("_other", "_other")
        self._seen[rule] = self._seen.get(rule, 0) + 1
        return self._seen[rule] <= self._lines_per_s

    def suppressed(self, *, everything: bool = False) -> list[tuple[Rule, int]]:
        """Once a second has passed: which rules had more lines than allowed, and how many more. Then count anew."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._until_ns and not everything:
            return []
        self._until_ns = now_ns + SECOND_NS
        over = [(rule, seen - self._lines_per_s) for rule, seen in self._seen.items() if seen > self._lines_per_s]
        self._seen.clear()
        return over


def exchange_fields(exchange: Exchange) -> dict[str, object]:
    lineage = exchange.lineage
    return {
        "trace_id": lineage.trace_id,
        "span_id": lineage.span_id,
        "exchange_id": lineage.exchange_id,
        "conversation": lineage.conversation,
        "route": exchange.route.name,
        "caller": exchange.caller,
        "callee": exchange.callee,
        "method": bare(exchange.method)[:METHOD_CHARS],
    }


def finding_fields(finding: Finding) -> dict[str, object]:
    fields: dict[str, object] = {
        "check": finding.check,
        "rule": finding.rule,
        "severity": finding.severity.value,
        "detail": finding.message,
    }
    optional = {"spec": finding.spec, "pointer": finding.pointer}
    return fields | {key: value for key, value in optional.items() if value}


def refusal_fields(decision: Reject) -> dict[str, object]:
    first = finding_fields(decision.findings[0]) if decision.findings else {}
    return {"reason": decision.reason.value} | first
