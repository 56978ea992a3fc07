"""Names of conversations, in a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from sidecar.engine.state.conversations import Naming, naming_of
from sidecar.stores.sqlite.database import Database

KEEP_MS: Final = 7 * 86_400_000
"""A name that nobody used for a week is forgotten."""

KEEP: Final = """
    INSERT INTO conversation_names VALUES (?, ?, ?) ON CONFLICT (alias) DO UPDATE SET used_ms = excluded.used_ms
"""

PRUNED_AT_ONCE: Final = 20
"""Old names that one claim forgets: more than it adds, so that the table stays as small as the traffic is."""


class SqliteConversations:
    """The Conversations port in a file."""

    SCHEMA: Final = """
        CREATE TABLE IF NOT EXISTS conversation_names (
            alias TEXT PRIMARY KEY, conversation TEXT NOT NULL, used_ms INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS conversation_names_used ON conversation_names (used_ms);
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def name_conversation(self, aliases: Sequence[str], proposed: str) -> Naming:
        def claim(cursor: sqlite3.Cursor, now_ms: int) -> Naming:
            forget(cursor, now_ms)
            naming = naming_of(holders(cursor, aliases), proposed)
            cursor.executemany(KEEP, [(alias, naming.conversation, now_ms) for alias in aliases])
            return naming

        return await self._database.run(claim) if aliases else Naming(proposed)


def holders(cursor: sqlite3.Cursor, aliases: Sequence[str]) -> Iterator[str]:
    for alias in aliases:
        row = cursor.execute("SELECT conversation FROM conversation_names WHERE alias = ?", (alias,)).fetchone()
        if row is not None:
            yield str(row[0])


def forget(cursor: sqlite3.Cursor, now_ms: int) -> None:
    old = "SELECT alias FROM conversation_names WHERE used_ms < ? LIMIT ?"
    cursor.execute(f"DELETE FROM conversation_names WHERE alias IN ({old})", (now_ms - KEEP_MS, PRUNED_AT_ONCE))  # noqa: S608 - no value is spelled into it
