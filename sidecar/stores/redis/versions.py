"""Versions of resources, in Redis: a hash of records and the order in which they were touched, for each kind."""

from __future__ import annotations

from typing import Any, Final

from sidecar.engine.state.versions import (
    AGENTS_MAX,
    HISTORY_MAX,
    KEEP_S,
    LATE_S,
    RESOURCES_MAX,
    Overwritten,
    Place,
    Touch,
    Touched,
)
from sidecar.stores.redis.link import RedisLink
from sidecar.stores.redis.script import Script, told
from sidecar.stores.redis.wire import Value

PARTS: Final = ("records", "seen")

PRUNED_AT_ONCE: Final = 20
"""Old resources that one verb forgets."""

COMMON: Final = f"""
local RECORDS, SEEN = unpack(KEYS)
local KEEP = {KEEP_S * 1000}
local function forget(key)
    redis.call('HDEL', RECORDS, key)
    redis.call('ZREM', SEEN, key)
end
for _, key in ipairs(redis.call('ZRANGEBYSCORE', SEEN, '-inf', '(' .. (now - KEEP), 'LIMIT', 0, {PRUNED_AT_ONCE})) do
    forget(key)
end
local text = redis.call('HGET', RECORDS, ARGV[1])
local record = text and cjson.decode(text)
if record and record.seen < now - KEEP then record = false end
local function place_of(version)
    for place, each in ipairs(record.history) do
        if each == version then return place end
    end
end
local function is_older(one, other)
    if one == other then return false end
    local kind = string.sub(one, 1, 1)
    if kind == string.sub(other, 1, 1) and (kind == 'n' or kind == 't') then return one < other end
    local first, second = place_of(one), place_of(other)
    return first ~= nil and second ~= nil and first < second
end
"""
"""What every script of this domain begins with. Tokens that compare are digits behind a letter."""

OBSERVE: Final = Script(
    "observe_version",
    COMMON
    + f"""
    local key, touch, most = ARGV[1], cjson.decode(ARGV[2]), tonumber(ARGV[3])
    local is_new = not record
    if is_new then record = {{newest = '', writer = '', since = 0, exchange = '', history = {{}}, marks = {{}}}} end
    local mark, mark_place
    for place, each in ipairs(record.marks) do
        if each.agent == touch.agent then mark, mark_place = each, place end
    end
    local is_again = mark and mark.exchange == touch.exchange and touch.sequence <= mark.sequence
    local is_stale, is_lost = false, false
    if not is_again then
        if mark and not touch.write and is_older(touch.version, mark.version) then
            if mark.exchange == touch.exchange then
                is_stale = true
            elseif touch.asked then
                is_stale = is_older(touch.version, touch.knew)
            else
                is_stale = now - touch.age >= mark.since + {int(LATE_S * 1000)}
            end
        end
        is_lost = touch.write and touch.base ~= '' and record.exchange ~= touch.exchange
            and is_older(touch.base, record.newest)
    end
    local answer = {{
        record.newest, record.writer, mark and mark.version or '', mark and mark.written and 1 or 0,
        is_stale and 1 or 0, is_lost and 1 or 0
    }}
    record.seen = now
    if not is_again then
        for _, version in ipairs({{touch.base, touch.version}}) do
            if version ~= '' and not place_of(version) then
                table.insert(record.history, version)
                if #record.history > {HISTORY_MAX} then table.remove(record.history, 1) end
            end
        end
        if touch.version ~= record.newest and not is_older(touch.version, record.newest) then
            record.newest, record.writer = touch.version, touch.write and touch.agent or ''
            record.since, record.exchange = now, touch.exchange
        elseif touch.version == record.newest and touch.write and record.writer == '' then
            record.writer = touch.agent
        end
        if mark then table.remove(record.marks, mark_place) end
        if not mark or (touch.version ~= mark.version and not is_older(touch.version, mark.version)) then
            mark = {{agent = touch.agent, version = touch.version, since = now, written = touch.write}}
        else
            mark.written = mark.written or (touch.write and touch.version == mark.version)
        end
        mark.exchange, mark.sequence = touch.exchange, touch.sequence
        table.insert(record.marks, mark)
        if #record.marks > {AGENTS_MAX} then table.remove(record.marks, 1) end
    end
    redis.call('HSET', RECORDS, key, cjson.encode(record))
    redis.call('ZADD', SEEN, now, key)
    while is_new and redis.call('ZCARD', SEEN) > most do forget(redis.call('ZRANGE', SEEN, 0, 0)[1]) end
    for _, each in ipairs(KEYS) do redis.call('PEXPIRE', each, KEEP * 2) end
    return answer
    """,
)

KNOWN: Final = Script(
    "known_version",
    COMMON
    + """
    for _, mark in ipairs(record and record.marks or {}) do
        if mark.agent == ARGV[2] then return mark.version end
    end
    return ''
    """,
)

OVERWRITTEN: Final = Script(
    "overwritten",
    COMMON
    + """
    return record and is_older(ARGV[2], record.newest) and {record.writer, now - record.since} or false
    """,
)


class RedisVersions:
    """The Versions port in Redis."""

    def __init__(self, link: RedisLink, *, resources_max: int = RESOURCES_MAX) -> None:
        self._link = link
        self._resources_max = resources_max

    async def observe_version(self, touch: Touch) -> Touched:
        answer = await self._run(OBSERVE, touch.place, encoded(touch), self._resources_max)
        newest, writer, own = (bytes(each).decode() for each in answer[:3])
        return Touched(newest, writer, own, *map(bool, answer[3:]))

    async def known_version(self, place: Place, agent: str) -> str:
        return bytes(await self._run(KNOWN, place, agent)).decode()

    async def overwritten(self, place: Place, base: str) -> Overwritten | None:
        answer = await self._run(OVERWRITTEN, place, base)
        return Overwritten(bytes(answer[0]).decode(), int(answer[1]) / 1000) if answer else None

    async def _run(self, script: Script, place: Place, *arguments: Value) -> Any:
        keys = [f"sidecar:{{versions:{place.callee}:{place.resource}}}:{part}" for part in PARTS]
        return await self._link.run(script, keys, (place.key, *arguments))


def encoded(touch: Touch) -> bytes:
    return told(
        {
            "agent": touch.agent,
            "version": touch.version,
            "exchange": touch.exchange,
            "sequence": touch.sequence,
            "write": touch.is_write,
            "base": touch.base,
            "asked": touch.knew is not None,
            "knew": touch.knew or "",
            "age": int(touch.age_s * 1000),
        }
    )
