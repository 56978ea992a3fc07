"""What the admin service needs of the rest of the sidecar, in the words of the domain. `app` brings it together."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sidecar.engine.exchange import Mode
from sidecar.engine.modes import Modes
from sidecar.engine.ports import Clock
from sidecar.engine.specs import Spec
from sidecar.engine.state import Board, Store
from sidecar.engine.state.ledger import Hold
from sidecar.errors import Mistake


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """One route at work."""

    name: str
    listen: str
    """As it was bound."""
    upstream: str
    caller: str
    callee: str
    side: str


@dataclass(frozen=True, slots=True)
class VerifierFacts:
    """One verifier as it is configured."""

    name: str
    address: str
    mode: Mode | None
    fail: str


@dataclass(frozen=True, slots=True)
class BudgetFacts:
    """One budget as it is configured."""

    name: str
    scope: str
    window: str
    limit_micro_usd: int
    warn_at: float
    mode: Mode | None
    hold_of: Callable[[str], Hold]
    """The purse of an account, and the configured limit."""


class SpecDesk(Protocol):
    """The specs in force, and how others come into force."""

    @property
    def specs(self) -> Sequence[Spec]:
        """In force."""

    @property
    def from_files(self) -> Sequence[Spec]:
        """What files hold, also where another one was put in its place."""

    @property
    def problems(self) -> Sequence[Mistake]:
        """Why the newest word of files and operators is not in force."""

    def match(self, caller: str, callee: str, method: str) -> Spec | None:
        """The spec in force on an edge."""

    def promises(self, spec: Spec) -> Sequence[str]:
        """What calls are held to, a line each."""

    def text(self, spec: Spec) -> str:
        """Of a file, as it is now; empty where it cannot be read."""

    def name_in(self, text: str) -> str:
        """What a text says that its name is; empty where it says none that can be read."""

    async def mistakes_in(self, name: str, text: str) -> Sequence[Mistake]:
        """What would keep it from being put under its name."""

    async def settled(self) -> bool:
        """Wait until what the board says is in force, or cannot be; False where that takes too long to wait for."""


class Replays(Protocol):
    """Recorded exchanges, run through the specs and checks of today."""

    def replay(self, request: Any) -> AsyncGenerator[Any, None]:
        """`ReplayRequest` in, `ReplayResult`s out."""


Record = Callable[[str, str, str, str, str], None]
"""Hears of every change and of every one that was refused: who, method, what, because, outcome. It must not block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that the service looks at or changes."""

    version: str
    agent: str
    started_unix_ns: int
    clock: Clock
    store: Store
    board: Board
    modes: Modes
    checks: Sequence[str]
    """Names of the checks, in the order in which they are asked."""
    specs: SpecDesk
    routes: Callable[[], Sequence[RouteFacts]]
    is_ready: Callable[[], bool]
    config: Callable[[], Mapping[str, Any]]
    """The tree in effect by its YAML keys, secrets masked."""
    verifiers: Sequence[VerifierFacts]
    is_skipped: Callable[[str], bool]
    budgets: Sequence[BudgetFacts]
    stuck_after_s: float
    replays: Replays | None = None
    mask: Callable[[str], str] = str
    """Masks what looks like a secret in a sentence."""
    record: Record = lambda *_: None
