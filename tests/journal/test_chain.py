"""The chain: whoever changes, removes or moves a record is found out, and told where."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sidecar.telemetry.journal import Filter, SqliteReader
from sidecar.telemetry.journal.chain import Link, Verification, parsed_link
from tests.journal.desk import written

CALLS: tuple[dict[str, Any], ...] = ({"conversation": "c-1"}, {"conversation": "c-2"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of ten records: opened, two calls of four, closed."""
    found = tmp_path / "journal.db"
    written(found, *CALLS)
    return found


def verified(path: Path, expected: Link | None = None) -> Verification:
    reader = SqliteReader(path)
    try:
        return reader.verify(expected)
    finally:
        reader.close()


def tamper(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def breaks(path: Path) -> list[tuple[int, str]]:
    return [(each.seq, each.what) for each in verified(path).breaks]


def test_a_journal_that_nobody_touched_is_whole(path: Path):
    """From its first record to the head that it keeps."""
    found = verified(path)
    assert (found.is_whole, found.records, found.head.seq, found.unclean) == (True, 10, 10, [])


def test_a_restart_goes_on_with_the_chain(path: Path):
    """One chain over all processes that wrote the file."""
    written(path, *CALLS)
    found = verified(path)
    assert (found.is_whole, found.records) == (True, 20)


TAMPERING: dict[str, tuple[str, list[tuple[int, str]]]] = {
    "a byte of a record": (
        "UPDATE records SET record = CAST(replace(CAST(record AS TEXT), '_bytes\":100', '_bytes\":101') AS BLOB)"
        " WHERE seq = 3",
        [(3, "changed")],
    ),
    "a record that is gone": ("DELETE FROM records WHERE seq = 5", [(5, "missing")]),
    "several that are gone": ("DELETE FROM records WHERE seq IN (5, 6, 7)", [(5, "missing")]),
    "the start": ("DELETE FROM records WHERE seq < 4", [(1, "missing")]),
    "the end": ("DELETE FROM records WHERE seq > 7", [(7, "cut_end")]),
    "a link": ("UPDATE records SET hash = zeroblob(32) WHERE seq = 4", [(4, "changed"), (5, "changed")]),
    "what is searched by": ("UPDATE records SET conversation = 'other' WHERE seq = 2", [(2, "column")]),
    "a place in time": ("UPDATE records SET hlc = 1 WHERE seq = 2", [(2, "column")]),
    "no record at all": ("UPDATE records SET record = x'7b7d' WHERE seq = 6", [(6, "changed"), (6, "unreadable")]),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_where_it_was_done(path: Path, what: str):
    """Exactly there, and nowhere else: what follows was not touched."""
    statement, expected = TAMPERING[what]
    tamper(path, statement)
    assert breaks(path) == expected


def test_two_records_that_changed_places_are_found(path: Path):
    """Each is another than the one that belongs there."""
    tamper(
        path,
        "UPDATE records SET seq = 100 WHERE seq = 3",
        "UPDATE records SET seq = 3 WHERE seq = 4",
        "UPDATE records SET seq = 4 WHERE seq = 100",
    )
    assert {seq for seq, _ in breaks(path)} == {3, 4, 5}


def test_a_cut_start_that_says_it_was_pruned_is_found(path: Path):
    """The anchor can be moved by whoever writes the file; the record that would say so is missing."""
    tamper(
        path,
        "UPDATE state SET anchor_seq = 4, anchor_hash = (SELECT hash FROM records WHERE seq = 4)",
        "DELETE FROM records WHERE seq <= 4",
    )
    assert breaks(path) == [(4, "cut_start")]


def test_a_cut_end_with_a_new_head_is_found_by_a_head_kept_elsewhere(path: Path):
    """What is in the file cannot show it: that is what the line in the log is for."""
    head = verified(path).head
    tamper(
        path,
        "DELETE FROM records WHERE seq > 6",
        "UPDATE state SET head_seq = 6, head_hash = (SELECT hash FROM records WHERE seq = 6)",
    )
    assert verified(path).is_whole
    assert [each.what for each in verified(path, head).breaks] == ["cut_end"]


def test_an_earlier_head_is_looked_for_in_its_place(path: Path):
    """The journal may have grown since; another record in that place is another chain."""
    reader = SqliteReader(path)
    entry = reader.page(Filter()).entries[4]
    reader.close()
    assert verified(path, Link(entry.seq, entry.hash)).is_whole
    other = verified(path, Link(entry.seq, bytes(32)))
    assert [(each.seq, each.what) for each in other.breaks] == [(5, "other_head")]


@pytest.mark.parametrize("text", ["", "5", "5:", "x:" + "0" * 64, "5:" + "0" * 63, "5:" + "z" * 64, "-1:" + "0" * 64])
def test_a_head_that_is_none_is_refused(text: str):
    """It is typed, or copied from a log line."""
    with pytest.raises(ValueError, match=r"PLACE:HASH|hex"):
        parsed_link(text)


def test_a_head_reads_back():
    assert parsed_link(str(Link(7, bytes(range(32))))) == Link(7, bytes(range(32)))
