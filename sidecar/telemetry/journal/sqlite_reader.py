"""Reading a journal that is a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from sidecar.engine.hybrid_clock import first_stamp_of
from sidecar.telemetry.journal.chain import Link, Row, Verification, verify
from sidecar.telemetry.journal.reading import PAGE_MAX, Filter, Page, Reader, UnreadableJournal
from sidecar.telemetry.journal.record import Entry, Kind, Record, UnreadableRecord, decoded, record_in
from sidecar.telemetry.journal.search import first_at
from sidecar.telemetry.journal.sqlite_file import COLUMNS, anchor_of, columns_of, head_of, open_to_read

PAGE: Final = 1_000

COMMON: Final = frozenset({Kind.STARTED, Kind.MESSAGE, Kind.ENDED})
"""Kinds of which every exchange has one; an index leads to all others."""

RARE: Final = "kind NOT IN ('started', 'message', 'ended')"
"""As the index says it: SQLite uses it only where a query has the same words."""

Terms = list[tuple[str, tuple[Any, ...]]]


class SqliteReader(Reader):
    """The Reader port on a file. Raises UnreadableJournal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._connection = open_to_read(path)
        except (sqlite3.Error, OSError) as error:
            raise UnreadableJournal(f"{path}: {why(error)}") from error

    def page(self, wanted: Filter, *, after: int | None = None, limit: int = 100, newest_first: bool = False) -> Page:
        limit = max(1, min(limit, PAGE_MAX))
        try:
            rows = self._rows(wanted, after, limit + 1, newest_first=newest_first)
        except sqlite3.Error as error:
            raise UnreadableJournal(f"{self.path}: {error}") from error
        entries = tuple(self._entry(*row) for row in rows[:limit])
        return Page(entries, entries[-1].seq if len(rows) > limit else None)

    def entries(self, wanted: Filter) -> Iterator[Entry]:
        after: int | None = None
        while True:
            found = self.page(wanted, after=after, limit=PAGE)
            yield from found.entries
            if found.next_after is None:
                return
            after = found.next_after

    def link_before(self, seq: int) -> bytes | None:
        anchor = anchor_of(self._connection)
        if seq == anchor.seq + 1:
            return anchor.hash
        row = self._connection.execute("SELECT hash FROM records WHERE seq = ?", (seq - 1,)).fetchone()
        return None if row is None else as_bytes(row[0])

    def verify(self, expected: Link | None = None) -> Verification:
        """In one snapshot, so that a sidecar may go on writing."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            head, _ = head_of(connection)
            return verify(chain_rows(connection), anchor=anchor_of(connection), head=head, expected=expected)
        except sqlite3.Error as error:
            raise UnreadableJournal(f"{self.path}: {error}") from error
        finally:
            connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    def _rows(self, wanted: Filter, after: int | None, limit: int, *, newest_first: bool) -> list[tuple[Any, ...]]:
        terms = [*self._time_terms(wanted), *self._terms(wanted)]
        if after is not None:
            terms.append(("seq < ?" if newest_first else "seq > ?", (after,)))
        where = " AND ".join(term for term, _ in terms) or "1"
        values = [value for _, values in terms for value in values]
        order = "DESC" if newest_first else "ASC"
        query = f"SELECT seq, record, hash FROM records WHERE {where} ORDER BY seq {order} LIMIT ?"  # noqa: S608 - words of ours; values are bound
        return self._connection.execute(query, (*values, limit)).fetchall()

    def _time_terms(self, wanted: Filter) -> Terms:
        terms: Terms = []
        if wanted.since_ms is not None:
            terms.append(("seq >= ?", (first_at(self._connection, first_stamp_of(wanted.since_ms)),)))
        if wanted.until_ms is not None:
            terms.append(("seq < ?", (first_at(self._connection, first_stamp_of(wanted.until_ms)),)))
        return terms

    def _terms(self, wanted: Filter) -> Terms:
        terms: Terms = []
        plain = {"conversation": wanted.conversation, "caller": wanted.caller, "callee": wanted.callee}
        terms += [(f"{column} = ?", (value,)) for column, value in plain.items() if value]
        if wanted.exchange_id:
            terms += self._exchange_terms(wanted.exchange_id)
        if wanted.agent:
            terms.append(("(caller = ? OR callee = ?)", (wanted.agent, wanted.agent)))
        if wanted.kinds:
            marks = ", ".join("?" * len(wanted.kinds))
            terms.append((f"kind IN ({marks})", tuple(sorted(wanted.kinds))))
            if not wanted.kinds & COMMON:
                terms.append((RARE, ()))
        if wanted.rule:
            terms.append(rule_term(wanted.rule))
        if wanted.decision:
            terms.append(("decision = ?", (wanted.decision,)))
            if wanted.decision != "forward":
                terms.append(("decision IS NOT NULL AND decision != 'forward'", ()))
        return terms

    def _exchange_terms(self, exchange_id: str) -> Terms:
        """By way of its conversation, which has an index of all records."""
        found = "SELECT conversation FROM records WHERE kind = 'started' AND exchange = ? LIMIT 1"
        row = self._connection.execute(found, (exchange_id,)).fetchone()
        terms: Terms = [("exchange = ?", (exchange_id,))]
        return terms if row is None or row[0] is None else [("conversation = ?", (row[0],)), *terms]

    def _entry(self, seq: int, raw: bytes, digest: bytes) -> Entry:
        try:
            return Entry(seq, decoded(raw), digest, raw)
        except UnreadableRecord as error:
            raise UnreadableJournal(
                f"{self.path}: record {seq}: {error}; `sidecar journal verify` tells more"
            ) from error


def rule_term(rule: str) -> tuple[str, tuple[str, ...]]:
    """`check/rule`, or all rules of a check: the texts between `check/` and `check0`, for 0 follows the slash."""
    return ("rule = ?", (rule,)) if "/" in rule else ("rule >= ? AND rule < ?", (f"{rule}/", f"{rule}0"))


def chain_rows(connection: sqlite3.Connection) -> Iterator[Row]:
    """All rows as they lie, each with what its columns say otherwise than its record."""
    query = f"SELECT seq, record, hash, hlc, {', '.join(COLUMNS)} FROM records ORDER BY seq"  # noqa: S608 - names of our own
    for seq, raw, digest, hlc, *columns in connection.execute(query):
        raw, digest = as_bytes(raw), as_bytes(digest)
        record = record_in(raw)
        flaw = "" if record is None else column_flaw(record, hlc, tuple(columns))
        yield Row(seq, raw, digest, record, flaw)


def as_bytes(value: object) -> bytes:
    """A tampered column may hold anything."""
    return value if isinstance(value, bytes) else str(value).encode()


def column_flaw(record: Record, hlc: object, columns: tuple[object, ...]) -> str:
    if hlc == record.hlc and columns == columns_of(record):
        return ""
    said = dict(zip(("hlc", *COLUMNS), (hlc, *columns), strict=True))
    held = dict(zip(("hlc", *COLUMNS), (record.hlc, *columns_of(record)), strict=True))
    wrong = [name for name, value in held.items() if said[name] != value]
    return f"its columns say another {', '.join(wrong)} than the record"


def why(error: Exception) -> str:
    return "no such file" if isinstance(error, FileNotFoundError) else str(error)
