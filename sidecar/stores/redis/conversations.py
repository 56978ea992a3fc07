"""Names of conversations, in Redis.

Names are claimed in one script, so they share one slot. They are few and short; a fleet too large for that needs more
than one Redis anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sidecar.engine.state.conversations import Naming, naming_of
from sidecar.stores.redis.link import RedisLink
from sidecar.stores.redis.script import Script

KEEP_S: Final = 7 * 86_400
"""A name that nobody used for a week is forgotten."""

CLAIM: Final = Script(
    "name_conversation",
    """
    local known, holders = redis.call('MGET', unpack(KEYS)), {}
    for index = 1, #KEYS do
        if known[index] then holders[#holders + 1] = known[index] end
    end
    local conversation = holders[1] or ARGV[1]
    for index, key in ipairs(KEYS) do
        if known[index] then
            redis.call('EXPIRE', key, ARGV[2])
        else
            redis.call('SET', key, conversation, 'EX', ARGV[2])
        end
    end
    return holders
    """,
)


class RedisConversations:
    """The Conversations port in Redis."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def name_conversation(self, aliases: Sequence[str], proposed: str) -> Naming:
        if not aliases:
            return Naming(proposed)
        keys = [f"sidecar:{{names}}:{alias}" for alias in aliases]
        holders = await self._link.run(CLAIM, keys, (proposed, KEEP_S))
        return naming_of((bytes(holder).decode() for holder in holders), proposed)
