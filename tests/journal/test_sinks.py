"""Sinks: bounded, never in the way, whole after whatever happens to their files."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from redis import Redis

from sidecar.telemetry.journal import Filter, LinesReader, LinesSink, SinkSettings, SqliteReader
from sidecar.telemetry.journal.record import Record, decoded
from sidecar.telemetry.journal.redis_sink import RedisSink
from sidecar.telemetry.journal.sink import Sink, SinkFailed, SinkRefused, SinkWorker
from sidecar.telemetry.journal.sqlite_file import NotAJournal
from sidecar.testing import ManualClock
from tests.journal.desk import Counts, entries, journal_of, kinds, record, records, sqlite, tell_exchange, written
from tests.stores.conftest import redis_server, redis_url  # noqa: F401 - fixtures

SOON = SinkSettings(flush_s=0.01, queue=100)


class Faulty(Sink):
    """Fails while it is told to, and keeps what it takes."""

    name = "faulty"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.taken: list[Record] = []

    def write(self, records: Sequence[Record]) -> None:
        if self.error is not None:
            raise self.error
        self.taken += records

    def close(self) -> None: ...


def until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, "it never came to that"
        time.sleep(0.01)


def whole(path: Path) -> bool:
    reader = SqliteReader(path) if path.suffix == ".db" else LinesReader(path)
    try:
        return reader.verify().is_whole
    finally:
        reader.close()


# Queues.


def test_a_sink_that_is_away_keeps_nobody_waiting_and_gets_its_records_when_it_is_back():
    sink, counts = Faulty(SinkFailed("away")), Counts()
    worker = SinkWorker(sink, SOON, counts)
    worker.start()
    worker.offer(records(range(1, 51)))
    sink.error = None
    until(lambda: len(sink.taken) == 50)
    assert worker.stop(5.0)
    assert counts.all == {("faulty", "written"): 50}


def test_what_has_no_room_is_dropped_counted_and_told_in_its_place():
    """The newest go: what waits already is the beginning of the story."""
    sink, counts = Faulty(SinkFailed("away")), Counts()
    worker = SinkWorker(sink, SOON, counts)
    worker.offer(records(range(1, 131)))
    assert (counts.of("faulty", "dropped"), worker.waiting) == (30, 100)
    sink.error = None
    worker.start()
    until(lambda: len(sink.taken) == 101)
    worker.offer(records([200]))
    worker.stop(5.0)
    assert sink.taken[100].kind == "dropped"
    assert sink.taken[100].body == {"count": 30, "where": "faulty"}
    assert sink.taken[101].hlc == 200 << 16


@pytest.mark.parametrize("queue", [1, 2])
def test_a_queue_holds_exactly_its_limit(queue: int):
    worker = SinkWorker(Faulty(), SinkSettings(queue=queue), counts := Counts())
    worker.offer(records(range(queue)))
    assert counts.of("faulty", "dropped") == 0
    worker.offer(records([9]))
    assert counts.of("faulty", "dropped") == 1


def test_records_that_a_sink_refuses_are_counted_and_the_next_get_their_chance():
    sink, counts = Faulty(SinkRefused("no")), Counts()
    worker = SinkWorker(sink, SOON, counts)
    worker.offer(records([1]))
    worker.start()
    until(lambda: counts.of("faulty", "failed") == 1)
    sink.error = None
    worker.offer(records([2]))
    worker.stop(5.0)
    assert [each.hlc >> 16 for each in sink.taken] == [2]


def test_what_cannot_be_written_by_the_end_is_counted():
    counts = Counts()
    worker = SinkWorker(Faulty(SinkFailed("away")), SOON, counts)
    worker.offer(records([1, 2]))
    worker.start()
    assert not worker.stop(1.0)
    assert counts.of("faulty", "failed") == 2


def test_one_sink_that_is_away_does_not_hold_up_another(tmp_path: Path):
    with journal_of(Faulty(SinkFailed("away")), sqlite(tmp_path / "j.db")) as journal:
        tell_exchange(journal)
        until(lambda: len(kinds(tmp_path / "j.db")) == 5)


# SQLite.


def test_a_file_is_for_its_owner_alone(tmp_path: Path):
    """It may hold what agents said to each other."""
    written(tmp_path / "j.db", {})
    assert stat.S_IMODE((tmp_path / "j.db").stat().st_mode) == 0o600


def test_old_records_go_and_the_chain_still_holds(tmp_path: Path):
    """What is left begins at an anchor that a record vouches for."""
    clock, path = ManualClock(), tmp_path / "j.db"
    sink = sqlite(path, clock, max_age_s=60.0)
    now_ms = clock.unix_ns() // 1_000_000
    sink.write([record(now_ms + number) for number in range(10)])
    clock.advance(90.0)
    later_ms = now_ms + 90_000
    sink.write([record(later_ms + number) for number in range(10)])
    clock.advance(30.0)
    sink.write([record(later_ms + 30_000)])
    sink.close()
    reader = SqliteReader(path)
    found = reader.verify()
    assert (found.is_whole, found.pruned_to) == (True, found.start.seq)
    assert found.start.seq == 11  # the record of the opening, and the ten that were too old
    assert reader.page(Filter()).entries[0].record.hlc >> 16 >= later_ms


def test_a_file_keeps_to_its_size(tmp_path: Path):
    clock, path = ManualClock(), tmp_path / "j.db"
    sink = sqlite(path, clock, max_size_bytes=1 << 20)
    for first in range(0, 6000, 100):
        sink.write([record(10**12 + number, text="x" * 500) for number in range(first, first + 100)])
        clock.advance(11.0)
    sink.close()
    assert whole(path)
    assert path.stat().st_size < 2 << 20
    assert len(entries(path)) > 500


def test_another_programs_database_is_refused(tmp_path: Path):
    path = tmp_path / "j.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    with pytest.raises(NotAJournal, match="no journal"):
        sqlite(path)


def test_a_later_format_is_refused(tmp_path: Path):
    path = tmp_path / "j.db"
    written(path, {})
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NotAJournal, match="format 99"):
        sqlite(path)


def test_a_second_process_waits_until_the_first_has_gone(tmp_path: Path):
    """Two chains in one file would be none."""
    path = tmp_path / "j.db"
    first, second = sqlite(path), sqlite(path)
    first.write(records([1]))
    with pytest.raises(SinkFailed, match="another process"):
        second.write(records([2]))
    first.close()
    second.write(records([3]))
    second.close()
    assert whole(path)


def test_a_locked_file_is_written_when_the_lock_is_gone(tmp_path: Path):
    path, counts = tmp_path / "j.db", Counts()
    with journal_of(sqlite(path), counts=counts) as journal:
        until(lambda: len(kinds(path)) == 1)
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
        tell_exchange(journal)
        time.sleep(0.3)
        assert counts.of("sqlite", "written") == 0
        blocker.execute("ROLLBACK")
        blocker.close()
        until(lambda: counts.of("sqlite", "written") == 4)
    assert whole(path)


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path):
    path, counts = tmp_path / "later" / "j.db", Counts()
    with journal_of(sqlite(path), counts=counts) as journal:
        tell_exchange(journal)
        time.sleep(0.2)
        path.parent.mkdir()
        until(lambda: counts.of("sqlite", "written") == 4)
    assert whole(path)


def test_a_full_disk_is_waited_for(tmp_path: Path):
    """`max_page_count` is how SQLite is told that there is no more room: the error is that of a full disk."""
    path = tmp_path / "j.db"
    sink = sqlite(path)
    sink.write(records([1]))
    assert sink._connection is not None
    pages = sink._connection.execute("PRAGMA page_count").fetchone()[0]
    sink._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SinkFailed, match="full"):
        sink.write([record(2, text="x" * 1_000_000)])
    sink.write([record(3)])
    sink.close()
    assert whole(path)


def test_a_file_that_is_deleted_under_us_is_begun_anew(tmp_path: Path):
    """Else records would go to a file that nobody can open any more."""
    path = tmp_path / "j.db"
    sink = sqlite(path)
    sink.write(records([1]))
    for each in tmp_path.iterdir():
        each.unlink()
    sink.write(records([2]))
    sink.close()
    assert kinds(path) == ["opened", "ended", "closed"]
    assert whole(path)


def test_a_journal_that_was_not_closed_says_so_at_the_next_start(tmp_path: Path):
    path = tmp_path / "j.db"
    killed = sqlite(path)
    killed.write(records([1, 2]))
    killed._release()
    written(path, {})
    reader = SqliteReader(path)
    assert reader.verify().unclean == [4]
    opened = reader.page(Filter(), after=3, limit=1).entries[0].record.body
    reader.close()
    assert (opened["was_closed"], opened["after"]) == (False, 3)


def test_stamps_go_on_after_a_clock_that_was_set_back(tmp_path: Path):
    """Places and stamps rise together, or times could not be found by halving."""
    path = tmp_path / "j.db"
    sink = sqlite(path)
    sink.write([record(10**12), record(5), record(10**12)])
    sink.close()
    stamps = [entry.record.hlc for entry in entries(path)]
    assert stamps == sorted(set(stamps))
    assert whole(path)


# JSON lines.


def lines_sink(path: Path, size: int = 1 << 30) -> LinesSink:
    return LinesSink(path, clock=ManualClock(), max_size_bytes=size)


def test_lines_are_a_chain_over_restarts(tmp_path: Path):
    path = tmp_path / "j.jsonl"
    for number in range(3):
        sink = lines_sink(path)
        sink.write(records([number + 1]))
        sink.close()
    found = LinesReader(path).verify()
    assert (found.is_whole, found.records, found.unclean) == (True, 9, [])


def test_lines_are_rotated_and_what_is_left_still_holds(tmp_path: Path):
    path = tmp_path / "j.jsonl"
    sink = lines_sink(path, 40_000)
    for number in range(500):
        sink.write([record(number + 1, text="x" * 200)])
    sink.close()
    assert sorted(each.name for each in tmp_path.glob("j.jsonl*")) == [
        "j.jsonl",
        "j.jsonl-lock",
        "j.jsonl.1",
        "j.jsonl.2",
        "j.jsonl.3",
    ]
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 50_000
    found = LinesReader(path).verify()
    assert found.is_whole, found.breaks
    assert found.start.seq == found.pruned_to > 0


def test_a_torn_line_is_cut_off_and_told(tmp_path: Path):
    """As a kill -9 in the middle of a write leaves it."""
    path = tmp_path / "j.jsonl"
    sink = lines_sink(path)
    sink.write(records([1, 2]))
    sink._release()
    whole_lines = path.read_bytes()
    path.write_bytes(whole_lines + whole_lines.splitlines()[1][:50])
    sink = lines_sink(path)
    sink.write(records([3]))
    sink.close()
    found = LinesReader(path).verify()
    assert (found.is_whole, found.unclean) == (True, [4])


def test_a_changed_line_is_found(tmp_path: Path):
    path = tmp_path / "j.jsonl"
    sink = lines_sink(path)
    sink.write([record(1, text="yes"), record(2)])
    sink.close()
    path.write_bytes(path.read_bytes().replace(b'"yes"', b'"no!"'))
    assert [(each.seq, each.what) for each in LinesReader(path).verify().breaks] == [(2, "changed")]


def test_lines_that_a_full_disk_cut_off_are_written_whole_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "j.jsonl"
    sink = lines_sink(path)
    sink.write(records([1]))
    file = sink._file
    assert file is not None

    class Full:
        def __getattr__(self, name: str) -> object:
            return getattr(file, name)

        def write(self, data: bytes) -> int:
            file.write(bytes(data[:40]))
            raise OSError(28, "No space left on device")

    sink._file = Full()  # type: ignore[assignment]
    with pytest.raises(SinkFailed, match="No space"):
        sink.write(records([2]))
    sink.write(records([2]))
    sink.close()
    found = LinesReader(path).verify()
    assert found.is_whole, found.breaks
    assert found.records == 5  # opened, 1, opened again, 2, closed


# Redis.


def test_a_fleet_shares_one_stream(redis_url: str):  # noqa: F811 - a fixture
    """Whoever reads it has the record, who wrote it, and what to filter by."""
    sink = RedisSink(redis_url, stream="journal", length=1000, instance="a@b:1")
    sink.write(records([1, 2]))
    sink.close()
    with Redis.from_url(redis_url) as redis:
        found = redis.xrange("journal")
    assert len(found) == 2
    fields = found[0][1]
    assert (fields[b"instance"], fields[b"kind"]) == (b"a@b:1", b"ended")
    assert decoded(fields[b"record"]) == record(1)


def test_a_stream_keeps_to_about_its_length(redis_url: str):  # noqa: F811 - a fixture
    sink = RedisSink(redis_url, stream="journal", length=1000, instance="a")
    for first in range(0, 3000, 250):
        sink.write(records(range(first, first + 250)))
    sink.close()
    with Redis.from_url(redis_url) as redis:
        assert 1000 <= redis.xlen("journal") < 1300


def test_a_redis_that_is_away_is_waited_for():
    sink = RedisSink("redis://127.0.0.1:1/0", stream="s", length=1, instance="a")
    with pytest.raises(SinkFailed):
        sink.write(records([1]))
    sink.close()
