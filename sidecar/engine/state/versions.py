"""Versions: which of a resource is the newest that anybody has seen, and what each agent has seen or written of it.

A version is a token. Numbers and timestamps are told apart from other versions by how their token begins, and compare
by what they say; all others stand in the order in which they were first seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

KEEP_S: Final = 7 * 86_400
"""A resource that nobody touched for a week is forgotten."""

RESOURCES_MAX: Final = 10_000
"""Keys kept of one kind of resource. The one that was not touched for longest makes room."""

AGENTS_MAX: Final = 64
"""Agents remembered per key, the ones that touched it last."""

HISTORY_MAX: Final = 32
"""Versions remembered per key, in the order in which they were first seen."""

LATE_S: Final = 0.05
"""A read that began this long after its agent saw a newer version may still be of the one before."""

RANKED: Final = ("n", "t")
"""How tokens begin that compare as texts: numbers, timestamps."""


@dataclass(frozen=True, slots=True)
class Place:
    """One resource: of which callee, of which kind, which one."""

    callee: str
    resource: str
    key: str
    """In a form that is safe to keep (`conversation.bounded`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """An answer tells of a version that an agent has read, or made by writing."""

    place: Place
    agent: str
    version: str
    """Its token."""
    exchange: str
    sequence: int = 0
    """Of the message in its exchange."""
    is_write: bool = False
    base: str = ""
    """Token of the version that a write was based on; empty where it did not say."""
    knew: str | None = None
    """Token of what the agent had seen or written when it asked; empty for nothing, None where that was not asked."""
    age_s: float = 0.0
    """Seconds since its call went out: where `knew` is None, a read may be as old as that."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What was known when a touch came."""

    newest: str = ""
    """Token of the newest version until then."""
    writer: str = ""
    """The agent that wrote that one; empty where nobody saw who did."""
    own: str = ""
    """Token of what this agent had seen or written."""
    has_written: bool = False
    """Whether it had written it."""
    is_stale: bool = False
    """Whether it read an older version than it had when it asked, or than a message before told in the same call."""
    is_lost: bool = False
    """Whether its write was based on a version that somebody else had overwritten."""


@dataclass(frozen=True, slots=True)
class Overwritten:
    """A version is not the newest any more."""

    writer: str
    """Who wrote the newest; empty where nobody saw who did."""
    for_s: float


class Versions(Protocol):
    """Versions of resources, by place."""

    async def observe_version(self, touch: Touch) -> Touched:
        """Keep what an answer tells. The same message again is answered without a complaint and changes nothing."""

    async def known_version(self, place: Place, agent: str) -> str:
        """Token of the newest version that an agent has seen or written; empty for none."""

    async def overwritten(self, place: Place, base: str) -> Overwritten | None:
        """Whether a version is known to be older than the newest; None where it is the newest, or unknown."""


class VersionReporter(Protocol):
    """Watches resources and can never fail a call."""

    def read_was_stale(self, resource: str) -> None:
        """An agent was given an older version than it had seen or written."""

    def update_was_lost(self, resource: str) -> None:
        """A write was based on a version that had been overwritten."""
