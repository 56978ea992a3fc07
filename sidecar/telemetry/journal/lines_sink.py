"""The sink that writes JSON lines: a chain of its own, rotated so that all files together keep to a size."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from sidecar.engine.ports import Clock
from sidecar.telemetry.journal.chain import START, linked
from sidecar.telemetry.journal.files import created, inode_of, locked
from sidecar.telemetry.journal.lines import GENERATIONS, generations, line_of, lines_in, parsed_line
from sidecar.telemetry.journal.record import Kind, Record, UnreadableRecord, decoded, encoded, own_record, stamp_of
from sidecar.telemetry.journal.sink import Sink, SinkFailed

TAIL_BYTES: Final = 32 << 20
"""What is read of a file to find where its chain ends: more than the longest record."""


class LinesSink(Sink):
    """One file that grows, the rotated ones before it, and one process that writes them."""

    name = "jsonl"

    def __init__(
        self, path: Path, *, clock: Clock, max_size_bytes: int, heard: Callable[[int], None] = lambda _: None
    ) -> None:
        """Nothing is opened yet. `heard` as for SqliteSink."""
        self.path = path
        self._clock = clock
        self._file_bytes = max_size_bytes // (GENERATIONS + 1)
        self._heard = heard
        self._begin = stamp_of(clock)
        self._file: IO[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self._inode = 0
        self._head, self._hlc = START, 0
        self._drops_oldest = False

    def write(self, records: Sequence[Record]) -> None:
        try:
            if self._file is not None and inode_of(self.path) != self._inode:
                self._release()  # it was moved or deleted under us
            file = self._opened()
            if records:
                self._append(file, records)
        except OSError as error:
            self._release()
            raise SinkFailed(f"{self.path}: {error.strerror or error}") from error

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._append(self._file, [own_record(Kind.CLOSED, self._clock)])
        self._release()

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._lock = locked(self.path)
            created(self.path)
            torn_bytes, was_closed = self._find_head()
            self._file = file = self.path.open("ab", buffering=0)
            self._inode = self.path.stat().st_ino
            if torn_bytes:
                file.truncate(self.path.stat().st_size - torn_bytes)
            self._heard(self._hlc)
            body = {"was_closed": was_closed, "after": self._head.seq, "torn_bytes": torn_bytes}
            self._append(file, [own_record(Kind.OPENED, self._clock, body, hlc=self._begin)])
        return self._file

    def _find_head(self) -> tuple[int, bool]:
        """Go to where the chain ends. How many bytes of a torn line are behind it, and whether it was closed."""
        self._head, self._hlc = START, 0
        torn_bytes, was_closed = 0, True
        files = generations(self.path)
        for path in files[-2:]:  # the newest may have just been begun
            for line in last_lines(path):
                taken = parsed_line(line)
                if taken is None or not line.endswith(b"\n"):
                    torn_bytes = len(line) if path == self.path and not line.endswith(b"\n") else 0
                    continue
                self._head, torn_bytes = taken.link, 0
                with contextlib.suppress(UnreadableRecord):
                    record = decoded(taken.raw)
                    self._hlc, was_closed = max(self._hlc, record.hlc), record.kind is Kind.CLOSED
        return torn_bytes, was_closed

    def _append(self, file: IO[bytes], records: Sequence[Record]) -> None:
        """All or nothing: what was written of a batch that failed is cut off again."""
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes > self._file_bytes:
            file, size_bytes, pruned = *self._rotated(), self._pruned()
            records = [*pruned, *records]
        head, hlc, lines = self._head, self._hlc, bytearray()
        for record in records:
            placed = record if record.hlc > hlc else record._replace(hlc=hlc + 1)
            hlc, raw = placed.hlc, encoded(placed)
            prev = None if lines or size_bytes else head.hash
            head = linked(head, raw)
            lines += line_of(head, raw, prev)
        try:
            if (written := file.write(lines)) != len(lines):
                raise OSError(f"{written} of {len(lines)} bytes were written")
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(size_bytes)
            raise
        self._head, self._hlc = head, hlc

    def _rotated(self) -> tuple[IO[bytes], int]:
        """A new file, and its size."""
        assert self._file is not None
        self._file.close()
        self._drops_oldest = self.path.with_name(f"{self.path.name}.{GENERATIONS}").is_file()
        for number in range(GENERATIONS - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.is_file():
                older.replace(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        created(self.path)
        self._file = self.path.open("ab", buffering=0)
        self._inode = self.path.stat().st_ino
        return self._file, 0

    def _pruned(self) -> list[Record]:
        """Where the oldest file was written over: a record that says up to where the start is gone."""
        oldest = generations(self.path)[0]
        first = next((parsed_line(line) for _, line in lines_in(oldest)), None) if self._drops_oldest else None
        return [own_record(Kind.PRUNED, self._clock, {"to": first.link.seq - 1})] if first is not None else []

    def _release(self) -> None:
        for each in (self._file, self._lock):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.close()
        self._file = self._lock = None


def last_lines(path: Path) -> Iterator[bytes]:
    """The lines at the end of a file; all of them where it is short. The first may lack its beginning."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - TAIL_BYTES, 0))
        yield from file
