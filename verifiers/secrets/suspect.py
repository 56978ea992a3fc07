"""A piece of text that may be a secret: what it would be, and what it is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Suspect:
    rule: str
    kind: str
    """For people: `AWS access key`."""
    value: str = field(repr=False)
    """Never leaves this package, whole or in part."""
    tail: int = 2
    """Characters of the end that a finding may show, so that its owner knows which one to revoke. At most 2."""

    @property
    def message(self) -> str:
        shown = f", ending in {self.value[-self.tail :]}" if self.tail else ""
        return f"{self.kind} in the text{shown}"
