"""Pressure: how much an agent is asked at once, how often calls are sent again, and who waits for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

WAITS_MAX: Final = 1_000
"""Waits that stand at once. What comes on top is not recorded, so it can close no cycle."""

CALLS_MAX: Final = 10_000
"""Calls, and retries, of one edge and window that are told apart. A busier edge has the budget of this many."""

TAKEN_KEEP_S: Final = 10
"""How long a bucket knows whom it gave tokens. A verb that got no answer is asked again sooner than that."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: what flows in, and what it holds."""

    per_s: float
    """Tokens a second; more than 0."""
    burst: int
    """Tokens that may be taken at once; at least 1."""

    @property
    def interval_ms(self) -> float:
        return 1000 / self.per_s

    @property
    def tolerance_ms(self) -> float:
        """How far ahead of its time a bucket may run (GCRA's tau, and one interval)."""
        return self.burst * self.interval_ms


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How many retries an edge may add to its calls."""

    ratio: float
    """Retries allowed per call of the window, 0 to 1."""
    minimum: int
    """Retries allowed in a window however few calls there are."""
    window_s: float

    def allowed(self, calls: int) -> int:
        # 0.29 * 100 is a little less than 29 in binary, and the 29th retry was promised.
        return max(self.minimum, int(self.ratio * calls + 1e-9))


@dataclass(frozen=True, slots=True)
class Wait:
    """One exchange that waits for an agent."""

    exchange_id: str
    conversation: str
    path: tuple[str, ...]
    """Agents from the root of the chain to the one that is waited for, which is the last."""

    @property
    def agent(self) -> str:
        return self.path[-1]


class Pressure(Protocol):
    """Tokens, places, retries and waits. Keys (bucket, room, edge) are made by the caller from configured names."""

    async def take(self, bucket: str, rate: Rate, exchange_id: str, tokens: int = 1) -> float:
        """0.0 where the tokens were taken, else the seconds after which they are there if nobody else comes.

        GCRA (ITU-T I.371, "virtual scheduling"): one moment is all the state of a bucket. An exchange takes once.
        """

    async def put_back(self, bucket: str, rate: Rate, exchange_id: str, tokens: int = 1) -> None:
        """Give back what the exchange took, as if it had not. Nothing happens where it took nothing lately."""

    async def enter(self, room: str, limit: int, exchange_id: str, lease_s: float) -> bool:
        """Whether the exchange has a place among `limit`. Asked again it keeps its place, for another lease.

        A place is free after `leave`, or when its lease ends: its holder has crashed.
        """

    async def leave(self, room: str, exchange_id: str) -> None:
        """Give the place back. Nothing happens where there is none."""

    async def note_call(self, edge: str, exchange_id: str, window_s: float) -> None:
        """A call that is no retry: it earns its edge a share of one, for the length of the window."""

    async def spend_retry(self, edge: str, exchange_id: str, budget: RetryBudget) -> bool:
        """Whether the edge may still afford this retry within its window. One that was afforded stays so."""

    async def forget_call(self, edge: str, exchange_id: str) -> None:
        """The exchange was neither a call nor a retry of the edge: it never went out."""

    async def wait(self, wait: Wait, serves: int, lease_s: float) -> tuple[Wait, ...]:
        """Record a wait. Every wait that stands, oldest first and with this one, where its agent is full.

        An agent is full where more exchanges than the `serves` that it serves at once wait for it; otherwise the wait
        can close no cycle and the answer is empty. Recording and reading are one step, so of all waits that close a
        cycle together the last one sees the others. Asked again, the wait keeps its place in line for another lease.
        """

    async def done(self, agent: str, exchange_id: str) -> None:
        """The exchange waits no longer. Nothing happens where it is not known."""
