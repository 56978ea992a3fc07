"""The spec check: does each message keep what its edge's spec promises?

Requests, responses and every message of a stream are held to the same terms: a schema for the whole document, schemas
for parts of it, and rules over all that is known of the call. What cannot be read is said, not guessed. A message that
makes the checking engine fail breaks its spec: otherwise whoever finds such a message has found a way round every spec.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

from sidecar.engine.exchange import Answer, Exchange, Origin
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.message import JSON, Direction, Message
from sidecar.engine.specs import (
    MAX_MATCHES,
    MAX_VIOLATIONS,
    Broken,
    Facts,
    Keys,
    Part,
    Rules,
    Schema,
    Spec,
    Terms,
    pointer_of,
)
from sidecar.errors import MalformedMessage, Reason

log = logging.getLogger(__name__)

REASONS = {
    Direction.REQUEST: Reason.REQUEST_SPEC_VIOLATION,
    Direction.RESPONSE: Reason.RESPONSE_SPEC_VIOLATION,
}

ALWAYS_ALLOWED = frozenset({"OK", "DEADLINE_EXCEEDED"})
"""The caller sets the deadline, and when it has passed nobody can tell whose clock ended the call."""


class SpecCheck:
    """Holds messages to the spec that was pinned when their exchange began."""

    name = "spec"
    fail: Literal["open", "closed"] = "open"

    def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding] | None:
        """At most eight findings a message; None costs nothing where no terms apply."""
        spec = exchange.spec
        if spec is None:
            return None
        terms = spec.terms(message.direction)
        if terms.is_empty:
            return None
        if not message.is_readable:
            return unreadable(exchange, spec, message.direction)
        return judged(exchange, spec, terms, message)

    def on_answer(self, exchange: Exchange, answer: Answer) -> Sequence[Finding] | None:
        """Whether the callee may answer with this code. What the transport makes up is not its word."""
        spec, status = exchange.spec, answer.status
        if spec is None or spec.errors is None or status.origin is not Origin.UPSTREAM:
            return None
        return None if status.code in ALWAYS_ALLOWED or status.code in spec.errors else [undeclared(spec, status.code)]


def unreadable(exchange: Exchange, spec: Spec, direction: Direction) -> Sequence[Finding] | None:
    """Nothing is known of the type, so nothing can be judged: said once per exchange and direction, never refused."""
    rule = f"{direction}.unreadable"
    if any(finding.rule == rule for finding in exchange.findings):
        return None
    sentence = (
        f"{spec.name}: {direction} cannot be checked, because no descriptor is known for {exchange.method[:200]}; "
        "name one under `descriptors`"
    )
    return [Finding(SpecCheck.name, rule, Severity.WARNING, sentence, None, spec.mode, spec.name)]


def undeclared(spec: Spec, code: str) -> Finding:
    """An error that callers were not told to expect."""
    allowed = ", ".join(["OK", *sorted(spec.errors or ())])
    sentence = f"{spec.name}: the callee answered {code}; its spec allows {allowed}"
    evidence, reason = {"keyword": "errors", "code": code}, Reason.RESPONSE_SPEC_VIOLATION
    return Finding(
        SpecCheck.name, "response.errors", Severity.ERROR, sentence, reason, spec.mode, spec.name, evidence=evidence
    )


def judged(exchange: Exchange, spec: Spec, terms: Terms, message: Message) -> Sequence[Finding] | None:
    """What one readable message breaks. The common case, nothing, builds no object."""
    direction = message.direction
    try:
        return list(islice(broken_terms(exchange, spec, terms, message), MAX_VIOLATIONS)) or None
    except MalformedMessage:
        return [malformed(spec, direction)]
    except Exception as error:
        log.exception("%s could not judge a %s", spec.name, direction)
        return [unjudged(spec, direction, error)]


def malformed(spec: Spec, direction: Direction) -> Finding:
    sentence = "cannot be parsed as the type that its method declares"
    return violation(spec, direction, f"{direction}.malformed", (), sentence, "malformed")


def unjudged(spec: Spec, direction: Direction, error: Exception) -> Finding:
    """Our own failure counts as a verdict, and asks for the refusal that a violation asks for."""
    sentence = f"{spec.name}: {direction} made the check fail ({type(error).__name__}), which counts as a violation"
    rule = f"{direction}.unjudged"
    return Finding(SpecCheck.name, rule, Severity.INTERNAL, sentence, REASONS[direction], spec.mode, spec.name)


def broken_terms(exchange: Exchange, spec: Spec, terms: Terms, message: Message) -> Iterator[Finding]:
    direction, document = message.direction, message.document
    if terms.schema is not None:
        yield from broken_schema(spec, direction, f"{direction}.schema", terms.schema, document, ())
    for part in terms.parts:
        yield from broken_part(spec, direction, part, document)
    if terms.rules is not None:
        yield from broken_rules(exchange, spec, terms.rules, message)


def broken_rules(exchange: Exchange, spec: Spec, rules: Rules, message: Message) -> Iterator[Finding]:
    for broken in rules.broken(facts_of(exchange, message)):
        yield rule_violation(spec, message.direction, broken)


def facts_of(exchange: Exchange, message: Message) -> Facts:
    """What rules may look at. A response is judged beside the last request; {} where that has not come or is unread."""
    documents, size_bytes = {f"{message.direction}": message.document}, message.size_bytes
    if message.direction is Direction.RESPONSE:
        documents["request"] = document_of(exchange.last_request)
        size_bytes += exchange.last_request.size_bytes if exchange.last_request else 0
    edge = (exchange.caller, exchange.callee, exchange.method)
    return Facts(message.direction, documents, edge, message.sequence, size_bytes)


def document_of(request: Message | None) -> JSON:
    if request is None or not request.is_readable:
        return {}
    try:
        return request.document
    except MalformedMessage:
        return {}  # the request's own terms say so


def rule_violation(spec: Spec, direction: Direction, broken: Broken) -> Finding:
    """`researcher/v1: response breaks the rule same-context: the answer belongs to another context`."""
    is_refused = broken.severity in (Severity.ERROR, Severity.INTERNAL)
    return Finding(
        check=SpecCheck.name,
        rule=broken.rule,
        severity=broken.severity,
        message=f"{spec.name}: {direction} {broken.sentence}",
        reason=REASONS[direction] if is_refused else None,
        mode=spec.mode,
        spec=spec.name,
        evidence={"keyword": broken.keyword},
    )


def broken_part(spec: Spec, direction: Direction, part: Part, document: JSON) -> Iterator[Finding]:
    nodes = part.path.select(document, MAX_MATCHES + 1)
    if part.required and not nodes:
        yield violation(spec, direction, f"{part.rule}.required", (), f"has nothing at {part.path.text}", "required")
    for keys, value in nodes[:MAX_MATCHES]:
        yield from broken_schema(spec, direction, f"{part.rule}.schema", part.schema, value, keys)
    if len(nodes) > MAX_MATCHES:
        sentence = f"has more than {MAX_MATCHES} places at {part.path.text}, which is more than are checked"
        yield violation(spec, direction, f"{part.rule}.matches", (), sentence, "matches")


def broken_schema(
    spec: Spec, direction: Direction, rule: str, schema: Schema, value: JSON, keys: Keys
) -> Iterator[Finding]:
    if not schema.is_valid(value):
        for found in schema.violations(value):
            yield violation(spec, direction, rule, (*keys, *found.keys), found.sentence, found.keyword)


def violation(spec: Spec, direction: Direction, rule: str, keys: Keys, sentence: str, keyword: str) -> Finding:
    """`researcher/v1: request at /message lacks the required property "parts"`."""
    pointer = pointer_of(keys)
    place = f"{direction} at {pointer}" if pointer else f"{direction}"
    return Finding(
        check=SpecCheck.name,
        rule=rule,
        severity=Severity.ERROR,
        message=f"{spec.name}: {place} {sentence}",
        reason=REASONS[direction],
        mode=spec.mode,
        spec=spec.name,
        pointer=pointer,
        evidence={"keyword": keyword},
    )
