"""Waste: why the money of a call led nowhere."""

from __future__ import annotations

from typing import Final

from sidecar.engine.costs import Waste
from sidecar.engine.exchange import Exchange, Status
from sidecar.engine.finding import Finding, Reject

BY_CHECK: Final = {"loop": Waste.LOOP, "idempotency": Waste.DUPLICATE}
"""Findings of these checks, in observe, say that the call should not have been made."""

ORDER: Final = (Waste.LOOP, Waste.DUPLICATE, Waste.RETRY)


def waste_of(exchange: Exchange, status: Status) -> Waste | None:
    """The first reason that fits; None where it was worth it."""
    if isinstance(exchange.decision, Reject):
        return Waste.REFUSED_ANSWER
    said = {reason for finding in exchange.findings if (reason := reason_in(finding)) is not None}
    if exchange.is_new_to_callee:
        said.discard(Waste.RETRY)  # the first that the callee hears of it: nothing was paid for before
    found = next((reason for reason in ORDER if reason in said), None)
    return found or (Waste.FAILED if status.code != "OK" else None)


def reason_in(finding: Finding) -> Waste | None:
    if finding.rule.startswith("retr"):
        return Waste.RETRY
    # What only warns of a loop that may come asks for nothing: it is not one yet.
    asks = finding.reason is not None or finding.recording is not None
    return BY_CHECK.get(finding.check) if asks else None
