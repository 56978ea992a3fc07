"""Promises of a spec beside its terms: what a call's key, task, resource and price are, and who must agree with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sidecar.engine.exchange import Mode
from sidecar.engine.specs.machines import A2A, Machine
from sidecar.engine.specs.path import Path

Duplicates = Literal["replay", "reject", "observe"]
Consistency = Literal["available", "consistent"]
When = Literal["inline", "after"]
OnFail = Literal["report", "quarantine"]
Stream = Literal["a2a"]
Shown = Literal["full", "redacted"]


@dataclass(frozen=True, slots=True)
class Idempotency:
    """That the same call, sent again, is not done again."""

    key: Path | None = None
    """Where the request holds its key. None: the arguments are the key (the request without message ids and times)."""
    retain_s: float = 86_400.0
    """Seconds for which a key stays taken."""
    duplicates: Duplicates = "replay"


@dataclass(frozen=True, slots=True)
class ReadTerms:
    """That a call changes nothing, so that one answer can serve all who ask for it meanwhile."""

    single_flight: bool = False
    """Whether an identical call that comes while one is in flight waits for that one's answer."""
    across_callers: bool = False
    """Whether that holds for two callers as well: only where the answer does not depend on who asks."""


@dataclass(frozen=True, slots=True)
class TaskTerms:
    """That a task goes from state to state as its machine allows."""

    id: Path | None = None
    """Where a response holds the task's id. None: where the protocol does (A2A's `taskId`, or a task's `id`)."""
    state: Path | None = None
    """Where it holds the state. None: where the protocol does."""
    machine: Machine = A2A


@dataclass(frozen=True, slots=True)
class ResourceTerms:
    """That what a call reads is fresh, and what it writes is its own to write."""

    key: Path
    version: Path | None = None
    name: str = ""
    """What kind of resource it is; specs that say the same name speak of the same one. Empty: the spec's own name."""
    writes: bool = False
    owner: str | None = None
    """The one agent that may write. None: any may."""


@dataclass(frozen=True, slots=True)
class CostTerms:
    """Where a response says what it cost, and what to hold before it does."""

    model: Path | None = None
    input_tokens: Path | None = None
    output_tokens: Path | None = None
    estimate_micro_usd: int | None = None
    """Whole micro-USD. None: the configured default hold."""


@dataclass(frozen=True, slots=True)
class PanelTerms:
    """Which verifiers must agree with an answer, and how."""

    require: tuple[str, ...]
    """Names of verifiers as the configuration gives them."""
    quorum: int
    """Of these, how many must pass."""
    mode: Mode | None = None
    """None inherits the spec's."""
    timeout_s: float = 2.0
    """Seconds for the whole panel; each verifier's own time-out applies as well."""
    when: When = "inline"
    """inline holds the message until the verdict is known; after lets it go on, and a later fail is a finding."""
    sample: float = 1.0
    """Share of messages that are judged, 0 to 1."""
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Settings for single verifiers, by the verifier's name."""
    on_fail: OnFail = "report"
    """What a fail that comes after its message leads to: a finding, or one and the edge's quarantine."""
    schemas: Mapping[str, str] = field(default_factory=dict)
    """The spec's own schemas as parameters of a schema verifier, each complete in itself (see `bundle`)."""


@dataclass(frozen=True, slots=True)
class ContentTerms:
    """What may be kept of the documents themselves, and what of them is masked first."""

    journal: bool = False
    """Whether the journal keeps documents. Without it, it keeps sizes and digests alone."""
    redact: tuple[Path, ...] = ()
    """Places that are masked in documents of either direction, on top of what the configuration masks."""
    verifiers: Shown = "full"
    """Whether verifiers are shown documents as they are, or with masks."""
