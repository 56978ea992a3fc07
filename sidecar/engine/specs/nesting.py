"""How deep a document goes, and which schemas make native code go as deep."""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.engine.message import JSON

MAX_DEPTH = 128
"""Deepest document that a schema with references is asked about. Native code has no other guard against deep recursion:
a document 100,000 levels deep ends the process."""

NESTING_KEYWORDS = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "uniqueItems"})
"""What lets native code recurse as deep as the document does."""


def is_nesting(schema: JSON) -> bool:
    if isinstance(schema, dict) and not NESTING_KEYWORDS.isdisjoint(schema):
        return True
    return any(is_nesting(value) for _, value in children(schema))


def children(value: JSON) -> Iterable[tuple[str | int, JSON]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def is_deeper(document: JSON, levels: int) -> bool:
    """Whether objects and arrays nest deeper than `levels`. It goes level by level, so depth costs no stack."""
    level = [document]
    for _ in range(levels + 1):
        inner: list[JSON] = []
        has_nested = False
        for value in level:
            if type(value) is dict:
                has_nested = True
                inner.extend(value.values())
            elif type(value) is list:
                has_nested = True
                inner.extend(value)
        if not has_nested:
            return False
        level = inner
    return True
