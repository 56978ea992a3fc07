"""The sink that keeps records in a SQLite file: hash-chained, bounded by age and size, whole after a kill -9."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from sidecar.engine.hybrid_clock import first_stamp_of
from sidecar.engine.ports import Clock
from sidecar.telemetry.journal.chain import Link, linked
from sidecar.telemetry.journal.files import created, inode_of, locked
from sidecar.telemetry.journal.record import Kind, Record, encoded, own_record, stamp_of
from sidecar.telemetry.journal.search import bounds, first_at
from sidecar.telemetry.journal.sink import Sink, SinkFailed, SinkRefused
from sidecar.telemetry.journal.sqlite_file import NotAJournal, columns_of, head_of, open_to_write, pragma

log = logging.getLogger(__name__)

INSERT: Final = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ADVANCE: Final = "UPDATE state SET head_seq = ?, head_hash = ?, head_hlc = ?, is_closed = ?"

PRUNE_PERIOD_S: Final = 10.0
PRUNED_AT_ONCE: Final = 5_000
"""Records that one transaction deletes; a longer one would keep new records waiting."""
PRUNED_TO_SHARE: Final = 0.9
"""Of the size allowed, what is left after pruning, so that not every batch prunes."""

WAL_LIMIT_BYTES: Final = 16 << 20
"""Size that the write-ahead log is cut back to."""


class SqliteSink(Sink):
    """One file, and one process that writes it: a second one waits until the first has gone."""

    name = "sqlite"

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        max_age_s: float | None,
        max_size_bytes: int,
        heard: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`heard` is told the last stamp of an earlier process, so that stamps go on from there.

        Nothing is opened yet. Raises NotAJournal where the file is one that will never do.
        """
        self.path = path
        self._clock = clock
        self._max_age_s = max_age_s
        self._max_size_bytes = max_size_bytes
        self._heard = heard
        self._begin = stamp_of(clock)
        """Before anything that is told to this process's journal."""
        self._connection: sqlite3.Connection | None = None
        self._lock: IO[bytes] | None = None
        self._inode = 0
        self._prune_due_ns = 0
        with contextlib.suppress(OSError, sqlite3.OperationalError):
            if path.is_file():
                open_to_write(path).close()

    def write(self, records: Sequence[Record]) -> None:
        try:
            self._refresh()
            connection = self._opened()
            if records:
                self._append(connection, records)
            self._prune(connection)
        except NotAJournal as error:
            self._release()
            raise SinkRefused(f"{self.path}: {error}") from error
        except (sqlite3.Error, OSError) as error:
            self._release()
            raise SinkFailed(f"{self.path}: {error}") from error

    def close(self) -> None:
        if self._connection is None:
            return
        try:
            head = self._append(self._connection, [own_record(Kind.CLOSED, self._clock)], is_closed=True)
            log.info("journal closed", extra={"fields": {"path": str(self.path), "head": str(head)}})
        except (sqlite3.Error, OSError) as error:
            log.error("journal: %s could not be closed in order: %s", self.path, error)
        self._release()

    # Opening.

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._lock = locked(self.path)
            created(self.path)
            self._connection = connection = open_to_write(self.path)
            connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
            self._inode = self.path.stat().st_ino
            self._say_opened(connection)
        return self._connection

    def _say_opened(self, connection: sqlite3.Connection) -> None:
        """The first record of this process tells how the last one left the file."""
        before, hlc = head_of(connection)
        was_closed = bool(connection.execute("SELECT is_closed FROM state").fetchone()[0])
        self._heard(hlc)
        body = {"was_closed": was_closed, "after": before.seq, "pid": os.getpid(), "host": socket.gethostname()}
        if not was_closed:
            body["missing"] = "what was seen and not yet written when the process before ended"
            line = "journal: %s was not closed: what was seen last and not yet written after record %d is missing"
            log.warning(line, self.path, before.seq)
        head = self._append(connection, [own_record(Kind.OPENED, self._clock, body, hlc=self._begin)])
        log.info("journal opened", extra={"fields": {"path": str(self.path), "head": str(head)}})

    def _refresh(self) -> None:
        """A file that was moved or deleted under us takes records that nobody will ever see."""
        if self._connection is not None and inode_of(self.path) != self._inode:
            log.warning("journal: %s is another file than the one that was opened; it is opened anew", self.path)
            self._release()

    def _release(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # Writing.

    def _append(self, connection: sqlite3.Connection, records: Sequence[Record], *, is_closed: bool = False) -> Link:
        with transaction(connection):
            return put(connection, records, is_closed=is_closed)

    # Bounds.

    def _prune(self, connection: sqlite3.Connection) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._prune_due_ns:
            return
        to = max(self._too_old(connection), self._too_much(connection))
        if to:
            self._forget(connection, to)
        else:
            self._prune_due_ns = now_ns + int(PRUNE_PERIOD_S * 1e9)

    def _too_old(self, connection: sqlite3.Connection) -> int:
        """The last record that is past its age; 0 where none is."""
        if self._max_age_s is None:
            return 0
        oldest_ms = self._clock.unix_ns() // 1_000_000 - int(self._max_age_s * 1000)
        first, last = bounds(connection)
        keep = first_at(connection, first_stamp_of(oldest_ms))
        return 0 if not last or keep <= first else min(keep - 1, last - 1)

    def _too_much(self, connection: sqlite3.Connection) -> int:
        """The last record that must go for the rest to keep to the size; 0 where none must."""
        pages = pragma(connection, "page_count") - pragma(connection, "freelist_count")
        size_bytes = pages * pragma(connection, "page_size")
        if size_bytes <= self._max_size_bytes:
            return 0
        first, last = bounds(connection)
        share = 1 - self._max_size_bytes * PRUNED_TO_SHARE / size_bytes
        return min(first + int((last - first + 1) * share), last - 1)

    def _forget(self, connection: sqlite3.Connection, to: int) -> None:
        """Delete from the old end, a part at a time. A record says so, and the anchor is where the chain now begins."""
        first, _ = bounds(connection)
        to = min(to, first + PRUNED_AT_ONCE - 1)
        if to < first:
            return
        with transaction(connection):
            digest = connection.execute("SELECT hash FROM records WHERE seq = ?", (to,)).fetchone()[0]
            connection.execute("DELETE FROM records WHERE seq <= ?", (to,))
            connection.execute("UPDATE state SET anchor_seq = ?, anchor_hash = ?", (to, digest))
            put(connection, [own_record(Kind.PRUNED, self._clock, {"from": first, "to": to, "hash": digest.hex()})])


def put(connection: sqlite3.Connection, records: Sequence[Record], *, is_closed: bool = False) -> Link:
    """Add them to the chain, within a transaction. Returns the new head."""
    head, hlc = head_of(connection)
    rows: list[tuple[Any, ...]] = []
    for record in records:
        placed = record if record.hlc > hlc else record._replace(hlc=hlc + 1)  # places and stamps rise together
        hlc, raw = placed.hlc, encoded(placed)
        head = linked(head, raw)
        rows.append((head.seq, hlc, *columns_of(placed), raw, head.hash))
    connection.executemany(INSERT, rows)
    connection.execute(ADVANCE, (head.seq, head.hash, hlc, is_closed))
    return head


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
