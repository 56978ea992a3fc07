"""State in this process, gone with it: the default where no store is configured.

Each verb is atomic because none awaits. Every domain is bounded, and says what makes room.
"""

from __future__ import annotations

from sidecar.engine.ports import Clock
from sidecar.engine.state import Store
from sidecar.stores.memory.claims import MemoryClaims
from sidecar.stores.memory.controls import MemoryControls
from sidecar.stores.memory.conversations import MemoryConversations
from sidecar.stores.memory.ledger import MemoryLedger
from sidecar.stores.memory.pressure import MemoryPressure
from sidecar.stores.memory.tasks import MemoryTasks
from sidecar.stores.memory.versions import MemoryVersions
from sidecar.stores.memory.visits import MemoryVisits

__all__ = [
    "MemoryClaims",
    "MemoryControls",
    "MemoryConversations",
    "MemoryLedger",
    "MemoryPressure",
    "MemoryTasks",
    "MemoryVersions",
    "MemoryVisits",
    "open_memory",
]


def open_memory(clock: Clock) -> Store:
    """A store of this process alone."""
    return Store(
        kind="memory",
        claims=MemoryClaims(clock),
        controls=MemoryControls(clock),
        conversations=MemoryConversations(),
        ledger=MemoryLedger(clock),
        pressure=MemoryPressure(clock),
        tasks=MemoryTasks(clock),
        versions=MemoryVersions(clock),
        visits=MemoryVisits(clock),
    )
