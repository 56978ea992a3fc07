"""Places: where in a schema, where in a document, and what is wrong there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, urljoin

from sidecar.engine.message import JSON
from sidecar.engine.specs.pointer import Keys, joined


@dataclass(frozen=True)
class Spot:
    """A place in a schema document."""

    uri: str
    keys: Keys
    schema: JSON
    base: str
    """What relative references are resolved against here: the document's address, or the nearest `$id`."""

    @cached_property
    def address(self) -> str:
        return f"{self.uri}#{quote(joined(self.keys))}"

    def at(self, *keys: str | int) -> Spot:
        """A place further in."""
        schema, base = self.schema, self.base
        for key in keys:
            schema = schema[key]
            if isinstance(schema, dict) and isinstance(schema.get("$id"), str):
                base = urljoin(base, schema["$id"])
        return Spot(self.uri, (*self.keys, *keys), schema, base)

    def said(self, value: JSON, keys: Keys) -> Iterator[Place]:
        """The properties of a value that this schema's `properties` names."""
        known = self.schema.get("properties", {}) if isinstance(self.schema, dict) and isinstance(value, dict) else {}
        return ((self.at("properties", name), value[name], (*keys, name)) for name in known if name in value)


@dataclass(frozen=True, slots=True)
class Violation:
    """One place of a document that breaks its schema."""

    keys: Keys
    """The way from the root of what was checked to the place."""
    keyword: str
    """The keyword of JSON Schema that it breaks."""
    sentence: str
    """What is wrong, to be read after the place's name. Quotes the schema, names properties, never shows a value."""


Place = tuple[Spot, JSON, Keys]
"""A schema, the value it is applied to, and the way to that value."""

Failure = Place | Violation
"""What a keyword finds: a place further in to look at, or the end of the way."""


def members(value: JSON) -> Iterable[tuple[str, JSON]]:
    return value.items() if isinstance(value, dict) else ()
