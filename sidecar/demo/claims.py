"""Claims: what the demo says is so, next to what was seen."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from sidecar.demo import pages
from sidecar.demo.otlp_sink import ReceivedSpan

SETTLE_LIMIT_S = 3.0
"""A counter may be a moment behind the answer that the caller already has. Later than this, it is wrong."""

POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence, true where the two texts are the same."""

    sentence: str
    expected: str
    observed: str

    @property
    def is_true(self) -> bool:
        return self.expected == self.observed


def claim(sentence: str, expected: object, observed: object) -> Claim:
    return Claim(sentence, str(expected), str(observed))


def at_most(sentence: str, limit_s: float, took_s: float) -> Claim:
    allowed = f"at most {limit_s:g} s"
    return Claim(sentence, allowed, allowed if took_s <= limit_s else f"{took_s:.2f} s")


def at_least(sentence: str, limit_s: float, took_s: float) -> Claim:
    allowed = f"at least {limit_s:g} s"
    return Claim(sentence, allowed, allowed if took_s >= limit_s else f"{took_s:.2f} s")


@dataclass(frozen=True, slots=True)
class Scene:
    """What was done, what each side saw of it, and what is claimed."""

    title: str
    done: str
    caller_saw: str
    sidecar_saw: str
    claims: tuple[Claim, ...]
    trace: tuple[ReceivedSpan, ...] = ()

    @property
    def is_ok(self) -> bool:
        return all(claim.is_true for claim in self.claims)


class Watch:
    """What changes on one sidecar's /metrics from a moment on."""

    def __init__(self, address: str, before: pages.Metrics) -> None:
        self._address = address
        self._before = before

    @classmethod
    async def begin(cls, address: str) -> Watch:
        return cls(address, await pages.metrics(address))

    async def change(self, expected: int, name: str, *, scale: int = 1, **labels: str) -> int:
        """By how much a counter has grown, in units of 1/`scale`. Waits for `expected`, and gives what there is."""
        until_s = time.monotonic() + SETTLE_LIMIT_S
        # Another process sets no event of ours, so it is polled.
        while (grown := await self._grown(name, scale, labels)) != expected and time.monotonic() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        return grown

    async def _grown(self, name: str, scale: int, labels: dict[str, str]) -> int:
        now = await pages.metrics(self._address)
        return now.total(name, scale=scale, **labels) - self._before.total(name, scale=scale, **labels)
