"""Tasks, in a file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from sidecar.engine.state.task_record import TaskRecord, begun, changed, read, written
from sidecar.engine.state.tasks import KEEP_S, TASKS_MAX, Census, Known, Observed, SeenTask, Sighting, StuckTask
from sidecar.stores.sqlite.database import Database

KEEP_MS: Final = KEEP_S * 1000

PRUNED_AT_ONCE: Final = 20
"""Old tasks that one sighting forgets: more than it adds."""

FIND: Final = "SELECT record FROM tasks WHERE callee = ? AND task = ? AND seen_ms >= ?"
RIVAL: Final = """
    SELECT min(task) FROM tasks INDEXED BY tasks_work
    WHERE callee = ? AND open_work = ? AND task <> ? AND seen_ms >= ?
"""
KEEP: Final = """
    INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (callee, task) DO UPDATE SET
        seen_ms = excluded.seen_ms, idle_ms = excluded.idle_ms, state = excluded.state, is_told = excluded.is_told,
        open_work = excluded.open_work, record = excluded.record
"""
OLD: Final = """
    DELETE FROM tasks WHERE callee = ?1 AND task IN
        (SELECT task FROM tasks WHERE callee = ?1 AND seen_ms < ?2 ORDER BY seen_ms LIMIT ?3)
"""
OVER: Final = """
    DELETE FROM tasks WHERE callee = ?1 AND task IN
        (SELECT task FROM tasks WHERE callee = ?1 ORDER BY seen_ms LIMIT
            max(0, (SELECT sum(number) FROM task_counts WHERE callee = ?1) - ?2))
"""
LATEST: Final = """
    SELECT task, record FROM tasks WHERE callee = ? AND seen_ms >= ? ORDER BY seen_ms DESC LIMIT ?
"""
STUCK: Final = """
    SELECT task, record FROM tasks WHERE callee = ? AND idle_ms < ? AND seen_ms >= ? AND is_told <= ?
    ORDER BY idle_ms, task LIMIT ?
"""


class SqliteTasks:
    """The Tasks port in a file. The record is a text; what is searched by stands beside it."""

    SCHEMA: Final = """
        CREATE TABLE IF NOT EXISTS tasks (
            callee TEXT NOT NULL, task TEXT NOT NULL, seen_ms INTEGER NOT NULL, idle_ms INTEGER, state TEXT NOT NULL,
            is_told INTEGER NOT NULL, open_work TEXT, record TEXT NOT NULL, PRIMARY KEY (callee, task)
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS tasks_seen ON tasks (callee, seen_ms);
        CREATE INDEX IF NOT EXISTS tasks_idle ON tasks (callee, idle_ms, task, seen_ms) WHERE idle_ms IS NOT NULL;
        CREATE INDEX IF NOT EXISTS tasks_work ON tasks (callee, open_work) WHERE open_work IS NOT NULL;
        CREATE TABLE IF NOT EXISTS task_counts (
            callee TEXT NOT NULL, state TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (callee, state)
        ) WITHOUT ROWID;
        CREATE TRIGGER IF NOT EXISTS task_comes AFTER INSERT ON tasks BEGIN
            INSERT INTO task_counts VALUES (new.callee, new.state, 1)
                ON CONFLICT (callee, state) DO UPDATE SET number = number + 1;
        END;
        CREATE TRIGGER IF NOT EXISTS task_goes AFTER DELETE ON tasks BEGIN
            UPDATE task_counts SET number = number - 1 WHERE callee = old.callee AND state = old.state;
            DELETE FROM task_counts WHERE callee = old.callee AND state = old.state AND number = 0;
        END;
        CREATE TRIGGER IF NOT EXISTS task_moves AFTER UPDATE OF state ON tasks WHEN old.state <> new.state BEGIN
            INSERT INTO task_counts VALUES (new.callee, new.state, 1)
                ON CONFLICT (callee, state) DO UPDATE SET number = number + 1;
            UPDATE task_counts SET number = number - 1 WHERE callee = old.callee AND state = old.state;
            DELETE FROM task_counts WHERE callee = old.callee AND state = old.state AND number = 0;
        END;
    """
    """Tasks are counted where they change: counting ten thousand at each look would hold up the calls that wait."""

    def __init__(self, database: Database, *, tasks_max: int = TASKS_MAX) -> None:
        self._database = database
        self._tasks_max = tasks_max

    async def observe_task(self, sighting: Sighting) -> Observed:
        def observe(cursor: sqlite3.Cursor, now_ms: int) -> Observed:
            cursor.execute(OLD, (sighting.callee, now_ms - KEEP_MS, PRUNED_AT_ONCE))
            record, rival = find(cursor, sighting.callee, sighting.task, now_ms), rival_of(cursor, sighting, now_ms)
            if record is not None:
                answer = changed(record, sighting, now_ms, rival)
                keep(cursor, sighting.callee, sighting.task, record)
                return answer
            record = begun(sighting, now_ms, rival)
            keep(cursor, sighting.callee, sighting.task, record)
            cursor.execute(OVER, (sighting.callee, self._tasks_max))
            return record.last

        return await self._database.run(observe)

    async def progress(self, callee: str, task: str, *, is_answer: bool = False) -> None:
        def advance(cursor: sqlite3.Cursor, now_ms: int) -> None:
            if (record := find(cursor, callee, task, now_ms)) is not None and not record.is_terminal:
                record.advance(now_ms, is_answer=is_answer)
                keep(cursor, callee, task, record)

        await self._database.run(advance)

    async def known_task(self, callee: str, task: str) -> Known | None:
        def look(cursor: sqlite3.Cursor, now_ms: int) -> Known | None:
            record = find(cursor, callee, task, now_ms)
            return record.as_known(now_ms) if record is not None else None

        return await self._database.run(look)

    async def latest(self, callee: str, *, limit: int = 1000) -> Sequence[SeenTask]:
        def look(cursor: sqlite3.Cursor, now_ms: int) -> list[SeenTask]:
            rows = cursor.execute(LATEST, (callee, now_ms - KEEP_MS, limit)).fetchall()
            return [read(json.loads(text)).as_seen(task, now_ms) for task, text in rows]

        return await self._database.look(look)

    async def stuck(self, callee: str, older_than_s: float, *, limit: int = 100) -> Sequence[StuckTask]:
        def look(cursor: sqlite3.Cursor, now_ms: int) -> list[StuckTask]:
            asked = (callee, now_ms - int(older_than_s * 1000), now_ms - KEEP_MS, True, limit)
            return [record.as_stuck(task, now_ms) for task, record in found(cursor, asked)]

        return await self._database.run(look)

    async def take_stuck(self, callee: str, older_than_s: float, *, limit: int = 100) -> Sequence[StuckTask]:
        def take(cursor: sqlite3.Cursor, now_ms: int) -> list[StuckTask]:
            news = found(cursor, (callee, now_ms - int(older_than_s * 1000), now_ms - KEEP_MS, False, limit))
            for task, record in news:
                record.told_ms = record.progress_ms
                keep(cursor, callee, task, record)
            return [record.as_stuck(task, now_ms) for task, record in news]

        return await self._database.run(take)

    async def census(self, callee: str, older_than_s: float) -> Census:
        def count(cursor: sqlite3.Cursor, now_ms: int) -> Census:
            cursor.execute(OLD, (callee, now_ms - KEEP_MS, PRUNED_AT_ONCE))
            counts = cursor.execute("SELECT state, number FROM task_counts WHERE callee = ?", (callee,)).fetchall()
            stuck = "SELECT count(*) FROM tasks WHERE callee = ? AND seen_ms >= ? AND idle_ms < ?"
            asked = (callee, now_ms - KEEP_MS, now_ms - int(older_than_s * 1000))
            return Census(dict(counts), cursor.execute(stuck, asked).fetchone()[0])

        return await self._database.run(count)


def find(cursor: sqlite3.Cursor, callee: str, task: str, now_ms: int) -> TaskRecord | None:
    row = cursor.execute(FIND, (callee, task, now_ms - KEEP_MS)).fetchone()
    return read(json.loads(row[0])) if row is not None else None


def rival_of(cursor: sqlite3.Cursor, sighting: Sighting, now_ms: int) -> str:
    if not sighting.work:
        return ""
    asked = (sighting.callee, sighting.work, sighting.task, now_ms - KEEP_MS)
    return cursor.execute(RIVAL, asked).fetchone()[0] or ""


def keep(cursor: sqlite3.Cursor, callee: str, task: str, record: TaskRecord) -> None:
    idle_ms = record.progress_ms if record.can_be_stuck else None
    open_work = record.work if record.work and not record.is_terminal else None
    text = json.dumps(written(record), ensure_ascii=False)
    is_told = record.told_ms == record.progress_ms
    row: tuple[Any, ...] = (callee, task, record.seen_ms, idle_ms, record.state, is_told, open_work, text)
    cursor.execute(KEEP, row)


def found(cursor: sqlite3.Cursor, asked: tuple[str, int, int, bool, int]) -> list[tuple[str, TaskRecord]]:
    return [(task, read(json.loads(text))) for task, text in cursor.execute(STUCK, asked).fetchall()]
