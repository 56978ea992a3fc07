"""A task's record: what a store keeps of it, and how a sighting changes that.

Redis does the same in its own language; one contract suite holds for all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.engine.state.tasks import (
    EXCHANGES_MAX,
    LATE_S,
    Cause,
    Known,
    Observed,
    SeenTask,
    Sighting,
    Step,
    StuckTask,
)

LATE_MS = int(LATE_S * 1000)

NOTHING = Observed(Step.SAME)


@dataclass(slots=True)
class TaskRecord:
    """One task. Moments are the store's own, in Unix ms; 0 is never."""

    state: str
    is_terminal: bool
    is_waiting: bool
    since_ms: int
    """When it was first seen in its state."""
    seen_ms: int
    progress_ms: int
    setter: str
    """The exchange that told of the state first."""
    cause: Cause
    work: str = ""
    answered_ms: int = 0
    told_ms: int = 0
    """The progress since which it was told to be stuck."""
    exchanges: dict[str, int] = field(default_factory=dict)
    """The sequence numbers of the newest messages counted, the least recent exchange first."""
    last: Observed = NOTHING
    """What the newest sighting was answered."""

    @property
    def can_be_stuck(self) -> bool:
        return not self.is_terminal and not self.is_waiting

    def as_known(self, now_ms: int) -> Known:
        return Known(self.state, self.is_terminal, (now_ms - self.since_ms) / 1000)

    def as_stuck(self, task: str, now_ms: int) -> StuckTask:
        return StuckTask(task, self.state, (now_ms - self.progress_ms) / 1000, self.answered_ms > 0, self.cause)

    def as_seen(self, task: str, now_ms: int) -> SeenTask:
        for_s, idle_s = (now_ms - self.since_ms) / 1000, (now_ms - self.progress_ms) / 1000
        return SeenTask(task, self.state, self.is_terminal, self.is_waiting, for_s, idle_s, self.cause)

    def advance(self, now_ms: int, *, is_answer: bool) -> None:
        """Progress. A finished task has none."""
        if not self.is_terminal:
            self.progress_ms = self.seen_ms = now_ms
            if is_answer and not self.answered_ms:
                self.answered_ms = now_ms


def begun(sighting: Sighting, now_ms: int, rival: str) -> TaskRecord:
    """The record of a task that nobody had seen."""
    record = TaskRecord(
        state=sighting.state,
        is_terminal=sighting.is_terminal,
        is_waiting=sighting.is_waiting,
        since_ms=now_ms,
        seen_ms=now_ms,
        progress_ms=now_ms,
        setter=sighting.cause.exchange,
        cause=sighting.cause,
        work=sighting.work,
    )
    return counted(record, sighting, Observed(Step.FIRST, rival=rival))


def changed(record: TaskRecord, sighting: Sighting, now_ms: int, rival: str) -> Observed:
    """Take a sighting into a record. One that was counted already changes nothing."""
    newest = record.exchanges.get(sighting.cause.exchange)
    if newest is not None and sighting.sequence <= newest:
        is_last = record.cause.exchange == sighting.cause.exchange and sighting.sequence == newest
        answer = record.last if is_last else observed(record, Step.SAME, now_ms, rival)
        return replace(answer, is_again=True)
    step = step_of(record, sighting, now_ms)
    answer = observed(record, step, now_ms, rival)
    if step is Step.MOVED or (step is Step.ILLEGAL and not record.is_terminal and not sighting.is_held):
        record.state, record.is_terminal, record.is_waiting = sighting.state, sighting.is_terminal, sighting.is_waiting
        record.since_ms, record.setter = now_ms, sighting.cause.exchange
        record.progress_ms = now_ms
    elif step is Step.SAME and sighting.is_progress and not record.is_terminal:
        record.progress_ms = now_ms
    record.seen_ms, record.cause, record.work = now_ms, sighting.cause, record.work or sighting.work
    counted(record, sighting, answer)
    return answer


def step_of(record: TaskRecord, sighting: Sighting, now_ms: int) -> Step:
    if sighting.state == record.state:
        return Step.SAME
    if record.state in sighting.follows:
        return Step.MOVED
    began_ms = now_ms - int(sighting.age_s * 1000)
    is_late = sighting.cause.exchange != record.setter and began_ms < record.since_ms + LATE_MS
    return Step.LATE if is_late else Step.ILLEGAL


def observed(record: TaskRecord, step: Step, now_ms: int, rival: str) -> Observed:
    for_s, idle_s = (now_ms - record.since_ms) / 1000, (now_ms - record.progress_ms) / 1000
    return Observed(step, record.state, for_s, idle_s, rival)


def counted(record: TaskRecord, sighting: Sighting, answer: Observed) -> TaskRecord:
    record.exchanges.pop(sighting.cause.exchange, None)
    record.exchanges[sighting.cause.exchange] = sighting.sequence
    while len(record.exchanges) > EXCHANGES_MAX:
        record.exchanges.pop(next(iter(record.exchanges)))
    record.last = answer
    return record


def written(record: TaskRecord) -> list[Any]:
    """As JSON can hold it, for a store that keeps texts."""
    last = record.last
    return [
        *(record.state, record.is_terminal, record.is_waiting, record.since_ms, record.seen_ms, record.progress_ms),
        *(record.setter, list(cause_fields(record.cause)), record.work, record.answered_ms, record.told_ms),
        list(record.exchanges.items()),
        [last.step, last.before, last.for_s, last.idle_s, last.rival],
    ]


def read(fields: list[Any]) -> TaskRecord:
    """What `written` wrote."""
    state, is_terminal, is_waiting, since_ms, seen_ms, progress_ms, setter, cause, work, answered_ms, told_ms, *rest = (
        fields
    )
    exchanges, (step, before, for_s, idle_s, rival) = rest
    return TaskRecord(
        *(state, is_terminal, is_waiting, since_ms, seen_ms, progress_ms, setter, Cause(*cause), work),
        *(answered_ms, told_ms, dict(exchanges), Observed(Step(step), before, for_s, idle_s, rival)),
    )


def cause_fields(cause: Cause) -> tuple[str, str, str, str, str]:
    return cause.caller, cause.method, cause.exchange, cause.conversation, cause.trace_id
