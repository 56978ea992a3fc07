"""Trails and breaks of loops, in a file: each trail is one row."""

from __future__ import annotations

import sqlite3
from typing import Final

from sidecar.engine.state.trail import appended, fresh, marked, place_of, place_of_answer, without
from sidecar.engine.state.visits import (
    BREAKS_LISTED_MAX,
    BREAKS_MAX,
    READS_MAX,
    Answered,
    Break,
    Edge,
    Family,
    Mark,
    Sighting,
    Visit,
)
from sidecar.stores.sqlite.database import Database
from sidecar.stores.tape import taped, trail_of

PRUNED_AT_ONCE: Final = 5
"""Rows that one verb forgets: more than it adds, so that the tables stay as small as the traffic is."""

KEEP_TRAIL: Final = """
    INSERT INTO visit_trails VALUES (?, ?, ?) ON CONFLICT (conversation)
    DO UPDATE SET tape = excluded.tape, until_ms = max(until_ms, excluded.until_ms)
"""
COLUMNS: Final = "conversation, caller, callee, method, edge, fingerprint, likeness, radius, kind, until_ms"


class SqliteVisits:
    """The Visits port in a file."""

    SCHEMA: Final = """
        CREATE TABLE IF NOT EXISTS visit_trails (
            conversation TEXT PRIMARY KEY, tape BLOB NOT NULL, until_ms INTEGER NOT NULL
        );
        CREATE INDEX IF NOT EXISTS visit_trails_until ON visit_trails (until_ms);
        CREATE TABLE IF NOT EXISTS visit_reads (
            conversation TEXT, exchange BLOB, question BLOB NOT NULL, at_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL,
            PRIMARY KEY (conversation, exchange)
        );
        CREATE INDEX IF NOT EXISTS visit_reads_until ON visit_reads (until_ms);
        CREATE INDEX IF NOT EXISTS visit_reads_at ON visit_reads (conversation, at_ms);
        CREATE TABLE IF NOT EXISTS visit_breaks (
            conversation TEXT, caller TEXT NOT NULL, callee TEXT NOT NULL, method TEXT NOT NULL, edge BLOB,
            fingerprint BLOB, likeness BLOB NOT NULL, radius INTEGER NOT NULL, kind TEXT NOT NULL,
            until_ms INTEGER NOT NULL, PRIMARY KEY (conversation, edge, fingerprint)
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS visit_breaks_until ON visit_breaks (until_ms);
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def visit(self, conversation: str, visit: Visit, *, window_s: float) -> Sighting:
        window_ms = int(window_s * 1000)

        def record(cursor: sqlite3.Cursor, now_ms: int) -> Sighting:
            forget(cursor, "visit_trails", now_ms)
            for held in breaks_of(cursor, conversation, now_ms):
                if held.holds(visit, now_ms):
                    return Sighting(held=held)
            trail = fresh(trail_in(cursor, conversation), now_ms, window_ms)
            place = place_of(trail, visit.exchange)
            if place is not None:
                return Sighting(tuple(trail[: place + 1]), is_new=False)
            trail = appended(trail, visit, now_ms)
            cursor.execute(KEEP_TRAIL, (conversation, taped(trail), now_ms + window_ms))
            return Sighting(tuple(trail))

        return await self._database.run(record)

    async def read(self, conversation: str, exchange: int, question: int, *, within_s: float) -> int:
        within_ms = int(within_s * 1000)

        def record(cursor: sqlite3.Cursor, now_ms: int) -> int:
            forget(cursor, "visit_reads", now_ms)
            row = (conversation, word(exchange), word(question), now_ms, now_ms + within_ms)
            cursor.execute("INSERT OR IGNORE INTO visit_reads VALUES (?, ?, ?, ?, ?)", row)
            newest = "SELECT rowid, question, at_ms FROM visit_reads WHERE conversation = ? ORDER BY rowid DESC LIMIT ?"
            rows = cursor.execute(newest, (conversation, READS_MAX)).fetchall()
            cursor.execute("DELETE FROM visit_reads WHERE conversation = ? AND rowid < ?", (conversation, rows[-1][0]))
            return sum(asked == word(question) and at_ms > now_ms - within_ms for _, asked, at_ms in rows)

        return await self._database.run(record)

    async def answered(self, conversation: str, exchange: int, answer: Answered) -> Mark | None:
        def mark(cursor: sqlite3.Cursor, now_ms: int) -> Mark | None:  # noqa: ARG001 - an answer comes when it comes
            trail = trail_in(cursor, conversation)
            place = place_of_answer(trail, exchange, answer.task)
            if place is None:
                return None
            if trail[place].mark <= Mark.UNDECIDED:
                trail[place] = marked(trail, trail[place], answer)
                keep_tape(cursor, conversation, taped(trail))
            return trail[place].mark

        return await self._database.run(mark)

    async def withdraw(self, conversation: str, exchange: int) -> bool:
        def remove(cursor: sqlite3.Cursor, now_ms: int) -> bool:  # noqa: ARG001 - what never was has no time
            where = "DELETE FROM visit_reads WHERE conversation = ? AND exchange = ?"
            was_read = cursor.execute(where, (conversation, word(exchange))).rowcount > 0
            trail = trail_in(cursor, conversation)
            place = place_of(trail, exchange)
            if place is not None:
                keep_tape(cursor, conversation, taped([*trail[:place], *trail[place + 1 :]]))
            return was_read or place is not None

        return await self._database.run(remove)

    async def break_off(
        self, conversation: str, edge: Edge, edge_id: int, family: Family, *, kind: str, cooldown_s: float
    ) -> Break:
        def begin(cursor: sqlite3.Cursor, now_ms: int) -> Break:
            forget(cursor, "visit_breaks", now_ms)
            own = breaks_of(cursor, conversation, now_ms)
            for held in own:
                if (held.edge_id, held.family.fingerprint) == (edge_id, family.fingerprint):
                    return held
            keep_tape(cursor, conversation, taped(without(trail_in(cursor, conversation), edge_id, family)))
            begun = Break(conversation, edge, edge_id, family, kind, now_ms + int(cooldown_s * 1000))
            if len(own) >= BREAKS_MAX:
                remove(cursor, min(own, key=lambda held: held.until_ms))
            keep_break(cursor, begun)
            return begun

        return await self._database.run(begin)

    async def resume(self, conversation: str, edge_id: int, fingerprint: int) -> bool:
        def end(cursor: sqlite3.Cursor, now_ms: int) -> bool:
            for held in breaks_of(cursor, conversation, now_ms):
                if (held.edge_id, held.family.fingerprint) == (edge_id, fingerprint):
                    remove(cursor, held)
                    return True
            return False

        return await self._database.run(end)

    async def breaks(self, limit: int = 100) -> tuple[Break, ...]:
        def holding(cursor: sqlite3.Cursor, now_ms: int) -> tuple[Break, ...]:
            query = f"SELECT {COLUMNS} FROM visit_breaks WHERE until_ms > ? ORDER BY until_ms DESC LIMIT ?"  # noqa: S608 - no value is spelled into it
            return tuple(map(break_of, cursor.execute(query, (now_ms, limit))))

        return await self._database.run(holding)


def word(number: int) -> bytes:
    """64 bits without a sign, which SQLite has no integer for."""
    return number.to_bytes(8, "big")


def trail_in(cursor: sqlite3.Cursor, conversation: str) -> list[Visit]:
    row = cursor.execute("SELECT tape FROM visit_trails WHERE conversation = ?", (conversation,)).fetchone()
    return trail_of(row[0]) if row else []


def keep_tape(cursor: sqlite3.Cursor, conversation: str, tape: bytes) -> None:
    cursor.execute("UPDATE visit_trails SET tape = ? WHERE conversation = ?", (tape, conversation))


def breaks_of(cursor: sqlite3.Cursor, conversation: str, now_ms: int) -> list[Break]:
    query = f"SELECT {COLUMNS} FROM visit_breaks WHERE conversation = ? AND until_ms > ?"  # noqa: S608 - no value is spelled into it
    return [break_of(row) for row in cursor.execute(query, (conversation, now_ms))]


def break_of(row: tuple[str, str, str, str, bytes, bytes, bytes, int, str, int]) -> Break:
    conversation, caller, callee, method, edge_id, fingerprint, likeness, radius, kind, until_ms = row
    family = Family(int.from_bytes(fingerprint), int.from_bytes(likeness), radius)
    return Break(conversation, Edge(caller, callee, method), int.from_bytes(edge_id), family, kind, until_ms)


def keep_break(cursor: sqlite3.Cursor, held: Break) -> None:
    family = (word(held.family.fingerprint), held.family.likeness.to_bytes(16, "big"), held.family.radius)
    row = (held.conversation, *held.edge, word(held.edge_id), *family, held.kind, held.until_ms)
    cursor.execute("INSERT OR REPLACE INTO visit_breaks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    if cursor.execute("SELECT count(*) FROM visit_breaks").fetchone()[0] > BREAKS_LISTED_MAX:
        first = cursor.execute(f"SELECT {COLUMNS} FROM visit_breaks ORDER BY until_ms LIMIT 1").fetchone()  # noqa: S608 - no value is spelled into it
        remove(cursor, break_of(first))


def remove(cursor: sqlite3.Cursor, held: Break) -> None:
    where = (held.conversation, word(held.edge_id), word(held.family.fingerprint))
    cursor.execute("DELETE FROM visit_breaks WHERE conversation = ? AND edge = ? AND fingerprint = ?", where)


def forget(cursor: sqlite3.Cursor, table: str, now_ms: int) -> None:
    """A few rows that are over."""
    key = "conversation, edge, fingerprint" if table == "visit_breaks" else "rowid"
    old = f"SELECT {key} FROM {table} WHERE until_ms <= ? LIMIT ?"  # noqa: S608 - no value is spelled into it
    cursor.execute(f"DELETE FROM {table} WHERE ({key}) IN ({old})", (now_ms, PRUNED_AT_ONCE))  # noqa: S608 - no value is spelled into it
