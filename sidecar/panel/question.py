"""Questions and answers as they travel: evidence into bytes, once for a whole panel, and bytes into an opinion."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
from google.protobuf.message import DecodeError

from sidecar.engine.costs import Cost, Source
from sidecar.engine.message import JSON
from sidecar.engine.usage import Usage
from sidecar.engine.verdict import Complaint, Evidence, Failure, Value
from sidecar.v1 import common_pb2, verifier_pb2

if TYPE_CHECKING:
    from sidecar.engine.specs.spec import PanelTerms

COMPLAINTS_KEPT = 16
"""Findings taken from one verdict."""
RULE_CHARS = 64
SENTENCE_CHARS = 300
POINTER_CHARS = 200
VERSION_CHARS = 64
MODEL_CHARS = 64
"""Verifiers are not ours: what they write reaches logs and spans, so it is cut."""

VALUES = {
    verifier_pb2.Verdict.PASS: Value.PASS,
    verifier_pb2.Verdict.INCONCLUSIVE: Value.INCONCLUSIVE,
    verifier_pb2.Verdict.FAIL: Value.FAIL,
}


class Unusable(Exception):
    """An answer that is no verdict on what was asked."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure)


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict that can be used."""

    value: Value
    score: float
    findings: tuple[Complaint, ...]
    version: str
    cost: Cost | None = None


class Question:
    """Evidence, serialised once. What the spec tells one verifier is appended for it alone."""

    def __init__(self, evidence: Evidence, terms: PanelTerms) -> None:
        self.exchange_id = evidence.exchange_id
        self.is_cut_off = evidence.is_cut_off
        self._evidence = evidence
        self._terms = terms
        self._shared: bytes = wire(evidence).SerializeToString()

    @property
    def has_schemas(self) -> bool:
        return bool(self._terms.schemas)

    def is_told(self, verifier: str) -> bool:
        """Whether the spec's author wrote schemas for this verifier, which then win over the spec's own."""
        return not self._terms.schemas.keys().isdisjoint(self._terms.parameters.get(verifier, ()))

    def payload(self, verifier: str, *, judges_schemas: bool = False) -> bytes:
        parameters = dict(self._terms.parameters.get(verifier, {}))
        shared = self._shared
        if judges_schemas and not self.is_told(verifier):
            parameters |= self._terms.schemas
            shared = self._of_last_message()
        # Serialised messages that are joined end to end parse as one merged message (protobuf encoding guide).
        return shared + bytes(verifier_pb2.Evidence(parameters=parameters).SerializeToString())

    def _of_last_message(self) -> bytes:
        """A schema is about messages, and no single message is ever cut off."""
        last = self._evidence.last_message
        if last is None:
            return self._shared
        return bytes(wire(replace(self._evidence, response=last, is_cut_off=False)).SerializeToString())

    def answer(self, payload: bytes) -> Answer:
        """Raises Unusable for whatever is no verdict on this very evidence."""
        verdict = parsed(payload)
        if verdict.exchange_id != self.exchange_id:
            raise Unusable(Failure.WRONG_EXCHANGE)
        if verdict.value not in VALUES:
            raise Unusable(Failure.UNDEFINED_VALUE)
        if not 0.0 <= verdict.score <= 1.0:  # NaN is in no range
            raise Unusable(Failure.BAD_SCORE)
        complaints = tuple(complaint(each) for each in verdict.findings[:COMPLAINTS_KEPT])
        version, cost = line(verdict.version, VERSION_CHARS), cost_of(verdict)
        return Answer(VALUES[verdict.value], verdict.score, complaints, version, cost)


def wire(evidence: Evidence) -> Any:
    return verifier_pb2.Evidence(
        exchange_id=evidence.exchange_id,
        edge=common_pb2.Edge(caller=evidence.caller, callee=evidence.callee, method=evidence.method),
        spec=evidence.spec,
        request_json=encoded(evidence.request),
        response_json=encoded(evidence.response),
        is_cut_off=evidence.is_cut_off,
        lineage=common_pb2.Lineage(conversation=evidence.conversation, trace_id=evidence.trace_id, hops=evidence.hops),
    )


def encoded(document: JSON) -> bytes:
    """JSON in UTF-8; empty for None. orjson refuses integers past 64 bits, which JSON may well have."""
    if document is None:
        return b""
    try:
        return orjson.dumps(document)
    except TypeError:
        return json.dumps(document).encode()


def parsed(payload: bytes) -> Any:
    try:
        return verifier_pb2.Verdict.FromString(payload)
    except DecodeError as error:
        raise Unusable(Failure.GARBAGE) from error


def cost_of(verdict: Any) -> Cost | None:
    """What a verifier says of its own cost. Less than nothing is no cost, whoever says so."""
    if not verdict.HasField("usage"):
        return None
    said = verdict.usage
    usage = Usage(
        model=line(said.model, MODEL_CHARS) or None,
        input_tokens=max(said.input_tokens, 0),
        output_tokens=max(said.output_tokens, 0),
    )
    source = Source.REPORTED if said.is_priced else Source.UNKNOWN
    return Cost(max(said.cost_micro_usd, 0) if said.is_priced else 0, source, usage)


def complaint(finding: Any) -> Complaint:
    return Complaint(
        rule=line(finding.rule, RULE_CHARS),
        message=line(finding.message, SENTENCE_CHARS),
        pointer=line(finding.pointer, POINTER_CHARS),
        in_request=finding.in_request,
    )


def line(text: str, limit: int) -> str:
    """The text on one line, without control characters, cut to a limit."""
    return "".join(char if char.isprintable() else " " for char in text[:limit])
