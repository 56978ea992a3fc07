"""From data in the shape of the spec format to a spec, or to every flaw in it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.engine.exchange import Mode
from sidecar.engine.message import JSON
from sidecar.engine.specs.flaws import BrokenPath, BrokenSchema, BrokenSpec, Flaw
from sidecar.engine.specs.path import Path
from sidecar.engine.specs.pointer import Keys
from sidecar.engine.specs.reference import Fetch
from sidecar.engine.specs.schema import Schema
from sidecar.engine.specs.spec import Match, Part, Spec, Terms

NOT_SERVED = ("errors", "deadline", "idempotency", "task", "resource", "cost", "consistency", "verifiers")
"""Parts of a spec that are read and validated and do nothing yet; so are `rules` on either side."""


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
