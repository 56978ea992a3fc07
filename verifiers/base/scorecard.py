"""The scorecard: what a verifier counts of itself, for Prometheus. No payload and no id becomes a label."""

from __future__ import annotations

import re
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from verifiers.base.description import Description
from verifiers.base.verdict import Finding, Usage, Value, Verdict

RULE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MAX_RULES = 200
"""Rules may come from specs, so their number is capped; what is over is counted under `_other`."""
OTHER = "_other"
REFUSALS = ("too-large", "busy", "unreadable")
DURATION_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZE_BUCKETS_BYTES = (256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216)


class Scorecard:
    """One verifier's metrics in a registry of their own."""

    def __init__(self, description: Description, scores: Mapping[str, float]) -> None:
        self.registry = registry = CollectorRegistry()
        self._verdicts = Counter("verifier_verdicts", "Verdicts given.", ["verdict"], registry=registry)
        self._refusals = Counter("verifier_refusals", "Evidence not judged.", ["reason"], registry=registry)
        self._findings = Counter("verifier_findings", "Findings, by rule.", ["rule"], registry=registry)
        self._tokens = Counter("verifier_tokens", "Tokens that verdicts cost.", ["model", "type"], registry=registry)
        self._cost_usd = Counter("verifier_cost_usd", "Money that verdicts cost.", ["model"], registry=registry)
        self._duration_s = Histogram(
            "verifier_duration_seconds", "From evidence to verdict.", buckets=DURATION_BUCKETS_S, registry=registry
        )
        self._evidence_bytes = Histogram(
            "verifier_evidence_bytes", "Evidence, as on the wire.", buckets=SIZE_BUCKETS_BYTES, registry=registry
        )
        self._rules: set[str] = set()
        self._begin()
        publish(description, scores, registry)

    def judged(self, verdict: Verdict, duration_s: float) -> None:
        self._verdicts.labels(verdict.value.name.lower()).inc()
        self._duration_s.observe(duration_s)
        for finding in verdict.findings:
            self._findings.labels(self._label(finding)).inc()
        if verdict.usage is not None:
            self._paid(verdict.usage)

    def arrived(self, size_bytes: int) -> None:
        self._evidence_bytes.observe(size_bytes)

    def refused(self, reason: str) -> None:
        self._refusals.labels(reason).inc()

    def _begin(self) -> None:
        """What is known beforehand starts at 0, so that an alert sees the first increase."""
        for value in Value:
            self._verdicts.labels(value.name.lower())
        for reason in REFUSALS:
            self._refusals.labels(reason)

    def _paid(self, usage: Usage) -> None:
        self._tokens.labels(usage.model, "input").inc(max(0, usage.input_tokens))
        self._tokens.labels(usage.model, "output").inc(max(0, usage.output_tokens))
        self._cost_usd.labels(usage.model).inc(max(0, usage.cost_micro_usd) / 1e6)

    def _label(self, finding: Finding) -> str:
        if not RULE.fullmatch(finding.rule):
            return OTHER
        if finding.rule not in self._rules and len(self._rules) >= MAX_RULES:
            return OTHER
        self._rules.add(finding.rule)
        return finding.rule


def publish(description: Description, scores: Mapping[str, float], registry: CollectorRegistry) -> None:
    """What does not change while the verifier runs."""
    info = Gauge("verifier_info", "Who answers here.", ["verifier", "version", "family"], registry=registry)
    info.labels(description.name, description.version, description.family or description.name).set(1)
    figures = Gauge("verifier_score", "How good it was measured to be.", ["figure"], registry=registry)
    for figure, value in scores.items():
        figures.labels(figure).set(value)
