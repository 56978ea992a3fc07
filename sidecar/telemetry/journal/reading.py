"""Reading a journal: what is asked of it, and what comes back, whatever it is kept in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from sidecar.telemetry.journal.chain import Link, Verification
from sidecar.telemetry.journal.record import Entry, Kind, Record

PAGE_MAX: Final = 10_000
"""Most entries of one page."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records. What is left out matches all; what is said must all be true."""

    since_ms: int | None = None
    """Unix milliseconds, of a record's stamp; the first that counts."""
    until_ms: int | None = None
    """The first that does not."""
    agent: str = ""
    """On either side of the edge."""
    caller: str = ""
    callee: str = ""
    conversation: str = ""
    exchange_id: str = ""
    kinds: frozenset[Kind] = frozenset()
    rule: str = ""
    """`check/rule`, or a check alone with all its rules: `loop/repeat`, `loop`."""
    decision: str = ""
    """forward, reject or replay: of records that say one, an exchange's end among them."""

    def wants(self, record: Record) -> bool:
        """Whether a record is among them. For what is no database; `SqliteReader` asks the same in SQL."""
        about, body = record.about, record.body
        return (
            (self.since_ms is None or record.unix_ms >= self.since_ms)
            and (self.until_ms is None or record.unix_ms < self.until_ms)
            and (not self.agent or self.agent in (about.caller, about.callee))
            and (not self.caller or about.caller == self.caller)
            and (not self.callee or about.callee == self.callee)
            and (not self.conversation or about.conversation == self.conversation)
            and (not self.exchange_id or about.exchange_id == self.exchange_id)
            and (not self.kinds or record.kind in self.kinds)
            and (not self.rule or is_rule(self.rule, body.get("check"), body.get("rule")))
            and (not self.decision or body.get("decision") == self.decision)
        )


def is_rule(wanted: str, check: object, rule: object) -> bool:
    return bool(rule) and wanted in (f"{check}/{rule}", check)


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in the order asked for."""

    entries: tuple[Entry, ...]
    next_after: int | None
    """What to pass as `after` for the next page; None where this was the last one."""


class Reader(Protocol):
    """A journal to read, beside the sidecar that writes it or without one. For one thread at a time."""

    def page(self, wanted: Filter, *, after: int | None = None, limit: int = 100, newest_first: bool = False) -> Page:
        """At most `limit` entries past the place `after`, onwards or, with `newest_first`, backwards."""

    def entries(self, wanted: Filter) -> Iterator[Entry]:
        """All of them, oldest first, without holding more than a page."""

    def link_before(self, seq: int) -> bytes | None:
        """The link of the record before a place; None where it is not known."""

    def verify(self, expected: Link | None = None) -> Verification:
        """Walk the whole chain."""

    def close(self) -> None: ...


class UnreadableJournal(Exception):
    """A file that is no journal, or cannot be read."""
