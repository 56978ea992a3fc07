"""Inference: a first spec proposed from recorded exchanges.

The shape comes from genson, the schema inference library that is still kept up: types merged over all documents, and
`required` from what was always there. Added to it are formats, where the engine that will assert them accepted every
value seen, and, only if asked for, enums. Values never reach the proposal except as enum candidates. Property names
that look like data (ids, keys of a map) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from genson import SchemaBuilder  # type: ignore[import-untyped]  # It ships no types; all that we use of it is here.
from genson.schema.strategies import String  # type: ignore[import-untyped]

from sidecar.engine.message import JSON, Direction
from sidecar.engine.specs import Schema, is_deeper
from sidecar.errors import ConfigError, Mistake
from sidecar.spec_tools.recorded import Edge, Recorded

MAX_DEPTH = 24
"""Deepest document read, in levels. Each costs at least two in the spec, and a spec file has 64."""

FORMATS = ("date-time", "date", "uuid", "ipv4", "ipv6", "email", "uri")
"""Formats that are looked for, the narrowest first. Those that nearly any text fits (`hostname`, `regex`) are not."""

MIN_FORMAT_VALUES = 2
"""Different values that must fit a format before it is proposed: one may fit by chance."""

MAX_ENUM_VALUES = 8
"""Most values of a proposed enum, unless told otherwise. A larger set is rarely closed."""

MAX_ENUM_LENGTH = 64
"""Longest text that can be a candidate for an enum, in characters. What is longer is prose."""

_NAME = re.compile(r"[A-Za-z_$@][A-Za-z0-9_$.-]{0,39}")
_DATA_NAME = re.compile(r".*[0-9]{4}|.*[0-9a-fA-F]{8}-[0-9a-fA-F]{4}")


@dataclass(frozen=True, slots=True)
class EnumRule:
    """When a set of texts counts as closed."""

    limit: int = MAX_ENUM_VALUES
    """Most values of an enum."""
    repeats: int = 4
    """How often a value must have been seen on average; fewer say nothing about what else may come."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A spec as data, and what it rests on."""

    data: dict[str, Any]
    requests: int
    responses: int


def infer(exchanges: Sequence[Recorded], *, name: str | None = None, enums: EnumRule | None = None) -> Proposal:
    """A spec for the one edge that the exchanges are on. Raises ConfigError where that cannot be done."""
    edge = the_edge(exchanges)
    data: dict[str, Any] = {
        "spec": name or name_for(edge),
        "match": {"callee": edge.callee, "method": edge.method},
        "mode": "observe",
    }
    counts = {}
    for direction in (Direction.REQUEST, Direction.RESPONSE):
        documents = documents_of(exchanges, direction)
        counts[direction] = len(documents)
        if documents:
            data[direction.value] = {"schema": schema_for(documents, enums)}
    return Proposal(data, counts[Direction.REQUEST], counts[Direction.RESPONSE])


def the_edge(exchanges: Sequence[Recorded]) -> Edge:
    """One callee and one method; who called does not matter to what the callee promises."""
    edges = sorted({(one.edge.callee, one.edge.method) for one in exchanges})
    if len(edges) == 1:
        return Edge(*edges[0])
    found = f"{len(edges)} of them: {', '.join(' '.join(edge) for edge in edges[:5])}" if edges else "none"
    raise ConfigError([Mistake("recorded edges", found, "one callee and method; choose with --callee and --method")])


def documents_of(exchanges: Iterable[Recorded], direction: Direction) -> list[JSON]:
    found = [(one.where, document) for one in exchanges for document in one.messages(direction)]
    deep = [
        Mistake(where, "deeper nesting", f"{MAX_DEPTH} levels") for where, one in found if is_deeper(one, MAX_DEPTH)
    ]
    if deep:
        raise ConfigError(deep)
    return [document for _, document in found]


def name_for(edge: Edge) -> str:
    """`researcher-SendMessage/v1`, in the characters that a spec's name may have."""
    words = f"{edge.callee}-{edge.method.rpartition('/')[2]}"
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip("-._") or "spec"
    return f"{plain[:64]}/v1"


def schema_for(documents: Iterable[JSON], enums: EnumRule | None) -> dict[str, Any]:
    """One schema that every one of the documents satisfies."""
    builder = _builder(enums)
    for document in documents:
        builder.add_object(document)
    schema: dict[str, Any] = without_data_names(builder.to_schema())
    return schema


def without_data_names(schema: Any) -> Any:
    """Leaves out properties whose names look like data; objects stay open, so the schema still accepts them."""
    kept = {key: value for key, value in schema.items() if key not in ("properties", "required", "items", "anyOf")}
    if properties := {name: one for name, one in schema.get("properties", {}).items() if is_name(name)}:
        kept["properties"] = {name: without_data_names(one) for name, one in properties.items()}
    if required := [name for name in schema.get("required", ()) if is_name(name)]:
        kept["required"] = required
    if "items" in schema:
        kept["items"] = without_data_names(schema["items"])
    if "anyOf" in schema:
        kept["anyOf"] = [without_data_names(one) for one in schema["anyOf"]]
    return kept


def is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and _DATA_NAME.match(name) is None


@cache
def format_schema(name: str) -> Schema:
    return Schema({"format": name})


def _builder(enums: EnumRule | None) -> Any:
    """genson finds its strategies on classes, so what is asked for has to be on one."""

    class Text(String):  # type: ignore[misc]  # The base is untyped.
        """Texts at one place of the documents: which formats they all fit, and how many different ones there are."""

        KEYWORDS = (*String.KEYWORDS, "format", "enum")

        def __init__(self, node_class: Any) -> None:
            super().__init__(node_class)
            self._formats = list(FORMATS)
            self._candidates: set[str] | None = set()
            self._distinct: set[int] = set()
            self._seen = 0

        def add_object(self, obj: str) -> None:
            self._seen += 1
            if len(self._distinct) < MIN_FORMAT_VALUES:
                self._distinct.add(hash(obj))
            self._formats = [name for name in self._formats if format_schema(name).is_valid(obj)]
            self._keep_candidate(obj)

        def _keep_candidate(self, text: str) -> None:
            if enums is None or self._candidates is None:
                return
            self._candidates.add(text)
            if len(text) > MAX_ENUM_LENGTH or len(self._candidates) > enums.limit:
                self._candidates = None

        def to_schema(self) -> dict[str, Any]:
            schema: dict[str, Any] = super().to_schema()
            if self._formats and len(self._distinct) >= MIN_FORMAT_VALUES:
                schema["format"] = self._formats[0]
            elif enums and self._candidates and self._seen >= enums.repeats * len(self._candidates):
                schema["enum"] = sorted(self._candidates)
            return schema

    class Builder(SchemaBuilder):  # type: ignore[misc]  # The base is untyped.
        EXTRA_STRATEGIES = (Text,)

    return Builder(schema_uri=None)
