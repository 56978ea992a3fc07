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

Case = dict[str, Any]


async def judge(evidence: Evidence) -> Verdict:
    """Applies `request_schema` and `response_schema` to the documents that are there."""
    if not _schemas(evidence):
        return _inconclusive("no-schema", "The spec gave this verifier neither request_schema nor response_schema.")
    if any(len(text) > MAX_SCHEMA_CHARS for text in _schemas(evidence)):
        return _inconclusive("unjudged", f"A schema is longer than {MAX_SCHEMA_CHARS} characters.")
    cases = list(_cases(evidence))
    return await _verdict(cases) if cases else Verdict(Value.PASS, 1.0)


def _schemas(evidence: Evidence) -> list[str]:
    return [evidence.parameters[name] for name in ("request_schema", "response_schema") if name in evidence.parameters]


def _cases(evidence: Evidence) -> Iterator[Case]:
    """A side without a document is not judged: a request is shown before there is any response."""
    for name, document in (("request", evidence.request), ("response", evidence.response)):
        schema = evidence.parameters.get(f"{name}_schema")
        if schema is not None and document is not None:
            yield {"in_request": name == "request", "schema": schema, "document": document}


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
