"""Describing: a spec in a few lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.engine.specs import Idempotency, PanelTerms, Spec, Terms
from sidecar.engine.specs.promises import ContentTerms, CostTerms, ReadTerms

INDENT = " " * 12


def described(spec: Spec) -> Iterator[str]:
    """`spec        researcher/v1  * -> researcher /a.B/C, enforce`, and its promises below."""
    match = spec.match
    edge = f"{match.caller or '*'} -> {match.callee or '*'} {match.method or '*'}"
    yield f"{'spec':<12}{spec.name}  {edge}, {spec.mode or 'mode of the route'}"
    yield from (f"{INDENT}  {name}: {words}" for name, words in kept(spec) if words)


def kept(spec: Spec) -> Iterator[tuple[str, str]]:
    """What calls are held to."""
    yield "request", terms(spec.request)
    yield "response", terms(spec.response)
    if spec.errors is not None:
        yield "errors", ", ".join(sorted(spec.errors)) or "none"
    if spec.stream is not None:
        yield "stream", spec.stream
    if spec.deadline_s is not None:
        yield "deadline", deadline(spec)
    if spec.task is not None:
        yield "task", task(spec)
    if spec.resource is not None:
        yield "resource", resource(spec)
    if spec.cost is not None:
        yield "cost", cost(spec.cost)
    if spec.panel is not None:
        yield "verifiers", panel(spec.panel)
    if spec.idempotency is not None:
        yield "idempotency", idempotency(spec.idempotency)
    if spec.reads is not None:
        yield "reads", reads(spec.reads)
    if spec.content is not None:
        yield "content", content(spec.content)
    yield "consistency", spec.consistency or ""


def terms(terms: Terms) -> str:
    """`schema, 2 parts, 1 rule`."""
    words = ["schema"] if terms.schema is not None else []
    counts = (("part", len(terms.parts)), ("rule", len(terms.rules or ())))
    return ", ".join([*words, *(f"{count} {noun}{'s' if count > 1 else ''}" for noun, count in counts if count)])


def panel(panel: PanelTerms) -> str:
    """`2 of grounding, arithmetic, schema within 2 s, observe`."""
    when = ", after the message has gone on" if panel.when == "after" else ""
    when += ", a fail quarantines the edge" if panel.on_fail == "quarantine" else ""
    share = f", {panel.sample:.3g} of messages" if panel.sample < 1 else ""
    mode = f", {panel.mode}" if panel.mode else ""
    return f"{panel.quorum} of {', '.join(panel.require)} within {panel.timeout_s:g} s{mode}{when}{share}"


def cost(terms: CostTerms) -> str:
    """`model $.m, input_tokens $.i, estimate $0.02`."""
    paths = (("model", terms.model), ("input_tokens", terms.input_tokens), ("output_tokens", terms.output_tokens))
    words = [f"{name} {path.text}" for name, path in paths if path is not None]
    if terms.estimate_micro_usd is not None:
        words.append(f"estimate ${terms.estimate_micro_usd / 1e6:.6g}")
    return ", ".join(words)


def content(terms: ContentTerms) -> str:
    """`documents in the journal, 2 places masked, masked for verifiers`."""
    words = ["documents in the journal"] if terms.journal else []
    if count := len(terms.redact):
        words.append(f"{count} place{'s' if count > 1 else ''} masked")
    return ", ".join([*words, *(["masked for verifiers"] if terms.verifiers == "redacted" else [])])


def deadline(spec: Spec) -> str:
    return f"{spec.deadline_s:g} s"


def idempotency(terms: Idempotency) -> str:
    return f"{terms.key.text if terms.key else 'the arguments'} for {terms.retain_s:g} s, {terms.duplicates}"


def reads(terms: ReadTerms) -> str:
    """`one answer for identical calls of one caller`."""
    whose = "all callers" if terms.across_callers else "one caller"
    return f"one answer for identical calls of {whose}" if terms.single_flight else ""


def task(spec: Spec) -> str:
    return f"machine {spec.task.machine.name}" if spec.task else ""


def resource(spec: Spec) -> str:
    """`account at $.account.id, written by billing`."""
    terms = spec.resource
    if terms is None:
        return ""
    who = f", written by {terms.owner or 'anyone'}" if terms.writes else ", read"
    return f"{terms.name or spec.name} at {terms.key.text}{who}"
