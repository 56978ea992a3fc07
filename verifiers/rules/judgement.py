"""From evidence to a verdict: what the rules say, and whether all of them could be asked."""

from __future__ import annotations

import atexit
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from verifiers.base import Evidence, Finding, Value, Verdict
from verifiers.cage import Cage, Caged
from verifiers.rules.rulebook import BadRules, Rule, read_rules

MAX_FINDINGS = 20
_UNJUDGED = "unjudged"


async def judge(evidence: Evidence) -> Verdict:
    """Evaluates the rules of the parameter `rules` over request, response and edge."""
    try:
        rules = read_rules(evidence.parameters.get("rules", ""))
        answer = json.loads(await _cage().run(_task(rules, evidence)))
    except BadRules as bad:
        return _inconclusive("bad-rules", str(bad))
    except Caged as caged:
        return _inconclusive(_UNJUDGED, f"The rules could not be evaluated: {caged}.")
    return _verdict(answer["held"], [Finding(**found) for found in answer["findings"]])


def _task(rules: Sequence[Rule], evidence: Evidence) -> bytes:
    return json.dumps({"rules": rules, "documents": _documents(evidence)}).encode()


def _documents(evidence: Evidence) -> dict[str, Any]:
    edge = {"caller": evidence.caller, "callee": evidence.callee, "method": evidence.method}
    documents = {"request": evidence.request, "response": evidence.response, "edge": edge}
    return {name: document for name, document in documents.items() if document is not None}


def _verdict(held: int, findings: Sequence[Finding]) -> Verdict:
    """No rule had its turn and none failed: that is known, so it is a pass. What fails is named first."""
    asked = held + len(findings)
    score = held / asked if asked else 1.0
    ordered = sorted(findings, key=lambda finding: finding.rule == _UNJUDGED)
    return Verdict(_value(findings), score, tuple(ordered[:MAX_FINDINGS]))


def _value(findings: Sequence[Finding]) -> Value:
    if not findings:
        return Value.PASS
    return Value.INCONCLUSIVE if all(finding.rule == _UNJUDGED for finding in findings) else Value.FAIL


def _inconclusive(rule: str, message: str) -> Verdict:
    return Verdict(Value.INCONCLUSIVE, 0.0, (Finding(rule, message),))


@lru_cache(1)
def _cage() -> Cage:
    """Started with the first judgement and ended with the process."""
    cage = Cage("verifiers.rules.engine:answer")
    atexit.register(cage.close)
    return cage
