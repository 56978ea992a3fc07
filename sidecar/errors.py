"""Whose fault is it? Every error of the product, and the one table of what a caller is told.

    SidecarError
    ├── ConfigError              the operator's: said before any socket is bound; exit code 64
    ├── DownstreamError          whoever called us
    │   └── MalformedMessage     bytes that are not what the method's descriptor promises
    ├── UpstreamError            whoever we call
    │   ├── UpstreamUnreachable  never dispatched: a retry is safe
    │   └── UpstreamTooSlow      the deadline passed before it could be dispatched
    ├── Rejection                a decision of ours, not a failure
    └── DependencyError          store, verifier or exporter; a call outlives it unless its spec says otherwise
        ├── StoreFull            it answers, and has no room for another one
        └── StoreUnavailable

An upstream's own status is data, never one of these: it passes untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

EX_USAGE = 64
"""Exit code for a mistake in configuration, specs or the command line (BSD sysexits)."""


class Reason(StrEnum):
    """Why the sidecar answered in the callee's place. Stable: callers match on it in ErrorInfo.reason."""

    REQUEST_SPEC_VIOLATION = "REQUEST_SPEC_VIOLATION"
    RESPONSE_SPEC_VIOLATION = "RESPONSE_SPEC_VIOLATION"
    VERDICT_FAILED = "VERDICT_FAILED"
    LOOP_DETECTED = "LOOP_DETECTED"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    DUPLICATE_IN_FLIGHT = "DUPLICATE_IN_FLIGHT"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    ILLEGAL_TASK_TRANSITION = "ILLEGAL_TASK_TRANSITION"
    STALE_WRITE = "STALE_WRITE"
    NOT_OWNER = "NOT_OWNER"
    OVERLOADED = "OVERLOADED"
    QUARANTINED = "QUARANTINED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    ANSWER_NOT_KEPT = "ANSWER_NOT_KEPT"
    """The call was done, and its answer cannot be given again."""
    UPSTREAM_UNREACHABLE = "UPSTREAM_UNREACHABLE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    CHECK_FAILED = "CHECK_FAILED"


REPLY_TRAILER = "sidecar-reply"
"""Trailer that marks a local reply; its value is the reason. One sidecar reads it of another."""


class Retry(StrEnum):
    """Whether sending the same call again can help, and when."""

    NO = "no"
    YES = "yes"
    AFTER_DELAY = "after the delay in RetryInfo"
    AFTER_RESUME = "after the cool-down"
    AFTER_RESET = "after the budget resets"
    AFTER_RELEASE = "after its release, or the cool-down of an edge"
    AFTER_REREAD = "after reading the resource again"
    AFTER_RETAIN = "not before the record expires"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a caller is told for one reason: a gRPC status code name and whether a retry can help."""

    code: str
    retry: Retry


REPLIES: Mapping[Reason, Reply] = MappingProxyType(
    {
        Reason.REQUEST_SPEC_VIOLATION: Reply("INVALID_ARGUMENT", Retry.NO),
        Reason.RESPONSE_SPEC_VIOLATION: Reply("INTERNAL", Retry.NO),
        Reason.VERDICT_FAILED: Reply("FAILED_PRECONDITION", Retry.NO),
        Reason.LOOP_DETECTED: Reply("FAILED_PRECONDITION", Retry.AFTER_RESUME),
        Reason.BUDGET_EXHAUSTED: Reply("RESOURCE_EXHAUSTED", Retry.AFTER_RESET),
        Reason.DUPLICATE_IN_FLIGHT: Reply("ABORTED", Retry.AFTER_DELAY),
        Reason.IDEMPOTENCY_CONFLICT: Reply("ALREADY_EXISTS", Retry.NO),
        Reason.ILLEGAL_TASK_TRANSITION: Reply("INTERNAL", Retry.NO),
        Reason.STALE_WRITE: Reply("ABORTED", Retry.AFTER_REREAD),
        Reason.NOT_OWNER: Reply("PERMISSION_DENIED", Retry.NO),
        Reason.OVERLOADED: Reply("RESOURCE_EXHAUSTED", Retry.AFTER_DELAY),
        Reason.QUARANTINED: Reply("PERMISSION_DENIED", Retry.AFTER_RELEASE),
        Reason.OUTCOME_UNKNOWN: Reply("ABORTED", Retry.AFTER_RETAIN),
        Reason.ANSWER_NOT_KEPT: Reply("ALREADY_EXISTS", Retry.AFTER_RETAIN),
        Reason.UPSTREAM_UNREACHABLE: Reply("UNAVAILABLE", Retry.YES),
        Reason.STORE_UNAVAILABLE: Reply("UNAVAILABLE", Retry.YES),
        Reason.CHECK_FAILED: Reply("INTERNAL", Retry.NO),
    }
)


class SidecarError(Exception):
    """Root of the tree above."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a file of the operator's: where, what was found, what is allowed."""

    where: str
    """File and line where known, then the path in it: `sidecar.yaml:12 routes[0].listen`."""
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"{self.where}: found {self.found}; allowed: {self.allowed}"


class ConfigError(SidecarError):
    """Every mistake of one configuration or spec at once, so that they can be mended at once."""

    exit_code = EX_USAGE

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class DownstreamError(SidecarError):
    """The side that calls us did something it may not do."""


class MalformedMessage(DownstreamError):
    """A payload does not parse as the type its method declares (or is no JSON, where JSON was said)."""


class UpstreamError(SidecarError):
    """The side that we call cannot be used."""


class UpstreamUnreachable(UpstreamError):
    """No connection within the time allowed. Nothing was dispatched, so a retry is safe."""


class UpstreamTooSlow(UpstreamError):
    """The caller's deadline passed while we waited for a connection. Nothing was dispatched."""


class Rejection(SidecarError):
    """The sidecar answers in the callee's place."""

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class DependencyError(SidecarError):
    """Something beside the call's path failed: a store, a verifier, an exporter."""


class StoreFull(DependencyError):
    """The store has no room for another one of a kind."""


class StoreUnavailable(DependencyError):
    """The store did not answer in time."""

    def __init__(self, message: str, *, may_have_happened: bool = False) -> None:
        """`may_have_happened`: the verb was on its way, so what it asks for may be done all the same."""
        super().__init__(message)
        self.may_have_happened = may_have_happened
