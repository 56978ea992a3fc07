"""How much is asked at once: limits, retries, circuit breakers and deadlocks. What is not written is not in force."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sidecar.config.clashes import BadValues, Clash, refuse_repeated
from sidecar.config.section import Section
from sidecar.config.values import AgentName, NameGlob, entries
from sidecar.engine.exchange import Mode
from sidecar.units import RATE_FORM, BadValue, count, one_of, parse_rate, ratio, seconds, text_of

BREAKING_CODES = ("UNAVAILABLE", "INTERNAL", "UNKNOWN")
"""What an agent answers with that is gone or crashes. A deadline is its caller's, so its passing proves nothing."""

CODES = (
    *("CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)

Scope = Literal["sidecar", "fleet"]


def read_rate(value: Any) -> float:
    return parse_rate(text_of(value, RATE_FORM))


def read_code(value: Any) -> str:
    if value not in CODES:
        raise BadValue(one_of(CODES))
    return str(value)


class Limit(Section):
    """How much the calls that match one entry may ask at once, all of them together."""

    caller: NameGlob = "*"
    """Who calls: a name, or a glob with * and ?."""
    callee: NameGlob = "*"
    """Who is called."""
    method: NameGlob = "*"
    """Full method, `/lf.a2a.v1.A2AService/SendMessage`."""
    concurrency: Annotated[int, count(0, 1_000_000)] | None = None
    """Calls in flight at once. Left out: not limited."""
    rate_per_s: Annotated[float, BeforeValidator(read_rate)] | None = Field(default=None, alias="rate")
    """Calls begun per second, minute or hour. Left out: not limited."""
    burst: Annotated[int, count(1, 1_000_000)] | None = None
    """Calls that may begin at once after a quiet time. Left out: one second's worth, at least 1."""
    scope: Scope = "sidecar"
    """Who shares the limit: this sidecar alone, or every sidecar with the same entry and store."""
    mode: Mode | None = None
    """observe or enforce. Left out: the root's."""

    @model_validator(mode="after")
    def _limits_something(self) -> Limit:
        if self.concurrency is None and self.rate_per_s is None:
            raise BadValues([(("concurrency",), "neither concurrency nor rate", "at least one of the two")])
        if self.burst is not None and self.rate_per_s is None:
            raise BadValues([(("burst",), f"{self.burst} without a rate", "a rate beside it")])
        return self

    @property
    def burst_or_default(self) -> int:
        return self.burst or max(1, math.ceil(self.rate_per_s or 0))


class Retries(Section):
    """How many calls may be sent again."""

    per_call: Annotated[float, ratio()] = Field(default=0.2, alias="ratio")
    """Retries allowed per call from one caller to one callee."""
    minimum: Annotated[int, count(0, 100_000)] = 3
    """Retries allowed in a window however few calls there were."""
    window_s: Annotated[float, seconds("1s", "1m")] = Field(default=10.0, alias="window")
    """Seconds over which calls and retries are counted. Each is remembered that long, so it is short."""
    scope: Scope = "sidecar"
    """Who shares the budget: this sidecar alone, or every sidecar with the same store."""
    mode: Mode | None = None
    """observe or enforce. Left out: the root's."""


class CalleeBreaker(Section):
    """When a callee that keeps failing is left alone for a while."""

    failures: Annotated[int, count(1, 100_000)] = 5
    """Failures within the window that open it."""
    share: Annotated[float, ratio()] = 0.5
    """Share of the window's calls that must have failed as well, so that a busy callee may fail now and then."""
    window_s: Annotated[float, seconds("1s", "1h")] = Field(default=30.0, alias="window")
    """Seconds over which calls are counted."""
    cooldown_s: Annotated[float, seconds("100ms", "1h")] = Field(default=10.0, alias="cooldown")
    """Seconds until one call tries whether the callee is back."""
    codes: Annotated[tuple[Annotated[str, BeforeValidator(read_code)], ...], entries(low=1)] = BREAKING_CODES
    """Answers of the callee that say that it is broken. One that cannot be reached always counts."""
    mode: Mode | None = None
    """observe or enforce. Left out: the root's."""


class BoundedAgent(Section):
    """An agent that serves so many calls at once and lets others wait."""

    name: AgentName
    """As routes and limits call it."""
    serves: Annotated[int, count(1, 10_000)] = 1
    """Calls that it works on at once."""


class Deadlocks(Section):
    """Agents that wait for each other for ever."""

    agents: Annotated[tuple[BoundedAgent, ...], entries()] = ()
    """Those that serve a bounded number of calls. An agent that serves any number can be called back."""
    mode: Mode = Mode.OBSERVE
    """enforce refuses the call that closes a cycle. Left out: observe, whatever the root says."""

    @field_validator("agents")
    @classmethod
    def _unique(cls, agents: tuple[BoundedAgent, ...]) -> tuple[BoundedAgent, ...]:
        refuse_repeated([agent.name for agent in agents], "name")
        return agents


class Pressure(Section):
    """How much is asked at once."""

    limits: Annotated[tuple[Limit, ...], entries()] = ()
    """Each holds for the calls that it matches, all of them together; a call must keep every one that it matches."""
    retries: Retries | None = None
    """How many calls may be sent again. Left out: any number."""
    breaker: CalleeBreaker | None = None
    """When a callee that keeps failing is left alone for a while. Left out: never."""
    deadlocks: Deadlocks = Deadlocks()
    """Agents that wait for each other for ever."""
    lease_s: Annotated[float, seconds("1s", "1h")] = Field(default=30.0, alias="lease")
    """Seconds after which the places of a sidecar that crashed are free again, where scope is fleet."""

    @field_validator("limits")
    @classmethod
    def _distinct(cls, limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
        if mistakes := list(twins(limits)):
            raise BadValues(mistakes)
        return limits


def twins(limits: tuple[Limit, ...]) -> Iterator[Clash]:
    """Two entries for the same calls would be one in the store, with two sizes."""
    keys = [(limit.caller, limit.callee, limit.method, limit.scope) for limit in limits]
    for index, key in enumerate(keys):
        if (first := keys.index(key)) != index:
            yield (index, "callee"), f"the calls of entry {first} again", "one entry for them, or other calls"
