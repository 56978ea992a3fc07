"""Claims, in Redis: one hash for a key, and beside it the exchanges that found it taken.

Redis must not evict (`maxmemory-policy noeviction`): a claim that it drops is a promise that it drops. Full, it answers
OOM, which is as good as away.
"""

from __future__ import annotations

from typing import Any, Final

from sidecar.engine.state.claims import FREED_S, OTHERS_MAX, SIGHTING_S, Claimed, Sighting, Standing
from sidecar.stores.redis.link import RedisLink
from sidecar.stores.redis.script import Script

MEMORY_BOUND_MS: Final = 60_000
"""Redis forgets a key this long after it has expired. Whether it has is decided by its own moments."""

CLAIM: Final = Script(
    "claim",
    f"""
    local digest, holder = ARGV[1], ARGV[2]
    local lease, retain, wait = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
    local c = redis.call('HMGET', KEYS[1], 'state', 'expires', 'token', 'holder', 'digest', 'lease', 'first')
    local function keep(ms)
        redis.call('PEXPIRE', KEYS[1], ms + {MEMORY_BOUND_MS})
        redis.call('PEXPIRE', KEYS[2], ms + {MEMORY_BOUND_MS})
    end
    if not c[1] or c[1] == 'free' or now >= tonumber(c[2]) then
        local token = math.max(tonumber(c[3] or '0') + 1, now)
        redis.call('DEL', KEYS[1], KEYS[2])
        redis.call('HSET', KEYS[1], 'state', 'held', 'digest', digest, 'holder', holder, 'token', token, 'first', now,
            'lease', now + lease, 'retain', retain, 'expires', now + lease + retain)
        keep(lease + retain)
        return {{'new', token, 0, 0}}
    end
    local age = now - tonumber(c[7])
    if c[4] == holder then return {{'yours', tonumber(c[3]), age, redis.call('ZCARD', KEYS[2])}} end
    local standing = 'in_flight'
    if c[5] ~= digest then standing = 'conflict'
    elseif c[1] == 'done' then standing = 'recorded'
    elseif c[1] == 'doubt' or now >= tonumber(c[6]) then standing = 'unknown' end
    if redis.call('ZSCORE', KEYS[2], holder) or redis.call('ZCARD', KEYS[2]) < {OTHERS_MAX} then
        redis.call('ZADD', KEYS[2], standing == 'in_flight' and now + wait or now, holder)
        redis.call('PEXPIRE', KEYS[2], tonumber(c[2]) - now + {MEMORY_BOUND_MS})
    end
    local answer = {{standing, 0, age, redis.call('ZCARD', KEYS[2])}}
    if standing == 'recorded' then answer[5] = redis.call('HGET', KEYS[1], 'recording') end
    return answer
    """,
)

FENCED: Final = f"""
    local c = redis.call('HMGET', KEYS[1], 'state', 'expires', 'token', 'retain')
    local is_fenced = c[3] ~= ARGV[1] or now >= tonumber(c[2])
    local function keep(ms)
        redis.call('HSET', KEYS[1], 'expires', now + ms)
        redis.call('PEXPIRE', KEYS[1], ms + {MEMORY_BOUND_MS})
        redis.call('PEXPIRE', KEYS[2], ms + {MEMORY_BOUND_MS})
    end
"""

EXTEND: Final = Script(
    "extend",
    FENCED
    + """
    if is_fenced or c[1] ~= 'held' then return false end
    redis.call('HSET', KEYS[1], 'lease', now + tonumber(ARGV[2]))
    keep(tonumber(ARGV[2]) + tonumber(c[4]))
    return redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%.0f', now), '+inf')
    """,
)

COMPLETE: Final = Script(
    "complete",
    FENCED
    + """
    if is_fenced or c[1] == 'free' then return 0 end
    if c[1] ~= 'done' then
        redis.call('HSET', KEYS[1], 'state', 'done')
        if ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'recording', ARGV[3]) end
        keep(tonumber(c[4]))
    end
    return 1
    """,
)

RELEASE: Final = Script(
    "release",
    FENCED
    + f"""
    if is_fenced or c[1] == 'done' or c[1] == 'doubt' then return 0 end
    redis.call('HSET', KEYS[1], 'state', 'free')
    keep({int(FREED_S * 1000)})
    return 1
    """,
)

DOUBT: Final = Script(
    "doubt",
    FENCED
    + """
    if is_fenced or c[1] == 'done' or c[1] == 'free' then return 0 end
    if c[1] == 'held' then
        redis.call('HSET', KEYS[1], 'state', 'doubt')
        keep(tonumber(c[4]))
    end
    return 1
    """,
)

SIGHT: Final = Script(
    "sight",
    f"""
    local s = redis.call('HMGET', KEYS[1], 'mark', 'exchange', 'seen', 'deadline')
    if s[2] == ARGV[2] then return false end
    redis.call('HSET', KEYS[1], 'mark', ARGV[1], 'exchange', ARGV[2], 'seen', now, 'deadline', ARGV[3])
    redis.call('PEXPIRE', KEYS[1], {int(SIGHTING_S * 1000) + MEMORY_BOUND_MS})
    if not s[1] or now - tonumber(s[3]) >= {int(SIGHTING_S * 1000)} then return false end
    return {{s[1], now - tonumber(s[3]), tonumber(s[4])}}
    """,
)


class RedisClaims:
    """The Claims port in Redis."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def claim(
        self, key: str, *, digest: str, holder: str, lease_s: float, retain_s: float, wait_s: float = 0.0
    ) -> Claimed:
        arguments = (digest, holder, ms(lease_s), ms(retain_s), ms(wait_s))
        standing, token, age_ms, duplicates, *recording = await self._link.run(CLAIM, keys_of(key), arguments)
        kept = recording[0] if recording else None
        return Claimed(Standing(standing.decode()), int(token), kept, int(age_ms), int(duplicates))

    async def extend(self, key: str, token: int, lease_s: float) -> int | None:
        waiters: Any = await self._link.run(EXTEND, keys_of(key), (token, ms(lease_s)))
        return None if waiters is None else int(waiters)

    async def complete(self, key: str, token: int, recording: bytes | None) -> bool:
        kept = (1, recording) if recording is not None else (0,)
        return bool(await self._link.run(COMPLETE, keys_of(key), (token, *kept)))

    async def release(self, key: str, token: int) -> bool:
        return bool(await self._link.run(RELEASE, keys_of(key), (token,)))

    async def doubt(self, key: str, token: int) -> bool:
        return bool(await self._link.run(DOUBT, keys_of(key), (token,)))

    async def sight(self, key: str, *, mark: str, exchange: str, deadline_ms: int) -> Sighting | None:
        seen: Any = await self._link.run(SIGHT, [f"sidecar:{{seen:{key}}}:last"], (mark, exchange, deadline_ms))
        return None if seen is None else Sighting(seen[0].decode(), int(seen[1]), int(seen[2]))


def keys_of(key: str) -> list[str]:
    """Each key has a slot of its own, so a cluster spreads them."""
    return [f"sidecar:{{claim:{key}}}:state", f"sidecar:{{claim:{key}}}:others"]


def ms(seconds: float) -> int:
    return int(seconds * 1000)
