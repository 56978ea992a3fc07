"""The chain: each record is bound to all that came before it, so that a change, a gap or another order shows.

A link is SHA-256 over the link before it, the record's place and the record's bytes. Whoever can write the file can
also make a whole new chain; what that cannot do is end in a link that was written down elsewhere. So the last link, the
*head*, is said in the log whenever a journal is opened and closed, and `verify` takes one to look for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from sidecar.telemetry.journal.record import Kind, Record

GENESIS: Final = bytes(32)
"""The link before the first record."""

PLACE_BYTES: Final = 8

BREAKS_KEPT: Final = 100
"""Breaks that are told one by one. The first one matters; a rewritten file has as many as it has records."""


class Link(NamedTuple):
    """A place in a journal and the link there."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash.hex()}"


START: Final = Link(0, GENESIS)
"""Before the first record, whose place is 1."""


def parsed_link(text: str) -> Link:
    """What `str` gave. Raises ValueError."""
    seq, colon, digest = text.partition(":")
    if not colon or not seq.isascii() or not seq.isdigit() or len(seq) > 18 or len(digest) != 64:
        raise ValueError("PLACE:HASH, the hash in 64 hex digits")
    return Link(int(seq), bytes.fromhex(digest))


def linked(before: Link, raw: bytes) -> Link:
    """The link of the record that comes after."""
    seq = before.seq + 1
    return Link(seq, sha256(b"".join((before.hash, seq.to_bytes(PLACE_BYTES, "big"), raw))).digest())


class Row(NamedTuple):
    """A record as it lies in its file."""

    seq: int
    raw: bytes
    hash: bytes
    record: Record | None
    """None where the bytes cannot be read as one."""
    flaw: str = ""
    """What is wrong with it beside the chain, such as a column that says something else than the record."""


@dataclass(frozen=True, slots=True)
class Break:
    """One place where the chain does not hold."""

    seq: int
    what: str
    """changed, missing, reordered, repeated, cut_start, cut_end, unreadable, column, other_head"""
    sentence: str


@dataclass(slots=True)
class Verification:
    """What became of walking a chain."""

    start: Link = START
    """The anchor: the last record that was pruned, or the beginning."""
    head: Link = START
    records: int = 0
    breaks: list[Break] = field(default_factory=list)
    breaks_found: int = 0
    dropped: int = 0
    """Records that the journal itself says had no room."""
    pruned_to: int = 0
    """The last place that the journal itself says it pruned."""
    unclean: list[int] = field(default_factory=list)
    """Places where a journal was opened that nobody had closed."""

    @property
    def is_whole(self) -> bool:
        return not self.breaks_found

    def broke(self, seq: int, what: str, sentence: str) -> None:
        self.breaks_found += 1
        if len(self.breaks) < BREAKS_KEPT:
            self.breaks.append(Break(seq, what, sentence))


def verify(
    rows: Iterable[Row], *, anchor: Link = START, head: Link | None = None, expected: Link | None = None
) -> Verification:
    """Walk a chain from its anchor. After a break it goes on from what the file says, so that each is told once.

    `head` is the one that the file keeps beside its records; `expected` one that was written down elsewhere.
    """
    found = Verification(start=anchor)
    before, has_passed_expected = anchor, expected is None or expected.seq <= anchor.seq
    last_hlc = 0
    for row in rows:
        found.records += 1
        place_is_right = check_place(found, before, row)
        link = linked(Link(row.seq - 1, before.hash), row.raw)
        if row.hash != link.hash and place_is_right:
            found.broke(row.seq, "changed", f"record {row.seq} is not what was written, or the one before it is not")
        if row.flaw:
            found.broke(row.seq, "column", f"record {row.seq}: {row.flaw}")
        last_hlc = take(found, row, last_hlc)
        before = Link(row.seq, row.hash)
        if expected is not None and row.seq == expected.seq:
            has_passed_expected = True
            if row.hash != expected.hash:
                found.broke(row.seq, "other_head", f"record {row.seq} is another than the head {expected}")
    found.head = before
    check_ends(found, anchor, head, None if has_passed_expected else expected)
    return found


def check_place(found: Verification, before: Link, row: Row) -> bool:
    if row.seq == before.seq + 1:
        return True
    if row.seq > before.seq + 1:
        gap = f"{before.seq + 1} to {row.seq - 1}" if row.seq > before.seq + 2 else str(before.seq + 1)
        found.broke(before.seq + 1, "missing", f"missing: {gap}, before record {row.seq}")
    else:
        found.broke(row.seq, "reordered", f"record {row.seq} stands after record {before.seq}")
    return False


def take(found: Verification, row: Row, last_hlc: int) -> int:
    """What the record itself says, where it can be read."""
    record = row.record
    if record is None:
        found.broke(row.seq, "unreadable", f"record {row.seq} cannot be read, or is of another version")
        return last_hlc
    if record.hlc < last_hlc:
        found.broke(row.seq, "reordered", f"record {row.seq} is older than the one before it")
    heed(found, row.seq, record)
    return max(record.hlc, last_hlc)


def heed(found: Verification, seq: int, record: Record) -> None:
    """What the journal says of itself."""
    if record.kind is Kind.DROPPED:
        found.dropped += int(record.body.get("count", 0))
    elif record.kind is Kind.PRUNED:
        found.pruned_to = max(found.pruned_to, int(record.body.get("to", 0)))
    elif record.kind is Kind.OPENED and record.body.get("was_closed") is False:
        found.unclean.append(seq)


def check_ends(found: Verification, anchor: Link, head: Link | None, expected: Link | None) -> None:
    """A file that begins or ends elsewhere than it should."""
    if anchor.seq > found.pruned_to:
        sentence = f"it begins after record {anchor.seq}, and no record says that these were pruned"
        found.broke(anchor.seq, "cut_start", sentence)
    if head is not None and head != found.head:
        lost = f"records {found.head.seq + 1} to {head.seq} are missing at the end"
        other = f"its last record is {found.head.seq}, another than the head that it keeps, {head.seq}"
        found.broke(found.head.seq, "cut_end", lost if head.seq > found.head.seq else other)
    if expected is not None:
        found.broke(found.head.seq, "cut_end", f"it ends at record {found.head.seq}, before the head {expected.seq}")
