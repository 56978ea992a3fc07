"""Controls, in Redis: a hash of them, their ends in order, and the revision; every change is published.

The word that something changed may be lost, or forbidden to this user; so the revision is asked for all the same, often
where nothing can be heard, and now and then where it can.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from sidecar.engine.state.controls import Control, Name, State, full, read, written
from sidecar.errors import StoreFull
from sidecar.stores.redis.link import RedisLink
from sidecar.stores.redis.script import Script

PREFIX: Final = "sidecar:{controls}:"
KEYS: Final = tuple(PREFIX + name for name in ("held", "revision", "counts"))
CHANNEL: Final = PREFIX + "changed"

LOOK_S: Final = 0.05
"""How often the revision is asked for where nothing can be heard: a change has to be in force within 100 ms."""

LISTENING_LOOK_S: Final = 1.0
"""And where it can be."""

COMMON: Final = """
local HELD, REVISION, COUNTS = unpack(KEYS)
local function changed()
    local revision = redis.call('INCR', REVISION)
    redis.pcall('PUBLISH', 'sidecar:{controls}:changed', revision)
end
local function revision() return tonumber(redis.call('GET', REVISION) or 0) end
local function at(field)
    local text = redis.call('HGET', HELD, field)
    return text and cjson.decode(text)
end
local function drop(field, control)
    redis.call('HDEL', HELD, field)
    redis.call('HINCRBY', COUNTS, control[1], -1)
end
local function forget_ended()
    local all = redis.call('HGETALL', HELD)
    for index = 1, #all, 2 do
        local control = cjson.decode(all[index + 1])
        if control[4] > 0 and control[4] <= now then drop(all[index], control) end
    end
end
-- A control is {kind, key, record, until or 0, 1 where it is automatic}; 0 where there is no room for it.
local function put(control, most)
    local field = control[1] .. '|' .. control[2]
    local held = at(field)
    if held and held[4] > 0 and held[4] <= now then
        drop(field, held)
        held = nil
    end
    if not held then
        if tonumber(redis.call('HGET', COUNTS, control[1]) or 0) >= most then forget_ended() end
        if tonumber(redis.call('HGET', COUNTS, control[1]) or 0) >= most then return 0 end
        redis.call('HINCRBY', COUNTS, control[1], 1)
    elseif control[5] == 1 and held[5] == 0 then
        return 1
    end
    if control[4] > 0 then control[4] = now + control[4] end
    redis.call('HSET', HELD, field, cjson.encode(control))
    changed()
    return 1
end
"""

PUT: Final = Script(
    "put_control",
    COMMON + "return {put(cjson.decode(ARGV[1]), tonumber(ARGV[2])), revision()}",
)

REMOVE: Final = Script(
    "remove_control",
    COMMON
    + """
    local control = at(ARGV[1])
    if control then
        drop(ARGV[1], control)
        changed()
    end
    return revision()
    """,
)

READ: Final = Script(
    "read_controls",
    COMMON
    + """
    if revision() == tonumber(ARGV[1]) then return false end
    return {revision(), string.format('%.0f', now), redis.call('HVALS', HELD)}
    """,
)

RESTORE: Final = Script(
    "restore_controls",
    COMMON
    + """
    if revision() >= tonumber(ARGV[1]) then return 0 end
    for _, each in ipairs(cjson.decode(ARGV[2])) do put(each[1], each[2]) end
    if revision() <= tonumber(ARGV[1]) then redis.call('SET', REVISION, ARGV[1] + 1) end
    redis.pcall('PUBLISH', 'sidecar:{controls}:changed', revision())
    return 1
    """,
)


class RedisControls:
    """The Controls port in Redis."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._heard: PubSub | None = None

    async def put(self, control: Control, for_s: float | None = None) -> int:
        kind = control.name.kind
        is_kept, revision = await self._link.run(PUT, KEYS, (json.dumps(shape_of(control, for_s)), kind.most))
        if not is_kept:
            raise StoreFull(full(kind))
        return int(revision)

    async def remove(self, name: Name) -> int:
        return int(await self._link.run(REMOVE, KEYS, (f"{name.kind}|{name.key}",)))

    async def read(self, known_revision: int) -> State | None:
        answer = await self._link.run(READ, KEYS, (known_revision,))
        if not answer:
            return None
        revision, now_ms, held = int(answer[0]), int(answer[1]), answer[2]
        found = [control_in(text) for text in held]
        controls = (each for each in found if each is not None and not 0 < each.until_ms <= now_ms)
        return State(revision, tuple(controls), now_ms)

    async def changed(self, within_s: float) -> None:
        """Redis that is away is not asked, so that waiting for it costs no failed verbs."""
        if self._link.is_away:
            await self._hang_up()
            await asyncio.sleep(min(within_s, LOOK_S))
            return
        try:
            heard = await self._listening()
            await heard.get_message(ignore_subscribe_messages=True, timeout=min(within_s, LISTENING_LOOK_S))
        except (TimeoutError, RedisError, OSError):
            await self._hang_up()
            raise_if_cancelled()
            await asyncio.sleep(min(within_s, LOOK_S))
        raise_if_cancelled()

    async def restore(self, known_revision: int, controls: Sequence[tuple[Control, float | None]]) -> None:
        shapes = [[shape_of(control, for_s), control.name.kind.most] for control, for_s in controls]
        await self._link.run(RESTORE, KEYS, (known_revision, json.dumps(shapes)))

    async def close(self) -> None:
        await self._hang_up()

    async def _listening(self) -> PubSub:
        """Kept before it is known to work, so that whoever hangs up also closes one that could not subscribe."""
        if self._heard is None:
            self._heard = self._link.pubsub()
            await self._heard.subscribe(CHANNEL)
        return self._heard

    async def _hang_up(self) -> None:
        heard, self._heard = self._heard, None
        if heard is not None:
            with suppress(TimeoutError, RedisError, OSError):
                await heard.aclose()  # type: ignore[no-untyped-call]  # redis-py types its client, and not this


def raise_if_cancelled() -> None:
    """redis-py sends with `wait_for`, which before Python 3.12 may forget a cancellation: we would never end."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def shape_of(control: Control, for_s: float | None) -> list[Any]:
    lasts_ms = 0 if for_s is None else max(int(for_s * 1000), 1)
    return [control.name.kind.value, control.name.key, written(control), lasts_ms, int(control.is_automatic)]


def control_in(text: bytes) -> Control | None:
    kind, key, record, until_ms, _ = json.loads(text)
    return read(kind, key, record, int(until_ms))
