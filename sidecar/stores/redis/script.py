"""A script: one verb as Redis runs it, atomically and in one round trip.

Every script begins with the same prelude: `now` is Redis' own time in milliseconds, so that a fleet agrees on it, and
`ARGV` starts after the link's own argument. All keys of a script are passed in KEYS and share a hash tag, so that a
cluster keeps them in one slot (Redis Cluster specification, "Hash tags").
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

PRELUDE: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(table.remove(ARGV, 1))
"""
"""The argument taken off is the link's offset: 0, and in tests the time that is said to have passed."""


SCRIPTS: Final[list[Script]] = []
"""Every script there is: a new connection teaches them to its Redis before it asks for any."""


@dataclass(frozen=True, slots=True)
class Script:
    """Lua text and its digest. `name` is the verb, for labels and errors."""

    name: str
    body: str
    text: str = field(init=False)
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        text = PRELUDE + self.body
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "sha", hashlib.sha1(text.encode()).hexdigest())  # noqa: S324 - Redis names scripts so
        SCRIPTS.append(self)


def told(value: Any) -> bytes:
    """What a script reads with `cjson.decode`. Texts that no UTF-8 can hold are rarer, so slower."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()
