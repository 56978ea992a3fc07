"""Controls: what an operator, or a late verdict, has changed of what the configuration says.

A *control* holds something back (an agent, an edge, a conversation, a task), puts a mode in the place of a configured
one, or puts a spec. All that share a store share its controls; each keeps a copy, and no call ever waits for the store.
The *revision* grows with every change, so that a copy knows whether it is still the newest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol


class Kind(StrEnum):
    """What a control is about, and how its key names that."""

    AGENT = "agent"
    """Held back on either side. Key: its name."""
    EDGE = "edge"
    """Held back. Key: JSON list of caller, callee and method."""
    CONVERSATION = "conversation"
    """Held back. Key: its id."""
    TASK = "task"
    """Held back. Key: JSON list of callee and task id."""
    ROOT_MODE = "root-mode"
    """Key: the agent whose sidecars it is about."""
    ROUTE_MODE = "route-mode"
    """Key: JSON list of agent and route."""
    CHECK_MODE = "check-mode"
    """Key: JSON list of agent and check."""
    VERIFIER_MODE = "verifier-mode"
    """Key: JSON list of agent and verifier."""
    SPEC_MODE = "spec-mode"
    """Key: the spec's name."""
    SPEC = "spec"
    """A whole spec. Key: its name."""

    @property
    def most(self) -> int:
        """How many there may be at once."""
        return SPECS_MAX if self is Kind.SPEC else CONTROLS_MAX


def full(kind: Kind) -> str:
    """What StoreFull says."""
    return f"there are {kind.most} of kind {kind} already"


QUARANTINES: Final = (Kind.AGENT, Kind.EDGE, Kind.CONVERSATION, Kind.TASK)

CONTROLS_MAX: Final = 1024
"""Of each kind. Callers choose the methods they name, so late verdicts alone could make any number of edges."""

SPECS_MAX: Final = 64
"""Specs that were put: 8 MB of text at most, which every copy reads whenever anything changes."""

TEXT_BYTES_MAX: Final = 128 << 10
"""Longest text of a spec that is put."""


class Name(NamedTuple):
    """What a control is known by: there is one for each."""

    kind: Kind
    key: str


@dataclass(frozen=True, slots=True)
class Control:
    """One change of what the configuration says."""

    name: Name
    who: str
    """Who made it, as the audit names them."""
    because: str
    """A sentence for people; it quotes no payload."""
    at_ms: int
    """When, in Unix ms by the clock of the sidecar that was told."""
    value: str = ""
    """Of a mode `observe` or `enforce`; of a spec its text."""
    is_automatic: bool = False
    """Made by the sidecar itself. It never takes the place of one that a person made."""
    spares_open: bool = False
    """Exchanges that are open already go on."""
    until_ms: int = 0
    """When it ends by itself, in the store's own time; 0: never. For the store to say."""


@dataclass(frozen=True, slots=True)
class State:
    """All controls at one revision."""

    revision: int
    controls: tuple[Control, ...]
    now_ms: int
    """The store's own time."""


class Controls(Protocol):
    """The controls of all that share a store. Every verb is one step."""

    async def put(self, control: Control, for_s: float | None = None) -> int:
        """Make it hold, in the place of the one with its name, for so many seconds or until it is removed.

        Gives the revision from which on it holds. Raises StoreFull.
        """

    async def remove(self, name: Name) -> int:
        """Make it hold no longer. Gives the revision from which on that is so; removing nothing is no mistake."""

    async def read(self, known_revision: int) -> State | None:
        """All that hold; None where the revision is the known one. -1 is never one."""

    async def changed(self, within_s: float) -> None:
        """Wait until something may have changed, `within_s` seconds at most. Never raises for a store that is away."""

    async def restore(self, known_revision: int, controls: Sequence[tuple[Control, float | None]]) -> None:
        """A store that is behind the known revision has lost writes: tell it what held at that revision.

        Whoever comes first does it; for all others the store is no longer behind.
        """


def pair(one: str, *more: str) -> str:
    """A key of several names."""
    return json.dumps([one, *more], ensure_ascii=False, separators=(",", ":"))


def names_in(key: str) -> tuple[str, ...]:
    """What `pair` was given."""
    return tuple(map(str, json.loads(key)))


def written(control: Control) -> str:
    """As a store keeps it: a text."""
    fields = [control.who, control.because, control.at_ms, control.value, control.is_automatic, control.spares_open]
    return json.dumps(fields, ensure_ascii=False)


def read(kind: str, key: str, text: str, until_ms: int) -> Control | None:
    """What `written` wrote; None where a later version wrote something else."""
    try:
        fields: list[Any] = json.loads(text)
        who, because, at_ms, value, is_automatic, spares_open = fields
        return Control(Name(Kind(kind), key), who, because, at_ms, value, is_automatic, spares_open, until_ms)
    except (ValueError, TypeError):
        return None
