"""Findings and modes in, one decision out. Nothing else refuses a call."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.engine.exchange import Exchange, Mode, weakest
from sidecar.engine.finding import FORWARD, Decision, Finding, Reject


def decide(exchange: Exchange, findings: Sequence[Finding]) -> Decision:
    """Reject for the first enforced finding (checks run in order of precedence); else forward."""
    for finding in findings:
        if finding.reason is not None and is_enforced(exchange, finding):
            return Reject(finding.reason, (finding,))
    return FORWARD


def is_enforced(exchange: Exchange, finding: Finding) -> bool:
    """The weakest level wins: the route must enforce, and so must spec and check unless they left it out."""
    return weakest(exchange.route.mode, finding.mode) is Mode.ENFORCE
