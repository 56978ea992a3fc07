"""Replies: what an answer says that another sidecar gave in its callee's place, and whether the callee saw the request.

Where a call passes two sidecars, the caller's must not take for the callee's work what the callee's sidecar refused.
"""

from __future__ import annotations

from typing import Final

from sidecar.engine.exchange import Answer, Exchange
from sidecar.errors import REPLY_TRAILER, Reason

NEVER_DONE: Final = frozenset(
    {
        Reason.REQUEST_SPEC_VIOLATION,
        Reason.LOOP_DETECTED,
        Reason.BUDGET_EXHAUSTED,
        Reason.DUPLICATE_IN_FLIGHT,
        Reason.IDEMPOTENCY_CONFLICT,
        Reason.STALE_WRITE,
        Reason.NOT_OWNER,
        Reason.OVERLOADED,
        Reason.QUARANTINED,
        Reason.UPSTREAM_UNREACHABLE,
    }
)
"""Refusals with which the callee's own sidecar says that the callee has not seen the request."""

EITHER_WAY: Final = frozenset({Reason.STORE_UNAVAILABLE, Reason.CHECK_FAILED})
"""Refusals that may come before the callee was asked or after it has answered: the sidecar says which in a mark."""


def reply_of(answer: Answer) -> str:
    """The reason that another sidecar gave; empty where the callee itself answered."""
    return next((str(value) for key, value in answer.trailers if key == REPLY_TRAILER), "")


def was_never_done(exchange: Exchange, answer: Answer) -> bool:
    """Whether what was asked for is not done, as far as this exchange goes.

    Of a stream of requests the callee may have seen the first ones before a later one was refused.
    """
    reply = reply_of(answer)
    return (reply in NEVER_DONE and exchange.requests.passed == 1) or (answer.is_unseen and reply in EITHER_WAY)


def was_never_asked(exchange: Exchange, answer: Answer) -> bool:
    """Whether this exchange did not come to the callee: not done, or answered from the record of an earlier one."""
    return answer.is_unseen or was_never_done(exchange, answer)
