"""Tasks, in Redis: six keys of one slot for each callee.

`records` holds what is kept of each task as JSON; `seen` orders them by the last sight, `idle` those that can be stuck
by the last progress, and `news` those of them that nobody was told of; `counts` counts them by state, and `works` holds
`<work>:<task>` of the open ones. Who forgets a task takes it out of all six, so that the counts stay true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sidecar.engine.state.task_record import cause_fields
from sidecar.engine.state.tasks import (
    EXCHANGES_MAX,
    KEEP_S,
    LATE_S,
    TASKS_MAX,
    Cause,
    Census,
    Known,
    Observed,
    SeenTask,
    Sighting,
    Step,
    StuckTask,
)
from sidecar.stores.redis.link import RedisLink
from sidecar.stores.redis.script import Script, told
from sidecar.stores.redis.wire import Value

PARTS: Final = ("records", "seen", "idle", "news", "counts", "works")

PRUNED_AT_ONCE: Final = 20
"""Old tasks that one verb forgets."""

COMMON: Final = f"""
local RECORDS, SEEN, IDLE, NEWS, COUNTS, WORKS = unpack(KEYS)
local KEEP = {KEEP_S * 1000}
local function count(state, by)
    if redis.call('HINCRBY', COUNTS, state, by) <= 0 then redis.call('HDEL', COUNTS, state) end
end
local function find(task)
    local text = redis.call('HGET', RECORDS, task)
    return text and cjson.decode(text)
end
local function forget(task)
    local record = find(task)
    if record then
        count(record.state, -1)
        if record.work ~= '' then redis.call('ZREM', WORKS, record.work .. ':' .. task) end
    end
    redis.call('HDEL', RECORDS, task)
    redis.call('ZREM', SEEN, task)
    redis.call('ZREM', IDLE, task)
    redis.call('ZREM', NEWS, task)
end
local function keep(task, record)
    redis.call('HSET', RECORDS, task, cjson.encode(record))
    redis.call('ZADD', SEEN, record.seen, task)
    local is_idle = not record.terminal and not record.waiting
    for key, is_in in pairs({{[IDLE] = is_idle, [NEWS] = is_idle and record.told ~= record.progress}}) do
        if is_in then redis.call('ZADD', key, record.progress, task) else redis.call('ZREM', key, task) end
    end
    if record.work ~= '' then
        local member = record.work .. ':' .. task
        if record.terminal then redis.call('ZREM', WORKS, member) else redis.call('ZADD', WORKS, 0, member) end
    end
    for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, KEEP * 2) end
end
for _, task in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', '(' .. (now - KEEP), 'LIMIT', 0, {PRUNED_AT_ONCE})) do
    forget(task)
end
local function known(task)
    local record = find(task)
    return record and record.seen >= now - KEEP and record or nil
end
"""
"""What every script of this domain begins with. Moments are whole ms; `known` is what has not expired."""

OBSERVE: Final = Script(
    "observe_task",
    COMMON
    + f"""
    local task, sighting, most = ARGV[1], cjson.decode(ARGV[2]), tonumber(ARGV[3])
    local record, rival = known(task), ''
    if sighting.work ~= '' then
        local from, to = '[' .. sighting.work .. ':', '(' .. sighting.work .. ';'
        for _, member in ipairs(redis.call('ZRANGEBYLEX', WORKS, from, to, 'LIMIT', 0, {PRUNED_AT_ONCE})) do
            local other = string.sub(member, #sighting.work + 2)
            if other ~= task and rival == '' and known(other) then rival = other end
        end
    end
    local function answer(step)
        return {{step, record.state, now - record.since, now - record.progress, rival}}
    end
    local function counted(given)
        for place, each in ipairs(record.exchanges) do
            if each[1] == sighting.exchange then table.remove(record.exchanges, place) break end
        end
        table.insert(record.exchanges, {{sighting.exchange, sighting.sequence}})
        if #record.exchanges > {EXCHANGES_MAX} then table.remove(record.exchanges, 1) end
        record.last, record.cause, record.seen = given, sighting.cause, now
        if record.work == '' then record.work = sighting.work end
        keep(task, record)
        table.insert(given, 0)
        return given
    end
    local function set()
        record.state, record.terminal, record.waiting = sighting.state, sighting.terminal, sighting.waiting
        record.since, record.progress, record.setter = now, now, sighting.exchange
    end
    if not record then
        forget(task)
        record = {{exchanges = {{}}, work = '', answered = 0, told = 0}}
        set()
        count(record.state, 1)
        local given = counted({{'first', '', 0, 0, rival}})
        while redis.call('ZCARD', SEEN) > most do forget(redis.call('ZRANGE', SEEN, 0, 0)[1]) end
        return given
    end
    for _, each in ipairs(record.exchanges) do
        if each[1] == sighting.exchange and sighting.sequence <= each[2] then
            local is_last = record.cause[3] == sighting.exchange and sighting.sequence == each[2]
            local given = is_last and record.last or answer('same')
            given[6] = 1
            return given
        end
    end
    local follows = false
    for _, state in ipairs(sighting.follows) do follows = follows or state == record.state end
    local step = 'illegal'
    if sighting.state == record.state then
        step = 'same'
    elseif follows then
        step = 'moved'
    elseif sighting.exchange ~= record.setter and now - sighting.age < record.since + {int(LATE_S * 1000)} then
        step = 'late'
    end
    local given = answer(step)
    if step == 'moved' or (step == 'illegal' and not record.terminal and not sighting.held) then
        count(record.state, -1)
        set()
        count(record.state, 1)
    elseif step == 'same' and sighting.progress and not record.terminal then
        record.progress = now
    end
    return counted(given)
    """,
)

PROGRESS: Final = Script(
    "progress",
    COMMON
    + """
    local record = known(ARGV[1])
    if record and not record.terminal then
        record.progress, record.seen = now, now
        if ARGV[2] == '1' and record.answered == 0 then record.answered = now end
        keep(ARGV[1], record)
    end
    """,
)

KNOWN: Final = Script(
    "known_task",
    COMMON
    + """
    local record = known(ARGV[1])
    return record and {record.state, record.terminal and 1 or 0, now - record.since} or false
    """,
)

STUCK: Final = Script(
    "stuck",
    COMMON
    + """
    local found, is_taken = {}, ARGV[3] == '1'
    local from = is_taken and NEWS or IDLE
    for _, task in ipairs(redis.call('ZRANGEBYSCORE', from, '-inf', '(' .. (now - ARGV[1]), 'LIMIT', 0, ARGV[2])) do
        local record = known(task)
        if record then
            if is_taken then
                record.told = record.progress
                keep(task, record)
            end
            table.insert(found, {task, record.state, now - record.progress, record.answered, record.cause})
        end
    end
    return found
    """,
)

LATEST: Final = Script(
    "latest_tasks",
    COMMON
    + """
    local found = {}
    for _, task in ipairs(redis.call('ZREVRANGE', SEEN, 0, ARGV[1] - 1)) do
        local record = known(task)
        if record then
            local terminal, waiting = record.terminal and 1 or 0, record.waiting and 1 or 0
            local for_ms, idle_ms = now - record.since, now - record.progress
            table.insert(found, {task, record.state, terminal, waiting, for_ms, idle_ms, record.cause})
        end
    end
    return found
    """,
)

CENSUS: Final = Script(
    "census",
    COMMON
    + """
    return {redis.call('HGETALL', COUNTS), redis.call('ZCOUNT', IDLE, '-inf', '(' .. (now - ARGV[1]))}
    """,
)


class RedisTasks:
    """The Tasks port in Redis."""

    def __init__(self, link: RedisLink, *, tasks_max: int = TASKS_MAX) -> None:
        self._link = link
        self._tasks_max = tasks_max

    async def observe_task(self, sighting: Sighting) -> Observed:
        answer = await self._run(OBSERVE, sighting.callee, sighting.task, encoded(sighting), self._tasks_max)
        step, before, for_ms, idle_ms, rival, is_again = answer
        return Observed(
            Step(text(step)), text(before), int(for_ms) / 1000, int(idle_ms) / 1000, text(rival), bool(is_again)
        )

    async def progress(self, callee: str, task: str, *, is_answer: bool = False) -> None:
        await self._run(PROGRESS, callee, task, int(is_answer))

    async def known_task(self, callee: str, task: str) -> Known | None:
        answer = await self._run(KNOWN, callee, task)
        return Known(text(answer[0]), bool(answer[1]), int(answer[2]) / 1000) if answer else None

    async def latest(self, callee: str, *, limit: int = 1000) -> Sequence[SeenTask]:
        return [
            SeenTask(
                *(text(task), text(state), bool(terminal), bool(waiting), int(for_ms) / 1000, int(idle_ms) / 1000),
                Cause(*map(text, cause)),
            )
            for task, state, terminal, waiting, for_ms, idle_ms, cause in await self._run(LATEST, callee, limit)
        ]

    async def stuck(self, callee: str, older_than_s: float, *, limit: int = 100) -> Sequence[StuckTask]:
        return await self._stuck(callee, older_than_s, limit, is_taken=False)

    async def take_stuck(self, callee: str, older_than_s: float, *, limit: int = 100) -> Sequence[StuckTask]:
        return await self._stuck(callee, older_than_s, limit, is_taken=True)

    async def census(self, callee: str, older_than_s: float) -> Census:
        counts, stuck = await self._run(CENSUS, callee, int(older_than_s * 1000))
        pairs = [*map(text, counts)]
        return Census({state: int(number) for state, number in zip(pairs[::2], pairs[1::2], strict=True)}, int(stuck))

    async def _stuck(self, callee: str, older_than_s: float, limit: int, *, is_taken: bool) -> list[StuckTask]:
        answer = await self._run(STUCK, callee, int(older_than_s * 1000), limit, int(is_taken))
        return [
            StuckTask(text(task), text(state), int(idle_ms) / 1000, bool(answered), Cause(*map(text, cause)))
            for task, state, idle_ms, answered, cause in answer
        ]

    async def _run(self, script: Script, callee: str, *arguments: Value) -> Any:
        keys = [f"sidecar:{{tasks:{callee}}}:{part}" for part in PARTS]
        return await self._link.run(script, keys, arguments)


def encoded(sighting: Sighting) -> bytes:
    return told(
        {
            "state": sighting.state,
            "follows": sorted(sighting.follows),
            "terminal": sighting.is_terminal,
            "waiting": sighting.is_waiting,
            "progress": sighting.is_progress,
            "held": sighting.is_held,
            "age": int(sighting.age_s * 1000),
            "work": sighting.work,
            "exchange": sighting.cause.exchange,
            "sequence": sighting.sequence,
            "cause": cause_fields(sighting.cause),
        }
    )


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
