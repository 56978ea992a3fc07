"""Names of conversations, in Redis.

Names are claimed in one script, so they share one slot. They are few and short; a fleet too large for that needs more
than one Redis anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sidecar.stores.redis.link import RedisLink
from sidecar.stores.redis.script import Script

KEEP_S: Final = 7 * 86_400
"""A name that nobody used for a week is forgotten."""

CLAIM: Final = Script(
    "name_conversation",
    """
    local conversation = ARGV[1]
    for _, key in ipairs(KEYS) do
        local known = redis.call('GET', key)
        if known then conversation = known break end
    end
    for _, key in ipairs(KEYS) do
        if not redis.call('SET', key, conversation, 'NX', 'EX', ARGV[2]) then redis.call('EXPIRE', key, ARGV[2]) end
    end
    return conversation
    """,
)


class RedisConversations:
    """The Conversations port in Redis."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def name_conversation(self, aliases: Sequence[str], proposed: str) -> str:
        if not aliases:
            return proposed
        keys = [f"sidecar:{{names}}:{alias}" for alias in aliases]
        return bytes(await self._link.run(CLAIM, keys, (proposed, KEEP_S))).decode()
