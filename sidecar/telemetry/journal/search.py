"""Finding a time in a journal: stamps rise with places, so it is found by halving."""

from __future__ import annotations

import sqlite3


def bounds(connection: sqlite3.Connection) -> tuple[int, int]:
    """The first and the last place; 1 and 0 where there are none. As one aggregate, it would read the whole table."""
    first, last = connection.execute("SELECT (SELECT min(seq) FROM records), (SELECT max(seq) FROM records)").fetchone()
    return (1, 0) if first is None else (first, last)


def first_at(connection: sqlite3.Connection, hlc: int) -> int:
    """The first place whose stamp is at least `hlc`; the one after the last where none is."""
    low, high = bounds(connection)
    high += 1
    while low < high:
        middle = (low + high) // 2
        # The next record from here: a journal that was tampered with may have holes.
        row = connection.execute(
            "SELECT seq, hlc FROM records WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)
        ).fetchone()
        if row is None or row[1] >= hlc:
            high = middle
        else:
            low = row[0] + 1
    return int(low)
