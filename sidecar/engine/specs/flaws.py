"""What makes a spec unusable. Each error says what was found and what is allowed, and where, if it can know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.engine.specs.pointer import Keys


class Unresolvable(Exception):
    """A `$ref` leads to a document that may not or cannot be read."""

    def __init__(self, found: str, allowed: str) -> None:
        self.found = found
        self.allowed = allowed
        super().__init__(found)


class BrokenSchema(ValueError):
    """A schema that cannot be used: the place in it, what was found and what is allowed."""

    def __init__(self, keys: Keys, found: str, allowed: str) -> None:
        self.keys = keys
        self.found = found
        self.allowed = allowed
        super().__init__(found)


class BrokenValue(ValueError):
    """A value that the format allows and its meaning does not: what was found and what is allowed."""

    def __init__(self, found: str, allowed: str) -> None:
        self.found = found
        self.allowed = allowed
        super().__init__(found)


class BrokenPath(BrokenValue):
    """A JSONPath that cannot be used."""


class BrokenRule(BrokenValue):
    """A rule that cannot be used."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong in a spec: the way to it, what was found, what is allowed."""

    keys: Keys
    found: str
    allowed: str


class BrokenSpec(ValueError):
    """Every flaw of one spec."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        self.flaws = tuple(flaws)
        super().__init__("; ".join(f"{flaw.found}, allowed: {flaw.allowed}" for flaw in flaws))
