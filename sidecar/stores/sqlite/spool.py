"""The spool's entries, in a file of one sidecar's own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sidecar.engine.ports import Clock
from sidecar.engine.state.ledger import Draw, Purse
from sidecar.engine.state.spool import Entry, Kind
from sidecar.engine.state.window import Window
from sidecar.stores.sqlite.database import Database


class SqliteSpool:
    """The SpoolFile port. Raises ConfigError where the file cannot be used."""

    SCHEMA: Final = """
        CREATE TABLE IF NOT EXISTS spool (
            id TEXT PRIMARY KEY, kind TEXT NOT NULL, amount INTEGER NOT NULL, counted INTEGER NOT NULL,
            draws TEXT NOT NULL
        ) WITHOUT ROWID;
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._database = Database(path, clock=clock, schema=[self.SCHEMA])

    async def load(self) -> list[Entry]:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> list[Entry]:  # noqa: ARG001 - a verb's form
            return [entry_of(*row) for row in cursor.execute("SELECT id, kind, amount, counted, draws FROM spool")]

        return await self._database.run(verb)

    async def keep(self, entry: Entry) -> None:
        draws = json.dumps([shape_of(draw) for draw in entry.draws])
        row = (entry.charge_id, entry.kind.value, entry.amount_micro_usd, entry.counted_micro_usd, draws)

        def verb(cursor: sqlite3.Cursor, now_ms: int) -> None:  # noqa: ARG001 - a verb's form
            cursor.execute("INSERT OR REPLACE INTO spool VALUES (?, ?, ?, ?, ?)", row)

        await self._database.run(verb)

    async def drop(self, charge_ids: Sequence[str]) -> None:
        def verb(cursor: sqlite3.Cursor, now_ms: int) -> None:  # noqa: ARG001 - a verb's form
            cursor.executemany("DELETE FROM spool WHERE id = ?", [(charge_id,) for charge_id in charge_ids])

        await self._database.run(verb)

    async def close(self) -> None:
        await self._database.close()


def shape_of(draw: Draw) -> list[Any]:
    purse = draw.purse
    return [purse.budget, purse.account, purse.window.value, purse.keep_s, draw.period]


def entry_of(charge_id: str, kind: str, amount: int, counted: int, draws: str) -> Entry:
    read = (Draw(Purse(one[0], one[1], Window(one[2]), one[3]), one[4]) for one in json.loads(draws))
    return Entry(charge_id, Kind(kind), amount, tuple(read), counted)
