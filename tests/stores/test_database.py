"""The file behind the SQLite store: whose it is, what a second process sees, and what a closed one answers."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from sidecar.errors import ConfigError, StoreUnavailable
from sidecar.stores.sqlite import open_sqlite
from sidecar.stores.sqlite.database import FORMAT, Database
from sidecar.testing import ManualClock

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY)"


def database(path: Path) -> Database:
    return Database(path, clock=ManualClock(), schema=[SCHEMA])


def add(cursor: sqlite3.Cursor, _now_ms: int) -> int:
    cursor.execute("INSERT INTO numbers DEFAULT VALUES")
    return int(cursor.lastrowid or 0)


def count(cursor: sqlite3.Cursor, _now_ms: int) -> int:
    return int(cursor.execute("SELECT count(*) FROM numbers").fetchone()[0])


def add_and_fail(cursor: sqlite3.Cursor, now_ms: int) -> int:
    add(cursor, now_ms)
    raise ValueError("changed its mind")


async def test_two_openings_of_one_file_see_one_state(tmp_path: Path):
    """A restarted process, or two sidecars on one machine."""
    first, second = database(tmp_path / "state.db"), database(tmp_path / "state.db")
    await asyncio.gather(*(each.run(add) for each in (first, second) for _ in range(50)))
    assert (await first.run(count), await second.run(count)) == (100, 100)
    await first.close()
    await second.close()


async def test_a_verb_that_fails_leaves_nothing_behind(tmp_path: Path):
    """A verb is one transaction."""
    one = database(tmp_path / "state.db")
    with pytest.raises(ValueError, match="changed its mind"):
        await one.run(add_and_fail)
    assert await one.run(count) == 0
    await one.close()


async def test_a_closed_store_is_away(tmp_path: Path):
    """Whoever still asks in the moment of a stop hears what it hears of any store that is gone."""
    one = database(tmp_path / "state.db")
    await one.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await one.run(count)


async def test_a_file_that_another_process_holds_too_long_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A verb waits for another writer, and not for ever."""
    monkeypatch.setattr("sidecar.stores.sqlite.database.BUSY_LIMIT_MS", 50)
    one = database(tmp_path / "state.db")
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await one.run(add)
    other.execute("ROLLBACK")
    other.close()
    assert await one.run(add) == 1
    await one.close()


class Watching:
    """Writes down what a file's store says of itself."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def verb_failed(self, kind: str, verb: str) -> None:
        self.heard.append(f"{kind} failed {verb}")

    def store_left(self, kind: str) -> None:
        self.heard.append(f"{kind} left")

    def store_returned(self, kind: str) -> None:
        self.heard.append(f"{kind} returned")

    def store_forgot(self, kind: str, what: str) -> None:
        raise AssertionError("a file forgets nothing")


async def test_a_file_that_is_away_says_so_once_and_that_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each verb that fails is counted under the port's name for it; who waits for the return hears of it."""
    monkeypatch.setattr("sidecar.stores.sqlite.database.BUSY_LIMIT_MS", 50)
    watching, returned = Watching(), []
    store = open_sqlite(tmp_path / "state.db", ManualClock(), watching)
    store.on_return(lambda: returned.append(True))
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.ledger.settle("x", 1)
    with pytest.raises(StoreUnavailable):
        await store.conversations.name_conversation(["trace:1"], "one")
    other.execute("ROLLBACK")
    other.close()
    assert returned == []
    await store.ledger.settle("x", 1)
    await store.ledger.settle("x", 1)
    await store.close()
    failed = ["sqlite failed settle", "sqlite left", "sqlite failed settle", "sqlite failed name_conversation"]
    assert (watching.heard, returned) == ([*failed, "sqlite returned"], [True])


async def test_more_verbs_than_may_wait_find_the_store_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that has become slow must not fill the memory."""
    monkeypatch.setattr("sidecar.stores.sqlite.database.WAITING_MAX", 3)
    one = database(tmp_path / "state.db")
    answers = await asyncio.gather(*(one.run(add) for _ in range(4)), return_exceptions=True)
    assert [isinstance(answer, StoreUnavailable) for answer in answers] == [False, False, False, True]
    await one.close()


def test_the_database_of_another_program_is_left_alone(tmp_path: Path):
    """A wrong path must not write tables into somebody's data."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE precious (x)")
    other.close()
    with pytest.raises(ConfigError, match="another program"):
        database(path)


def test_a_file_of_a_later_format_is_refused_and_not_misread(tmp_path: Path):
    """Whoever goes back to an older version hears why it does not start."""
    path = tmp_path / "state.db"
    asyncio.run(database(path).close())
    with sqlite3.connect(path) as later:
        later.execute(f"PRAGMA user_version = {FORMAT + 1}")
    later.close()
    with pytest.raises(ConfigError, match="later version"):
        database(path)


@pytest.mark.parametrize("content", [b"no database at all" * 100])
def test_a_file_that_is_no_database_is_a_mistake_of_configuration(tmp_path: Path, content: bytes):
    """Said before the first socket is bound."""
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not a database"):
        database(path)


def test_a_folder_that_is_not_there_is_a_mistake_of_configuration(tmp_path: Path):
    """It may be a volume that was not mounted; making it would hide that."""
    with pytest.raises(ConfigError, match="unable to open"):
        database(tmp_path / "missing" / "state.db")
