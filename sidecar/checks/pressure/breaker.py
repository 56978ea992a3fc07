"""A callee's circuit breaker: closed, open, or half-open while one probe is under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sidecar.checks.pressure.settings import BreakerTerms
from sidecar.engine.ports import Clock

SLOTS: Final = 10
"""Parts of the window that are counted, and forgotten, one by one."""


@dataclass(slots=True)
class Slot:
    """The calls that ended in one part of the window."""

    began_ns: int
    calls: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Ticket:
    """What one call was told when it began."""

    era: int
    """How often the breaker had changed by then: what began before a change says nothing about the time after it."""
    wait_s: float = 0.0
    """Where the breaker would shed it: seconds until a call may try."""
    is_probe: bool = False

    @property
    def is_shed(self) -> bool:
        return self.wait_s > 0


class CalleeBreaker:
    """Opens when at least `failures` calls, and at least their share, failed within the window."""

    def __init__(self, clock: Clock, terms: BreakerTerms, changed: Callable[[bool], None]) -> None:
        """`changed` hears whether it is open from now on."""
        self._clock = clock
        self._terms = terms
        self._changed = changed
        self._slots: deque[Slot] = deque()
        self._slot_ns = int(terms.window_s * 1e9 / SLOTS)
        self._cooldown_ns = int(terms.cooldown_s * 1e9)
        self._era = 0
        self._try_ns: int | None = None
        """When the next probe may go; None while closed."""

    @property
    def is_open(self) -> bool:
        return self._try_ns is not None

    def admit(self) -> Ticket:
        """After the cool-down one call passes as a probe. One that takes longer than another cool-down has company."""
        if self._try_ns is None:
            return Ticket(self._era)
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._try_ns:
            return Ticket(self._era, (self._try_ns - now_ns) / 1e9)
        self._try_ns = now_ns + self._cooldown_ns
        return Ticket(self._era, is_probe=True)

    def settle(self, ticket: Ticket, has_failed: bool | None) -> None:
        """How the call ended; None where that says nothing of the callee."""
        if ticket.era != self._era or ticket.is_shed:
            return
        if ticket.is_probe:
            self._probed(has_failed)
        elif has_failed is not None:
            self._count(has_failed)

    def _probed(self, has_failed: bool | None) -> None:
        if has_failed is None:
            self._try_ns = self._clock.monotonic_ns()
        elif has_failed:
            self._try_ns = self._clock.monotonic_ns() + self._cooldown_ns
        else:
            self._turn(None)

    def _count(self, has_failed: bool) -> None:
        now_ns = self._clock.monotonic_ns()
        slots = self._slots
        while slots and now_ns - slots[0].began_ns >= self._slot_ns * SLOTS:
            slots.popleft()
        if not slots or now_ns - slots[-1].began_ns >= self._slot_ns:
            slots.append(Slot(now_ns))
        slots[-1].calls += 1
        if has_failed:
            slots[-1].failures += 1
            if self._is_broken():
                self._turn(now_ns + self._cooldown_ns)

    def _is_broken(self) -> bool:
        calls, failures = sum(slot.calls for slot in self._slots), sum(slot.failures for slot in self._slots)
        return failures >= self._terms.failures and failures >= self._terms.share * calls

    def _turn(self, try_ns: int | None) -> None:
        self._try_ns = try_ns
        self._era += 1
        self._slots.clear()
        self._changed(try_ns is not None)
