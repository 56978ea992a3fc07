"""Trails and breaks of loops, in Redis: a trail is one string of fixed records, so a verb is one read and one write.

All keys share one slot: a break is listed in the same step in which it begins. The layout is `stores/tape.py`'s, and
what the scripts do to a trail is `engine/state/trail.py`, word for word; one contract suite holds for both.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import orjson

from sidecar.engine.state.visits import (
    BREAKS_LISTED_MAX,
    BREAKS_MAX,
    READS_MAX,
    VISITS_MAX,
    Answered,
    Break,
    Edge,
    Family,
    Mark,
    Sighting,
    Visit,
)
from sidecar.stores.redis.link import RedisLink
from sidecar.stores.redis.script import Script
from sidecar.stores.tape import RECORD, packed, trail_of

LUA: Final = f"""
local SIZE, VISITS_MAX = {RECORD.size}, {VISITS_MAX}

local function is_near(one, at_one, two, at_two, radius)
    local bits = 0
    for step = 0, 12, 4 do
        local x = bit.bxor(struct.unpack('>I4', one, at_one + step), (struct.unpack('>I4', two, at_two + step)))
        x = bit.tobit(x - bit.band(bit.rshift(x, 1), 0x55555555))
        x = bit.band(x, 0x33333333) + bit.band(bit.rshift(x, 2), 0x33333333)
        x = bit.band(x + bit.rshift(x, 4), 0x0f0f0f0f)
        x = x + bit.rshift(x, 8)
        bits = bits + bit.band(x + bit.rshift(x, 16), 0x3f)
        if bits > radius then return false end
    end
    return true
end

local function covers(family, radius, fingerprint, likeness)
    if string.sub(family, 1, 8) == fingerprint then return true end
    return radius > 0 and is_near(family, 9, likeness, 1, radius)
end

local function place_of(trail, exchange)
    local at = string.find(trail, exchange, 1, true)
    while at and (at - 1) % SIZE ~= 0 do at = string.find(trail, exchange, at + 1, true) end
    return at
end
"""
"""Places in a record, from 1: exchange 1, edge 9, fingerprint 33, likeness 41, key 57, task 65, answer 73, digest 89,
at_ms 97, mark 105. A break is until_ms (8), edge (8), fingerprint (8), likeness (16), radius (1), then JSON."""

VISIT: Final = Script(
    "visit",
    LUA
    + """
    local record, window = ARGV[1], tonumber(ARGV[2])
    local edge, fingerprint = string.sub(record, 9, 16), string.sub(record, 33, 40)
    local likeness = string.sub(record, 41, 56)
    for _, held in ipairs(redis.call('HVALS', KEYS[2])) do
        local ends, radius = struct.unpack('>d', held), string.byte(held, 41)
        if now < ends and string.sub(held, 9, 16) == edge
            and covers(string.sub(held, 17, 40), radius, fingerprint, likeness) then
            return {2, held}
        end
    end
    local trail, first = redis.call('GET', KEYS[1]) or '', 1
    while first < #trail and struct.unpack('>d', trail, first + 96) <= now - window do first = first + SIZE end
    trail = string.sub(trail, first)
    local at = place_of(trail, string.sub(record, 1, 8))
    if at then return {0, string.sub(trail, 1, at + SIZE - 1)} end
    local newest = math.max(#trail - (VISITS_MAX - 1) * SIZE, 0)
    trail = string.sub(trail, newest + 1) .. string.sub(record, 1, 96) .. struct.pack('>d', now) .. '\\0'
    redis.call('SET', KEYS[1], trail, 'PX', math.max(window, redis.call('PTTL', KEYS[1])))
    return {1, trail}
    """,
)

READ: Final = Script(
    "read",
    f"""
    local within, most = tonumber(ARGV[3]), {READS_MAX} * 24
    """
    + """
    local reads, first = redis.call('GET', KEYS[1]) or '', 1
    while first < #reads and struct.unpack('>d', reads, first + 16) <= now - within do first = first + 24 end
    reads = string.sub(reads, first)
    local asked, is_known = 0, false
    for at = 1, #reads, 24 do
        if string.sub(reads, at, at + 7) == ARGV[1] then is_known = true end
    end
    if not is_known then
        reads = string.sub(reads, math.max(#reads + 24 - most, 0) + 1) .. ARGV[1] .. ARGV[2] .. struct.pack('>d', now)
        redis.call('SET', KEYS[1], reads, 'PX', within)
    end
    for at = 1, #reads, 24 do
        if string.sub(reads, at + 8, at + 15) == ARGV[2] then asked = asked + 1 end
    end
    return asked
    """,
)

ANSWERED: Final = Script(
    "answered",
    LUA
    + """
    local exchange, task, likeness, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
    local is_undecided, radius = ARGV[5] == '1', tonumber(ARGV[6])
    local none = string.rep('\\0', 8)
    local trail = redis.call('GET', KEYS[1]) or ''
    local at = place_of(trail, exchange)
    if not at and task ~= none then
        for place = #trail - SIZE + 1, 1, -SIZE do
            if string.sub(trail, place + 64, place + 71) == task and string.byte(trail, place + 104) <= 1 then
                at = place
                break
            end
        end
    end
    if not at then return -1 end
    local mark = string.byte(trail, at + 104)
    if mark > 1 then return mark end
    if task == none then task = string.sub(trail, at + 64, at + 71) end
    local answer, said = string.sub(trail, at + 72, at + 87), string.sub(trail, at + 88, at + 95)
    mark = 1
    if not is_undecided then
        local edge = string.sub(trail, at + 8, at + 15)
        answer, said, mark = likeness, digest, 2
        for place = 1, #trail, SIZE do
            if string.byte(trail, place + 104) > 1 and string.sub(trail, place + 8, place + 15) == edge
                and is_near(trail, place + 72, likeness, 1, radius) then
                mark = 3
                break
            end
        end
    end
    redis.call('SETRANGE', KEYS[1], at + 63, task .. answer .. said)
    redis.call('SETRANGE', KEYS[1], at + 103, string.char(mark))
    return mark
    """,
)

WITHDRAW: Final = Script(
    "withdraw",
    LUA
    + """
    local known, trail, reads = 0, redis.call('GET', KEYS[1]) or '', redis.call('GET', KEYS[2]) or ''
    local at = place_of(trail, ARGV[1])
    if at then
        known = 1
        redis.call('SET', KEYS[1], string.sub(trail, 1, at - 1) .. string.sub(trail, at + SIZE), 'KEEPTTL')
    end
    for place = 1, #reads, 24 do
        if string.sub(reads, place, place + 7) == ARGV[1] then
            known = 1
            redis.call('SET', KEYS[2], string.sub(reads, 1, place - 1) .. string.sub(reads, place + 24), 'KEEPTTL')
            break
        end
    end
    return known
    """,
)

BREAK_OFF: Final = Script(
    "break_off",
    LUA
    + f"""
    local MOST, LISTED = {BREAKS_MAX}, {BREAKS_LISTED_MAX}
    """
    + """
    local edge, family, radius, text, cooldown = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
    local field = edge .. string.sub(family, 1, 8)
    local soonest, ends_first, count = nil, nil, 0
    local all = redis.call('HGETALL', KEYS[2])
    for at = 1, #all, 2 do
        local name, held = all[at], all[at + 1]
        local ends = struct.unpack('>d', held)
        if ends <= now then
            redis.call('HDEL', KEYS[2], name)
        elseif name == field then
            return held
        else
            count = count + 1
            if not ends_first or ends < ends_first then soonest, ends_first = name, ends end
        end
    end
    if count >= MOST then
        redis.call('ZREM', KEYS[3], string.sub(redis.call('HGET', KEYS[2], soonest), 42))
        redis.call('HDEL', KEYS[2], soonest)
    end
    local trail, kept = redis.call('GET', KEYS[1]), {}
    if trail then
        for at = 1, #trail, SIZE do
            local is_covered = string.sub(trail, at + 8, at + 15) == edge
                and covers(family, radius, string.sub(trail, at + 32, at + 39), string.sub(trail, at + 40, at + 55))
            if not is_covered then kept[#kept + 1] = string.sub(trail, at, at + SIZE - 1) end
        end
        redis.call('SET', KEYS[1], table.concat(kept), 'KEEPTTL')
    end
    local held = struct.pack('>d', now + cooldown) .. edge .. family .. string.char(radius) .. text
    redis.call('HSET', KEYS[2], field, held)
    redis.call('PEXPIRE', KEYS[2], math.max(cooldown, redis.call('PTTL', KEYS[2])))
    redis.call('ZADD', KEYS[3], now + cooldown, text)
    redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
    redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -(LISTED + 1))
    redis.call('PEXPIRE', KEYS[3], math.max(cooldown, redis.call('PTTL', KEYS[3])))
    return held
    """,
)

RESUME: Final = Script(
    "resume",
    """
    local held = redis.call('HGET', KEYS[1], ARGV[1])
    if not held then return 0 end
    redis.call('HDEL', KEYS[1], ARGV[1])
    redis.call('ZREM', KEYS[2], string.sub(held, 42))
    return now < struct.unpack('>d', held) and 1 or 0
    """,
)

BREAKS: Final = Script(
    "breaks",
    """
    return redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '(' .. now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
    """,
)

LIST: Final = "sidecar:{visits}:breaks"


class RedisVisits:
    """The Visits port in Redis."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def visit(self, conversation: str, visit: Visit, *, window_s: float) -> Sighting:
        keys = (trail_key(conversation), breaks_key(conversation))
        outcome, text = await self._link.run(VISIT, keys, (packed(visit), int(window_s * 1000)))
        if outcome == 2:
            return Sighting(held=held_break(bytes(text)))
        return Sighting(tuple(trail_of(bytes(text))), is_new=outcome == 1)

    async def read(self, conversation: str, exchange: int, question: int, *, within_s: float) -> int:
        arguments = (word(exchange), word(question), int(within_s * 1000))
        return int(await self._link.run(READ, (reads_key(conversation),), arguments))

    async def answered(self, conversation: str, exchange: int, answer: Answered) -> Mark | None:
        said = (answer.likeness.to_bytes(16, "big"), word(answer.digest))
        arguments = (word(exchange), word(answer.task), *said, int(answer.is_undecided), answer.radius)
        mark = int(await self._link.run(ANSWERED, (trail_key(conversation),), arguments))
        return None if mark < 0 else Mark(mark)

    async def withdraw(self, conversation: str, exchange: int) -> bool:
        keys = (trail_key(conversation), reads_key(conversation))
        return bool(await self._link.run(WITHDRAW, keys, (word(exchange),)))

    async def break_off(
        self, conversation: str, edge: Edge, edge_id: int, family: Family, *, kind: str, cooldown_s: float
    ) -> Break:
        text = orjson.dumps([conversation, *edge, f"{edge_id:x}", *family_text(family), kind])
        covered = word(family.fingerprint) + family.likeness.to_bytes(16, "big")
        keys = (trail_key(conversation), breaks_key(conversation), LIST)
        arguments = (word(edge_id), covered, family.radius, text, int(cooldown_s * 1000))
        return held_break(bytes(await self._link.run(BREAK_OFF, keys, arguments)))

    async def resume(self, conversation: str, edge_id: int, fingerprint: int) -> bool:
        field = word(edge_id) + word(fingerprint)
        return bool(await self._link.run(RESUME, (breaks_key(conversation), LIST), (field,)))

    async def breaks(self, limit: int = 100) -> tuple[Break, ...]:
        answer = await self._link.run(BREAKS, (LIST,), (limit,))
        return tuple(break_of(bytes(text), float(until_ms)) for text, until_ms in pairs(answer))


def trail_key(conversation: str) -> str:
    return f"sidecar:{{visits}}:trail:{conversation}"


def reads_key(conversation: str) -> str:
    return f"sidecar:{{visits}}:reads:{conversation}"


def breaks_key(conversation: str) -> str:
    return f"sidecar:{{visits}}:breaks:{conversation}"


def word(number: int) -> bytes:
    return number.to_bytes(8, "big")


def family_text(family: Family) -> tuple[str, str, int]:
    """Numbers past 53 bits are hex in JSON."""
    return f"{family.fingerprint:x}", f"{family.likeness:x}", family.radius


def held_break(held: bytes) -> Break:
    (until_ms,) = DOUBLE.unpack_from(held)
    return break_of(held[41:], until_ms)


DOUBLE: Final = struct.Struct(">d")


def break_of(text: bytes, until_ms: float) -> Break:
    conversation, caller, callee, method, edge_id, fingerprint, likeness, radius, kind = orjson.loads(text)
    family = Family(int(fingerprint, 16), int(likeness, 16), radius)
    return Break(conversation, Edge(caller, callee, method), int(edge_id, 16), family, kind, int(until_ms))


def pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
