"""gRPC statuses: the callee's, passed on as they are, and our own, always marked as ours."""

from __future__ import annotations

import random
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from sidecar.engine.exchange import Exchange, Status
from sidecar.engine.finding import Reject
from sidecar.errors import REPLIES, REPLY_TRAILER, Reason, Retry

DOMAIN = "sidecar"
"""`google.rpc.ErrorInfo.domain` of every local reply."""

DETAILS_TRAILER = "grpc-status-details-bin"

REPLAYED = "REPLAYED"
"""Value of that trailer on an answer from the record: all else in it is the callee's, byte for byte."""

RETRY_DELAY_S = 0.5
"""Middle of the delay told in RetryInfo; each caller is told another, so that they do not return as one herd."""

TRANSPORT_MARKS = (
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


@dataclass(frozen=True, slots=True)
class LocalReply:
    """A whole answer of our own, ready to be sent."""

    code: grpc.StatusCode
    message: str
    trailers: tuple[tuple[str, str | bytes], ...]


def local_reply(exchange: Exchange, reject: Reject) -> LocalReply:
    """What the caller is told about a refusal: status, ErrorInfo, and RetryInfo where a delay helps."""
    reply = REPLIES[reject.reason]
    code = CODES[reply.code]
    message = f"{reject.reason.value}: {reject.message}"
    status = status_pb2.Status(code=code.value[0], message=message, details=details_of(exchange, reject, reply.retry))
    trailers = ((REPLY_TRAILER, reject.reason.value), (DETAILS_TRAILER, status.SerializeToString()))
    return LocalReply(code, message, trailers)


def is_made_up(status: Status, trailers: object) -> bool:
    """Whether grpc made the status up, because the stream broke or what came could not be read.

    A callee that uses these very words and sends no trailers is taken for a broken one, which only makes us doubt it.
    """
    return status.code != "OK" and not trailers and any(mark in status.message for mark in TRANSPORT_MARKS)


def replay_trailers() -> tuple[tuple[str, str], ...]:
    return ((REPLY_TRAILER, REPLAYED),)


def details_of(exchange: Exchange, reject: Reject, retry: Retry) -> list[any_pb2.Any]:
    details = [packed(error_info(exchange, reject))]
    if retry is Retry.AFTER_DELAY:
        details.append(packed(error_details_pb2.RetryInfo(retry_delay=jittered(reject.retry_delay_s))))
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


def quota_failure(reject: Reject) -> error_details_pb2.QuotaFailure:
    """Which budget has too little left: its name, then whose purse it is."""
    violations = [
        error_details_pb2.QuotaFailure.Violation(
            subject=finding.evidence.get("subject", ""), description=finding.message
        )
        for finding in reject.findings
    ]
    return error_details_pb2.QuotaFailure(violations=violations)


def jittered(delay_s: float | None) -> duration_pb2.Duration:
    """The delay, spread by half to each side."""
    spread_s = (delay_s or RETRY_DELAY_S) * random.uniform(0.5, 1.5)  # noqa: S311 - a spread, not a secret
    return duration_pb2.Duration(seconds=int(spread_s), nanos=int(spread_s % 1 * 1e9))


def packed(detail: Message) -> any_pb2.Any:
    packed_detail = any_pb2.Any()
    packed_detail.Pack(detail)
    return packed_detail
