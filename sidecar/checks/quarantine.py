"""The quarantine check: has an answer on this edge turned out to be wrong after it had gone on?

Who judges beside the call cannot take an answer back, but can hold back the next calls. An edge stays in quarantine
until it is released, or until nobody has complained of it for the cool-down. What is kept lives in this process;
anything else that implements the port `Quarantine` may stand in its place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sidecar.engine.exchange import Exchange
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.ports import Clock, Quarantine
from sidecar.errors import Reason

log = logging.getLogger(__name__)

MAX_EDGES = 1024
"""Edges held at once. Callers choose the methods they name, so there is a limit; what is over it is not held."""


class Edge(NamedTuple):
    """What is held back."""

    caller: str
    callee: str
    method: str

    def __str__(self) -> str:
        return f"{self.caller} -> {self.callee} {self.method[:200]}"


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an edge is held back, and until when."""

    because: str
    ends_ns: int


class QuarantineCheck(Quarantine):
    """Refuses calls on edges in quarantine; where they are observed, says that it would."""

    name = "quarantine"
    fail: Literal["open", "closed"] = "open"

    def __init__(
        self,
        clock: Clock,
        *,
        cooldown_s: float,
        fail_open: Callable[[str, str], None] = lambda *_: None,
        max_edges: int = MAX_EDGES,
    ) -> None:
        """`fail_open` counts (check, reason): edges that found no room."""
        self._clock = clock
        self._cooldown_ns = int(cooldown_s * 1e9)
        self._fail_open = fail_open
        self._max_edges = max_edges
        self._holds: dict[Edge, Hold] = {}

    @property
    def count(self) -> int:
        """Edges held now. May be read from another thread."""
        now_ns = self._clock.monotonic_ns()
        return sum(hold.ends_ns > now_ns for hold in self._holds.copy().values())

    def on_start(self, exchange: Exchange) -> Sequence[Finding] | None:
        """Costs a look-up of nothing while nothing is held."""
        if not self._holds:
            return None
        edge = Edge(exchange.caller, exchange.callee, exchange.method)
        hold = self._holds.get(edge)
        if hold is None:
            return None
        if hold.ends_ns <= self._clock.monotonic_ns():
            self._let_go(edge, "the cool-down has passed")
            return None
        return [held_back(edge, hold)]

    def quarantine(self, caller: str, callee: str, method: str, because: str) -> None:
        """A complaint about an edge that is held already starts its cool-down anew."""
        edge = Edge(caller, callee, method)
        if edge not in self._holds and not self._has_room():
            log.error("quarantine is full with %d edges; %s goes on although %s", self._max_edges, edge, because)
            self._fail_open(self.name, "full")
            return
        if edge not in self._holds:
            log.warning("quarantine holds %s back for %g s: %s", edge, self._cooldown_ns / 1e9, because)
        self._holds[edge] = Hold(because, self._clock.monotonic_ns() + self._cooldown_ns)

    def release(self, caller: str, callee: str, method: str) -> bool:
        """Whether there was anything to release."""
        edge = Edge(caller, callee, method)
        if edge not in self._holds:
            return False
        self._let_go(edge, "released")
        return True

    def _has_room(self) -> bool:
        if len(self._holds) < self._max_edges:
            return True
        now_ns = self._clock.monotonic_ns()
        for edge in [edge for edge, hold in self._holds.items() if hold.ends_ns <= now_ns]:
            self._let_go(edge, "the cool-down has passed")
        return len(self._holds) < self._max_edges

    def _let_go(self, edge: Edge, why: str) -> None:
        del self._holds[edge]
        log.info("quarantine lets %s go: %s", edge, why)


def held_back(edge: Edge, hold: Hold) -> Finding:
    sentence = f"{edge} is in quarantine, because an earlier answer failed: {hold.because}"
    return Finding(QuarantineCheck.name, "edge", Severity.ERROR, sentence, Reason.QUARANTINED)
