"""Tasks, in this process."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from itertools import islice

from sidecar.engine.ports import Clock
from sidecar.engine.state.task_record import TaskRecord, begun, changed
from sidecar.engine.state.tasks import KEEP_S, TASKS_MAX, Census, Known, Observed, SeenTask, Sighting, StuckTask

KEEP_MS = KEEP_S * 1000


class MemoryTasks:
    """The Tasks port in one process."""

    def __init__(self, clock: Clock, *, tasks_max: int = TASKS_MAX) -> None:
        self._clock = clock
        self._tasks_max = tasks_max
        self._callees: dict[str, OrderedDict[str, TaskRecord]] = {}
        """By callee, and of each by task id, the one that was not seen for longest first."""
        self._works: dict[tuple[str, str], set[str]] = {}
        """The open tasks of one callee and work."""

    async def observe_task(self, sighting: Sighting) -> Observed:
        now_ms, records = self._now_ms(), self._of(sighting.callee)
        rival = min(self._works.get((sighting.callee, sighting.work), set()) - {sighting.task}, default="")
        record = records.get(sighting.task)
        if record is None:
            record = records[sighting.task] = begun(sighting, now_ms, rival)
            answer = record.last
        else:
            answer = changed(record, sighting, now_ms, rival)
        if not answer.is_again:
            records.move_to_end(sighting.task)
        self._index(sighting.callee, sighting.task, record)
        while len(records) > self._tasks_max:
            self._forget(sighting.callee, next(iter(records)))
        return answer

    async def progress(self, callee: str, task: str, *, is_answer: bool = False) -> None:
        records = self._of(callee)
        if (record := records.get(task)) is not None and not record.is_terminal:
            record.advance(self._now_ms(), is_answer=is_answer)
            records.move_to_end(task)

    async def known_task(self, callee: str, task: str) -> Known | None:
        record = self._of(callee).get(task)
        return record.as_known(self._now_ms()) if record is not None else None

    async def latest(self, callee: str, *, limit: int = 1000) -> Sequence[SeenTask]:
        now_ms, records = self._now_ms(), self._of(callee)
        return [record.as_seen(task, now_ms) for task, record in islice(reversed(records.items()), limit)]

    async def stuck(self, callee: str, older_than_s: float, *, limit: int = 100) -> Sequence[StuckTask]:
        now_ms = self._now_ms()
        return [record.as_stuck(task, now_ms) for task, record in list(self._stuck(callee, older_than_s))[:limit]]

    async def take_stuck(self, callee: str, older_than_s: float, *, limit: int = 100) -> Sequence[StuckTask]:
        news = [each for each in self._stuck(callee, older_than_s) if each[1].told_ms != each[1].progress_ms][:limit]
        for _, record in news:
            record.told_ms = record.progress_ms
        return [record.as_stuck(task, self._now_ms()) for task, record in news]

    async def census(self, callee: str, older_than_s: float) -> Census:
        states = Counter(record.state for record in self._of(callee).values())
        return Census(dict(states), len(self._stuck(callee, older_than_s)))

    def _stuck(self, callee: str, older_than_s: float) -> list[tuple[str, TaskRecord]]:
        until_ms = self._now_ms() - int(older_than_s * 1000)
        idle = [each for each in self._of(callee).items() if each[1].progress_ms < until_ms]
        found = [each for each in idle if each[1].can_be_stuck]
        return sorted(found, key=lambda each: (each[1].progress_ms, each[0]))

    def _of(self, callee: str) -> OrderedDict[str, TaskRecord]:
        """What is still known of a callee. Callees are few: routes name them."""
        records = self._callees.setdefault(callee, OrderedDict())
        for task in list(self._expired(records)):
            self._forget(callee, task)
        return records

    def _expired(self, records: OrderedDict[str, TaskRecord]) -> Iterator[str]:
        until_ms = self._now_ms() - KEEP_MS
        for task, record in records.items():
            if record.seen_ms >= until_ms:
                return
            yield task

    def _index(self, callee: str, task: str, record: TaskRecord) -> None:
        if record.work:
            open_tasks = self._works.setdefault((callee, record.work), set())
            open_tasks.discard(task) if record.is_terminal else open_tasks.add(task)
            if not open_tasks:
                del self._works[callee, record.work]

    def _forget(self, callee: str, task: str) -> None:
        record = self._callees[callee].pop(task)
        record.is_terminal = True
        self._index(callee, task, record)

    def _now_ms(self) -> int:
        return self._clock.unix_ns() // 1_000_000
