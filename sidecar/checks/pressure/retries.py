"""Which calls are sent again? The sender says so, idempotency found out, or the same arguments failed a moment ago.

Only what failed is remembered, so calls that go well cost nothing: no document is read for them. Of what failed it is
known whether the callee can have seen it: a call that was refused before it went out, and that comes again when it was
told to, is the first of its kind for the callee, and no budget of retries has to pay for it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final, NamedTuple, TypeVar

from sidecar.engine.attempts import has_attempts
from sidecar.engine.canonical import arguments_of, digest_of
from sidecar.engine.exchange import Answer, Exchange, Status
from sidecar.engine.message import Message
from sidecar.engine.ports import Clock
from sidecar.engine.replies import was_never_done
from sidecar.errors import MalformedMessage

AGAIN_S: Final = 60.0
"""The same arguments within this time after they failed are a retry."""

FAILURES_MAX: Final = 10_000
"""Failed calls remembered; the oldest makes room."""

READ_MAX_BYTES: Final = 256 << 10
"""A larger request is compared byte for byte, so that no caller makes us read much for every failure."""

FAILED: Final = frozenset(
    {
        *("CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"),
        *("ABORTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    }
)
"""Ends after which whoever asked may send the same again. NOT_FOUND is an answer: asking again is polling."""

Edge = tuple[str, str, str]
Key = TypeVar("Key")
Value = TypeVar("Value")


class Failure(NamedTuple):
    """A call that failed, or several of the same arguments."""

    failed_ns: int
    was_seen: bool
    """Whether the callee can have seen any of them."""


class Retries:
    """Remembers what failed lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: OrderedDict[bytes, Failure] = OrderedDict()
        """By fingerprint; oldest first."""
        self._edges: OrderedDict[Edge, int] = OrderedDict()
        """When anything on an edge failed: all others are not even fingerprinted."""

    def is_retry(self, exchange: Exchange, request: Message | None) -> bool:
        """Whether an earlier check found it out, its headers say so, or the same failed a moment ago.

        `request` is None where the call goes out before its first message: then nobody can compare it.
        """
        if exchange.is_retry or has_attempts(exchange):
            return True
        if request is None or not self._has_failed_lately(exchange):
            return False
        return self._failure(fingerprint(exchange, request)) is not None

    def is_new_to_callee(self, exchange: Exchange, request: Message | None) -> bool:
        """Of a retry: whether whatever came before it was refused before it went out."""
        if request is None or not self._has_failed_lately(exchange):
            return False
        failure = self._failure(fingerprint(exchange, request))
        return failure is not None and not failure.was_seen

    def ended(self, exchange: Exchange, status: Status, answer: Answer | None = None) -> None:
        """`answer`: of the callee, or of its sidecar."""
        request = exchange.last_request
        if request is None or exchange.requests.messages != 1:
            return
        if status.code in FAILED:
            was_turned_away = answer is not None and was_never_done(exchange, answer)
            is_seen_again = exchange.is_retry and not exchange.is_new_to_callee
            was_seen = is_seen_again or (exchange.has_passed_request and not was_turned_away)
            self._remember(exchange, fingerprint(exchange, request), was_seen=was_seen)
        elif self._has_failed_lately(exchange):
            self._failed.pop(fingerprint(exchange, request), None)

    def _failure(self, digest: bytes) -> Failure | None:
        failure = self._failed.get(digest)
        return failure if failure is not None and self._is_fresh(failure.failed_ns) else None

    def _remember(self, exchange: Exchange, digest: bytes, *, was_seen: bool) -> None:
        now_ns, before = self._clock.monotonic_ns(), self._failure(digest)
        remember(self._failed, digest, Failure(now_ns, was_seen or (before is not None and before.was_seen)))
        remember(self._edges, edge_of(exchange), now_ns)

    def _has_failed_lately(self, exchange: Exchange) -> bool:
        failed_ns = self._edges.get(edge_of(exchange)) if self._edges else None
        return failed_ns is not None and self._is_fresh(failed_ns)

    def _is_fresh(self, failed_ns: int) -> bool:
        return self._clock.monotonic_ns() - failed_ns <= AGAIN_S * 1e9


def remember(entries: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > FAILURES_MAX:
        entries.popitem(last=False)


def edge_of(exchange: Exchange) -> Edge:
    return exchange.caller, exchange.callee, exchange.method


def fingerprint(exchange: Exchange, request: Message) -> bytes:
    """Of edge and arguments. Messages that nobody can read are compared byte for byte."""
    digest = hashlib.blake2b(arguments(request), digest_size=16)
    for name in edge_of(exchange):
        digest.update(b"\0" + name.encode("utf-8", "surrogatepass"))
    return digest.digest()


def arguments(request: Message) -> bytes:
    """What idempotency takes for the arguments, so that the two never disagree on what is the same call."""
    if not request.is_readable or request.size_bytes > READ_MAX_BYTES:
        return request.payload
    try:
        return digest_of(arguments_of(request.document)).encode()
    except (MalformedMessage, ValueError):
        return request.payload
