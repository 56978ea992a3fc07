"""Problems: every way in which an admin call can end other than well, and the one table of what its caller is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

DOMAIN: Final = "sidecar.admin"
DETAILS_TRAILER: Final = "grpc-status-details-bin"


class Why(StrEnum):
    """Stable: callers match on it in ErrorInfo.reason."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    TOO_MANY_FAILURES = "TOO_MANY_FAILURES"
    BUSY = "BUSY"
    STALLED = "STALLED"
    TOO_SLOW = "TOO_SLOW"
    MALFORMED = "MALFORMED"
    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    NOT_ALLOWED = "NOT_ALLOWED"
    FULL = "FULL"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    INTERNAL = "INTERNAL"


CODES: Final[Mapping[Why, grpc.StatusCode]] = MappingProxyType(
    {
        Why.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
        Why.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
        Why.TOO_MANY_FAILURES: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Why.BUSY: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Why.STALLED: grpc.StatusCode.DEADLINE_EXCEEDED,
        Why.TOO_SLOW: grpc.StatusCode.DEADLINE_EXCEEDED,
        Why.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
        Why.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
        Why.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
        Why.NOT_ALLOWED: grpc.StatusCode.FAILED_PRECONDITION,
        Why.FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Why.STORE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
        Why.INTERNAL: grpc.StatusCode.INTERNAL,
    }
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is wrong, and what is allowed there."""

    field: str
    """Dotted: `target.edge.callee`."""
    sentence: str


@dataclass(eq=False)
class Problem(Exception):
    """Ends the call. The sentence quotes nothing that a caller could not have said."""

    why: Why
    sentence: str
    facts: Mapping[str, str] = field(default_factory=dict)
    """Of ErrorInfo."""
    violations: Sequence[Violation] = ()
    retry_delay_s: float | None = None

    def __str__(self) -> str:
        return f"{self.why}: {self.sentence}"

    @property
    def code(self) -> grpc.StatusCode:
        return CODES[self.why]

    @property
    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        code: int = self.code.value[0]
        status = status_pb2.Status(code=code, message=str(self), details=list(map(packed, self._details())))
        return ((DETAILS_TRAILER, status.SerializeToString()),)

    def _details(self) -> list[Message]:
        details: list[Message] = [
            error_details_pb2.ErrorInfo(reason=self.why.value, domain=DOMAIN, metadata=dict(self.facts))
        ]
        if self.violations:
            told = error_details_pb2.BadRequest.FieldViolation
            found = [told(field=each.field, description=each.sentence) for each in self.violations]
            details.append(error_details_pb2.BadRequest(field_violations=found))
        if self.retry_delay_s is not None:
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(int(self.retry_delay_s * 1000))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        return details


def packed(detail: Message) -> any_pb2.Any:
    made = any_pb2.Any()
    made.Pack(detail)
    return made


def invalid(where: str, sentence: str) -> Problem:
    """A field is missing or wrong."""
    return Problem(Why.INVALID, f"{where}: {sentence}", {"field": where}, [Violation(where, sentence)])


def not_found(where: str, sentence: str) -> Problem:
    return Problem(Why.NOT_FOUND, sentence, {"field": where})


def not_allowed(where: str, sentence: str) -> Problem:
    return Problem(Why.NOT_ALLOWED, sentence, {"field": where})
