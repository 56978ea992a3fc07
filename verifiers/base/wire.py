"""The nouns as protobuf messages. The only place that knows the generated stubs' fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Never

from sidecar.v1 import common_pb2, verifier_pb2
from verifiers.base.description import Description
from verifiers.base.evidence import JSON, Evidence
from verifiers.base.verdict import Finding, Usage, Verdict

MAX_FINDINGS = 20
"""Of one verdict are sent."""
MAX_SENTENCE_CHARS = 500
"""Of a finding's message and pointer are sent."""


class Unreadable(Exception):
    """Evidence whose field is no JSON. The message names the field and quotes nothing of it."""


def evidence_of(message: Any) -> Evidence:
    """Raises `Unreadable`."""
    return Evidence(
        exchange_id=message.exchange_id,
        caller=message.edge.caller,
        callee=message.edge.callee,
        method=message.edge.method,
        spec=message.spec,
        request=_document(message.request_json, "request_json"),
        response=_document(message.response_json, "response_json"),
        conversation=message.lineage.conversation,
        trace_id=message.lineage.trace_id,
        hops=message.lineage.hops,
        parameters=_frozen(message.parameters),
        is_cut_off=message.is_cut_off,
    )


def _frozen(parameters: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(parameters))


def _document(payload: bytes, field: str) -> JSON | None:
    """UTF-8 is said aloud, because json.loads would guess at bytes; NaN and Infinity are no JSON (RFC 8259)."""
    if not payload:
        return None
    try:
        return json.loads(payload.decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise Unreadable(f"{field} is nested too deeply to be read") from None
    except ValueError as error:
        raise Unreadable(f"{field} is no JSON in UTF-8{_place(error)}") from None


def _refuse(_: str) -> Never:
    raise ValueError


def _place(error: ValueError) -> str:
    return f": line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""


def description_message(description: Description) -> Any:
    return verifier_pb2.Description(
        name=description.name,
        version=description.version,
        family=description.family,
        sees=description.sees,
        blind_to=description.blind_to,
        max_evidence_bytes=description.max_evidence_bytes,
        non_deterministic=description.non_deterministic,
    )


def verdict_message(exchange_id: str, verdict: Verdict, description: Description) -> Any:
    """Raises TypeError or ValueError where a field cannot be carried, such as a cost past 64 bits."""
    return verifier_pb2.Verdict(
        exchange_id=exchange_id,
        value=verifier_pb2.Verdict.Value.Name(verdict.value),
        score=verdict.score,
        findings=[_finding_message(finding) for finding in verdict.findings[:MAX_FINDINGS]],
        verifier=description.name,
        version=description.version,
        usage=_usage_message(verdict.usage),
    )


def _finding_message(finding: Finding) -> Any:
    return common_pb2.Finding(
        rule=_sendable(finding.rule),
        message=_sendable(finding.message),
        pointer=_sendable(finding.pointer),
        in_request=finding.in_request,
    )


def _sendable(text: str) -> str:
    """JSON may hold half of a surrogate pair, which no protobuf string can carry."""
    return text[:MAX_SENTENCE_CHARS].encode("utf-8", "replace").decode("utf-8")


def _usage_message(usage: Usage | None) -> Any:
    if usage is None:
        return None
    return verifier_pb2.Usage(
        model=usage.model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_micro_usd=usage.cost_micro_usd,
        is_priced=usage.is_priced,
    )
