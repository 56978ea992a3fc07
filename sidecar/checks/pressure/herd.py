"""Herds: do the retries of one callee come all at the same moment?

Retries are synchronised when almost all of them fall into one quarter of a second, although whoever comes back after a
delay of its own would be spread over seconds. So the first retry opens a watch of two seconds, and when that is over
its fullest quarter of a second is compared with the whole, and with the watch just before it. Ten retries that come
independently of each other, evenly over two seconds, look like a herd fewer than once in 2,000 times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sidecar.engine.ports import Clock

SLOT_MS: Final = 25
NARROW_SLOTS: Final = 10
"""A quarter of a second: what one network and one event loop blur a single instant to."""
WATCH_SLOTS: Final = 80
"""Two seconds."""
RETRIES_MIN: Final = 10
"""Fewer are no herd, whenever they come."""
SHARE_MIN: Final = 0.9


@dataclass(frozen=True, slots=True)
class Herd:
    """Retries that came together."""

    together: int
    """In the fullest quarter of a second."""
    retries: int
    """In the two seconds around it."""


class Watch:
    """Two seconds of one callee's retries, counted by slot."""

    __slots__ = ("before", "began_ns", "counts")

    def __init__(self, began_ns: int, before: int) -> None:
        self.began_ns = began_ns
        self.counts = [0] * WATCH_SLOTS
        self.before = before
        """Retries of the watch before this one, where they were spread: the last of those are no herd of their own."""

    def slot(self, now_ns: int) -> int:
        return (now_ns - self.began_ns) // (SLOT_MS * 1_000_000)

    def herd(self) -> Herd | None:
        retries = sum(self.counts)
        if retries < RETRIES_MIN:
            return None
        together = max(sum(self.counts[first : first + NARROW_SLOTS]) for first in range(WATCH_SLOTS))
        return Herd(together, retries) if together >= SHARE_MIN * (retries + self.before) else None


class HerdWatch:
    """Watches every callee that is being retried. Callees are the configuration's, so there are few."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watches: dict[str, Watch] = {}
        self._spread: dict[str, Watch] = {}
        """By callee, the last watch that saw no herd."""

    def retried(self, callee: str) -> None:
        """One more. Ask `ended` first."""
        now_ns = self._clock.monotonic_ns()
        watch = self._watches.get(callee)
        if watch is None:
            watch = self._watches[callee] = Watch(now_ns, self._before(callee, now_ns))
        if (slot := watch.slot(now_ns)) < WATCH_SLOTS:
            watch.counts[slot] += 1

    def ended(self, callee: str) -> Herd | None:
        """The herd of a watch that is over. There is no timer: whatever happens next on the callee asks."""
        watch = self._watches.get(callee) if self._watches else None
        if watch is None or watch.slot(self._clock.monotonic_ns()) < WATCH_SLOTS:
            return None
        del self._watches[callee]
        if (herd := watch.herd()) is None:
            self._spread[callee] = watch
        return herd

    def _before(self, callee: str, now_ns: int) -> int:
        """Retries of a watch that ended no longer ago than it took."""
        last = self._spread.pop(callee, None)
        return sum(last.counts) if last is not None and last.slot(now_ns) < 2 * WATCH_SLOTS else 0
