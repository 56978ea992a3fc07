"""Findings are what checks say; a decision is what policy makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sidecar.errors import Reason

if TYPE_CHECKING:
    from sidecar.engine.exchange import Mode
    from sidecar.engine.recording import Recording


class Severity(StrEnum):
    """How bad: `error` breaks a promise, `warning` comes near, `info` is worth knowing, `internal` is our own fault."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    INTERNAL = "internal"


class Action(StrEnum):
    """What became of a finding."""

    OBSERVED = "observed"
    REJECTED = "rejected"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One complaint of one check."""

    check: str
    rule: str
    severity: Severity
    message: str
    """A sentence a person can act on; never payload content, for it reaches spans and logs."""
    reason: Reason | None = None
    """The refusal this asks for where it is enforced; None never refuses."""
    mode: Mode | None = None
    """The weakest mode of the levels below the route (spec, check); None inherits the route's."""
    spec: str = ""
    pointer: str = ""
    """JSON Pointer (RFC 6901) to the place in the document; empty for the whole."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Small facts that back the sentence; never payload content."""
    recording: Recording | None = None
    """The recorded answer that this asks for, in the callee's place; it wins over `reason`."""
    hint: str = ""
    """What the caller is told beside its answer where this is enforced and nothing refuses: `loop; remaining=1`."""
    retry_delay_s: float | None = None
    """After which the same call may fare better; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Let it pass."""

    label = "forward"


FORWARD = Forward()
"""The decision of an exchange that nobody minds."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Answer in the callee's place."""

    reason: Reason
    findings: tuple[Finding, ...]
    retry_delay_s: float | None = None
    """Sent as RetryInfo where a retry can help; a caller is told at least this much."""

    label = "reject"

    @property
    def message(self) -> str:
        return self.findings[0].message if self.findings else self.reason.value


@dataclass(frozen=True, slots=True)
class Replay:
    """Answer from the record: the callee has done this already."""

    recording: Recording
    findings: tuple[Finding, ...]

    label = "replay"


Decision = Forward | Reject | Replay
"""Once it is anything but Forward it stays so."""
