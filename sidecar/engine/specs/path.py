"""JSONPath (RFC 9535), compiled once, for any message to answer quickly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathQuery
from jsonpath_rfc9535.exceptions import JSONPathError
from jsonpath_rfc9535.lex import tokenize
from jsonpath_rfc9535.segments import JSONPathChildSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector, WildcardSelector
from jsonpath_rfc9535.tokens import TokenType

from sidecar.engine.message import JSON
from sidecar.engine.specs.flaws import BrokenPath
from sidecar.engine.specs.pointer import Keys
from sidecar.engine.specs.sentences import shown

MAX_MATCHES = 1_000
"""Places of one message that one path may select. A message with more breaks its spec: the rest would go unchecked."""

Node = tuple[Keys, JSON]
"""A selected value, after the way to it."""

Walk = Callable[[Iterable[Node]], Iterator[Node]]


class Path:
    """A compiled JSONPath (RFC 9535). Raises BrokenPath.

    Names, indexes and wildcards run on a walker of our own; all else on the library's. Refused is what a message could
    make slow: `match()` and `search()` (their patterns backtrack), a second `..`, and `$` inside a filter.
    """

    __slots__ = ("_select", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        query = parsed(text)
        self._select = walker(query.segments) or library_walk(query)

    def select(self, document: JSON, limit: int = MAX_MATCHES) -> list[Node]:
        """The first `limit` nodes in document order. Raises JSONPathError where `..` meets more than 100 levels."""
        return list(islice(self._select([((), document)]), limit))

    def __repr__(self) -> str:
        return f"Path({self.text!r})"


def parsed(text: str) -> JSONPathQuery:
    try:
        query = JSONPathEnvironment().compile(text)
        kinds = [(token.type_, token.value) for token in tokenize(text)]
    except (JSONPathError, RecursionError) as error:
        raise BrokenPath(f"{shown(text)}: {str(error) or 'nested too deeply'}", "a JSONPath (RFC 9535)") from error
    for is_bad, allowed in (
        (
            any(kind is TokenType.FUNCTION and name in ("match", "search") for kind, name in kinds),
            "no match(), no search()",
        ),
        (sum(kind is TokenType.DOUBLE_DOT for kind, _ in kinds) > 1, "one `..` at most"),
        (sum(kind is TokenType.ROOT for kind, _ in kinds) > 1, "`@` in filters, not `$`"),
    ):
        if is_bad:
            raise BrokenPath(shown(text), f"a JSONPath that any message answers quickly: {allowed}")
    return query


def library_walk(query: JSONPathQuery) -> Walk:
    def walk(nodes: Iterable[Node]) -> Iterator[Node]:
        return ((node.location, node.value) for _, document in nodes for node in query.finditer(document))

    return walk


def walker(segments: Sequence[JSONPathSegment]) -> Walk | None:
    """The steps of a path one after the other; None where one of them is not simple."""
    steps = [step_of(segment) for segment in segments]
    simple = [step for step in steps if step is not None]
    if names := names_of(segments):
        return descending(names)

    def walk(nodes: Iterable[Node]) -> Iterator[Node]:
        for step in simple:
            nodes = step(nodes)
        return iter(nodes)

    return walk if len(simple) == len(steps) else None


def names_of(segments: Sequence[JSONPathSegment]) -> tuple[str, ...]:
    """The names of a path that has nothing else, as most have; else none."""
    selectors = [
        segment.selectors[0]
        for segment in segments
        if isinstance(segment, JSONPathChildSegment) and len(segment.selectors) == 1
    ]
    names = tuple(selector.name for selector in selectors if isinstance(selector, NameSelector))
    return names if len(names) == len(segments) else ()


def descending(names: tuple[str, ...]) -> Walk:
    """All steps of a path of names at once: at most one place, and nothing built on the way to it."""

    def walk(nodes: Iterable[Node]) -> Iterator[Node]:
        for keys, value in nodes:
            for name in names:
                if not isinstance(value, dict) or name not in value:
                    break
                value = value[name]
            else:
                yield (*keys, *names), value

    return walk


def step_of(segment: JSONPathSegment) -> Walk | None:
    if not isinstance(segment, JSONPathChildSegment) or len(segment.selectors) != 1:
        return None
    selector = segment.selectors[0]
    if isinstance(selector, NameSelector):
        return named(selector.name)
    if isinstance(selector, IndexSelector):
        return indexed(selector.index)
    return every if isinstance(selector, WildcardSelector) else None


def named(name: str) -> Walk:
    def step(nodes: Iterable[Node]) -> Iterator[Node]:
        return (((*keys, name), value[name]) for keys, value in nodes if isinstance(value, dict) and name in value)

    return step


def indexed(index: int) -> Walk:
    def step(nodes: Iterable[Node]) -> Iterator[Node]:
        for keys, value in nodes:
            place = index + len(value) if index < 0 and isinstance(value, list) else index
            if isinstance(value, list) and 0 <= place < len(value):
                yield (*keys, place), value[place]

    return step


def every(nodes: Iterable[Node]) -> Iterator[Node]:
    for keys, value in nodes:
        if isinstance(value, dict):
            yield from (((*keys, name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            yield from (((*keys, index), inner) for index, inner in enumerate(value))
