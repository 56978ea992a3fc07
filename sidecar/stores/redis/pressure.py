"""Tokens, places, retries and waits, in Redis.

Each bucket, room and edge has a slot of its own. All waits share one: a cycle goes through several agents.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sidecar.engine.state.pressure import CALLS_MAX, TAKEN_KEEP_S, WAITS_MAX, Rate, RetryBudget, Wait
from sidecar.stores.redis.link import RedisLink
from sidecar.stores.redis.script import Script, told

BUCKET_KEEP_S: Final = 86_400
"""A bucket nobody used for a day is full again at any rate that is allowed."""

SLACK_MS: Final = 60_000
"""Keys outlive what is in them by this much: what still counts is judged by the moments inside."""

TAKE: Final = Script(
    "take",
    """
    if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
    local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + tonumber(ARGV[1])
    local early = arrival - now - tonumber(ARGV[2])
    if early > 0.001 then return math.ceil(early) end
    redis.call('SET', KEYS[1], string.format('%.6f', arrival), 'EX', ARGV[3])
    redis.call('SET', KEYS[2], '', 'EX', ARGV[4])
    return 0
    """,
)

PUT_BACK: Final = Script(
    "put_back",
    """
    if redis.call('DEL', KEYS[2]) == 0 then return 0 end
    local arrival = redis.call('GET', KEYS[1])
    if arrival then
        redis.call('SET', KEYS[1], string.format('%.6f', tonumber(arrival) - tonumber(ARGV[1])), 'KEEPTTL')
    end
    return 1
    """,
)

ENTER: Final = Script(
    "enter",
    """
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    local is_inside = redis.call('ZSCORE', KEYS[1], ARGV[1])
    if not is_inside and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
    redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return 1
    """,
)

LEAVE: Final = Script("leave", "return redis.call('ZREM', KEYS[1], ARGV[1])")

NOTE_CALL: Final = Script(
    "note_call",
    """
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
    redis.call('ZADD', KEYS[1], 'NX', now, ARGV[1])
    redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[3] - 1)
    redis.call('PEXPIRE', KEYS[1], ARGV[4])
    return 0
    """,
)

SPEND_RETRY: Final = Script(
    "spend_retry",
    """
    for _, key in ipairs(KEYS) do redis.call('ZREMRANGEBYSCORE', key, '-inf', now - ARGV[2]) end
    if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 1 end
    local allowed = math.max(tonumber(ARGV[4]), math.floor(ARGV[3] * redis.call('ZCARD', KEYS[1]) + 1e-9))
    if redis.call('ZCARD', KEYS[2]) >= math.min(allowed, tonumber(ARGV[5])) then return 0 end
    redis.call('ZADD', KEYS[2], now, ARGV[1])
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
    return 1
    """,
)

FORGET_CALL: Final = Script(
    "forget_call",
    """
    for _, key in ipairs(KEYS) do redis.call('ZREM', key, ARGV[1]) end
    return 0
    """,
)

WAIT: Final = Script(
    "wait",
    """
    local all, leases, numbers, there = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
    for _, gone in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, ARGV[5])) do
        redis.call('HDEL', all, gone)
        redis.call('ZREM', leases, gone)
    end
    redis.call('ZREMRANGEBYSCORE', there, '-inf', now)
    if redis.call('HEXISTS', all, ARGV[1]) == 0 then
        if redis.call('HLEN', all) >= tonumber(ARGV[5]) then return {} end
        redis.call('HSET', all, ARGV[1], redis.call('INCR', numbers) .. ' ' .. ARGV[2])
    end
    redis.call('ZADD', leases, now + ARGV[3], ARGV[1])
    redis.call('ZADD', there, now + ARGV[3], ARGV[1])
    for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[6]) end
    if redis.call('ZCARD', there) <= tonumber(ARGV[4]) then return {} end
    return redis.call('HGETALL', all)
    """,
)

DONE: Final = Script(
    "done",
    """
    redis.call('HDEL', KEYS[1], ARGV[1])
    redis.call('ZREM', KEYS[2], ARGV[1])
    return redis.call('ZREM', KEYS[3], ARGV[1])
    """,
)

WAITS_KEEP_MS: Final = 86_400_000
"""The counter that numbers waits has to outlive them all, and a lease is at most an hour."""


class RedisPressure:
    """The Pressure port in Redis."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def take(self, bucket: str, rate: Rate, exchange_id: str, tokens: int = 1) -> float:
        key = f"sidecar:{{rate:{bucket}}}"
        arguments = (repr(tokens * rate.interval_ms), repr(rate.tolerance_ms), BUCKET_KEEP_S, TAKEN_KEEP_S)
        return int(await self._link.run(TAKE, [key, f"{key}:{exchange_id}"], arguments)) / 1000

    async def put_back(self, bucket: str, rate: Rate, exchange_id: str, tokens: int = 1) -> None:
        key = f"sidecar:{{rate:{bucket}}}"
        await self._link.run(PUT_BACK, [key, f"{key}:{exchange_id}"], (repr(tokens * rate.interval_ms),))

    async def enter(self, room: str, limit: int, exchange_id: str, lease_s: float) -> bool:
        lease_ms = int(lease_s * 1000)
        arguments = (exchange_id, limit, lease_ms, lease_ms + SLACK_MS)
        return bool(await self._link.run(ENTER, [room_key(room)], arguments))

    async def leave(self, room: str, exchange_id: str) -> None:
        await self._link.run(LEAVE, [room_key(room)], (exchange_id,))

    async def note_call(self, edge: str, exchange_id: str, window_s: float) -> None:
        window_ms = int(window_s * 1000)
        arguments = (exchange_id, window_ms, CALLS_MAX, window_ms + SLACK_MS)
        await self._link.run(NOTE_CALL, edge_keys(edge)[:1], arguments)

    async def spend_retry(self, edge: str, exchange_id: str, budget: RetryBudget) -> bool:
        window_ms = int(budget.window_s * 1000)
        terms = (repr(budget.ratio), budget.minimum, CALLS_MAX)
        arguments = (exchange_id, window_ms, *terms, window_ms + SLACK_MS)
        return bool(await self._link.run(SPEND_RETRY, edge_keys(edge), arguments))

    async def forget_call(self, edge: str, exchange_id: str) -> None:
        await self._link.run(FORGET_CALL, edge_keys(edge), (exchange_id,))

    async def wait(self, wait: Wait, serves: int, lease_s: float) -> tuple[Wait, ...]:
        said = told([wait.conversation, *wait.path])
        arguments = (wait.exchange_id, said, int(lease_s * 1000), serves, WAITS_MAX, WAITS_KEEP_MS)
        found = await self._link.run(WAIT, [*WAIT_KEYS, there_key(wait.agent)], arguments)
        return waits_of(found)

    async def done(self, agent: str, exchange_id: str) -> None:
        await self._link.run(DONE, [*WAIT_KEYS[:2], there_key(agent)], (exchange_id,))


WAIT_KEYS: Final = ("sidecar:{waits}:all", "sidecar:{waits}:leases", "sidecar:{waits}:numbers")


def room_key(room: str) -> str:
    return f"sidecar:{{room:{room}}}"


def there_key(agent: str) -> str:
    return f"sidecar:{{waits}}:at:{agent}"


def edge_keys(edge: str) -> list[str]:
    return [f"sidecar:{{edge:{edge}}}:calls", f"sidecar:{{edge:{edge}}}:retries"]


def waits_of(found: list[Any]) -> tuple[Wait, ...]:
    """From ids and `<number> <JSON>` in turn, in the order of the numbers."""
    numbered = []
    for exchange_id, value in zip(found[::2], found[1::2], strict=True):
        number, _, told = bytes(value).decode().partition(" ")
        conversation, *path = json.loads(told)
        numbered.append((int(number), Wait(bytes(exchange_id).decode(), conversation, tuple(path))))
    return tuple(wait for _, wait in sorted(numbered, key=lambda each: each[0]))
