"""State in one file, which outlives the process: for one sidecar that restarts, or several on one machine."""

from __future__ import annotations

from pathlib import Path

from sidecar.engine.ports import Clock
from sidecar.engine.state import Store
from sidecar.stores.sqlite.claims import SqliteClaims
from sidecar.stores.sqlite.conversations import SqliteConversations
from sidecar.stores.sqlite.database import Database
from sidecar.stores.sqlite.ledger import SqliteLedger
from sidecar.stores.sqlite.spool import SqliteSpool

__all__ = ["Database", "SqliteClaims", "SqliteConversations", "SqliteLedger", "SqliteSpool", "open_sqlite"]


def open_sqlite(path: Path, clock: Clock) -> Store:
    """Open or create the file. Raises ConfigError where that cannot be."""
    schema = [SqliteConversations.SCHEMA, SqliteClaims.SCHEMA, SqliteLedger.SCHEMA]
    database = Database(path, clock=clock, schema=schema)
    return Store(
        kind="sqlite",
        conversations=SqliteConversations(database),
        claims=SqliteClaims(database),
        ledger=SqliteLedger(database),
        close=database.close,
    )
