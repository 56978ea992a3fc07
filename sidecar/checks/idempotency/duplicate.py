"""Duplicates: what is said about one, and where it came from.

The same key again is a retry from below: a library, a proxy or the wire sent the call once more. The same arguments
under a new key are a retry from above: the agent, or whoever drives it, decided to ask again. One that comes about when
the earlier call's deadline passed was most likely made because it did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from sidecar.checks.idempotency.identity import Identity, Unkeyed
from sidecar.engine.attempts import has_attempts
from sidecar.engine.exchange import Exchange, Mode
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.recording import Recording, UnreadableRecording
from sidecar.engine.specs import Spec
from sidecar.engine.state.claims import Claimed, Sighting, Standing
from sidecar.errors import Reason

NAME: Final = "idempotency"

RETRY_DELAY_S: Final = 1.0
"""Told to a duplicate that found the first call still under way."""

EARLY_SHARE: Final = 0.05
LATE_SHARE: Final = 0.1
LATE_MS: Final = 2_000
"""A duplicate is near the deadline from 5 % before it to 10 % (at least two seconds) after it."""


class Origin(StrEnum):
    """Where a retry came from."""

    BELOW = "below"
    ABOVE = "above"
    GRPC = "grpc"
    """A gRPC client's own retry, which says so."""
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """What became of a duplicate."""

    REPLAYED = "replayed"
    WAITED = "waited"
    """Answered from the record, after it had waited for the first answer."""
    IN_FLIGHT = "in_flight"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    NOT_KEPT = "not_kept"
    OBSERVED = "observed"
    """Found, and passed on: nothing was told to enforce."""


class DuplicateReporter(Protocol):
    """Watches, and can never fail a call."""

    def duplicate_found(self, callee: str, outcome: Outcome) -> None:
        """A key that was taken came again."""

    def retry_seen(self, callee: str, origin: Origin, *, is_near_deadline: bool) -> None:
        """A call was sent again, once for each sending."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Where a retry came from, and when."""

    origin: Origin
    spacing_ms: int
    """Since the sending before it."""
    deadline_ms: int = 0
    """How long the earlier one's caller would wait; 0 where nobody knows."""

    @property
    def is_near_deadline(self) -> bool:
        early_ms = self.deadline_ms * (1 - EARLY_SHARE)
        late_ms = self.deadline_ms + max(self.deadline_ms * LATE_SHARE, LATE_MS)
        return self.deadline_ms > 0 and early_ms <= self.spacing_ms <= late_ms

    @property
    def sentence(self) -> str:
        """`sent again after 31 s under a new key, so from above the agent, about when its deadline of 30 s passed`."""
        words = {
            Origin.BELOW: " under the same key, so from below the agent",
            Origin.ABOVE: " under a new key, so from above the agent",
            Origin.GRPC: " by a gRPC client that retries",
            Origin.UNKNOWN: "",
        }
        late = f", about when its deadline of {self.deadline_ms / 1000:g} s passed" if self.is_near_deadline else ""
        return f"sent again after {self.spacing_ms / 1000:.3g} s{words[self.origin]}{late}"

    @property
    def evidence(self) -> dict[str, str]:
        told = {"origin": self.origin.value, "spacing_ms": str(self.spacing_ms)}
        if self.deadline_ms:
            told |= {"deadline_ms": str(self.deadline_ms), "near_deadline": str(self.is_near_deadline).lower()}
        return told


def diagnosis_of(exchange: Exchange, identity: Identity, claimed: Claimed, seen: Sighting | None) -> Diagnosis | None:
    """Of a request that came before; None for one that did not, or that is another one under the same key."""
    is_taken = claimed.standing not in (Standing.NEW, Standing.YOURS)
    if claimed.standing is Standing.CONFLICT or not (is_taken or seen):
        return None
    origin = origin_of(exchange, identity, seen, is_taken=is_taken)
    return Diagnosis(origin, seen.age_ms, seen.deadline_ms) if seen else Diagnosis(origin, claimed.age_ms)


def origin_of(exchange: Exchange, identity: Identity, seen: Sighting | None, *, is_taken: bool) -> Origin:
    if has_attempts(exchange):
        return Origin.GRPC
    if is_taken and identity.mark == identity.key:
        return Origin.BELOW
    if not identity.mark or seen is None or not seen.mark:
        return Origin.UNKNOWN
    return Origin.BELOW if identity.mark == seen.mark else Origin.ABOVE


@dataclass(frozen=True, slots=True)
class Told:
    """A finding, and what it is counted as."""

    finding: Finding
    outcome: Outcome


def told_of(
    spec: Spec, mode: Mode | None, claimed: Claimed, diagnosis: Diagnosis | None, *, is_acting: bool, has_waited: bool
) -> Told:
    """What a duplicate is answered, where that is enforced."""
    recording = recording_of(claimed)
    rule, outcome, reason, words = verdict_of(claimed.standing, recording, has_waited=has_waited)
    evidence = {"age_ms": str(claimed.age_ms), "duplicates": str(claimed.duplicates), "outcome": outcome.value}
    came = ""
    if diagnosis is not None:
        evidence |= diagnosis.evidence
        came = f"; {diagnosis.sentence}"
    severity = Severity.INFO if reason is None else Severity.WARNING
    finding = Finding(
        check=NAME,
        rule=rule,
        severity=Severity.ERROR if reason is Reason.IDEMPOTENCY_CONFLICT else severity,
        message=f"{spec.name}: {words}{came}",
        reason=reason,
        mode=mode,
        spec=spec.name,
        evidence=evidence,
        recording=recording,
        retry_delay_s=RETRY_DELAY_S if reason is Reason.DUPLICATE_IN_FLIGHT else None,
    )
    return Told(finding, outcome if is_acting else Outcome.OBSERVED)


def verdict_of(
    standing: Standing, recording: Recording | None, *, has_waited: bool
) -> tuple[str, Outcome, Reason | None, str]:
    """Rule, outcome, reason and words."""
    if standing is Standing.IN_FLIGHT:
        words = "the same call is still under way"
        return "in-flight", Outcome.IN_FLIGHT, Reason.DUPLICATE_IN_FLIGHT, words
    if standing is Standing.CONFLICT:
        words = "another request was made under this key"
        return "conflict", Outcome.CONFLICT, Reason.IDEMPOTENCY_CONFLICT, words
    if standing is Standing.UNKNOWN:
        words = "the same call was made before, and nobody knows whether it was done"
        return "outcome-unknown", Outcome.UNKNOWN, Reason.OUTCOME_UNKNOWN, words
    if recording is None:
        words = "the same call was done before, and its answer was not kept"
        return "answer-not-kept", Outcome.NOT_KEPT, Reason.ANSWER_NOT_KEPT, words
    words = "the same call was done before, and its answer is given again"
    return "duplicate", Outcome.WAITED if has_waited else Outcome.REPLAYED, None, words


def recording_of(claimed: Claimed) -> Recording | None:
    if claimed.recording is None:
        return None
    try:
        return Recording.from_bytes(claimed.recording)
    except UnreadableRecording:
        return None


def retried(spec: Spec, diagnosis: Diagnosis) -> Finding:
    """The same arguments under a new key: it runs, for nobody promised that it would not."""
    sentence = f"{spec.name}: the same request, {diagnosis.sentence}"
    return Finding(NAME, "retry", Severity.WARNING, sentence, None, spec.mode, spec.name, evidence=diagnosis.evidence)


SENTENCES: Final[Mapping[Unkeyed, str]] = {
    Unkeyed.UNKNOWN_CALLER: "the caller is unknown, so its calls are not claimed; name it by mTLS, by a lineage key or "
    "by `caller` on the route",
    Unkeyed.UNREADABLE: "the request cannot be read, so it is not claimed; name its descriptors under `descriptors`",
    Unkeyed.NO_KEY: "the request has nothing where its key should be, so it is not claimed",
}


def unclaimed(spec: Spec, why: Unkeyed) -> Finding:
    """It passes as if the spec had no such block."""
    sentence = f"{spec.name}: {SENTENCES[why]}"
    return Finding(NAME, why.value, Severity.WARNING, sentence, None, spec.mode, spec.name)


def fenced(spec: Spec) -> Finding:
    """The store lost the claim, or it expired, before the call ended: another may have run."""
    sentence = f"{spec.name}: the claim was lost before the call ended, so the same call may have run twice"
    return Finding(NAME, "fenced", Severity.ERROR, sentence, None, spec.mode, spec.name)
