"""Schema documents for comparing: a schema, the document around it, and where its references lead."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sidecar import yaml_source
from sidecar.engine.message import JSON

MAX_HOPS = 64
"""References to references that are followed before they count as a circle."""


class NotFound(Exception):
    """A reference that this comparison cannot follow (it may well be one that the engine follows)."""


@dataclass(frozen=True, slots=True)
class Place:
    """A schema within its document."""

    schema: JSON
    root: JSON
    """What `#` means here: the document, or the nearest schema around this one that has an `$id`."""
    path: Path | None = None
    """The file that relative references start from; None where an `$id` says otherwise."""

    def at(self, *keys: str | int) -> Place:
        """A schema further in."""
        place = self
        for key in keys:
            schema = place.schema[key]
            has_id = isinstance(schema, dict) and isinstance(schema.get("$id"), str)
            place = Place(schema, schema, None) if has_id else Place(schema, place.root, place.path)
        return place

    @property
    def has_ref(self) -> bool:
        return isinstance(self.schema, dict) and isinstance(self.schema.get("$ref"), str)

    @property
    def is_ref(self) -> bool:
        """Whether a reference says all there is to say here."""
        return self.has_ref and (is_hiding(self.root) or self.schema.keys() <= PLAIN_BESIDE_REF)

    def followed(self) -> Place:
        """Past references that say all there is to say here. Raises NotFound."""
        place = self
        for _ in range(MAX_HOPS):
            if not place.is_ref:
                return place
            place = place.target()
        raise NotFound("a circle of references")

    def target(self) -> Place:
        """Where `$ref` leads. Raises NotFound."""
        file, _, fragment = self.schema["$ref"].partition("#")
        document = self._document(file) if file else Place(self.root, self.root, self.path)
        try:
            return document.at(*steps(document.schema, unquote(fragment)))
        except (LookupError, TypeError, ValueError) as error:
            raise NotFound(f"the reference {self.schema['$ref']}") from error

    def _document(self, file: str) -> Place:
        if self.path is None or urlsplit(file).scheme:
            raise NotFound(f"the reference {self.schema['$ref']}, which is an address and no file")
        return document_at((self.path.parent / unquote(file)).resolve())


PLAIN_BESIDE_REF = frozenset({"$ref", "$comment", "title", "description", "$defs", "definitions", "$schema", "$id"})
"""Beside a reference these add nothing that a document could break."""


def is_hiding(root: JSON) -> bool:
    """In drafts 4 to 7 a reference hides what stands beside it."""
    return isinstance(root, dict) and "/draft-0" in str(root.get("$schema", ""))


def steps(document: JSON, pointer: str) -> list[str | int]:
    """The keys of a JSON Pointer (RFC 6901). ValueError for the name of an anchor."""
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise ValueError(pointer)
    keys: list[str | int] = []
    for step in pointer[1:].split("/"):
        key: str | int = step.replace("~1", "/").replace("~0", "~")
        key = int(key) if isinstance(document, list) else key
        document = document[key]
        keys.append(key)
    return keys


@cache
def document_at(path: Path) -> Place:
    """A schema file, read once: what is compared is identified by the object it is."""
    data = read_data(path)
    has_id = isinstance(data, dict) and isinstance(data.get("$id"), str)
    return Place(data, data, None if has_id else path)


def read_data(path: Path) -> Any:
    """What a spec or schema file says. It has been loaded and found good before. Raises NotFound, ConfigError."""
    try:
        text = yaml_source.read_text(path)
        return json.loads(text) if path.suffix == ".json" else yaml_source.read(text, name=str(path), environ=None).data
    except json.JSONDecodeError as error:
        raise NotFound(f"{path}, which is no JSON") from error
