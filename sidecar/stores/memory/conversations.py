"""Names of conversations, in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from sidecar.engine.state.conversations import Naming, naming_of

ALIASES_MAX = 100_000
"""About 30 MB of names. An exchange brings two or three, so they last for tens of thousands of conversations."""


class MemoryConversations:
    """The Conversations port in one process. The least recently used makes room."""

    def __init__(self, *, aliases_max: int = ALIASES_MAX) -> None:
        self._aliases_max = aliases_max
        self._conversations: OrderedDict[str, str] = OrderedDict()
        """By alias, the least recently used first."""

    async def name_conversation(self, aliases: Sequence[str], proposed: str) -> Naming:
        known = (self._conversations[alias] for alias in aliases if alias in self._conversations)
        naming = naming_of(known, proposed)
        for alias in aliases:
            self._conversations.setdefault(alias, naming.conversation)
            self._conversations.move_to_end(alias)
        while len(self._conversations) > self._aliases_max:
            self._conversations.popitem(last=False)
        return naming
