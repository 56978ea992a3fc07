"""What an operator decides about pressure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sidecar.engine.exchange import Mode
from sidecar.engine.specs.glob import glob_matches
from sidecar.engine.state.pressure import Rate, RetryBudget

Scope = Literal["sidecar", "fleet"]
"""Who shares a count: this process alone, or all that share its store."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much the exchanges that it covers may ask at once, all of them together."""

    caller: str = "*"
    callee: str = "*"
    method: str = "*"
    concurrency: int | None = None
    rate: Rate | None = None
    scope: Scope = "sidecar"
    mode: Mode | None = None

    def covers(self, caller: str, callee: str, method: str) -> bool:
        wanted = ((self.callee, callee), (self.caller, caller), (self.method, method))
        return all(glob == "*" or glob_matches(glob, name) for glob, name in wanted)

    @property
    def key(self) -> str:
        """The name of its room and bucket."""
        return f"{self.scope} {self.caller} {self.callee} {self.method}"


@dataclass(frozen=True, slots=True)
class RetryTerms:
    budget: RetryBudget
    scope: Scope = "sidecar"
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class BreakerTerms:
    """When a callee counts as broken."""

    failures: int = 5
    share: float = 0.5
    """Of the window's calls, the part that must have failed as well."""
    window_s: float = 30.0
    cooldown_s: float = 10.0
    codes: frozenset[str] = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN"})
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class DeadlockTerms:
    serves: Mapping[str, int] = field(default_factory=dict)
    """By agent, how many calls it works on at once; others wait. Agents not named here serve any number."""
    mode: Mode = Mode.OBSERVE


@dataclass(frozen=True, slots=True)
class PressureSettings:
    limits: tuple[Limit, ...] = ()
    retries: RetryTerms | None = None
    breaker: BreakerTerms | None = None
    deadlocks: DeadlockTerms = DeadlockTerms()
    lease_s: float = 30.0
    """How long the places of a sidecar that crashed stay taken."""
