"""A journal's SQLite file: its tables, and how it is opened to write and to read.

Records are rows in the order of their places, which is also that of their stamps; so a time is found by halving, and
needs no index. WAL with synchronous=NORMAL keeps what was committed when the process is killed at any moment; only the
machine itself failing can take the last transactions with it (SQLite, "Write-Ahead Logging", section 5).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Final

from sidecar.telemetry.journal.chain import GENESIS, START, Link
from sidecar.telemetry.journal.record import Record

APPLICATION_ID: Final = 0x51DECA13
"""Marks the file as a journal of ours (SQLite's application_id)."""

FORMAT: Final = 1
"""user_version of the file. A file of a later format is refused rather than misread."""

PAGE_BYTES: Final = 8192
"""A record has about 700 bytes; measured, pages of this size cost the least."""

BUSY_LIMIT_MS: Final = 1_000
"""How long a batch waits for whoever has locked the file; then it is tried again later."""

COLUMNS: Final = ("kind", "conversation", "exchange", "caller", "callee", "rule", "decision")
"""What is searched by. Each says again what is in the record; `verify` compares the two."""

SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS records (
        seq INTEGER PRIMARY KEY, hlc INTEGER NOT NULL, kind TEXT NOT NULL, conversation TEXT, exchange TEXT,
        caller TEXT, callee TEXT, rule TEXT, decision TEXT, record BLOB NOT NULL, hash BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS records_conversation ON records (conversation) WHERE conversation IS NOT NULL;
    CREATE INDEX IF NOT EXISTS records_exchange ON records (exchange) WHERE kind = 'started';
    CREATE INDEX IF NOT EXISTS records_rare ON records (kind) WHERE kind NOT IN ('started', 'message', 'ended');
    CREATE INDEX IF NOT EXISTS records_rule ON records (rule) WHERE rule IS NOT NULL;
    CREATE INDEX IF NOT EXISTS records_decision ON records (decision)
        WHERE decision IS NOT NULL AND decision != 'forward';
    CREATE TABLE IF NOT EXISTS state (
        id INTEGER PRIMARY KEY CHECK (id = 1), anchor_seq INTEGER NOT NULL, anchor_hash BLOB NOT NULL,
        head_seq INTEGER NOT NULL, head_hash BLOB NOT NULL, head_hlc INTEGER NOT NULL, is_closed INTEGER NOT NULL
    );
"""


class NotAJournal(sqlite3.DatabaseError):
    """A file that will never do: another program's, or a later version's."""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_LIMIT_MS / 1000, check_same_thread=False)
    try:
        refuse_strangers(connection)
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.executescript(SCHEMA)
        begin = (1, START.seq, GENESIS, START.seq, GENESIS, 0, 1)
        connection.execute("INSERT OR IGNORE INTO state VALUES (?, ?, ?, ?, ?, ?, ?)", begin)
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Beside a sidecar that writes, or without one. Raises sqlite3.Error, and FileNotFoundError where nothing is."""
    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        return opened_to_read(path, "mode=ro")
    except NotAJournal:
        raise
    except sqlite3.OperationalError:
        if path.with_name(f"{path.name}-wal").exists():
            raise
        # On a medium that cannot be written SQLite has no place for its shared memory; nobody writes there either.
        return opened_to_read(path, "immutable=1")


def opened_to_read(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{how}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_LIMIT_MS / 1000,
        check_same_thread=False,
    )
    try:
        refuse_strangers(connection)
        if not pragma(connection, "application_id"):
            raise NotAJournal("no journal")
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def refuse_strangers(connection: sqlite3.Connection) -> None:
    """A new file is empty and has no marks."""
    application_id, version = (pragma(connection, name) for name in ("application_id", "user_version"))
    if pragma(connection, "schema_version") and application_id != APPLICATION_ID:
        raise NotAJournal("a database that is no journal")
    if version > FORMAT:
        raise NotAJournal(f"a journal of format {version}, written by a later version; this one reads {FORMAT}")


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def columns_of(record: Record) -> tuple[str | None, ...]:
    """What stands in the columns beside a record: None for what it does not say."""
    about, body = record.about, record.body
    rule = body.get("rule")
    decision = body.get("decision")
    return (
        record.kind.value,
        about.conversation or None,
        about.exchange_id or None,
        about.caller or None,
        about.callee or None,
        f"{body.get('check', '')}/{rule}" if rule else None,
        str(decision) if decision else None,
    )


def head_of(connection: sqlite3.Connection) -> tuple[Link, int]:
    """The last link, and the stamp of its record."""
    seq, digest, hlc = connection.execute("SELECT head_seq, head_hash, head_hlc FROM state").fetchone()
    return Link(seq, digest), hlc


def anchor_of(connection: sqlite3.Connection) -> Link:
    return Link(*connection.execute("SELECT anchor_seq, anchor_hash FROM state").fetchone())
