"""Versions of resources, in a file."""

from __future__ import annotations

import json
import sqlite3
from typing import Final

from sidecar.engine.state.version_record import VersionRecord, read, touched, written
from sidecar.engine.state.versions import KEEP_S, RESOURCES_MAX, Overwritten, Place, Touch, Touched
from sidecar.stores.sqlite.database import Database

KEEP_MS: Final = KEEP_S * 1000

PRUNED_AT_ONCE: Final = 20
"""Old resources that one touch forgets: more than it adds."""

FIND: Final = "SELECT record FROM versions WHERE callee = ? AND resource = ? AND key = ? AND seen_ms >= ?"
KEEP: Final = """
    INSERT INTO versions VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (callee, resource, key) DO UPDATE SET seen_ms = excluded.seen_ms, record = excluded.record
"""
OLD: Final = """
    DELETE FROM versions WHERE callee = ?1 AND resource = ?2 AND key IN
        (SELECT key FROM versions WHERE callee = ?1 AND resource = ?2 AND seen_ms < ?3 ORDER BY seen_ms LIMIT ?4)
"""
OVER: Final = """
    DELETE FROM versions WHERE callee = ?1 AND resource = ?2 AND key IN
        (SELECT key FROM versions WHERE callee = ?1 AND resource = ?2 ORDER BY seen_ms LIMIT
            max(0, (SELECT number FROM version_counts WHERE callee = ?1 AND resource = ?2) - ?3))
"""


class SqliteVersions:
    """The Versions port in a file."""

    SCHEMA: Final = """
        CREATE TABLE IF NOT EXISTS versions (
            callee TEXT NOT NULL, resource TEXT NOT NULL, key TEXT NOT NULL, seen_ms INTEGER NOT NULL,
            record TEXT NOT NULL, PRIMARY KEY (callee, resource, key)
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS versions_seen ON versions (callee, resource, seen_ms);
        CREATE TABLE IF NOT EXISTS version_counts (
            callee TEXT NOT NULL, resource TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (callee, resource)
        ) WITHOUT ROWID;
        CREATE TRIGGER IF NOT EXISTS version_comes AFTER INSERT ON versions BEGIN
            INSERT INTO version_counts VALUES (new.callee, new.resource, 1)
                ON CONFLICT (callee, resource) DO UPDATE SET number = number + 1;
        END;
        CREATE TRIGGER IF NOT EXISTS version_goes AFTER DELETE ON versions BEGIN
            UPDATE version_counts SET number = number - 1 WHERE callee = old.callee AND resource = old.resource;
        END;
    """
    """Resources are counted where they come and go: counting ten thousand for each new one takes too long."""

    def __init__(self, database: Database, *, resources_max: int = RESOURCES_MAX) -> None:
        self._database = database
        self._resources_max = resources_max

    async def observe_version(self, touch: Touch) -> Touched:
        place = touch.place

        def observe(cursor: sqlite3.Cursor, now_ms: int) -> Touched:
            cursor.execute(OLD, (place.callee, place.resource, now_ms - KEEP_MS, PRUNED_AT_ONCE))
            known = find(cursor, place, now_ms)
            record = known or VersionRecord()
            answer = touched(record, touch, now_ms)
            text = json.dumps(written(record), ensure_ascii=False)
            cursor.execute(KEEP, (place.callee, place.resource, place.key, record.seen_ms, text))
            if known is None:
                cursor.execute(OVER, (place.callee, place.resource, self._resources_max))
            return answer

        return await self._database.run(observe)

    async def known_version(self, place: Place, agent: str) -> str:
        def look(cursor: sqlite3.Cursor, now_ms: int) -> str:
            record = find(cursor, place, now_ms)
            return record.known_to(agent) if record is not None else ""

        return await self._database.run(look)

    async def overwritten(self, place: Place, base: str) -> Overwritten | None:
        def look(cursor: sqlite3.Cursor, now_ms: int) -> Overwritten | None:
            record = find(cursor, place, now_ms)
            return record.overwritten(base, now_ms) if record is not None else None

        return await self._database.run(look)


def find(cursor: sqlite3.Cursor, place: Place, now_ms: int) -> VersionRecord | None:
    row = cursor.execute(FIND, (place.callee, place.resource, place.key, now_ms - KEEP_MS)).fetchone()
    return read(json.loads(row[0])) if row is not None else None
