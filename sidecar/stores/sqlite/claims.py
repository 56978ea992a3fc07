"""Claims, in a file."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from sidecar.engine.state.claims import FREED_S, OTHERS_MAX, SIGHTING_S, Claimed, Sighting, Standing
from sidecar.stores.sqlite.database import Database

PRUNED_AT_ONCE: Final = 20
"""Expired rows that one verb forgets: more than it adds."""

RECORDED_BYTES_MAX: Final = 4 << 30
"""All recordings together. Past it an answer is not kept, and its key stays taken."""

TAKE: Final = """
    INSERT OR REPLACE INTO claims (key, state, digest, holder, token, first_ms, retain_ms, lease_ms, expires_ms)
    VALUES (?, 'held', ?, ?, ?, ?, ?, ?, ?)
"""

JOIN: Final = """
    INSERT INTO claim_others VALUES (?, ?, ?) ON CONFLICT (key, exchange) DO UPDATE SET waits_ms = excluded.waits_ms
"""

SEE: Final = """
    INSERT OR REPLACE INTO sightings (key, mark, exchange, seen_ms, deadline_ms) VALUES (?, ?, ?, ?, ?)
"""


class SqliteClaims:
    """The Claims port in a file. It grows with the traffic of one `retain`; recordings have a bound of their own."""

    SCHEMA: Final = """
        CREATE TABLE IF NOT EXISTS claims (
            key TEXT PRIMARY KEY, state TEXT NOT NULL, digest TEXT NOT NULL, holder TEXT NOT NULL,
            token INTEGER NOT NULL, first_ms INTEGER NOT NULL, retain_ms INTEGER NOT NULL, lease_ms INTEGER NOT NULL,
            expires_ms INTEGER NOT NULL, recording BLOB
        );
        CREATE INDEX IF NOT EXISTS claims_expire ON claims (expires_ms);
        CREATE TABLE IF NOT EXISTS claim_others (
            key TEXT NOT NULL, exchange TEXT NOT NULL, waits_ms INTEGER NOT NULL, PRIMARY KEY (key, exchange)
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS claims_recorded (id INTEGER PRIMARY KEY CHECK (id = 1), bytes INTEGER NOT NULL);
        INSERT OR IGNORE INTO claims_recorded VALUES (1, 0);
        CREATE TABLE IF NOT EXISTS sightings (
            key TEXT PRIMARY KEY, mark TEXT NOT NULL, exchange TEXT NOT NULL, seen_ms INTEGER NOT NULL,
            deadline_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS sightings_seen ON sightings (seen_ms);
    """

    def __init__(self, database: Database, *, recorded_bytes_max: int = RECORDED_BYTES_MAX) -> None:
        self._database = database
        self._recorded_bytes_max = recorded_bytes_max

    async def claim(
        self, key: str, *, digest: str, holder: str, lease_s: float, retain_s: float, wait_s: float = 0.0
    ) -> Claimed:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> Claimed:
            prune(cursor, now_ms)
            row = row_of(cursor, key)
            if row is None or row["state"] == "free" or now_ms >= row["expires_ms"]:
                token = now_ms if row is None else max(row["token"] + 1, now_ms)
                forget(cursor, key)
                until_ms = now_ms + ms(lease_s)
                values = (token, now_ms, ms(retain_s), until_ms, until_ms + ms(retain_s))
                cursor.execute(TAKE, (key, digest, holder, *values))
                return Claimed(Standing.NEW, token)
            if row["holder"] == holder:
                return Claimed(Standing.YOURS, row["token"], None, now_ms - row["first_ms"], others_of(cursor, key))
            standing = standing_of(row, digest, now_ms)
            join(cursor, key, holder, now_ms + ms(wait_s) if standing is Standing.IN_FLIGHT else now_ms)
            recording = recording_of(cursor, key) if standing is Standing.RECORDED else None
            return Claimed(standing, 0, recording, now_ms - row["first_ms"], others_of(cursor, key))

        return await self._database.run(verb)

    async def extend(self, key: str, token: int, lease_s: float) -> int | None:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> int | None:
            row = fenced(cursor, key, token, now_ms)
            if row is None or row["state"] != "held":
                return None
            until_ms = now_ms + ms(lease_s)
            cursor.execute(
                "UPDATE claims SET lease_ms = ?, expires_ms = ? WHERE key = ?",
                (until_ms, until_ms + row["retain_ms"], key),
            )
            waiting = "SELECT count(*) FROM claim_others WHERE key = ? AND waits_ms > ?"
            return int(cursor.execute(waiting, (key, now_ms)).fetchone()[0])

        return await self._database.run(verb)

    async def complete(self, key: str, token: int, recording: bytes | None) -> bool:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> bool:
            row = fenced(cursor, key, token, now_ms)
            if row is None or row["state"] == "free":
                return False
            if row["state"] != "done":
                kept = recording if recording is not None and self._fits(cursor, len(recording)) else None
                if kept is not None:
                    cursor.execute("UPDATE claims_recorded SET bytes = bytes + ?", (len(kept),))
                settle(cursor, key, "done", now_ms + row["retain_ms"])
                cursor.execute("UPDATE claims SET recording = ? WHERE key = ?", (kept, key))
            return True

        return await self._database.run(verb)

    async def release(self, key: str, token: int) -> bool:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> bool:
            row = fenced(cursor, key, token, now_ms)
            if row is None or row["state"] in ("done", "doubt"):
                return False
            settle(cursor, key, "free", now_ms + ms(FREED_S))
            return True

        return await self._database.run(verb)

    async def doubt(self, key: str, token: int) -> bool:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> bool:
            row = fenced(cursor, key, token, now_ms)
            if row is None or row["state"] in ("done", "free"):
                return False
            if row["state"] == "held":
                settle(cursor, key, "doubt", now_ms + row["retain_ms"])
            return True

        return await self._database.run(verb)

    async def sight(self, key: str, *, mark: str, exchange: str, deadline_ms: int) -> Sighting | None:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> Sighting | None:
            prune_sightings(cursor, now_ms)
            found = "SELECT mark, exchange, seen_ms, deadline_ms FROM sightings WHERE key = ?"
            seen = cursor.execute(found, (key,)).fetchone()
            if seen is not None and seen[1] == exchange:
                return None
            cursor.execute(SEE, (key, mark, exchange, now_ms, deadline_ms))
            if seen is None or now_ms - seen[2] >= ms(SIGHTING_S):
                return None
            return Sighting(seen[0], now_ms - seen[2], seen[3])

        return await self._database.run(verb)

    def _fits(self, cursor: sqlite3.Cursor, size_bytes: int) -> bool:
        recorded = cursor.execute("SELECT bytes FROM claims_recorded").fetchone()[0]
        return bool(recorded + size_bytes <= self._recorded_bytes_max)


FIELDS: Final = ("state", "digest", "holder", "token", "first_ms", "retain_ms", "lease_ms", "expires_ms")


def row_of(cursor: sqlite3.Cursor, key: str) -> dict[str, Any] | None:
    row = cursor.execute(f"SELECT {', '.join(FIELDS)} FROM claims WHERE key = ?", (key,)).fetchone()  # noqa: S608 - names of our own
    return None if row is None else dict(zip(FIELDS, row, strict=True))


def fenced(cursor: sqlite3.Cursor, key: str, token: int, now_ms: int) -> dict[str, Any] | None:
    row = row_of(cursor, key)
    return row if row is not None and row["token"] == token and now_ms < row["expires_ms"] else None


def standing_of(row: dict[str, Any], digest: str, now_ms: int) -> Standing:
    """Of a key that another exchange took."""
    if row["digest"] != digest:
        return Standing.CONFLICT
    if row["state"] == "done":
        return Standing.RECORDED
    is_lost = row["state"] == "doubt" or now_ms >= row["lease_ms"]
    return Standing.UNKNOWN if is_lost else Standing.IN_FLIGHT


def settle(cursor: sqlite3.Cursor, key: str, state: str, expires_ms: int) -> None:
    cursor.execute("UPDATE claims SET state = ?, expires_ms = ? WHERE key = ?", (state, expires_ms, key))


def join(cursor: sqlite3.Cursor, key: str, exchange: str, waits_ms: int) -> None:
    known = "SELECT 1 FROM claim_others WHERE key = ? AND exchange = ?"
    if others_of(cursor, key) < OTHERS_MAX or cursor.execute(known, (key, exchange)).fetchone():
        cursor.execute(JOIN, (key, exchange, waits_ms))


def others_of(cursor: sqlite3.Cursor, key: str) -> int:
    return int(cursor.execute("SELECT count(*) FROM claim_others WHERE key = ?", (key,)).fetchone()[0])


def recording_of(cursor: sqlite3.Cursor, key: str) -> bytes | None:
    recording: bytes | None = cursor.execute("SELECT recording FROM claims WHERE key = ?", (key,)).fetchone()[0]
    return recording


def forget(cursor: sqlite3.Cursor, key: str) -> None:
    size = "SELECT coalesce(max(length(recording)), 0) FROM claims WHERE key = ?"
    cursor.execute(f"UPDATE claims_recorded SET bytes = bytes - ({size})", (key,))  # noqa: S608 - no value is spelled into it
    cursor.execute("DELETE FROM claims WHERE key = ?", (key,))
    cursor.execute("DELETE FROM claim_others WHERE key = ?", (key,))


def prune(cursor: sqlite3.Cursor, now_ms: int) -> None:
    expired = "SELECT key FROM claims WHERE expires_ms <= ? LIMIT ?"
    for (key,) in cursor.execute(expired, (now_ms, PRUNED_AT_ONCE)).fetchall():
        forget(cursor, key)


def prune_sightings(cursor: sqlite3.Cursor, now_ms: int) -> None:
    old = "SELECT key FROM sightings WHERE seen_ms <= ? LIMIT ?"
    cursor.execute(
        f"DELETE FROM sightings WHERE key IN ({old})",  # noqa: S608 - no value is spelled into it
        (now_ms - ms(SIGHTING_S), PRUNED_AT_ONCE),
    )


def ms(seconds: float) -> int:
    return int(seconds * 1000)
