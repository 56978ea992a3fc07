"""The epoch: whether this Redis still knows what it once acknowledged.

A Redis that is emptied, or a replica promoted before it had everything, answers like any other. Each link counts its
beats there; a Redis which remembers fewer than it acknowledged has lost writes, and one with another epoch lost all.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from hiredis import ReplyError

Ask = Callable[..., Awaitable[Any]]
"""Sends one command, given word by word; its answer."""

EPOCH_KEY: Final = "sidecar:{epoch}:id"
BEATS_KEY: Final = "sidecar:{epoch}:beats:"
FORGOTTEN_S: Final = 86_400
"""Beats of a link that is gone are kept for a day."""

BEAT: Final = """
redis.call('SET', KEYS[1], ARGV[1], 'NX')
local beats = redis.call('INCR', KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
return {redis.call('GET', KEYS[1]), beats}
"""


class Epoch:
    """What one link knows of its Redis."""

    def __init__(self, forgot: Callable[[Literal["all", "last"]], None]) -> None:
        """`forgot` hears `all` or `last`: everything is gone, or the newest writes are."""
        self._forgot = forgot
        self._link_id = secrets.token_hex(8)
        self._epoch: bytes | None = None
        self._beats = 0

    async def check(self, ask: Ask) -> None:
        """One beat. Raises ReplyError where Redis takes none, and whatever `ask` raises."""
        proposed = secrets.token_hex(8)  # ever new: an emptied Redis must not be given its old epoch again
        answer = await ask("EVAL", BEAT, 2, EPOCH_KEY, BEATS_KEY + self._link_id, proposed, FORGOTTEN_S)
        if isinstance(answer, ReplyError):
            raise answer
        epoch, beats = bytes(answer[0]), int(answer[1])
        if self._epoch is not None and epoch != self._epoch:
            self._forgot("all")
        elif beats <= self._beats:
            self._forgot("last")
        self._epoch, self._beats = epoch, beats
