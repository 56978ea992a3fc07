"""A record: one thing that was seen or decided, as plain data that any version can read back.

All sinks take the same records, and so do `tail` and the readers. A record never changes; a change of its form gets a
new version, and readers refuse the ones that they do not know rather than misread them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, NamedTuple

import orjson

from sidecar.engine.hybrid_clock import first_stamp_of, unix_ms_of
from sidecar.engine.message import JSON
from sidecar.engine.ports import Clock

VERSION: Final = 1
"""Of the form below. Written into every record."""


class Kind(StrEnum):
    """What a record tells of."""

    STARTED = "started"
    """An exchange began."""
    MESSAGE = "message"
    FINDING = "finding"
    VERDICT = "verdict"
    """One verifier's opinion of an answer."""
    DECISION = "decision"
    """An exchange was refused, or answered from the record. One that was forwarded has none."""
    CHARGE = "charge"
    """What an exchange cost."""
    ENDED = "ended"
    ADMIN = "admin"
    """An operator did something, or tried to."""
    OPENED = "opened"
    """The journal was opened, and how it was found."""
    CLOSED = "closed"
    DROPPED = "dropped"
    """Records are missing here: there was no room for them."""
    PRUNED = "pruned"
    """Records at the old end were deleted, as the bounds on age and size ask."""


@dataclass(frozen=True)
class About:
    """Which exchange a record is about. Made once for each; all its records share it."""

    exchange_id: str = ""
    conversation: str = ""
    trace_id: str = ""
    span_id: str = ""
    cause: str = ""
    """Outbound: id of the inbound exchange that caused it, where that is known."""
    hops: int = 0
    caller: str = ""
    callee: str = ""
    method: str = ""
    """With its slash, as it was called."""
    side: str = ""
    route: str = ""

    @cached_property
    def encoded(self) -> bytes:
        return as_json(dict(vars(self)))


NO_EXCHANGE: Final = About()
"""What is about none: an operator's action, or the journal itself."""

ABOUT_FIELDS: Final = tuple(each.name for each in fields(About))


class Record(NamedTuple):
    """One entry of the journal. A tuple, because a frozen dataclass costs five times as much to make."""

    kind: Kind
    hlc: int
    """Stamp of the hybrid logical clock: sorts records of one journal, and those of several, by cause."""
    unix_ns: int
    """Wall clock, Unix nanoseconds."""
    about: About = NO_EXCHANGE
    task_id: str = ""
    """The last task id seen on the exchange."""
    body: Mapping[str, JSON] = {}
    """What this kind of record says; see docs/journal.md."""

    @property
    def unix_ms(self) -> int:
        """The time that the stamp tells."""
        return unix_ms_of(self.hlc)


class UnreadableRecord(ValueError):
    """Bytes that are no record, or one of a version that is not known here."""


def own_record(kind: Kind, clock: Clock, body: Mapping[str, JSON] | None = None, *, hlc: int = 0) -> Record:
    """What a journal says of itself.

    Its sink makes the stamp follow the one before: a time of its own would be later than that of records that wait.
    """
    return Record(kind, hlc, clock.unix_ns(), NO_EXCHANGE, "", body or {})


def stamp_of(clock: Clock) -> int:
    """The earliest stamp of this very millisecond."""
    return first_stamp_of(clock.unix_ns() // 1_000_000)


_KIND_NAMES: Final = {kind: kind.value.encode() for kind in Kind}


def encoded(record: Record) -> bytes:
    """As JSON in UTF-8, on one line. The journal's chain is over these very bytes."""
    return b'{"v":%d,"kind":"%s","hlc":%d,"unix_ns":%d,"about":%s,"task_id":%s,"body":%s}' % (
        VERSION,
        _KIND_NAMES[record.kind],
        record.hlc,
        record.unix_ns,
        record.about.encoded,
        as_json(record.task_id) if record.task_id else b'""',
        as_json(record.body),
    )


def as_json(value: JSON) -> bytes:
    """A document may hold what orjson refuses: integers past 64 bits, half a surrogate pair, numbers for keys."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):
        return json.dumps(value, separators=(",", ":"), default=str).encode()


def decoded(raw: bytes) -> Record:
    """What `encoded` gave. Raises UnreadableRecord."""
    try:
        said = json_of(raw)
    except ValueError as error:
        raise UnreadableRecord("no JSON") from error
    if not isinstance(said, dict) or said.get("v") != VERSION:
        found = said.get("v") if isinstance(said, dict) else None
        raise UnreadableRecord(f"version {found!r}; this program reads {VERSION}")
    try:
        return record_of(said)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableRecord(f"no record: {error}") from error


def record_in(raw: bytes) -> Record | None:
    """What `encoded` gave; None for anything else."""
    try:
        return decoded(raw)
    except UnreadableRecord:
        return None


def json_of(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return json.loads(raw)


def record_of(said: Mapping[str, Any]) -> Record:
    about = said["about"]
    return Record(
        Kind(said["kind"]),
        int(said["hlc"]),
        int(said["unix_ns"]),
        About(**{name: about[name] for name in ABOUT_FIELDS}),
        str(said["task_id"]),
        dict(said["body"]),
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A record in its place in a journal."""

    seq: int
    """Rises by one from record to record of one journal."""
    record: Record
    hash: bytes = field(repr=False)
    """The chain's link: SHA-256 over the link before, the place and the record's bytes."""
    raw: bytes = field(repr=False)
    """The record's bytes, as they lie in the journal."""
