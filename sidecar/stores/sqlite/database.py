"""A database file and the one thread that works on it: each verb is one transaction, off the event loop.

WAL with synchronous=NORMAL keeps what was answered when the process is killed at any moment; only the machine itself
failing can take the last transactions with it (SQLite, "Write-Ahead Logging", section 5).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from sidecar.engine.ports import Clock, StoreReporter
from sidecar.errors import ConfigError, Mistake, StoreUnavailable

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

APPLICATION_ID: Final = 0x51DECA12
"""Marks the file as ours (SQLite's application_id): another program's database is not written to."""

FORMAT: Final = 1
"""user_version of the file. A file of a later format is refused rather than misread."""

BUSY_LIMIT_MS: Final = 2_000
"""How long a verb waits for another process that writes."""

KIND: Final = "sqlite"

WAITING_MAX: Final = 10_000
"""Verbs that may wait for the thread. Past that the store counts as away, or a slow disk would fill the memory."""


class Database:
    """One file. Verbs run one after the other."""

    def __init__(
        self, path: Path, *, clock: Clock, schema: Sequence[str], reporter: StoreReporter | None = None
    ) -> None:
        """Raises ConfigError where the file cannot be opened, is another program's, or is of a later version."""
        self.path = path
        self._clock = clock
        self._reporter = reporter
        self.on_return: list[Callable[[], None]] = []
        """Called when a verb has succeeded again after one that failed."""
        self.is_away = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sidecar-sqlite")
        self._waiting = 0
        try:
            self._connection = self._thread.submit(opened, path, schema).result()
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            allowed = "a file that can be created or is a database of ours"
            raise ConfigError([Mistake("store", f"{path} ({error})", allowed)]) from error

    async def run(self, verb: Callable[[sqlite3.Cursor, int], Answer]) -> Answer:
        """One transaction: `verb` is given a cursor and the time (Unix ms). Raises StoreUnavailable."""
        if self._waiting >= WAITING_MAX:
            self._failed(verb)
            raise StoreUnavailable(f"{self.path.name} has {WAITING_MAX} verbs waiting")
        self._waiting += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._thread, self._transact, verb)
        except RuntimeError as error:
            raise StoreUnavailable(f"{self.path.name} is closed") from error
        except sqlite3.Error as error:
            self._failed(verb)
            self._went_away(error)
            raise StoreUnavailable(f"{self.path.name}: {error}") from error
        finally:
            self._waiting -= 1
        if self.is_away:
            self._returned()
        return answer

    # Away and back: by what the last verb met, for nobody else asks a file.

    def _failed(self, verb: Callable[..., object]) -> None:
        if self._reporter is not None:
            self._reporter.verb_failed(KIND, name_of(verb))

    def _went_away(self, error: sqlite3.Error) -> None:
        if self.is_away:
            return
        self.is_away = True
        log.warning("%s is away: %s", self.path.name, error)
        if self._reporter is not None:
            self._reporter.store_left(KIND)

    def _returned(self) -> None:
        self.is_away = False
        log.warning("%s is back", self.path.name)
        if self._reporter is not None:
            self._reporter.store_returned(KIND)
        for call in self.on_return:
            call()

    async def close(self) -> None:
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._thread.submit(self._connection.close)
        self._thread.shutdown()

    def _transact(self, verb: Callable[[sqlite3.Cursor, int], Answer]) -> Answer:
        cursor = self._connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            answer = verb(cursor, self._clock.unix_ns() // 1_000_000)
            cursor.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise
        finally:
            cursor.close()
        return answer


def name_of(verb: Callable[..., object]) -> str:
    """Of the port's verb, whose transaction it is: `SqliteLedger.reserve.<locals>.verb` is `reserve`."""
    return verb.__qualname__.partition(".<locals>")[0].rpartition(".")[2]


def opened(path: Path, schema: Sequence[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_LIMIT_MS / 1000)
    try:
        refuse_strangers(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")
        for part in schema:
            connection.executescript(part)
    except BaseException:
        connection.close()
        raise
    return connection


def refuse_strangers(connection: sqlite3.Connection) -> None:
    """A new file is empty and has no marks."""
    application_id, version = (pragma(connection, name) for name in ("application_id", "user_version"))
    is_empty = not pragma(connection, "schema_version")
    if not is_empty and application_id != APPLICATION_ID:
        raise sqlite3.DatabaseError("the database of another program")
    if version > FORMAT:
        raise sqlite3.DatabaseError(f"format {version}, written by a later version; this one reads {FORMAT}")


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]
