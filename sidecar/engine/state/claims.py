"""Claims: which call has a key, and what became of it. What keeps one request from being executed twice.

A claim is held under a lease by one exchange, under a fencing token. It ends settled: recorded (done, with the answer
or without), in doubt (nobody knows), or released (never done, free for the next). A lease that runs out is doubt: the
holder may have died after the callee had begun.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple, Protocol

FREED_S: Final = 60.0
"""How long a released claim remembers its token, so that no later holder can be given the same."""

OTHERS_MAX: Final = 1_000
"""Duplicates counted, and waiters known, under one claim."""

SIGHTING_S: Final = 3_600.0
"""How long equal arguments are remembered, to tell where a retry came from."""


class Standing(StrEnum):
    """How a key stands, for whoever claims it."""

    NEW = "new"
    """It is the claimant's now, with a token."""
    YOURS = "yours"
    """The same exchange has it already: its other sidecar, or this one, asking again. The token is that claim's."""
    IN_FLIGHT = "in_flight"
    """Another exchange holds it and its lease runs."""
    RECORDED = "recorded"
    """Done. The answer is there, unless it could not be kept."""
    CONFLICT = "conflict"
    """Another payload was sent under this key."""
    UNKNOWN = "unknown"
    """Nobody knows whether it was done: the holder said so, or its lease ran out."""


class Claimed(NamedTuple):
    """What a claim met."""

    standing: Standing
    token: int = 0
    """The fence, for NEW and YOURS: grows with every new claim of a key."""
    recording: bytes | None = None
    """For RECORDED: the answer as its holder gave it; None where it could not be kept."""
    age_ms: int = 0
    """Since the key was first claimed."""
    duplicates: int = 0
    """Exchanges that found the key taken, this one included; at most OTHERS_MAX."""


class Sighting(NamedTuple):
    """The last exchange that brought the same arguments."""

    mark: str
    """What it called itself: its key, or the id of its message."""
    age_ms: int
    """Since it began."""
    deadline_ms: int
    """How long its caller would wait; 0 where it set no deadline."""


class Claims(Protocol):
    """Every verb is one atomic step. Verbs with a token do nothing, and say so, once it is not the key's any more."""

    async def claim(
        self, key: str, *, digest: str, holder: str, lease_s: float, retain_s: float, wait_s: float = 0.0
    ) -> Claimed:
        """Take `key` for the exchange `holder`, or learn how it stands.

        `digest` is of the payload. A taken key is kept for `retain_s` after what was last heard of it. `wait_s`: where
        it is in flight, the claimant waits at least this long and counts as a waiter until then; 0: it does not wait.
        """

    async def extend(self, key: str, token: int, lease_s: float) -> int | None:
        """Hold on for `lease_s` from now. The number of exchanges that wait; None where the claim is not held."""

    async def complete(self, key: str, token: int, recording: bytes | None) -> bool:
        """Done. None: the answer cannot be given again. Whether it stands so now."""

    async def release(self, key: str, token: int) -> bool:
        """Never done: the next claimant may have the key. Whether it stands so now."""

    async def doubt(self, key: str, token: int) -> bool:
        """Nobody knows whether it was done. Whether it stands so now."""

    async def sight(self, key: str, *, mark: str, exchange: str, deadline_ms: int) -> Sighting | None:
        """Note that `exchange` brought the arguments that `key` stands for; what was noted last, by another one."""
