"""The real clock and real random ids, behind the engine's ports."""

from __future__ import annotations

import asyncio
import random
import time

from sidecar.engine.ports import Clock, Ids

_random = random.Random()  # noqa: S311 - ids must be unlikely to collide, not hard to guess
"""Seeded by the operating system. Trace ids are public, and nothing trusts an exchange id that is not under an HMAC."""


class SystemClock(Clock):
    """This machine's clocks."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def unix_ns(self) -> int:
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class RandomIds(Ids):
    """Ids of 128 and 64 random bits. All zero is no valid id, so the last bit is never left to chance alone."""

    def trace_id(self) -> str:
        return f"{_random.getrandbits(128) or 1:032x}"

    def span_id(self) -> str:
        return f"{_random.getrandbits(64) or 1:016x}"

    def exchange_id(self) -> str:
        return f"{_random.getrandbits(128) or 1:032x}"
