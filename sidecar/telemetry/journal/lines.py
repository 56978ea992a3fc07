"""Records as JSON lines: one object a line, with its place and link, so that the lines are a chain as well.

`{"seq": 7, "hash": "…", "record": {…}}`. The first line of a file has `prev` too, the link before it, so that a file by
itself can be verified. The bytes after `"record":` are those that the link is over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from sidecar.telemetry.journal.chain import GENESIS, START, Link, Row, Verification, verify
from sidecar.telemetry.journal.reading import PAGE_MAX, Filter, Page, Reader, UnreadableJournal
from sidecar.telemetry.journal.record import Entry, UnreadableRecord, decoded, record_in

GENERATIONS: Final = 3
"""Files that were rotated away and are still kept: `journal.jsonl.1` is the newest of them."""

LINE_MAX_BYTES: Final = 64 << 20
"""A longer line is no record of ours."""

_LINE: Final = re.compile(
    rb'\{"seq":([0-9]{1,18}),(?:"prev":"([0-9a-f]{64})",)?"hash":"([0-9a-f]{64})","record":(\{.*\})\}\n?', re.DOTALL
)


class Line(NamedTuple):
    """One line, taken apart."""

    link: Link
    raw: bytes
    prev: bytes | None


def line_of(link: Link, raw: bytes, prev: bytes | None = None) -> bytes:
    before = b'"prev":"%s",' % prev.hex().encode() if prev is not None else b""
    return b'{"seq":%d,%s"hash":"%s","record":%s}\n' % (link.seq, before, link.hash.hex().encode(), raw)


def parsed_line(line: bytes) -> Line | None:
    """None for what is no line of ours."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    prev = bytes.fromhex(found[2].decode()) if found[2] else None
    return Line(Link(int(found[1]), bytes.fromhex(found[3].decode())), found[4], prev)


def generations(path: Path) -> list[Path]:
    """The files of one journal that are there, oldest first."""
    rotated = [path.with_name(f"{path.name}.{number}") for number in range(GENERATIONS, 0, -1)]
    return [each for each in (*rotated, path) if each.is_file()]


def lines_in(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers. One that is too long comes without its rest. Raises OSError."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_MAX_BYTES):
            number += 1
            yield number, line


class LinesReader(Reader):
    """The Reader port on JSON lines: a sink's files, or one that was exported. It reads from the start each time."""

    def __init__(self, path: Path) -> None:
        """Raises UnreadableJournal."""
        self.path = path
        if not (path.is_file() or generations(path)):
            raise UnreadableJournal(f"{path}: no such file")

    def entries(self, wanted: Filter) -> Iterator[Entry]:
        for where, line in self._lines():
            taken = parsed_line(line)
            if taken is None:
                if line.endswith(b"\n"):
                    raise UnreadableJournal(f"{where}: no record; `sidecar journal verify` tells more")
                return  # being written just now, or torn when the process was killed
            try:
                entry = Entry(taken.link.seq, decoded(taken.raw), taken.link.hash, taken.raw)
            except UnreadableRecord as error:
                raise UnreadableJournal(f"{where}: {error}") from error
            if wanted.wants(entry.record):
                yield entry

    def page(self, wanted: Filter, *, after: int | None = None, limit: int = 100, newest_first: bool = False) -> Page:
        limit = max(1, min(limit, PAGE_MAX))
        found = (each for each in self.entries(wanted) if after is None or is_past(each.seq, after, newest_first))
        kept: list[Entry] = []
        for entry in found:
            kept.append(entry)
            if newest_first and len(kept) > limit + 1:
                del kept[0]
            elif not newest_first and len(kept) > limit:
                break
        ordered = kept[::-1] if newest_first else kept
        return Page(tuple(ordered[:limit]), ordered[limit - 1].seq if len(ordered) > limit else None)

    def link_before(self, seq: int) -> bytes | None:
        for _, line in self._lines():
            taken = parsed_line(line)
            if taken is None:
                return None
            if taken.link.seq == seq and taken.prev is not None:
                return taken.prev
            if taken.link.seq == seq - 1:
                return taken.link.hash
        return None

    def verify(self, expected: Link | None = None) -> Verification:
        return verify(self._rows(), anchor=self._anchor(), expected=expected)

    def close(self) -> None:
        """Nothing is held open."""

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        try:
            for path in generations(self.path):
                for number, line in lines_in(path):
                    yield f"{path}:{number}", line
        except OSError as error:
            raise UnreadableJournal(f"{self.path}: {error.strerror}") from error

    def _anchor(self) -> Link:
        """What the first line says came before it."""
        first = next((parsed_line(line) for _, line in self._lines()), None)
        if first is None or first.link.seq <= 1:
            return START
        return Link(first.link.seq - 1, first.prev or GENESIS)

    def _rows(self) -> Iterator[Row]:
        seq = 0
        for where, line in self._lines():
            taken = parsed_line(line)
            if taken is not None:
                seq = taken.link.seq
                yield Row(seq, taken.raw, taken.link.hash, record_in(taken.raw))
            elif line.endswith(b"\n"):
                seq += 1
                yield Row(seq, line.rstrip(b"\n"), GENESIS, None, f"{where} is no line of a journal")


def is_past(seq: int, after: int, newest_first: bool) -> bool:
    return seq < after if newest_first else seq > after
