"""Clashes: mistakes that only show when values are compared, such as one name for two routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sidecar.units import BadValue
from sidecar.yaml_source import Keys

Clash = tuple[Keys, str, str]
"""The way to it from the value that was checked, what was found, and what is allowed."""


class BadValues(BadValue):
    """Several mistakes that only show when values are compared, each with its way from the value that was checked."""

    def __init__(self, mistakes: Sequence[Clash]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("; ".join(allowed for _, _, allowed in mistakes))


def repeated(names: Sequence[str], key: str) -> Iterator[Clash]:
    for index, name in enumerate(names):
        if (first := names.index(name)) != index:
            yield (index, key), f"{name!r} again (first in entry {first})", f"another {key} for each entry"


def refuse_repeated(names: Sequence[str], key: str) -> None:
    if mistakes := list(repeated(names, key)):
        raise BadValues(mistakes)
