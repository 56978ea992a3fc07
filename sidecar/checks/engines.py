"""Two schema engines on one document, the sidecar's own and a schema verifier's: where they differ, one is wrong.

Which one is not known, so a disagreement refuses nothing by itself: it is an alarm. An engine that crashed, or came to
a limit, has given no verdict and disagrees with nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from sidecar.engine.message import JSON
from sidecar.engine.specs import MAX_MATCHES, Part, Schema, Spec, Terms
from sidecar.engine.verdict import Evidence, Opinion, Value

log = logging.getLogger(__name__)

RULE = "engines-disagree"

IsValid: TypeAlias = Callable[[Schema, JSON], bool]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What both engines made of one exchange's documents."""

    verifier: str
    inline: Value
    theirs: Value

    @property
    def is_disagreement(self) -> bool:
        return self.inline is not self.theirs

    @property
    def sentence(self) -> str:
        verbs = {Value.PASS: "accepts", Value.FAIL: "refuses"}
        ours, theirs = verbs[self.inline], verbs[self.theirs]
        return f"the sidecar's schema engine {ours} what verifier {self.verifier} {theirs}; one of them is wrong"


def compared(spec: Spec, evidence: Evidence, opinion: Opinion) -> Comparison | None:
    """None where there is nothing to compare: one of the two gave no verdict, or not on the spec's schemas."""
    if not opinion.judged_schemas or opinion.value is Value.INCONCLUSIVE:
        return None
    inline = inline_verdict(spec, evidence)
    if inline is Value.FAIL and opinion.value is Value.PASS:
        inline = without_formats(spec, evidence)
    return None if inline is Value.INCONCLUSIVE else Comparison(opinion.verifier, inline, opinion.value)


def inline_verdict(spec: Spec, evidence: Evidence) -> Value:
    """The sidecar's engine on the very documents that the verifier was shown."""
    return judged(spec, evidence, Schema.is_valid)


def without_formats(spec: Spec, evidence: Evidence) -> Value:
    """The other engine does not know every format, and says so. What only a format refuses is not compared."""
    value = judged(spec, evidence, Schema.is_valid_but_for_formats)
    return Value.INCONCLUSIVE if value is Value.PASS else value


def judged(spec: Spec, evidence: Evidence, is_valid: IsValid) -> Value:
    """The gravest verdict on any schema. A failure of our engine is none: the spec check tells of it on the message."""
    response = evidence.response if evidence.last_message is None else evidence.last_message
    sides = [(spec.request, evidence.request), (spec.response, response)]
    try:
        return max((value for side in sides for value in values(*side, is_valid)), default=Value.PASS)
    except Exception:
        log.exception("%s: the schema engines could not be compared", spec.name)
        return Value.INCONCLUSIVE


def values(terms: Terms, document: JSON, is_valid: IsValid) -> Iterator[Value]:
    if document is None:
        return
    if terms.schema is not None:
        yield value_of(terms.schema, document, is_valid)
    for part in terms.parts:
        yield part_value(part, document, is_valid)


def part_value(part: Part, document: JSON, is_valid: IsValid) -> Value:
    nodes = part.path.select(document, MAX_MATCHES + 1)
    if len(nodes) > MAX_MATCHES:
        return Value.INCONCLUSIVE
    absent = Value.FAIL if part.required else Value.PASS
    return max((value_of(part.schema, node, is_valid) for _, node in nodes), default=absent)


def value_of(schema: Schema, document: JSON, is_valid: IsValid) -> Value:
    """A document that is too deep for our engine breaks its spec, but nobody's engine has judged it."""
    if schema.is_too_deep(document):
        return Value.INCONCLUSIVE
    return Value.PASS if is_valid(schema, document) else Value.FAIL
