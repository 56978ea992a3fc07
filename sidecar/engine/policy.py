"""Findings and modes in, one decision out. Nothing else refuses a call, or answers it from the record."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.engine.exchange import Exchange, Mode, weakest
from sidecar.engine.finding import FORWARD, Decision, Finding, Reject, Replay


def decide(exchange: Exchange, findings: Sequence[Finding]) -> Decision:
    """What the first enforced finding that asks for anything asks for (checks run in order of precedence)."""
    for finding in findings:
        if is_enforced(exchange, finding):
            if finding.recording is not None:
                return Replay(finding.recording, (finding,))
            if finding.reason is not None:
                return Reject(finding.reason, (finding,), finding.retry_delay_s)
    return FORWARD


def is_enforced(exchange: Exchange, finding: Finding) -> bool:
    """The weakest level wins: the route must enforce, and so must spec and check unless they left it out."""
    return weakest(exchange.mode_for(finding.check), finding.mode) is Mode.ENFORCE
