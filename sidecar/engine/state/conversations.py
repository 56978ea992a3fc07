"""Conversations: which of them a name belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Naming:
    """Whose names they are."""

    conversation: str
    met: tuple[str, ...] = ()
    """Others that hold some of the names, each once, in the order of the names. They keep them."""


class Conversations(Protocol):
    """Names that were seen, each held by one conversation."""

    async def name_conversation(self, aliases: Sequence[str], proposed: str) -> Naming:
        """Claim `aliases` for one conversation, and say which it is.

        The conversation is the one that already holds the first known alias in order; `proposed` where none is known.
        Aliases held by another conversation stay there: the two have met, and are not made one.
        """


def naming_of(holders: Iterable[str], proposed: str) -> Naming:
    """`holders`: of the names that are known, in their order."""
    conversation, *others = dict.fromkeys(holders) or {proposed: None}
    return Naming(conversation, tuple(others))
