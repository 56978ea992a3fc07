"""A store: one place where state lives, domain by domain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sidecar.engine.state.claims import Claims
from sidecar.engine.state.controls import Controls
from sidecar.engine.state.conversations import Conversations
from sidecar.engine.state.ledger import Ledger
from sidecar.engine.state.pressure import Pressure
from sidecar.engine.state.tasks import Tasks
from sidecar.engine.state.versions import Versions
from sidecar.engine.state.visits import Visits


async def _nothing() -> None:
    """A store in memory has nothing to open and nothing to close."""


def _never(call: Callable[[], None]) -> None:
    """A store in this process is never away."""


def _is_near() -> bool:
    """A store on this machine answers one verb as fast as it would many."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The domains of one store, which share its connection."""

    kind: str
    """`memory`, `sqlite` or `redis`, for labels."""
    claims: Claims
    controls: Controls
    conversations: Conversations
    ledger: Ledger
    pressure: Pressure
    tasks: Tasks
    versions: Versions
    visits: Visits
    start: Callable[[], Awaitable[None]] = _nothing
    """Begin what the store does beside its verbs. Never fails for a store that is away: that is a normal event."""
    close: Callable[[], Awaitable[None]] = _nothing
    """Let go of files and connections. Verbs after it raise StoreUnavailable."""
    on_return: Callable[[Callable[[], None]], None] = _never
    """Have something called whenever the store is back, before any verb is asked."""
    is_worth_asking_ahead: Callable[[], bool] = _is_near
    """Whether verbs that are asked in one turn of the event loop travel together, and what they cost is the way."""
