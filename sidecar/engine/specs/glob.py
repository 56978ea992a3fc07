"""Globs over names: `*` is any run of characters, `?` is one.

An edge's names are invented by callers, so matching is bounded by the product of the two lengths.
"""

from __future__ import annotations

from collections.abc import Iterator


def specificity(glob: str | None) -> tuple[int, int]:
    """(0, 0) for a missing entry, (1, literal characters) for a glob, (2, 0) for a full name."""
    if glob is None:
        return 0, 0
    literals = sum(char not in "*?" for char in glob)
    return (2, 0) if literals == len(glob) else (1, literals)


def is_glob(text: str) -> bool:
    return "*" in text or "?" in text


def glob_matches(glob: str, name: str) -> bool:
    """`*` is any run of characters, `?` is one. Going back to the last `*` only bounds the steps to len times len."""
    if not is_glob(glob):
        return glob == name
    at = to = eaten = 0
    star = -1
    while True:
        if glob[at : at + 1] == "*":
            star, at, eaten = at, at + 1, to
        elif to == len(name):
            return at == len(glob)
        elif glob[at : at + 1] in ("?", name[to]):
            at, to = at + 1, to + 1
        elif star < 0:
            return False
        else:
            eaten += 1
            at, to = star + 1, eaten


def globs_overlap(one: str, two: str) -> bool:
    """Whether some name matches both: a search through pairs of positions, each visited once."""
    pending = [(0, 0)]
    seen = set(pending)
    while pending:
        at, to = pending.pop()
        if at == len(one) and to == len(two):
            return True
        new = {(at + over, to + along) for over, along in moves(one[at : at + 1], two[to : to + 1])} - seen
        seen |= new
        pending.extend(new)
    return False


def moves(one: str, two: str) -> Iterator[tuple[int, int]]:
    """How both globs can go on from their next characters (empty at the end): a `*` ends, or eats the other's."""
    if one == "*":
        yield from ((1, 0), (0, 1)) if two else ((1, 0),)
    if two == "*":
        yield from ((0, 1), (1, 0)) if one else ((0, 1),)
    if one and two and (one == two or "?" in (one, two)):
        yield 1, 1
