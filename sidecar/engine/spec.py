"""A spec: what is promised on an edge, compiled once; and the table that finds the spec of an edge.

In force is the most specific spec that matches. Specificity compares the method first, then callee, then caller; in
each, a full name beats a glob, a glob beats a missing entry, and of two globs the one with more literal characters
wins. Two equally specific specs that one edge could match are a mistake, found by an exact intersection test when they
are loaded, so that the order of files never decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, groupby, islice
from typing import Any

from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathQuery
from jsonpath_rfc9535.exceptions import JSONPathError
from jsonpath_rfc9535.lex import tokenize
from jsonpath_rfc9535.segments import JSONPathChildSegment, JSONPathSegment
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector, WildcardSelector
from jsonpath_rfc9535.tokens import TokenType

from sidecar.engine.exchange import Mode
from sidecar.engine.message import JSON, Direction
from sidecar.engine.schema import BrokenSchema, Fetch, Keys, Schema, shown

MAX_MATCHES = 1_000
"""Places of one message that one path may select. A message with more breaks its spec: the rest would go unchecked."""
MAX_CACHED_EDGES = 4_096
"""Edges whose spec is remembered. Callers invent method names, so the memory is bounded."""
MAX_CACHED_NAME = 256
"""Longest method name that is remembered, in characters."""

NOT_SERVED = ("errors", "deadline", "idempotency", "task", "resource", "cost", "consistency", "verifiers")
"""Parts of a spec that are read and validated and do nothing yet; so are `rules` on either side."""

Node = tuple[Keys, JSON]
"""A selected value, after the way to it."""


class BrokenPath(ValueError):
    """A JSONPath that cannot be used: what was found and what is allowed."""

    def __init__(self, found: str, allowed: str) -> None:
        self.found = found
        self.allowed = allowed
        super().__init__(found)


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


Walk = Callable[[Iterable[Node]], Iterator[Node]]


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

    def walk(nodes: Iterable[Node]) -> Iterator[Node]:
        for step in simple:
            nodes = step(nodes)
        return iter(nodes)

    return walk if len(simple) == len(steps) else None


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


@dataclass(frozen=True, slots=True)
class Part:
    """A schema for every place that a path selects."""

    rule: str
    """`request.parts[0]`, which findings name."""
    path: Path
    schema: Schema
    required: bool = False
    """Whether the path must select at least one place."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What each message of one direction must satisfy."""

    schema: Schema | None = None
    parts: tuple[Part, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.schema is None and not self.parts


@dataclass(frozen=True, slots=True)
class Match:
    """The edges that a spec is about. None matches every name."""

    caller: str | None = None
    callee: str | None = None
    method: str | None = None

    def covers(self, caller: str, callee: str, method: str) -> bool:
        wanted = ((self.callee, callee), (self.caller, caller), (self.method, method))
        return all(glob is None or glob_matches(glob, name) for glob, name in wanted)

    @property
    def specificity(self) -> tuple[tuple[int, int], ...]:
        """Orders matches; the greatest is the most specific."""
        return specificity(self.method), specificity(self.callee), specificity(self.caller)

    def overlaps(self, other: Match) -> bool:
        """Whether some edge is covered by both."""
        pairs = ((self.method, other.method), (self.callee, other.callee), (self.caller, other.caller))
        return all(one is None or two is None or globs_overlap(one, two) for one, two in pairs)


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


@dataclass(frozen=True, slots=True)
class Spec:
    """A declared contract for the edges it matches."""

    name: str
    """`researcher/v1`: unique among the specs in force."""
    match: Match
    mode: Mode | None = None
    """None inherits the route's."""
    request: Terms = Terms()
    response: Terms = Terms()
    inactive: tuple[str, ...] = ()
    """Parts that were declared and are not served yet, so that whoever loads it can say so."""
    source: str = ""
    """The file it came from, for people."""

    def terms(self, direction: Direction) -> Terms:
        return self.request if direction is Direction.REQUEST else self.response


def compile_spec(data: Mapping[str, Any], *, source: str = "", base_uri: str, fetch: Fetch | None = None) -> Spec:
    """A spec from data in the shape of the spec format. Raises BrokenSpec with every flaw of its schemas and paths."""
    flaws: list[Flaw] = []
    compiler = _Compiler(base_uri, fetch, flaws)
    spec = Spec(
        name=data["spec"],
        match=Match(**data["match"]),
        mode=Mode(data["mode"]) if "mode" in data else None,
        request=compiler.terms("request", data.get("request", {})),
        response=compiler.terms("response", data.get("response", {})),
        inactive=tuple(unserved(data)),
        source=source,
    )
    if flaws:
        raise BrokenSpec(flaws)
    return spec


def unserved(data: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{side}.rules" for side in ("request", "response") if "rules" in data.get(side, {}))
    yield from (name for name in NOT_SERVED if name in data)


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Compiles what it can and writes down the rest."""

    base_uri: str
    fetch: Fetch | None
    flaws: list[Flaw]

    def terms(self, side: str, data: Mapping[str, Any]) -> Terms:
        schema = self._schema(data["schema"], (side, "schema")) if "schema" in data else None
        parts = (self._part(side, index, part) for index, part in enumerate(data.get("parts", ())))
        return Terms(schema, tuple(part for part in parts if part is not None))

    def _part(self, side: str, index: int, data: Mapping[str, Any]) -> Part | None:
        path = self._path(data["at"], (side, "parts", index, "at"))
        schema = self._schema(data["schema"], (side, "parts", index, "schema"))
        if path is None or schema is None:
            return None
        return Part(f"{side}.parts[{index}]", path, schema, data.get("required", False))

    def _path(self, text: str, keys: Keys) -> Path | None:
        try:
            return Path(text)
        except BrokenPath as error:
            self.flaws.append(Flaw(keys, error.found, error.allowed))
            return None

    def _schema(self, data: JSON, keys: Keys) -> Schema | None:
        try:
            return Schema(data, base_uri=self.base_uri, fetch=self.fetch)
        except BrokenSchema as error:
            self.flaws.append(Flaw((*keys, *error.keys), error.found, error.allowed))
            return None


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
