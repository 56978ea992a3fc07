"""From what the engine tells to records: the one translation that every sink, `tail` and every reader goes by.

It happens twice. On the event loop a *draft* takes what will change, in the least time; the scribe's thread makes the
record of it: payloads are digested, whatever others wrote is masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sidecar.engine.exchange import Origin
from sidecar.engine.finding import Reject
from sidecar.engine.message import JSON, NO_NAMES, Message, Names
from sidecar.engine.pipeline import names_of
from sidecar.engine.redaction import Redactor
from sidecar.errors import MalformedMessage
from sidecar.telemetry.journal.record import About, Kind, Record, as_json

if TYPE_CHECKING:
    from sidecar.engine.costs import Cost
    from sidecar.engine.exchange import Exchange, Outcome
    from sidecar.engine.finding import Action, Finding
    from sidecar.engine.specs import Path
    from sidecar.engine.verdict import Opinion, PanelVerdict

METHOD_CHARS: Final = 256
"""Of a method's name; a caller may send kilobytes."""
SENTENCE_CHARS: Final = 2048
"""Of a sentence, a pointer or a fact of a finding."""
IDS_CHARS: Final = 256
"""Of an id in a payload."""
COMPLAINTS_KEPT: Final = 16
"""Of one verifier's opinion."""


class Draft(NamedTuple):
    """What is taken on the event loop. Nothing in it changes any more."""

    kind: Kind
    hlc: int
    unix_ns: int
    about: About
    task_id: str
    facts: dict[str, JSON]
    """What is known at once; texts that others wrote are in it as they came."""
    payload: bytes | None = None
    content: Content | None = None

    @property
    def held_bytes(self) -> int:
        return len(self.payload) if self.payload is not None else 0


class Content(NamedTuple):
    """A document that its spec allows to be kept."""

    document: JSON
    redact: Sequence[Path]
    limit_bytes: int


def about(exchange: Exchange, redactor: Redactor) -> About:
    lineage = exchange.lineage
    return About(
        lineage.exchange_id,
        lineage.conversation,
        lineage.trace_id,
        lineage.span_id,
        lineage.cause,
        lineage.hops,
        exchange.caller,
        exchange.callee,
        redactor.text(exchange.method[:METHOD_CHARS]),
        exchange.side.value,
        exchange.route.name,
    )


def start_facts(exchange: Exchange) -> dict[str, JSON]:
    arrival, lineage, spec = exchange.arrival, exchange.lineage, exchange.spec
    return {
        "joined": lineage.source.value,
        "path": lineage.path,
        "mode": arrival.route.mode.value,
        "spec": spec.name if spec is not None else "",
        "remaining_s": arrival.remaining_s,
        "is_sampled": lineage.is_sampled,
        "was_seen_by_caller": lineage.was_seen_by_caller,
        "is_guarded_here": exchange.is_guarded_here,
    }


def message_facts(exchange: Exchange, message: Message) -> dict[str, JSON]:
    facts: dict[str, JSON] = {
        "direction": message.direction.value,
        "sequence": message.sequence,
        "size_bytes": len(message.payload),
        "has_passed": exchange.decision.label == "forward",
    }
    names = names_of(message)
    if names is not NO_NAMES:
        facts["names"] = names
    return facts


def content_of(exchange: Exchange, message: Message, limit_bytes: int) -> tuple[Content | None, str]:
    """The document where the spec allows it, or why it is left out; neither where nobody asked for it."""
    spec = exchange.spec
    if spec is None or spec.content is None or not spec.content.journal:
        return None, ""
    if not message.is_readable:
        return None, "unreadable"
    if len(message.payload) > limit_bytes:
        return None, "too_large"
    try:
        return Content(message.document, spec.content.redact, limit_bytes), ""
    except MalformedMessage:
        return None, "malformed"


def finding_facts(finding: Finding, action: Action, *, is_late: bool) -> dict[str, JSON]:
    facts: dict[str, JSON] = {
        "check": finding.check,
        "rule": finding.rule,
        "severity": finding.severity.value,
        "action": action.value,
        "message": finding.message[:SENTENCE_CHARS],
        "spec": finding.spec,
        "pointer": finding.pointer[:SENTENCE_CHARS],
        "reason": finding.reason.value if finding.reason is not None else "",
    }
    if finding.mode is not None:
        facts["mode"] = finding.mode.value
    if finding.evidence:
        facts["evidence"] = {name: str(value)[:SENTENCE_CHARS] for name, value in finding.evidence.items()}
    if is_late:
        facts["is_late"] = True
    return facts


def decision_facts(exchange: Exchange, finding: Finding) -> dict[str, JSON]:
    decision = exchange.decision
    facts: dict[str, JSON] = {"decision": decision.label, "check": finding.check, "rule": finding.rule}
    if isinstance(decision, Reject):
        facts["reason"] = decision.reason.value
    return facts


def verdict_facts(opinion: Opinion, verdict: PanelVerdict, *, is_late: bool) -> dict[str, JSON]:
    facts: dict[str, JSON] = {
        "verifier": opinion.verifier,
        "version": opinion.version,
        "verdict": opinion.value.label,
        "score": opinion.score,
        "panel": verdict.value.label,
        "duration_s": round(opinion.duration_s, 6),
        "failure": opinion.failure.value if opinion.failure is not None else "",
        "counts": opinion.counts,
        "is_late": is_late,
    }
    if opinion.findings:
        facts["findings"] = [
            {"rule": each.rule, "message": each.message[:SENTENCE_CHARS], "pointer": each.pointer[:SENTENCE_CHARS]}
            for each in opinion.findings[:COMPLAINTS_KEPT]
        ]
    return facts


def charge_facts(agent: str, cost: Cost) -> dict[str, JSON]:
    usage = cost.usage
    return {
        "agent": agent,
        "micro_usd": cost.micro_usd,
        "source": cost.source.value,
        "model": usage.model,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
    }


def end_facts(outcome: Outcome) -> dict[str, JSON]:
    exchange, status = outcome.exchange, outcome.status
    decision = exchange.decision
    return {
        "code": status.code,
        "origin": status.origin.value,
        # A callee's own words may quote a payload.
        "message": status.message[:SENTENCE_CHARS] if status.origin is Origin.SIDECAR else "",
        "decision": decision.label,
        "reason": decision.reason.value if isinstance(decision, Reject) else "",
        "duration_s": round(outcome.duration_s, 6),
        "overhead_s": round(outcome.overhead_s, 6),
        "requests": exchange.requests.messages,
        "request_bytes": exchange.requests.size_bytes,
        "responses": exchange.responses.messages,
        "response_bytes": exchange.responses.size_bytes,
        "was_dispatched": exchange.was_dispatched,
        "is_retry": exchange.is_retry,
        "findings": len(exchange.findings),
    }


OTHERS_WORDS: Final = {
    Kind.FINDING: ("message", "pointer", "rule"),
    Kind.ENDED: ("message",),
    Kind.CHARGE: ("model",),
}
"""Facts by kind that may hold words of agents. Names, ids and codes of our own are no secret."""


def recorded(draft: Draft, redactor: Redactor) -> Record:
    """On the scribe's thread: the record that goes to every sink."""
    facts = draft.facts
    kind = draft.kind
    if kind is Kind.MESSAGE:
        facts = message_body(draft, redactor)
    elif kind in WHOLE:
        facts = redactor.document(facts)
    elif words := OTHERS_WORDS.get(kind):
        facts = facts | {name: redactor.text(str(facts[name])) for name in words if facts.get(name)}
        if "evidence" in facts:
            facts["evidence"] = redactor.document(facts["evidence"])
    task_id = redactor.text(draft.task_id) if draft.task_id else ""
    return Record(kind, draft.hlc, draft.unix_ns, draft.about, task_id, facts)


WHOLE: Final = frozenset({Kind.VERDICT, Kind.ADMIN})
"""Kinds whose bodies are looked through as documents are: verifiers and operators write what they like."""


def message_body(draft: Draft, redactor: Redactor) -> dict[str, JSON]:
    facts = dict(draft.facts)
    if (names := facts.pop("names", None)) is not None:
        facts |= named(names, redactor)
    if draft.payload is not None:
        facts["sha256"] = sha256(draft.payload).hexdigest()
    if draft.content is not None:
        document = redactor.document(draft.content.document, draft.content.redact)
        if len(as_json(document)) > draft.content.limit_bytes:
            facts["omitted"] = "too_large"
        else:
            facts["document"] = document
    return facts


def named(names: Names, redactor: Redactor) -> dict[str, JSON]:
    """The ids in a payload, without those that are not there."""
    said: dict[str, Any] = {
        "context_id": names.context_id,
        "task_id": names.task_id,
        "message_id": names.message_id,
        "task_state": names.task_state,
    }
    return {name: redactor.text(value[:IDS_CHARS]) for name, value in said.items() if value}
