"""Keywords that apply other schemas: each finds the places further in that fail, or says what is wrong itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from sidecar.engine.message import JSON
from sidecar.engine.specs.alternatives import alternatives_at, any_of, one_of
from sidecar.engine.specs.place import Failure, Place, Spot, Violation, members
from sidecar.engine.specs.pointer import Keys
from sidecar.engine.specs.questions import Questions
from sidecar.engine.specs.sentences import listed, quoted

Keyword = Callable[[Questions, Spot, JSON, Keys], Iterator[Failure]]
"""From the engine to ask, the schema that has the keyword, and the value with the way to it."""


def reference(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    target = asked.target(spot)
    return asked.failing([(target, value, keys)] if target else [])


def all_of(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    return asked.failing((inner, value, keys) for inner in alternatives_at(spot, "allOf"))


def forbidden(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    if asked.is_valid(spot.at("not"), value):
        yield Violation(keys, "not", "is what the schema forbids")


def conditional(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    branch = "then" if asked.is_valid(spot.at("if"), value) else "else"
    return asked.failing([(spot.at(branch), value, keys)] if branch in spot.schema else [])


def properties(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    return asked.failing(spot.said(value, keys))


def pattern_properties(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    return asked.failing(
        (spot.at("patternProperties", pattern), inner, (*keys, name))
        for pattern in spot.schema["patternProperties"]
        for name, inner in members(value)
        if asked.matches(pattern, name)
    )


def additional_properties(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    others = unnamed(asked, spot, value)
    if spot.schema["additionalProperties"] is not False:
        inner = spot.at("additionalProperties")
        yield from asked.failing((inner, value[name], (*keys, name)) for name in others)
    elif others:
        sentence = f"has {listed('property', 'properties', others)} that the schema does not allow"
        yield Violation(keys, "additionalProperties", sentence)


def unnamed(asked: Questions, spot: Spot, value: JSON) -> list[str]:
    """Properties that neither `properties` names nor a pattern fits."""
    patterns = spot.schema.get("patternProperties", {})
    known = spot.schema.get("properties", {})
    others = [name for name, _ in members(value) if name not in known]
    return [name for name in others if not any(asked.matches(pattern, name) for pattern in patterns)]


def property_names(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    inner = spot.at("propertyNames")
    for name, _ in members(value):
        if not asked.is_valid(inner, name):
            sentence = f"has the property name {quoted(name)}, which the schema does not allow"
            yield Violation(keys, "propertyNames", sentence)


def dependent_schemas(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    present = [name for name in spot.schema["dependentSchemas"] if name in dict(members(value))]
    return asked.failing((spot.at("dependentSchemas", name), value, keys) for name in present)


def items(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    """A schema for all items or for the rest of them; up to draft 2019-09 also a list, as `prefixItems` is now."""
    if isinstance(spot.schema["items"], list):
        return one_by_one(asked, spot, "items", value, keys)
    return from_on(asked, spot, "items", len(spot.schema.get("prefixItems", ())), value, keys)


def prefix_items(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    return one_by_one(asked, spot, "prefixItems", value, keys)


def additional_items(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    """Up to draft 2019-09, and only beside an `items` that is a list."""
    first = spot.schema.get("items")
    return from_on(asked, spot, "additionalItems", len(first), value, keys) if isinstance(first, list) else iter(())


def one_by_one(asked: Questions, spot: Spot, keyword: str, value: JSON, keys: Keys) -> Iterator[Place]:
    pairs = range(min(len(spot.schema[keyword]), len(value))) if isinstance(value, list) else ()
    return asked.failing((spot.at(keyword, index), value[index], (*keys, index)) for index in pairs)


def from_on(asked: Questions, spot: Spot, keyword: str, start: int, value: JSON, keys: Keys) -> Iterator[Place]:
    inner = spot.at(keyword)
    indexes = range(start, len(value)) if isinstance(value, list) else ()
    return asked.failing((inner, value[index], (*keys, index)) for index in indexes)


def contains(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    bounds = {name: spot.schema[name] for name in ("minContains", "maxContains") if name in spot.schema}
    schema = {"contains": {"$ref": spot.at("contains").address}, **bounds}
    if not asked.ask(f"contains {spot.address}", schema, value):
        yield Violation(keys, "contains", "has too few or too many items of the kind that the schema asks for")


APPLIED: Mapping[str, Keyword] = MappingProxyType(
    {
        "$ref": reference,
        "allOf": all_of,
        "anyOf": any_of,
        "oneOf": one_of,
        "not": forbidden,
        "if": conditional,
        "properties": properties,
        "patternProperties": pattern_properties,
        "additionalProperties": additional_properties,
        "propertyNames": property_names,
        "dependentSchemas": dependent_schemas,
        "items": items,
        "prefixItems": prefix_items,
        "additionalItems": additional_items,
        "contains": contains,
    }
)
"""One that is missing here (`unevaluatedItems`) is named by `explain.unexplained`."""
