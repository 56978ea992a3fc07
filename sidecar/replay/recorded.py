"""From a journal's records to exchanges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.engine.message import JSON, Direction, Message, Names
from sidecar.telemetry.journal import About, Entry, Kind, Record

EXCHANGES_MAX: Final = 1_000_000
"""Of one replay. They are held in memory, for two may be under way at once."""


class RecordedMessage(Message):
    """A message of which the journal kept the digest, the size and the names, and maybe the document.

    Equal payloads had equal digests, so the digest stands in for the payload.
    """

    __slots__ = ("_size_bytes",)

    def __init__(self, body: Mapping[str, Any], sequence: int) -> None:
        direction = Direction(body["direction"])
        names = Names(
            str(body.get("context_id", "")),
            str(body.get("task_id", "")),
            str(body.get("message_id", "")),
            str(body.get("task_state", "")),
        )
        has_document = "document" in body
        codec = _Given(body["document"], names) if has_document else None
        super().__init__(direction, sequence, bytes.fromhex(str(body.get("sha256", ""))), codec)
        self._names = names
        self._size_bytes = int(body["size_bytes"])

    @property
    def size_bytes(self) -> int:
        return self._size_bytes


class _Given:
    """The codec of a message whose document was recorded."""

    has_names = True

    def __init__(self, document: JSON, names: Names) -> None:
        self._document = document
        self._names = names

    def parse(self, payload: bytes) -> JSON:
        del payload
        return self._document

    def document(self, parsed: JSON) -> JSON:
        return parsed

    def names(self, parsed: JSON) -> Names:
        del parsed
        return self._names


@dataclass(slots=True, eq=False)
class RecordedExchange:
    """One exchange, as far as the journal has it."""

    about: About
    started: Record
    messages: list[RecordedMessage] = field(default_factory=list)
    findings: list[Mapping[str, JSON]] = field(default_factory=list)
    decision: Mapping[str, JSON] | None = None
    """The record of a refusal or a replay; None where it was forwarded."""
    ended: Record | None = None
    """None where it was still open when the journal ends."""

    @property
    def has_content(self) -> bool:
        """Whether every message has its document."""
        return all(message.is_readable for message in self.messages)

    @property
    def verdict(self) -> str:
        """`forward`, `reject LOOP_DETECTED`, `replay`."""
        if self.decision is None:
            return "forward"
        return f"{self.decision['decision']} {self.decision.get('reason', '')}".strip()


Step = tuple[RecordedExchange, Record, RecordedMessage | None]
"""What happens next: to which exchange, the record, and its message where it is one."""


def recorded_exchanges(
    entries: Iterable[Entry], most: int = EXCHANGES_MAX
) -> tuple[list[RecordedExchange], list[Step], int]:
    """Exchanges, everything that happened to them in order, and how many records belong to none of them.

    Of the first `most` that begin: of what comes after them nothing is kept.
    """
    found: dict[tuple[str, str], RecordedExchange] = {}
    exchanges: list[RecordedExchange] = []
    steps: list[Step] = []
    strays = 0
    for entry in entries:
        record = entry.record
        if not record.about.exchange_id:
            continue
        key = (record.about.exchange_id, record.about.span_id)
        if record.kind is Kind.STARTED and len(exchanges) < most:
            found[key] = exchange = RecordedExchange(record.about, record)
            exchanges.append(exchange)
            steps.append((exchange, record, None))
        elif (known := found.get(key)) is None:
            strays += 1
        else:
            take(known, record, steps)
    return exchanges, steps, strays


def take(exchange: RecordedExchange, record: Record, steps: list[Step]) -> None:
    if record.kind is Kind.MESSAGE:
        message = RecordedMessage(record.body, int(record.body["sequence"]))
        exchange.messages.append(message)
        steps.append((exchange, record, message))
    elif record.kind is Kind.FINDING:
        exchange.findings.append(record.body)
    elif record.kind is Kind.DECISION:
        exchange.decision = record.body
    elif record.kind is Kind.ENDED:
        exchange.ended = record
        steps.append((exchange, record, None))
