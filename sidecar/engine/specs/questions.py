"""Questions to the compiled engine about the places of one schema, only so many for one explanation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urldefrag

import jsonschema_rs

from sidecar.engine.message import JSON
from sidecar.engine.specs.compiling import compiled
from sidecar.engine.specs.draft import draft_of
from sidecar.engine.specs.place import Place, Spot
from sidecar.engine.specs.pointer import split_pointer
from sidecar.engine.specs.reference import resolved

MAX_STEPS = 20_000
"""Questions that one explanation may ask, about 20 ms. Past it a plainer sentence has to do."""
STEPS_TO_COMPILE = 20
"""What compiling the schema of one question counts for."""
MAX_FOLLOWED = 8
"""References in a row that are followed to the schema they stand for."""


class TooManySteps(Exception):
    """The explanation would take longer than it is worth."""


class Questions:
    """Each question compiles its own small schema the first time it is asked."""

    def __init__(self, root_uri: str, documents: Mapping[str, JSON]) -> None:
        self.root = Spot(root_uri, (), documents[root_uri], root_uri).at()
        self.draft = draft_of(self.root.schema)
        self.steps = 0
        self._documents = documents
        self._registry = jsonschema_rs.Registry(documents.items())
        self._compiled: dict[str, jsonschema_rs.Validator] = {}

    def is_valid(self, spot: Spot, value: JSON) -> bool:
        return self.ask(spot.address, {"$ref": spot.address}, value)

    def holds(self, spot: Spot, keyword: str, value: JSON) -> bool:
        """Whether a keyword is kept that judges one value by itself."""
        return self.ask(f"{keyword} {spot.address}", {keyword: spot.schema[keyword]}, value)

    def matches(self, pattern: str, name: str) -> bool:
        return self.ask(f"matches {pattern}", {"pattern": pattern}, name)

    def failing(self, places: Iterable[Place]) -> Iterator[Place]:
        return (place for place in places if not self.is_valid(place[0], place[1]))

    def ask(self, name: str, schema: dict[str, JSON], value: JSON) -> bool:
        """Compiled at the first question, by name: there are only as many as the schema has places."""
        validator = self._compiled.get(name)
        self.steps += 1 if validator else STEPS_TO_COMPILE
        if self.steps > MAX_STEPS:
            raise TooManySteps
        if validator is None:
            validator = compiled({"$schema": self.draft, **schema}, registry=self._registry)
            self._compiled[name] = validator
        return validator.is_valid(value)

    def target(self, spot: Spot) -> Spot | None:
        """Where `$ref` leads; None for an anchor or a schema embedded by `$id`, which end the explanation there."""
        uri, fragment = urldefrag(resolved(spot.base, spot.schema["$ref"]))
        if uri not in self._documents or (fragment and not fragment.startswith("/")):
            return None
        target = Spot(uri, (), self._documents[uri], uri).at()
        for step in split_pointer(fragment):
            target = target.at(int(step) if isinstance(target.schema, list) else step)
        return target

    def followed(self, spot: Spot) -> Spot:
        """What a reference stands for."""
        for _ in range(MAX_FOLLOWED):
            target = self.target(spot) if isinstance(spot.schema, dict) and "$ref" in spot.schema else None
            if target is None:
                break
            spot = target
        return spot
