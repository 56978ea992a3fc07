"""One statement of the answer that the sources can hold or lack, and which of the two it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Standing(Enum):
    GROUNDED = "grounded"
    DERIVED = "derived"
    UNGROUNDED = "ungrounded"


@dataclass(frozen=True, slots=True)
class Claim:
    rule: str
    token: str
    pointer: str
    standing: Standing
    message: str
    at: int = 0
    """Offset in its passage."""
