"""A case: one answer that is put before a panel, with the exchange that it belongs to and the spec that asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sidecar.checks.assembly import Assembly
from sidecar.engine.exchange import Exchange
from sidecar.engine.message import JSON, Message
from sidecar.engine.redaction import Redactor
from sidecar.engine.verdict import Evidence
from sidecar.errors import MalformedMessage

if TYPE_CHECKING:
    from sidecar.engine.specs import PanelTerms, Spec


@dataclass(frozen=True, slots=True)
class Case:
    """What the panel is asked about, and on whose behalf."""

    exchange: Exchange
    spec: Spec
    terms: PanelTerms
    evidence: Evidence


def case_of(
    exchange: Exchange,
    spec: Spec,
    terms: PanelTerms,
    message: Message,
    stream: Assembly | None,
    redactor: Redactor | None = None,
) -> Case:
    """With a `redactor` the evidence is masked: nobody is shown the documents as they are."""
    evidence = evidence_of(exchange, spec, message, stream)
    return Case(exchange, spec, terms, evidence if redactor is None else masked(evidence, spec, redactor))


def masked(evidence: Evidence, spec: Spec, redactor: Redactor) -> Evidence:
    paths = spec.content.redact if spec.content is not None else ()
    shown = (evidence.request, evidence.response, evidence.last_message)
    request, response, last = (each if each is None else redactor.document(each, paths) for each in shown)
    return replace(evidence, request=request, response=response, last_message=last)


def evidence_of(exchange: Exchange, spec: Spec, message: Message, stream: Assembly | None) -> Evidence:
    """What verifiers are shown: documents, names and the place in the work; no metadata."""
    lineage, request = exchange.lineage, exchange.last_request
    messages = [message] if request is None else [request, message]
    documents, is_readable = documents_of(messages)
    last = documents[-1] if documents else None
    response = last if stream is None else stream.finished(last)
    return Evidence(
        exchange_id=lineage.exchange_id,
        caller=exchange.caller,
        callee=exchange.callee,
        method=exchange.method,
        spec=spec.name,
        conversation=lineage.conversation,
        trace_id=lineage.trace_id,
        hops=lineage.hops,
        request=documents[0] if len(documents) == 2 else None,
        response=response,
        last_message=None if response is last else last,
        size_bytes=sum(each.size_bytes for each in messages) + (stream.size_bytes if stream else 0),
        is_readable=is_readable and (stream is None or stream.is_readable),
        is_cut_off=stream is not None and stream.is_cut_off,
    )


def documents_of(messages: Sequence[Message]) -> tuple[list[JSON], bool]:
    """All documents, or none and False: a verifier that sees half of the evidence would blame what it misses."""
    if not all(message.is_readable for message in messages):
        return [], False
    try:
        return [message.document for message in messages], True
    except MalformedMessage:
        return [], False
