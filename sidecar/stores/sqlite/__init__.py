"""State in one file, which outlives the process: for one sidecar that restarts, or several on one machine."""

from __future__ import annotations

from pathlib import Path

from sidecar.engine.ports import Clock, StoreReporter
from sidecar.engine.state import Store
from sidecar.stores.sqlite.claims import SqliteClaims
from sidecar.stores.sqlite.conversations import SqliteConversations
from sidecar.stores.sqlite.database import Database
from sidecar.stores.sqlite.ledger import SqliteLedger
from sidecar.stores.sqlite.pressure import SqlitePressure
from sidecar.stores.sqlite.spool import SqliteSpool
from sidecar.stores.sqlite.tasks import SqliteTasks
from sidecar.stores.sqlite.versions import SqliteVersions
from sidecar.stores.sqlite.visits import SqliteVisits

__all__ = [
    "Database",
    "SqliteClaims",
    "SqliteConversations",
    "SqliteLedger",
    "SqlitePressure",
    "SqliteSpool",
    "SqliteTasks",
    "SqliteVersions",
    "SqliteVisits",
    "open_sqlite",
]


def open_sqlite(path: Path, clock: Clock, reporter: StoreReporter | None = None) -> Store:
    """Open or create the file. Raises ConfigError where that cannot be."""
    schema = [
        SqliteClaims.SCHEMA,
        SqliteConversations.SCHEMA,
        SqliteLedger.SCHEMA,
        SqlitePressure.SCHEMA,
        SqliteTasks.SCHEMA,
        SqliteVersions.SCHEMA,
        SqliteVisits.SCHEMA,
    ]
    database = Database(path, clock=clock, schema=schema, reporter=reporter)
    return Store(
        kind="sqlite",
        claims=SqliteClaims(database),
        conversations=SqliteConversations(database),
        ledger=SqliteLedger(database),
        pressure=SqlitePressure(database),
        tasks=SqliteTasks(database),
        versions=SqliteVersions(database),
        visits=SqliteVisits(database),
        close=database.close,
        on_return=database.on_return.append,
    )
