"""From evidence to a verdict: which schemas apply, and what their findings mean."""

from __future__ import annotations

import atexit
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from verifiers.base import Evidence, Finding, Value, Verdict
from verifiers.cage import Cage, Caged

MAX_SCHEMA_CHARS = 1 << 20
MAX_FINDINGS = 20
PARAMETERS = ("request_schema", "request_parts", "response_schema", "response_parts")

Case = dict[str, Any]


async def judge(evidence: Evidence) -> Verdict:
    """Applies schemas to whole documents (`request_schema`, `response_schema`) and to places in them (`..._parts`)."""
    texts = [evidence.parameters[name] for name in PARAMETERS if name in evidence.parameters]
    if not texts:
        return _inconclusive("no-schema", f"The spec gave this verifier none of {', '.join(PARAMETERS)}.")
    if any(len(text) > MAX_SCHEMA_CHARS for text in texts):
        return _inconclusive("unjudged", f"A schema is longer than {MAX_SCHEMA_CHARS} characters.")
    try:
        cases = list(_cases(evidence))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _inconclusive("unjudged", "A list of parts is not one of objects with `at` and `schema`.")
    return await _verdict(cases) if cases else Verdict(Value.PASS, 1.0)


def _cases(evidence: Evidence) -> Iterator[Case]:
    """A side without a document is not judged: a request is shown before there is any response."""
    for name, document in (("request", evidence.request), ("response", evidence.response)):
        if document is None:
            continue
        whose = {"in_request": name == "request", "document": document}
        if f"{name}_schema" in evidence.parameters:
            yield {**whose, "schema": evidence.parameters[f"{name}_schema"]}
        for part in json.loads(evidence.parameters.get(f"{name}_parts", "[]")):
            required = bool(part.get("required", False))
            yield {**whose, "schema": json.dumps(part["schema"]), "at": str(part["at"]), "required": required}


async def _verdict(cases: list[Case]) -> Verdict:
    try:
        answers = json.loads(await _cage().run(json.dumps(cases).encode()))
    except Caged as caged:
        return _inconclusive("unjudged", f"The schema could not be applied in time: {caged}.")
    findings = [Finding(**found) for answer in answers for found in answer]
    score = sum(not answer for answer in answers) / len(answers)
    return Verdict(_value(findings), score, tuple(findings[:MAX_FINDINGS]))


def _value(findings: list[Finding]) -> Value:
    if not findings:
        return Value.PASS
    return Value.INCONCLUSIVE if all(finding.rule == "unjudged" for finding in findings) else Value.FAIL


def _inconclusive(rule: str, message: str) -> Verdict:
    return Verdict(Value.INCONCLUSIVE, 0.0, (Finding(rule, message),))


@lru_cache(1)
def _cage() -> Cage:
    """Started with the first judgement and ended with the process."""
    cage = Cage("verifiers.schema.engine:answer")
    atexit.register(cage.close)
    return cage
