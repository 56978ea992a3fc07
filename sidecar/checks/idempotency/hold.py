"""A hold: the claim of one exchange while it passes, what is recorded under it, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sidecar.engine.exchange import Answer, Exchange, Origin, Status
from sidecar.engine.finding import Forward
from sidecar.engine.join import TERMINAL_STATES, plain_state
from sidecar.engine.message import Message
from sidecar.engine.recording import Recording
from sidecar.engine.replies import reply_of, was_never_done
from sidecar.engine.state import Claims
from sidecar.errors import Reason

OUTCOME_UNKNOWN_CODES: Final = frozenset({"UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"})
"""After dispatch these say that the answer did not come, and nothing of what the callee did."""

NEVER_TOLD: Final = frozenset({Reason.OUTCOME_UNKNOWN, Reason.STORE_UNAVAILABLE, Reason.CHECK_FAILED})
"""Refusals of its that leave open what the callee did."""


class Ending(StrEnum):
    """What becomes of a claim."""

    DONE = "done"
    FREED = "freed"
    DOUBTED = "doubted"


@dataclass(slots=True, eq=False)
class Hold:
    """Collects the answer as it passes, up to a limit."""

    key: str
    token: int
    claims: Claims
    """Where it was claimed: the shared store, or what stood in for it."""
    limit_bytes: int
    begun_ns: int
    answer: Answer | None = None
    messages: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    is_too_large: bool = False

    def keep(self, message: Message, room_bytes: int) -> None:
        """One more response, where the limit and the room that all holds share allow it."""
        self.size_bytes += message.size_bytes
        if self.is_too_large or self.size_bytes > self.limit_bytes or message.size_bytes > room_bytes:
            self.drop()
        else:
            self.messages.append(message.payload)

    def drop(self) -> None:
        self.is_too_large = True
        self.messages.clear()
        self.size_bytes = self.limit_bytes + 1

    @property
    def kept_bytes(self) -> int:
        return 0 if self.is_too_large else self.size_bytes

    def recording(self) -> bytes | None:
        """For the store; None where the answer is too large to be given again."""
        if self.answer is None or self.is_too_large:
            return None
        status = self.answer.status
        recording = Recording(
            status.code, status.message, tuple(self.messages), self.answer.headers, self.answer.trailers
        )
        return recording.to_bytes() if recording.size_bytes <= self.limit_bytes else None

    def ending(self, exchange: Exchange, status: Status, *, answers_once: bool) -> Ending:
        """How the claim ends. Freed only where the callee cannot have seen the request."""
        if not exchange.has_passed_request:
            return Ending.FREED
        if self.answer is not None:
            return ending_of(exchange, self.answer)
        # We refused a response, or something failed in the middle. A unary callee had answered by then; of a stream
        # that was cut off nobody knows how far it came, unless it had said that its task has ended.
        has_answered = exchange.responses.messages > 0 and (answers_once or has_ended(exchange))
        return Ending.DONE if has_answered and status.origin is Origin.SIDECAR else Ending.DOUBTED

    def may_be_replayed(self, exchange: Exchange) -> bool:
        """An answer that was refused to its first caller is no answer for the next."""
        return isinstance(exchange.decision, Forward)


def has_ended(exchange: Exchange) -> bool:
    return plain_state(exchange.names.task_state).replace("-", "_") in TERMINAL_STATES


def ending_of(exchange: Exchange, answer: Answer) -> Ending:
    if answer.is_made_up or answer.status.code in OUTCOME_UNKNOWN_CODES:
        # What is sure comes first: a sidecar that stands before the callee knows that it never called.
        return Ending.FREED if was_never_done(exchange, answer) else Ending.DOUBTED
    if was_never_done(exchange, answer):
        return Ending.FREED
    return Ending.DOUBTED if reply_of(answer) in NEVER_TOLD else Ending.DONE
