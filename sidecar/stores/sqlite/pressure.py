"""Tokens, places, retries and waits, in a file."""

from __future__ import annotations

import json
import math
import sqlite3
from typing import Final

from sidecar.engine.state.pressure import CALLS_MAX, TAKEN_KEEP_S, WAITS_MAX, Rate, RetryBudget, Wait
from sidecar.stores.sqlite.database import Database

PRUNED_AT_ONCE: Final = 20
"""Old rows that one verb forgets: more than it adds, so that the tables stay as small as the traffic is."""

BUCKETS_KEEP_MS: Final = 86_400_000
"""A bucket nobody used for a day is full again at any rate that is allowed, so it may be forgotten."""

ROUNDING_MS: Final = 0.001

SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS pressure_buckets (
        bucket TEXT PRIMARY KEY, arrival_ms REAL NOT NULL, used_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS pressure_buckets_used ON pressure_buckets (used_ms);
    CREATE TABLE IF NOT EXISTS pressure_taken (
        bucket TEXT NOT NULL, exchange TEXT NOT NULL, until_ms INTEGER NOT NULL, PRIMARY KEY (bucket, exchange)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS pressure_taken_until ON pressure_taken (until_ms);
    CREATE TABLE IF NOT EXISTS pressure_places (
        room TEXT NOT NULL, exchange TEXT NOT NULL, until_ms REAL NOT NULL, PRIMARY KEY (room, exchange)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS pressure_calls (
        edge TEXT NOT NULL, is_retry INTEGER NOT NULL, exchange TEXT NOT NULL, at_ms INTEGER NOT NULL,
        until_ms REAL NOT NULL, PRIMARY KEY (edge, is_retry, exchange)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS pressure_calls_at ON pressure_calls (edge, is_retry, at_ms);
    CREATE INDEX IF NOT EXISTS pressure_calls_until ON pressure_calls (until_ms);
    CREATE TABLE IF NOT EXISTS pressure_waits (
        number INTEGER PRIMARY KEY AUTOINCREMENT, exchange TEXT NOT NULL UNIQUE, agent TEXT NOT NULL,
        conversation TEXT NOT NULL, path TEXT NOT NULL, until_ms REAL NOT NULL
    );
    CREATE INDEX IF NOT EXISTS pressure_waits_agent ON pressure_waits (agent);
"""

FORGET: Final = {
    table: f"DELETE FROM {table} WHERE ({keys}) IN (SELECT {keys} FROM {table} WHERE {moment} <= ? LIMIT ?)"  # noqa: S608 - no value is spelled into it
    for table, keys, moment in (
        ("pressure_buckets", "bucket", "used_ms"),
        ("pressure_taken", "bucket, exchange", "until_ms"),
        ("pressure_calls", "edge, is_retry, exchange", "until_ms"),
    )
}

COUNT: Final = "SELECT COUNT(*) FROM pressure_calls WHERE edge = ? AND is_retry = ? AND at_ms > ?"


class SqlitePressure:
    """The Pressure port in a file."""

    SCHEMA: Final = SCHEMA

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, bucket: str, rate: Rate, exchange_id: str, tokens: int = 1) -> float:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> float:
            forget(cursor, "pressure_taken", now_ms)
            forget(cursor, "pressure_buckets", now_ms - BUCKETS_KEEP_MS)
            took = "SELECT 1 FROM pressure_taken WHERE bucket = ? AND exchange = ? AND until_ms > ?"
            if cursor.execute(took, (bucket, exchange_id, now_ms)).fetchone():
                return 0.0
            row = cursor.execute("SELECT arrival_ms FROM pressure_buckets WHERE bucket = ?", (bucket,)).fetchone()
            arrival_ms = max(row[0] if row else 0.0, now_ms) + tokens * rate.interval_ms
            early_ms = arrival_ms - now_ms - rate.tolerance_ms
            if early_ms > ROUNDING_MS:
                return math.ceil(early_ms) / 1000
            cursor.execute("INSERT OR REPLACE INTO pressure_buckets VALUES (?, ?, ?)", (bucket, arrival_ms, now_ms))
            until_ms = now_ms + TAKEN_KEEP_S * 1000
            cursor.execute("INSERT OR REPLACE INTO pressure_taken VALUES (?, ?, ?)", (bucket, exchange_id, until_ms))
            return 0.0

        return await self._database.run(verb)

    async def put_back(self, bucket: str, rate: Rate, exchange_id: str, tokens: int = 1) -> None:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> None:
            took = "DELETE FROM pressure_taken WHERE bucket = ? AND exchange = ? AND until_ms > ?"
            if cursor.execute(took, (bucket, exchange_id, now_ms)).rowcount:
                earlier = "UPDATE pressure_buckets SET arrival_ms = arrival_ms - ? WHERE bucket = ?"
                cursor.execute(earlier, (tokens * rate.interval_ms, bucket))

        await self._database.run(verb)

    async def enter(self, room: str, limit: int, exchange_id: str, lease_s: float) -> bool:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> bool:
            cursor.execute("DELETE FROM pressure_places WHERE room = ? AND until_ms <= ?", (room, now_ms))
            mine = cursor.execute(
                "UPDATE pressure_places SET until_ms = ? WHERE room = ? AND exchange = ?",
                (now_ms + lease_s * 1000, room, exchange_id),
            )
            if mine.rowcount:
                return True
            inside = cursor.execute("SELECT COUNT(*) FROM pressure_places WHERE room = ?", (room,)).fetchone()[0]
            if inside >= limit:
                return False
            place = (room, exchange_id, now_ms + lease_s * 1000)
            cursor.execute("INSERT INTO pressure_places VALUES (?, ?, ?)", place)
            return True

        return await self._database.run(verb)

    async def leave(self, room: str, exchange_id: str) -> None:
        def verb(cursor: sqlite3.Cursor, _: int) -> None:
            cursor.execute("DELETE FROM pressure_places WHERE room = ? AND exchange = ?", (room, exchange_id))

        await self._database.run(verb)

    async def note_call(self, edge: str, exchange_id: str, window_s: float) -> None:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> None:
            forget(cursor, "pressure_calls", now_ms)
            call = (edge, 0, exchange_id, now_ms, now_ms + window_s * 1000)
            cursor.execute("INSERT OR IGNORE INTO pressure_calls VALUES (?, ?, ?, ?, ?)", call)
            if count(cursor, edge, 0, now_ms - window_s * 1000) > CALLS_MAX:
                oldest = "SELECT exchange FROM pressure_calls WHERE edge = ? AND is_retry = 0 ORDER BY at_ms LIMIT 1"
                cursor.execute(
                    f"DELETE FROM pressure_calls WHERE edge = ? AND is_retry = 0 AND exchange = ({oldest})",  # noqa: S608 - no value is spelled into it
                    (edge, edge),
                )

        await self._database.run(verb)

    async def spend_retry(self, edge: str, exchange_id: str, budget: RetryBudget) -> bool:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> bool:
            forget(cursor, "pressure_calls", now_ms)
            since_ms = now_ms - budget.window_s * 1000
            known = "SELECT 1 FROM pressure_calls WHERE edge = ? AND is_retry = 1 AND exchange = ? AND at_ms > ?"
            if cursor.execute(known, (edge, exchange_id, since_ms)).fetchone():
                return True
            allowed = budget.allowed(count(cursor, edge, 0, since_ms))
            if count(cursor, edge, 1, since_ms) >= min(allowed, CALLS_MAX):
                return False
            retry = (edge, 1, exchange_id, now_ms, now_ms + budget.window_s * 1000)
            cursor.execute("INSERT OR REPLACE INTO pressure_calls VALUES (?, ?, ?, ?, ?)", retry)
            return True

        return await self._database.run(verb)

    async def forget_call(self, edge: str, exchange_id: str) -> None:
        def verb(cursor: sqlite3.Cursor, _: int) -> None:
            cursor.execute("DELETE FROM pressure_calls WHERE edge = ? AND exchange = ?", (edge, exchange_id))

        await self._database.run(verb)

    async def wait(self, wait: Wait, serves: int, lease_s: float) -> tuple[Wait, ...]:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> tuple[Wait, ...]:
            cursor.execute("DELETE FROM pressure_waits WHERE until_ms <= ?", (now_ms,))
            until_ms = now_ms + lease_s * 1000
            mine = cursor.execute(
                "UPDATE pressure_waits SET until_ms = ? WHERE exchange = ?", (until_ms, wait.exchange_id)
            )
            if not mine.rowcount:
                if cursor.execute("SELECT COUNT(*) FROM pressure_waits").fetchone()[0] >= WAITS_MAX:
                    return ()
                row = (wait.exchange_id, wait.agent, wait.conversation, json.dumps(wait.path), until_ms)
                cursor.execute("INSERT INTO pressure_waits VALUES (NULL, ?, ?, ?, ?, ?)", row)
            there = "SELECT COUNT(*) FROM pressure_waits WHERE agent = ?"
            if cursor.execute(there, (wait.agent,)).fetchone()[0] <= serves:
                return ()
            rows = cursor.execute("SELECT exchange, conversation, path FROM pressure_waits ORDER BY number")
            return tuple(Wait(exchange, told, tuple(json.loads(path))) for exchange, told, path in rows)

        return await self._database.run(verb)

    async def done(self, agent: str, exchange_id: str) -> None:  # noqa: ARG002 - other places keep waits by agent
        def verb(cursor: sqlite3.Cursor, _: int) -> None:
            cursor.execute("DELETE FROM pressure_waits WHERE exchange = ?", (exchange_id,))

        await self._database.run(verb)


def count(cursor: sqlite3.Cursor, edge: str, is_retry: int, since_ms: float) -> int:
    return int(cursor.execute(COUNT, (edge, is_retry, since_ms)).fetchone()[0])


def forget(cursor: sqlite3.Cursor, table: str, moment_ms: float) -> None:
    cursor.execute(FORGET[table], (moment_ms, PRUNED_AT_ONCE))
