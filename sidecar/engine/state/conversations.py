"""Conversations: which of them a name belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Conversations(Protocol):
    """Names that were seen, each held by one conversation."""

    async def name_conversation(self, aliases: Sequence[str], proposed: str) -> str:
        """Claim `aliases` for one conversation and return its id.

        The conversation is the one that already holds the first known alias in order; `proposed` where none is known.
        Aliases held by another conversation stay there.
        """
