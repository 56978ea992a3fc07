"""The breakers of all callees, and what the end of a call says about its callee."""

from __future__ import annotations

from functools import partial

from sidecar.checks.pressure.breaker import CalleeBreaker, Ticket
from sidecar.checks.pressure.settings import BreakerTerms
from sidecar.engine.exchange import Answer, Exchange, Origin, Status
from sidecar.engine.finding import Reject
from sidecar.engine.ports import Clock, PressureReporter
from sidecar.engine.replies import reply_of
from sidecar.errors import Reason


class Breakers:
    """One for each callee that was called. Callees are the configuration's, so there are few."""

    def __init__(self, clock: Clock, terms: BreakerTerms, reporter: PressureReporter) -> None:
        self.terms = terms
        self._clock = clock
        self._reporter = reporter
        self._breakers: dict[str, CalleeBreaker] = {}

    def admit(self, callee: str) -> Ticket:
        return self._of(callee).admit()

    def settle(self, ticket: Ticket, exchange: Exchange, status: Status, answer: Answer | None) -> None:
        self._of(exchange.callee).settle(ticket, has_failed(self.terms, exchange, status, answer))

    def _of(self, callee: str) -> CalleeBreaker:
        found = self._breakers.get(callee)
        if found is None:
            changed = partial(self._reporter.breaker_changed, callee)
            found = self._breakers[callee] = CalleeBreaker(self._clock, self.terms, changed)
        return found


def has_failed(terms: BreakerTerms, exchange: Exchange, status: Status, answer: Answer | None) -> bool | None:
    """Whether the callee is broken, as far as this end tells; None where it tells nothing of the callee.

    A refusal of ours, or of the callee's own sidecar, is about the call; that nobody could be reached is about the
    callee. A caller who left says nothing, unless the operator listed the code by which it left.
    """
    if status.origin is Origin.SIDECAR:
        decision = exchange.decision
        is_unreachable = isinstance(decision, Reject) and decision.reason is Reason.UPSTREAM_UNREACHABLE
        return True if is_unreachable else None
    if status.origin is Origin.DOWNSTREAM:
        return True if status.code in terms.codes and exchange.was_dispatched else None
    if answer is not None and (reason := reply_of(answer)):
        return True if reason == Reason.UPSTREAM_UNREACHABLE else None
    return status.code in terms.codes
