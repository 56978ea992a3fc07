"""State in this process, gone with it: the default where no store is configured.

Each verb is atomic because none awaits. Every domain is bounded, and says what makes room.
"""

from __future__ import annotations

from sidecar.engine.ports import Clock
from sidecar.engine.state import Store
from sidecar.stores.memory.claims import MemoryClaims
from sidecar.stores.memory.conversations import MemoryConversations
from sidecar.stores.memory.ledger import MemoryLedger

__all__ = ["MemoryClaims", "MemoryConversations", "MemoryLedger", "open_memory"]


def open_memory(clock: Clock) -> Store:
    """A store of this process alone."""
    return Store(
        kind="memory",
        conversations=MemoryConversations(),
        claims=MemoryClaims(clock),
        ledger=MemoryLedger(clock),
    )
