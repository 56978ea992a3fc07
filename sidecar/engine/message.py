"""A message: one payload in an exchange, and the document and names that can be read from it.

Reading is lazy and happens once: a payload nobody asks about is never parsed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple, Protocol

JSON = Any
"""A JSON value: dict, list, str, int, float, bool or None."""


class Direction(StrEnum):
    REQUEST = "request"
    RESPONSE = "response"


class Names(NamedTuple):
    """Ids that a payload carries. A2A's words; other protocols are read by the same field names.

    One is made for each message, so it is a named tuple: made in less than half the time of a frozen dataclass.
    """

    context_id: str = ""
    task_id: str = ""
    message_id: str = ""
    task_state: str = ""
    """As the protocol spells it (`TASK_STATE_WORKING`); empty where the message tells none."""
    reference_task_ids: tuple[str, ...] = ()

    def merged(self, later: Names) -> Names:
        """What is known after `later` has been seen too: its ids win where it has any."""
        return Names(
            later.context_id or self.context_id,
            later.task_id or self.task_id,
            later.message_id or self.message_id,
            later.task_state or self.task_state,
            later.reference_task_ids or self.reference_task_ids,
        )


NO_NAMES = Names()


class Codec(Protocol):
    """Reads the payloads of one direction of one method."""

    def parse(self, payload: bytes) -> Any:
        """The parsed form (a protobuf message, or JSON). Raises MalformedMessage."""

    def document(self, parsed: Any) -> JSON:
        """The JSON form of what `parse` gave."""

    def names(self, parsed: Any) -> Names:
        """The ids in what `parse` gave; NO_NAMES where the type has none."""

    @property
    def has_names(self) -> bool:
        """Whether `names` can ever find something: without it, nobody parses for ids."""


_UNREAD: Any = object()


class Message:
    """One payload: direction, sequence number, bytes, and on demand its document and names.

    `document` and `names` raise MalformedMessage for a payload that does not parse, each time they are asked.
    """

    __slots__ = ("_codec", "_document", "_names", "_parsed", "direction", "payload", "sequence")

    def __init__(self, direction: Direction, sequence: int, payload: bytes, codec: Codec | None = None) -> None:
        self.direction = direction
        self.sequence = sequence
        self.payload = payload
        self._codec = codec
        self._parsed = _UNREAD
        self._document = _UNREAD
        self._names = NO_NAMES if codec is None or not codec.has_names else _UNREAD

    @property
    def is_readable(self) -> bool:
        """Whether anything is known of the type: without it there is no document to check."""
        return self._codec is not None

    @property
    def size_bytes(self) -> int:
        return len(self.payload)

    @property
    def document(self) -> JSON:
        if self._document is _UNREAD:
            assert self._codec is not None, "ask is_readable first"
            self._document = self._codec.document(self._parse())
        return self._document

    @property
    def names(self) -> Names:
        if self._names is _UNREAD:
            assert self._codec is not None
            self._names = self._codec.names(self._parse())
        return self._names

    def _parse(self) -> Any:
        if self._parsed is _UNREAD:
            assert self._codec is not None
            self._parsed = self._codec.parse(self.payload)
        return self._parsed

    def __repr__(self) -> str:
        return f"<Message {self.direction} #{self.sequence} {self.size_bytes} B>"
