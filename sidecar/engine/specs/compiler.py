"""From data in the shape of the spec format to a spec, or to every flaw in it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sidecar.engine.exchange import Mode
from sidecar.engine.finding import Severity
from sidecar.engine.message import JSON, Direction
from sidecar.engine.specs.bundle import bundles_of
from sidecar.engine.specs.cel import Expression
from sidecar.engine.specs.declaring import Declarer
from sidecar.engine.specs.flaws import BrokenSchema, BrokenSpec, Flaw
from sidecar.engine.specs.path import Path
from sidecar.engine.specs.pointer import Keys
from sidecar.engine.specs.reference import Fetch
from sidecar.engine.specs.rules import Rule, Rules
from sidecar.engine.specs.schema import Schema
from sidecar.engine.specs.sentences import shown
from sidecar.engine.specs.spec import Match, Part, Spec, Terms


def compile_spec(data: Mapping[str, Any], *, source: str = "", base_uri: str, fetch: Fetch | None = None) -> Spec:
    """A spec from data in the shape of the spec format. Raises BrokenSpec with every flaw that the format allows."""
    flaws: list[Flaw] = []
    compiler = _Compiler(base_uri, fetch, flaws)
    spec = Spec(
        name=data["spec"],
        match=Match(**data["match"]),
        mode=Mode(data["mode"]) if "mode" in data else None,
        request=compiler.terms(Direction.REQUEST, data.get("request", {})),
        response=compiler.terms(Direction.RESPONSE, data.get("response", {})),
        errors=frozenset(data["errors"]) if "errors" in data else None,
        stream=data.get("stream"),
        **declared(data, Declarer(flaws)),
        source=source,
    )
    if flaws:
        raise BrokenSpec(flaws)
    return spec if spec.panel is None else replace(spec, panel=replace(spec.panel, schemas=bundles_of(spec)))


def declared(data: Mapping[str, Any], declarer: Declarer) -> dict[str, Any]:
    """The blocks beside the terms, each None where the spec leaves it out."""
    blocks: Mapping[str, Callable[[Any], object]] = {
        "idempotency": declarer.idempotency,
        "reads": declarer.reads,
        "task": declarer.task,
        "resource": declarer.resource,
        "cost": declarer.cost,
        "content": declarer.content,
    }
    read = {name: read(data[name]) for name, read in blocks.items() if name in data}
    panel = declarer.panel(data["verifiers"]) if "verifiers" in data else None
    return {**read, "deadline_s": declarer.deadline(data), "consistency": data.get("consistency"), "panel": panel}


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Compiles what it can and writes down the rest."""

    base_uri: str
    fetch: Fetch | None
    flaws: list[Flaw]

    def terms(self, side: Direction, data: Mapping[str, Any]) -> Terms:
        schema = self._schema(data["schema"], (side.value, "schema")) if "schema" in data else None
        parts = (self._part(side, index, part) for index, part in enumerate(data.get("parts", ())))
        rules = self._rules(side, data.get("rules", ()))
        return Terms(schema, tuple(part for part in parts if part is not None), rules)

    def _part(self, side: Direction, index: int, data: Mapping[str, Any]) -> Part | None:
        path = Declarer(self.flaws).read(Path, data["at"], (side.value, "parts", index, "at"))
        schema = self._schema(data["schema"], (side.value, "parts", index, "schema"))
        if path is None or schema is None:
            return None
        return Part(f"{side}.parts[{index}]", path, schema, data.get("required", False))

    def _rules(self, side: Direction, data: Sequence[Mapping[str, Any]]) -> Rules | None:
        self.flaws.extend(twins(side, [rule["id"] for rule in data]))
        rules = (self._rule(side, index, rule) for index, rule in enumerate(data))
        compiled = [rule for rule in rules if rule is not None]
        return Rules(side, compiled) if compiled else None

    def _rule(self, side: Direction, index: int, data: Mapping[str, Any]) -> Rule | None:
        def expression(text: str) -> Expression:
            return Expression(text, side)

        compiled = Declarer(self.flaws).read(expression, data["expr"], (side.value, "rules", index, "expr"))
        if compiled is None:
            return None
        name = f"{side}.rules.{data['id']}"
        return Rule(name, compiled, data.get("message", ""), Severity(data.get("severity", Severity.ERROR)))

    def _schema(self, data: JSON, keys: Keys) -> Schema | None:
        try:
            return Schema(data, base_uri=self.base_uri, fetch=self.fetch)
        except BrokenSchema as error:
            self.flaws.append(Flaw((*keys, *error.keys), error.found, error.allowed))
            return None


def twins(side: Direction, ids: Sequence[str]) -> Iterator[Flaw]:
    """Findings name rules, so no two of one side may share an id."""
    for index, each in enumerate(ids):
        if each in ids[:index]:
            yield Flaw(
                (side.value, "rules", index, "id"), f"{shown(each)}, which another rule has too", "an id of its own"
            )
