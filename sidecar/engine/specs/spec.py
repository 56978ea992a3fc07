"""A spec: what is promised on the edges that it matches."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.engine.exchange import Mode
from sidecar.engine.message import Direction
from sidecar.engine.specs.glob import glob_matches, globs_overlap, specificity
from sidecar.engine.specs.path import Path
from sidecar.engine.specs.promises import (
    Consistency,
    ContentTerms,
    CostTerms,
    Idempotency,
    PanelTerms,
    ReadTerms,
    ResourceTerms,
    Stream,
    TaskTerms,
)
from sidecar.engine.specs.rules import Rules
from sidecar.engine.specs.schema import Schema

__all__ = ["Match", "PanelTerms", "Part", "Spec", "Terms"]


@dataclass(frozen=True, slots=True)
class Part:
    """A schema for every place that a path selects."""

    rule: str
    """`request.parts[0]`, which findings name."""
    path: Path
    schema: Schema
    required: bool = False
    """Whether the path must select at least one place."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What each message of one direction must satisfy."""

    schema: Schema | None = None
    parts: tuple[Part, ...] = ()
    rules: Rules | None = None

    @property
    def is_empty(self) -> bool:
        return self.schema is None and not self.parts and self.rules is None


@dataclass(frozen=True, slots=True)
class Match:
    """The edges that a spec is about. None matches every name."""

    caller: str | None = None
    callee: str | None = None
    method: str | None = None

    def covers(self, caller: str, callee: str, method: str) -> bool:
        wanted = ((self.callee, callee), (self.caller, caller), (self.method, method))
        return all(glob is None or glob_matches(glob, name) for glob, name in wanted)

    @property
    def specificity(self) -> tuple[tuple[int, int], ...]:
        """Orders matches; the greatest is the most specific."""
        return specificity(self.method), specificity(self.callee), specificity(self.caller)

    def overlaps(self, other: Match) -> bool:
        """Whether some edge is covered by both."""
        pairs = ((self.method, other.method), (self.callee, other.callee), (self.caller, other.caller))
        return all(one is None or two is None or globs_overlap(one, two) for one, two in pairs)


@dataclass(frozen=True, slots=True)
class Spec:
    """A declared contract for the edges it matches."""

    name: str
    """`researcher/v1`: unique among the specs in force."""
    match: Match
    mode: Mode | None = None
    """None inherits the route's."""
    request: Terms = Terms()
    response: Terms = Terms()
    errors: frozenset[str] | None = None
    """Names of the gRPC codes beside OK that the callee may answer with. None allows all, an empty set none."""
    stream: Stream | None = None
    """The protocol by whose rules the messages of a stream follow each other. None: any order."""
    deadline_s: float | None = None
    """Seconds for a call that carries no deadline of its own."""
    idempotency: Idempotency | None = None
    reads: ReadTerms | None = None
    task: TaskTerms | None = None
    resource: ResourceTerms | None = None
    cost: CostTerms | None = None
    consistency: Consistency | None = None
    """What checks do while the shared store is away: available goes on, consistent refuses. None: available."""
    panel: PanelTerms | None = None
    content: ContentTerms | None = None
    """What may be kept of documents. None: nothing."""
    source: str = ""
    """The file it came from, for people."""

    def terms(self, direction: Direction) -> Terms:
        return self.request if direction is Direction.REQUEST else self.response
