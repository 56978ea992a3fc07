"""What pressure says: one sentence a rule, with names and numbers of the configuration and nothing of a payload."""

from __future__ import annotations

from sidecar.checks.pressure.deadlock import Deadlock
from sidecar.checks.pressure.herd import NARROW_SLOTS, SLOT_MS, WATCH_SLOTS, Herd
from sidecar.checks.pressure.settings import BreakerTerms, DeadlockTerms, Limit, RetryTerms
from sidecar.engine.exchange import Exchange, Mode, weakest
from sidecar.engine.finding import Finding, Severity
from sidecar.errors import Reason

CHECK = "pressure"


def below(exchange: Exchange, mode: Mode | None) -> Mode | None:
    """The weakest mode of the levels below the route; None where all left it out."""
    said = [each for each in (mode, exchange.spec.mode if exchange.spec else None) if each is not None]
    return weakest(*said) if said else None


def made(exchange: Exchange, rule: str, severity: Severity, sentence: str, mode: Mode | None = None) -> Finding:
    spec = exchange.spec
    return Finding(CHECK, rule, severity, sentence, None, below(exchange, mode), spec.name if spec else "")


def shed(
    exchange: Exchange, rule: str, sentence: str, mode: Mode | None, delay_s: float, reason: Reason = Reason.OVERLOADED
) -> Finding:
    """A finding that asks for a refusal, with the delay that this caller is told."""
    spec = exchange.spec
    return Finding(
        check=CHECK,
        rule=rule,
        severity=Severity.ERROR,
        message=sentence,
        reason=reason,
        mode=below(exchange, mode),
        spec=spec.name if spec else "",
        retry_delay_s=delay_s,
    )


def room_is_full(exchange: Exchange, limit: Limit, delay_s: float) -> Finding:
    sentence = f"{calls_of(limit)} may be {limit.concurrency} at once, and as many are in flight"
    return shed(exchange, "concurrency", sentence, limit.mode, delay_s)


def bucket_is_empty(exchange: Exchange, limit: Limit, delay_s: float) -> Finding:
    assert limit.rate is not None
    sentence = f"{calls_of(limit)} may begin {limit.rate.per_s:g} times a second (burst {limit.rate.burst}), and have"
    return shed(exchange, "rate", sentence, limit.mode, delay_s)


def budget_is_spent(exchange: Exchange, terms: RetryTerms, delay_s: float) -> Finding:
    budget = terms.budget
    allowed = f"{budget.ratio:.0%} of its calls and at least {budget.minimum} in {budget.window_s:g} s"
    sentence = f"{exchange.caller} sends more calls to {exchange.callee} again than its budget allows ({allowed})"
    return shed(exchange, "retries", sentence, terms.mode, delay_s)


def callee_is_broken(exchange: Exchange, terms: BreakerTerms, delay_s: float) -> Finding:
    """Never dispatched, and a retry can help once the callee is back: what UPSTREAM_UNREACHABLE means."""
    sentence = f"{exchange.callee} keeps failing and is left alone for {terms.cooldown_s:g} s at a time"
    return shed(exchange, "breaker", sentence, terms.mode, delay_s, Reason.UPSTREAM_UNREACHABLE)


def deadlocked(exchange: Exchange, deadlock: Deadlock, terms: DeadlockTerms, delay_s: float) -> Finding:
    """An error, and a refusal where that is asked for, only where it is certain which call waits for which."""
    way = " > ".join(deadlock.agents)
    doubt = "" if deadlock.is_certain else "may "
    sentence = f"{doubt}wait for each other for ever, since each serves no more calls at once: {way}"
    spec = exchange.spec
    return Finding(
        check=CHECK,
        rule="deadlock",
        severity=Severity.ERROR if deadlock.is_certain else Severity.WARNING,
        message=f"agents {sentence}",
        reason=Reason.OVERLOADED if deadlock.is_certain else None,
        mode=below(exchange, terms.mode),
        spec=spec.name if spec else "",
        evidence={"agents": way, "certain": "yes" if deadlock.is_certain else "no"},
        retry_delay_s=delay_s,
    )


def herd_came(exchange: Exchange, herd: Herd) -> Finding:
    narrow_ms, watch_s = SLOT_MS * NARROW_SLOTS, SLOT_MS * WATCH_SLOTS / 1000
    sentence = (
        f"{herd.together} of {herd.retries} retries of {exchange.callee} came within {narrow_ms} ms; "
        "spread the delays of those who call it"
    )
    finding = made(exchange, "herd", Severity.WARNING, sentence)
    evidence = {"together": f"{herd.together}", "retries": f"{herd.retries}", "watched_s": f"{watch_s:g}"}
    return Finding(
        finding.check, finding.rule, finding.severity, finding.message, None, finding.mode, finding.spec, "", evidence
    )


def identical_read(exchange: Exchange) -> Finding:
    sentence = f"an identical call of {exchange.method[:200]} is in flight, and one answer serves both"
    return made(exchange, "single-flight", Severity.INFO, sentence)


def calls_of(limit: Limit) -> str:
    caller = "all callers" if limit.caller == "*" else limit.caller
    callee = "any agent" if limit.callee == "*" else limit.callee
    method = "" if limit.method == "*" else f" of {limit.method}"
    return f"calls from {caller} to {callee}{method}"
