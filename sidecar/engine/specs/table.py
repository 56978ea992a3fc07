"""The table that finds the spec of an edge.

In force is the most specific spec that matches. Specificity compares the method first, then callee, then caller; in
each, a full name beats a glob, a glob beats a missing entry, and of two globs the one with more literal characters
wins. Two equally specific specs that one edge could match are a mistake, found by an exact intersection test when they
are loaded, so that the order of files never decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import combinations, groupby

from sidecar.engine.specs.spec import Spec

MAX_CACHED_EDGES = 4_096
"""Edges whose spec is remembered. Callers invent method names, so the memory is bounded."""

MAX_CACHED_NAME = 256
"""Longest method name that is remembered, in characters."""


class SpecTable:
    """The specs in force. Never changes: a reload makes a new one."""

    def __init__(self, specs: Iterable[Spec] = ()) -> None:
        self.specs = tuple(specs)
        self._by_specificity = sorted(self.specs, key=lambda spec: spec.match.specificity, reverse=True)
        self._remembered = lru_cache(MAX_CACHED_EDGES)(self._find)

    def match(self, caller: str, callee: str, method: str) -> Spec | None:
        """The most specific spec for an edge, or None."""
        find = self._remembered if len(method) <= MAX_CACHED_NAME else self._find
        return find(caller, callee, method)

    def _find(self, caller: str, callee: str, method: str) -> Spec | None:
        covering = (spec for spec in self._by_specificity if spec.match.covers(caller, callee, method))
        return next(covering, None)


def ties(specs: Iterable[Spec]) -> Iterator[tuple[Spec, Spec]]:
    """Pairs that are equally specific and could match the same edge, so that nothing says which is in force."""
    ordered = sorted(specs, key=lambda spec: spec.match.specificity)
    for _, equals in groupby(ordered, key=lambda spec: spec.match.specificity):
        yield from (pair for pair in combinations(equals, 2) if pair[0].match.overlaps(pair[1].match))
