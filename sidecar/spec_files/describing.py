"""Describing: a spec in a few lines for people, what is kept and what is only declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from sidecar.engine.specs import Idempotency, PanelTerms, Spec, Terms

INDENT = " " * 12


def described(spec: Spec) -> Iterator[str]:
    """`spec        researcher/v1  * -> researcher /a.B/C, enforce`, and its promises below."""
    match = spec.match
    edge = f"{match.caller or '*'} -> {match.callee or '*'} {match.method or '*'}"
    yield f"{'spec':<12}{spec.name}  {edge}, {spec.mode or 'mode of the route'}"
    yield from (f"{INDENT}  {name}: {words}" for name, words in kept(spec) if words)
    if spec.inactive:
        yield f"{INDENT}  not active in this version: {', '.join(shown(spec, name) for name in spec.inactive)}"


def kept(spec: Spec) -> Iterator[tuple[str, str]]:
    """What this version holds calls to."""
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
    if spec.panel is not None:
        yield "verifiers", panel(spec.panel)
    if spec.idempotency is not None:
        yield "idempotency", idempotency(spec.idempotency)
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


def shown(spec: Spec, name: str) -> str:
    """`task (machine a2a)`, so that what was understood can be compared with what was meant."""
    words = SHOWN[name](spec)
    return f"{name} ({words})" if words else name


def deadline(spec: Spec) -> str:
    return f"{spec.deadline_s:g} s"


def idempotency(terms: Idempotency) -> str:
    return f"{terms.key.text if terms.key else 'the arguments'} for {terms.retain_s:g} s, {terms.duplicates}"


def task(spec: Spec) -> str:
    return f"machine {spec.task.machine.name}" if spec.task else ""


def resource(spec: Spec) -> str:
    """`account at $.account.id, written by billing`."""
    terms = spec.resource
    if terms is None:
        return ""
    who = f", written by {terms.owner or 'anyone'}" if terms.writes else ", read"
    return f"{terms.name or spec.name} at {terms.key.text}{who}"


def cost(spec: Spec) -> str:
    estimate = spec.cost.estimate_micro_usd if spec.cost else None
    return "" if estimate is None else f"estimate ${estimate / 1e6:.6g}"


SHOWN: Mapping[str, Callable[[Spec], str]] = MappingProxyType({each.__name__: each for each in (cost,)})
