"""A circuit breaker: whoever fails several times in a row is left alone for a while, then tried with one question."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.engine.ports import Clock


class Breaker:
    """Closed, open, or waiting for its probe. Whoever is admitted reports `succeeded`, `failed` or `abandoned`."""

    def __init__(self, clock: Clock, *, failures: int, cooldown_s: float, changed: Callable[[bool], None]) -> None:
        self._clock = clock
        self._limit = failures
        self._cooldown_ns = int(cooldown_s * 1e9)
        self._changed = changed
        self._failures = 0
        self._opened_ns: int | None = None
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        return self._opened_ns is not None

    def admits(self) -> bool:
        """Whether to ask now. After the cool-down this is true once, until that probe has reported."""
        if self._opened_ns is None:
            return True
        if self._is_probing or self._clock.monotonic_ns() - self._opened_ns < self._cooldown_ns:
            return False
        self._is_probing = True
        return True

    def succeeded(self) -> None:
        self._failures, self._is_probing = 0, False
        if self._opened_ns is not None:
            self._opened_ns = None
            self._changed(False)

    def failed(self) -> None:
        """One more in a row. What was asked before it opened may still fail afterwards, and prolongs nothing."""
        self._failures += 1
        if self._opened_ns is None and self._failures >= self._limit:
            self._opened_ns = self._clock.monotonic_ns()
            self._changed(True)
        elif self._is_probing:
            self._opened_ns, self._is_probing = self._clock.monotonic_ns(), False

    def abandoned(self) -> None:
        """The question was taken back, so nothing was learnt."""
        self._is_probing = False
