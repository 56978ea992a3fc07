"""Delays: when a caller that was turned away should come back.

Callers refused in one instant must not return in one instant, so each is told a moment of its own, drawn evenly from a
stretch of time. A caller that waited and was refused again hears of a stretch twice as long ("Exponential Backoff And
Jitter", AWS Architecture Blog 2015: full jitter needs the fewest calls); the calls of one wave share theirs.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from random import Random
from typing import Final

from sidecar.engine.ports import Clock

SPREAD_S: Final = (1.0, 60.0)
"""The first stretch that callers are spread over, and the longest."""

CALLERS_MAX: Final = 10_000
"""Callers remembered; the least recently refused makes room and begins anew."""

FORGET_S: Final = 60.0
"""Whoever was not refused for this long after its delay begins anew."""


@dataclass(slots=True)
class Wave:
    """The stretch that a caller's refused calls are spread over, and when it has passed."""

    spread_s: float
    due_ns: int


class Delays:
    """What each caller of each callee was told."""

    def __init__(self, clock: Clock, random: Random | None = None) -> None:
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - a spread, not a secret
        self._waves: OrderedDict[tuple[str, str], Wave] = OrderedDict()

    def next(self, caller: str, callee: str, least_s: float = 0.0) -> float:
        """Seconds, at least `least_s`: before that the same refusal is certain."""
        wave = self._wave(caller, callee, least_s)
        return least_s + self._random.uniform(0.0, wave.spread_s)

    def passed(self, caller: str, callee: str) -> None:
        """A call of this caller went well, so its next refusal is a first one."""
        if self._waves:
            self._waves.pop((caller, callee), None)

    def _wave(self, caller: str, callee: str, least_s: float) -> Wave:
        now_ns, (first_s, longest_s) = self._clock.monotonic_ns(), SPREAD_S
        wave = self._waves.pop((caller, callee), None)
        if wave is None or now_ns > wave.due_ns + int(FORGET_S * 1e9):
            wave = self._begun(max(first_s, min(least_s, longest_s)), least_s, now_ns)
        elif now_ns >= wave.due_ns:
            wave = self._begun(min(wave.spread_s * 2, longest_s), least_s, now_ns)
        self._waves[caller, callee] = wave
        if len(self._waves) > CALLERS_MAX:
            self._waves.popitem(last=False)
        return wave

    def _begun(self, spread_s: float, least_s: float, now_ns: int) -> Wave:
        return Wave(spread_s, now_ns + int((least_s + spread_s / 2) * 1e9))
