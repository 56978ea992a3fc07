"""Controls, in a file. Other processes on this machine see a change at their next look."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Final

from sidecar.engine.state.controls import Control, Kind, Name, State, full, read, written
from sidecar.errors import StoreFull
from sidecar.stores.sqlite.database import Database

LOOK_S: Final = 0.04
"""How often the revision is looked at: a change has to be in force everywhere within 100 ms."""

KEEP: Final = """
    INSERT INTO controls VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (kind, key) DO UPDATE SET
        until_ms = excluded.until_ms, is_automatic = excluded.is_automatic, record = excluded.record
"""
REVISION: Final = "SELECT revision FROM control_revision"


class SqliteControls:
    """The Controls port in a file."""

    SCHEMA: Final = """
        CREATE TABLE IF NOT EXISTS controls (
            kind TEXT NOT NULL, key TEXT NOT NULL, until_ms INTEGER NOT NULL, is_automatic INTEGER NOT NULL,
            record TEXT NOT NULL, PRIMARY KEY (kind, key)
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS control_revision (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
        INSERT OR IGNORE INTO control_revision VALUES (1, 0);
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, control: Control, for_s: float | None = None) -> int:
        def keep(cursor: sqlite3.Cursor, now_ms: int) -> int:
            put(cursor, control, for_s, now_ms)
            return revision_in(cursor)

        return await self._database.run(keep)

    async def remove(self, name: Name) -> int:
        def forget(cursor: sqlite3.Cursor, _: int) -> int:
            if cursor.execute("DELETE FROM controls WHERE kind = ? AND key = ?", name).rowcount:
                count_up(cursor)
            return revision_in(cursor)

        return await self._database.run(forget)

    async def read(self, known_revision: int) -> State | None:
        def look(cursor: sqlite3.Cursor, now_ms: int) -> State | None:
            revision = revision_in(cursor)
            if revision == known_revision:
                return None
            rows = "SELECT kind, key, record, until_ms FROM controls WHERE until_ms = 0 OR until_ms > ?"
            found = (read(*row) for row in cursor.execute(rows, (now_ms,)).fetchall())
            return State(revision, tuple(control for control in found if control is not None), now_ms)

        return await self._database.look(look)

    async def changed(self, within_s: float) -> None:
        await asyncio.sleep(min(within_s, LOOK_S))

    async def restore(self, known_revision: int, controls: Sequence[tuple[Control, float | None]]) -> None:
        def keep_all(cursor: sqlite3.Cursor, now_ms: int) -> None:
            if revision_in(cursor) >= known_revision:
                return
            for control, for_s in controls:
                put(cursor, control, for_s, now_ms)
            cursor.execute("UPDATE control_revision SET revision = max(revision, ?)", (known_revision + 1,))

        await self._database.run(keep_all)


def put(cursor: sqlite3.Cursor, control: Control, for_s: float | None, now_ms: int) -> None:
    kind, key = control.name
    cursor.execute("DELETE FROM controls WHERE until_ms > 0 AND until_ms <= ?", (now_ms,))
    held = cursor.execute("SELECT is_automatic FROM controls WHERE kind = ? AND key = ?", (kind, key)).fetchone()
    if held is None and count_of(cursor, kind) >= kind.most:
        raise StoreFull(full(kind))
    if held is None or held[0] or not control.is_automatic:
        until_ms = 0 if for_s is None else now_ms + int(for_s * 1000)
        cursor.execute(KEEP, (kind, key, until_ms, control.is_automatic, written(control)))
        count_up(cursor)


def count_of(cursor: sqlite3.Cursor, kind: Kind) -> int:
    return int(cursor.execute("SELECT count(*) FROM controls WHERE kind = ?", (kind,)).fetchone()[0])


def count_up(cursor: sqlite3.Cursor) -> None:
    cursor.execute("UPDATE control_revision SET revision = revision + 1")


def revision_in(cursor: sqlite3.Cursor) -> int:
    return int(cursor.execute(REVISION).fetchone()[0])
