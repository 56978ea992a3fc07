"""Findings of a panel: what its verdict, and each verifier's opinion, mean for the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sidecar.checks.engines import RULE, Comparison
from sidecar.engine.exchange import Mode, weakest
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.verdict import Opinion, PanelVerdict, Value
from sidecar.errors import Reason

if TYPE_CHECKING:
    from sidecar.engine.specs import PanelTerms, Spec

CHECK = "verification"

SENTENCE_CHARS = 400


def findings_of(spec: Spec, terms: PanelTerms, verdict: PanelVerdict) -> Iterator[Finding]:
    for opinion in sorted(verdict.opinions, key=lambda each: each.value, reverse=True):
        mode = below(spec.mode, terms.mode, opinion.mode)
        if opinion.value is Value.FAIL:
            yield failed(spec, mode, opinion)
        elif opinion.value is Value.INCONCLUSIVE:
            yield (doubted if opinion in verdict.doubtful else unsure)(spec, mode, opinion)
    if verdict.lacks_families:
        yield too_few(spec, below(spec.mode, terms.mode), verdict)


def observed(spec: Spec, terms: PanelTerms, opinion: Opinion) -> Finding | None:
    mode = below(spec.mode, terms.mode, opinion.mode)
    if opinion.value is Value.FAIL:
        return failed(spec, mode, opinion)
    return unsure(spec, mode, opinion) if opinion.value is Value.INCONCLUSIVE else None


def failed(spec: Spec, mode: Mode | None, opinion: Opinion) -> Finding:
    first = opinion.findings[0] if opinion.findings else None
    sentence = first.message if first and first.message else "the answer does not hold, and it does not say why"
    evidence = {
        "verdict": opinion.value.label,
        "version": opinion.version,
        "score": f"{opinion.score:.3f}",
        "findings": str(len(opinion.findings)),
        "rule": first.rule if first else "",
    }
    pointer = first.pointer if first and not first.in_request else ""
    return made(spec, mode, opinion.verifier, Severity.ERROR, sentence, Reason.VERDICT_FAILED, pointer, evidence)


def unsure(spec: Spec, mode: Mode | None, opinion: Opinion) -> Finding:
    """The panel came to its verdict without this one, so it is only worth knowing."""
    return made(spec, mode, opinion.verifier, Severity.INFO, no_verdict(opinion), None, "", doubts(opinion))


def doubted(spec: Spec, mode: Mode | None, opinion: Opinion) -> Finding:
    """The panel came to no verdict for the want of this one: a warning, or a refusal."""
    severity, reason = consequence(opinion.fail == "closed")
    sentence = f"{no_verdict(opinion)}; declared to fail {opinion.fail}"
    return made(spec, mode, opinion.verifier, severity, sentence, reason, "", doubts(opinion))


def no_verdict(opinion: Opinion) -> str:
    return f"no verdict ({opinion.failure})" if opinion.failure else "cannot tell whether the answer holds"


def doubts(opinion: Opinion) -> dict[str, str]:
    return {"verdict": opinion.value.label, "version": opinion.version, "failure": opinion.failure or ""}


def consequence(is_closed: bool) -> tuple[Severity, Reason | None]:
    return (Severity.ERROR, Reason.VERDICT_FAILED) if is_closed else (Severity.WARNING, None)


def too_few(spec: Spec, mode: Mode | None, verdict: PanelVerdict) -> Finding:
    """All pass, and yet too few independent families do."""
    severity, reason = consequence(verdict.fails_closed)
    sentence = "fewer independent families pass than the quorum asks for"
    return made(spec, mode, "quorum", severity, sentence, reason, "", {"verdict": verdict.value.label})


def made(
    spec: Spec,
    mode: Mode | None,
    rule: str,
    severity: Severity,
    sentence: str,
    reason: Reason | None,
    pointer: str,
    evidence: dict[str, str],
) -> Finding:
    """The rule is the verifier's configured name, so that labels stay few whatever verifiers call their own rules."""
    message = f"{spec.name}: {rule}: {sentence[:SENTENCE_CHARS]}"
    return Finding(CHECK, rule, severity, message, reason, mode, spec.name, pointer, evidence)


def disagreed(spec: Spec, terms: PanelTerms, comparison: Comparison, opinion: Opinion) -> Finding:
    """An alarm about engines, not about the answer: it asks for no refusal."""
    first = opinion.findings[0] if opinion.findings else None
    evidence = {
        "verifier": opinion.verifier,
        "version": opinion.version,
        "inline": comparison.inline.label,
        "verdict": comparison.theirs.label,
        "rule": first.rule if first else "",
    }
    pointer = first.pointer if first and not first.in_request else ""
    mode = below(spec.mode, terms.mode)
    return made(spec, mode, RULE, Severity.ERROR, comparison.sentence, None, pointer, evidence)


def below(*modes: Mode | None) -> Mode | None:
    """The weakest mode of the levels below the route; None where all left it out."""
    return weakest(*modes) if any(mode is not None for mode in modes) else None
