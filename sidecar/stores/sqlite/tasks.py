"""Tasks, in a file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from sidecar.engine.state.task_record import TaskRecord, begun, changed, read, written
from sidecar.engine.state.tasks import KEEP_S, TASKS_MAX, Census, Known, Observed, Sighting, StuckTask
from sidecar.stores.sqlite.database import Database

KEEP_MS: Final = KEEP_S * 1000

PRUNED_AT_ONCE: Final = 20
"""Old tasks that one sighting forgets: more than it adds."""

FIND: Final = "SELECT record FROM tasks WHERE callee = ? AND task = ? AND seen_ms >= ?"
RIVAL: Final = "SELECT min(task) FROM tasks WHERE callee = ? AND open_work = ? AND task <> ? AND seen_ms >= ?"
KEEP: Final = "INSERT OR REPLACE INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?)"
OLD: Final = """
    DELETE FROM tasks WHERE (callee, task) IN
        (SELECT callee, task FROM tasks WHERE callee = ? AND seen_ms < ? ORDER BY seen_ms LIMIT ?)
"""
OVER: Final = """
    DELETE FROM tasks WHERE (callee, task) IN
        (SELECT callee, task FROM tasks WHERE callee = ?1 ORDER BY seen_ms LIMIT
            max(0, (SELECT count(*) FROM tasks WHERE callee = ?1) - ?2))
"""
STUCK: Final = """
    SELECT task, record FROM tasks WHERE callee = ? AND idle_ms < ? AND seen_ms >= ?
    ORDER BY idle_ms, task
"""


class SqliteTasks:
    """The Tasks port in a file. The record is a text; what is searched by stands beside it."""

    SCHEMA: Final = """
        CREATE TABLE IF NOT EXISTS tasks (
            callee TEXT NOT NULL, task TEXT NOT NULL, seen_ms INTEGER NOT NULL, idle_ms INTEGER, state TEXT NOT NULL,
            open_work TEXT, record TEXT NOT NULL, PRIMARY KEY (callee, task)
        ) WITHOUT ROWID;
        CREATE INDEX IF NOT EXISTS tasks_seen ON tasks (callee, seen_ms);
        CREATE INDEX IF NOT EXISTS tasks_idle ON tasks (callee, idle_ms) WHERE idle_ms IS NOT NULL;
        CREATE INDEX IF NOT EXISTS tasks_work ON tasks (callee, open_work) WHERE open_work IS NOT NULL;
    """

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

    async def stuck(self, callee: str, older_than_s: float, *, limit: int = 100) -> Sequence[StuckTask]:
        def look(cursor: sqlite3.Cursor, now_ms: int) -> list[StuckTask]:
            found = stuck_records(cursor, callee, older_than_s, now_ms)[:limit]
            return [record.as_stuck(task, now_ms) for task, record in found]

        return await self._database.run(look)

    async def take_stuck(self, callee: str, older_than_s: float, *, limit: int = 100) -> Sequence[StuckTask]:
        def take(cursor: sqlite3.Cursor, now_ms: int) -> list[StuckTask]:
            found = stuck_records(cursor, callee, older_than_s, now_ms)
            news = [(task, record) for task, record in found if record.told_ms != record.progress_ms][:limit]
            for task, record in news:
                record.told_ms = record.progress_ms
                keep(cursor, callee, task, record)
            return [record.as_stuck(task, now_ms) for task, record in news]

        return await self._database.run(take)

    async def census(self, callee: str, older_than_s: float) -> Census:
        def count(cursor: sqlite3.Cursor, now_ms: int) -> Census:
            known = (callee, now_ms - KEEP_MS)
            counts = "SELECT state, count(*) FROM tasks WHERE callee = ? AND seen_ms >= ? GROUP BY state"
            stuck = "SELECT count(*) FROM tasks WHERE callee = ? AND seen_ms >= ? AND idle_ms < ?"
            until_ms = now_ms - int(older_than_s * 1000)
            (number,) = cursor.execute(stuck, (*known, until_ms)).fetchone()
            return Census(dict(cursor.execute(counts, known)), number)

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
    row: tuple[Any, ...] = (callee, task, record.seen_ms, idle_ms, record.state, open_work, text)
    cursor.execute(KEEP, row)


def stuck_records(
    cursor: sqlite3.Cursor, callee: str, older_than_s: float, now_ms: int
) -> list[tuple[str, TaskRecord]]:
    rows = cursor.execute(STUCK, (callee, now_ms - int(older_than_s * 1000), now_ms - KEEP_MS)).fetchall()
    return [(task, read(json.loads(text))) for task, text in rows]
