"""gRPC statuses: the callee's, passed on as they are, and our own, always marked as ours."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from sidecar.engine.exchange import Exchange, Origin, Status
from sidecar.engine.finding import Reject
from sidecar.errors import REPLIES, REPLY_TRAILER, Reason, Retry

DOMAIN = "sidecar"
"""`google.rpc.ErrorInfo.domain` of every local reply."""

DETAILS_TRAILER = "grpc-status-details-bin"

PUSHBACK_TRAILER = "grpc-retry-pushback-ms"
"""Trailer by which a server tells gRPC's own retries when to come back."""

REPLAYED = "REPLAYED"
"""Value of that trailer on an answer from the record: all else in it is the callee's, byte for byte."""

RETRY_DELAY_S = 0.5
"""Middle of the delay told in RetryInfo where nobody knows a better one."""

NO_STATUS = "No status received"
"""What grpc says of trailers without a status: the only such case in which there are trailers."""

TRANSPORT_MARKS = (
    NO_STATUS,
    "Socket closed",
    "Cancelling all calls",
    "GOAWAY received",
    "Received RST_STREAM with error code",
    "Received http2 header with status",
    "Received message larger than max",
    "Stream removed",
    "Stream closed",
    "Missing :status",
    "Error parsing",
)
"""Words of grpc's own, where a call ended without a status of the callee's."""

CODES = {code.name: code for code in grpc.StatusCode}


def upstream_status(code: grpc.StatusCode, details: str, trailers: object) -> Status:
    """How a call ended upstream, and whether the callee said so or the transport made it up.

    A callee that uses these very words and sends no trailers is taken for a broken one: grpc tells it in no other way.
    """
    is_bare = not trailers or details.startswith(NO_STATUS)
    is_made_up = is_bare and any(mark in details for mark in TRANSPORT_MARKS)
    return Status(code.name, details, Origin.TRANSPORT if is_made_up else Origin.UPSTREAM)


@dataclass(frozen=True, slots=True)
class LocalReply:
    """A whole answer of our own, ready to be sent."""

    code: grpc.StatusCode
    message: str
    trailers: tuple[tuple[str, str | bytes], ...]


def local_reply(exchange: Exchange, reject: Reject) -> LocalReply:
    """What the caller is told about a refusal: status, ErrorInfo, and the same delay twice where a delay helps.

    RetryInfo is for whoever reads it; gRPC's own retries obey the pushback instead of their policy's backoff (gRFC A6).
    """
    reply = REPLIES[reject.reason]
    code = CODES[reply.code]
    message = f"{reject.reason.value}: {reject.message}"
    delay_ms = delay_ms_of(reject, reply.retry)
    status = status_pb2.Status(code=code.value[0], message=message, details=details_of(exchange, reject, delay_ms))
    trailers = ((REPLY_TRAILER, reject.reason.value), (DETAILS_TRAILER, status.SerializeToString()))
    pushback = ((PUSHBACK_TRAILER, f"{delay_ms}"),) if delay_ms is not None else ()
    return LocalReply(code, message, (*trailers, *pushback))


def replay_trailers() -> tuple[tuple[str, str], ...]:
    return ((REPLY_TRAILER, REPLAYED),)


def delay_ms_of(reject: Reject, retry: Retry) -> int | None:
    """Milliseconds after which a retry may fare better; None where none can, or where it may come at once."""
    is_told = retry is Retry.AFTER_DELAY or (retry is Retry.YES and reject.retry_delay_s is not None)
    return jittered_ms(reject.retry_delay_s) if is_told else None


def details_of(exchange: Exchange, reject: Reject, delay_ms: int | None) -> list[any_pb2.Any]:
    details = [packed(error_info(exchange, reject))]
    if delay_ms is not None:
        delay = duration_pb2.Duration(seconds=delay_ms // 1000, nanos=delay_ms % 1000 * 1_000_000)
        details.append(packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    if reject.reason is Reason.BUDGET_EXHAUSTED:
        details.append(packed(quota_failure(reject)))
    return details


def error_info(exchange: Exchange, reject: Reject) -> error_details_pb2.ErrorInfo:
    metadata = {"conversation": exchange.lineage.conversation, "trace_id": exchange.lineage.trace_id}
    if reject.findings:
        finding = reject.findings[0]
        metadata |= {"rule": finding.rule, "spec": finding.spec, "pointer": finding.pointer}
    told = {key: value for key, value in metadata.items() if value}
    return error_details_pb2.ErrorInfo(reason=reject.reason.value, domain=DOMAIN, metadata=told)


def jittered_ms(delay_s: float | None) -> int:
    """Another delay for each caller, so that they do not return as one herd.

    Never less than `delay_s` and up to half more; where nobody knows, half a second spread by half to each side.
    """
    least_s = RETRY_DELAY_S / 2 if delay_s is None else delay_s
    most_s = RETRY_DELAY_S * 1.5 if delay_s is None else delay_s * 1.5
    return math.ceil(random.uniform(least_s, most_s) * 1000)  # noqa: S311 - a spread, not a secret


def quota_failure(reject: Reject) -> error_details_pb2.QuotaFailure:
    """Which budget has too little left: its name, then whose purse it is."""
    violations = [
        error_details_pb2.QuotaFailure.Violation(
            subject=finding.evidence.get("subject", ""), description=finding.message
        )
        for finding in reject.findings
    ]
    return error_details_pb2.QuotaFailure(violations=violations)


def packed(detail: Message) -> any_pb2.Any:
    packed_detail = any_pb2.Any()
    packed_detail.Pack(detail)
    return packed_detail
