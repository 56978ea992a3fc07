"""Keywords of JSON Schema that judge one value by themselves: what a change of one does to what is allowed.

Each comparison gets both schemas and says nothing where nothing changed. What a keyword allows when it is absent is
part of the comparison: `minLength` is 0, `type` is every type. Source: JSON Schema 2020-12, Validation, section 6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Any, NamedTuple

from sidecar.engine.message import JSON
from sidecar.engine.specs import quoted, shown


class Effect(StrEnum):
    """What a difference does to the set of documents that are allowed."""

    NARROWED = "narrowed"
    WIDENED = "widened"
    UNKNOWN = "unknown"


class Judged(NamedTuple):
    """One difference: the keyword it is in, what it does, and a sentence."""

    keyword: str
    effect: Effect
    sentence: str


Schema = Mapping[str, Any]
Differences = Iterator[Judged]

TYPES = frozenset({"null", "boolean", "string", "array", "object", "integer", "fraction"})
"""The types of JSON Schema taken apart: `number` is `integer` and `fraction`."""

NUMBERS = frozenset({"integer", "fraction"})


def allowed_types(schema: Schema) -> frozenset[str]:
    said = schema.get("type", sorted(TYPES))
    words = [said] if isinstance(said, str) else said
    return frozenset(part for word in words for part in (NUMBERS if word == "number" else {word}))


def type_changes(old: Schema, new: Schema) -> Differences:
    yield from lost_and_won("type", allowed_types(old), allowed_types(new), type_words)


def type_words(types: frozenset[str]) -> str:
    names = {"fraction": "numbers that are not whole", "integer": "whole numbers"}
    return ", ".join(names.get(one, one) for one in sorted(types))


def lost_and_won(keyword: str, old: frozenset[Any], new: frozenset[Any], words: Callable[[Any], str]) -> Differences:
    if lost := old - new:
        yield Judged(keyword, Effect.NARROWED, f"no longer allows {words(lost)}")
    if won := new - old:
        yield Judged(keyword, Effect.WIDENED, f"now allows {words(won)}")


def frozen(value: JSON) -> Any:
    """Equal for equal JSON values as JSON Schema has it: 1 is 1.0, and true is no number."""
    if isinstance(value, dict):
        return "object", frozenset((key, frozen(one)) for key, one in value.items())
    if isinstance(value, list):
        return "array", tuple(frozen(one) for one in value)
    return ("boolean", value) if isinstance(value, bool) else ("value", value)


def same_value(old: JSON, new: JSON) -> bool:
    return bool(frozen(old) == frozen(new))


def values_allowed(schema: Schema) -> dict[Any, JSON] | None:
    """The values of `enum` and `const`; None where neither stands."""
    enum = {frozen(value): value for value in schema["enum"]} if "enum" in schema else None
    if "const" not in schema:
        return enum
    const = frozen(schema["const"])
    return {const: schema["const"]} if enum is None or const in enum else {}


def value_changes(old: Schema, new: Schema) -> Differences:
    keyword = "const" if "const" in {*old, *new} and "enum" not in {*old, *new} else "enum"
    before, after = values_allowed(old), values_allowed(new)
    if before is None and after is not None:
        yield Judged(keyword, Effect.NARROWED, f"allows only {shown(list(after.values()))} now")
    elif before is not None and after is None:
        yield Judged(keyword, Effect.WIDENED, f"allows more than {shown(list(before.values()))} now")
    elif before is not None and after is not None:
        known = {**before, **after}
        words = lambda keys: ", ".join(sorted(shown(known[key]) for key in keys))  # noqa: E731  # It needs `known`.
        yield from lost_and_won(keyword, frozenset(before), frozenset(after), words)


class Bound(NamedTuple):
    """The lowest or highest number allowed. It compares by what it leaves, where a higher one leaves less."""

    value: Fraction | float
    is_exclusive: bool
    text: str


def lower_bound(schema: Schema, sign: int = 1) -> Bound:
    """With sign -1 the upper bound, mirrored: so one comparison serves both."""
    inclusive, exclusive = ("minimum", "exclusiveMinimum") if sign > 0 else ("maximum", "exclusiveMaximum")
    bounds = [Bound(-math.inf, False, "none")]
    if inclusive in schema:
        bounds.append(Bound(sign * exact(schema[inclusive]), False, shown(schema[inclusive])))
    if exclusive in schema:
        bounds.append(Bound(sign * exact(schema[exclusive]), True, f"{shown(schema[exclusive])}, itself not allowed"))
    bound = max(bounds)
    return whole(bound) if "fraction" not in allowed_types(schema) else bound


def whole(bound: Bound) -> Bound:
    """Among whole numbers, above 0 is from 1 on."""
    if isinstance(bound.value, float):
        return bound
    up = math.floor(bound.value) + 1 if bound.is_exclusive else math.ceil(bound.value)
    return Bound(Fraction(up), False, bound.text)


def exact(number: float) -> Fraction:
    """As it is written: 0.1 is a tenth."""
    return Fraction(str(number))


def bound_changes(old: Schema, new: Schema) -> Differences:
    names = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
    if any(isinstance(schema.get(name), bool) for schema in (old, new) for name in names):
        if any(not same_value(old.get(name), new.get(name)) for name in names):
            yield Judged("minimum", Effect.UNKNOWN, "is written as in draft 4, which is not compared")
        return
    for keyword, sign in (("minimum", 1), ("maximum", -1)):
        before, after = lower_bound(old, sign), lower_bound(new, sign)
        if before[:2] != after[:2]:
            effect = Effect.NARROWED if after[:2] > before[:2] else Effect.WIDENED
            yield Judged(keyword, effect, f"is {after.text}, was {before.text}")


def least_changes(keyword: str) -> Callable[[Schema, Schema], Differences]:
    def changes(old: Schema, new: Schema) -> Differences:
        before, after = old.get(keyword, 0), new.get(keyword, 0)
        if before != after:
            effect = Effect.NARROWED if after > before else Effect.WIDENED
            yield Judged(keyword, effect, f"is {shown(after)}, was {shown(before)}")

    return changes


def most_changes(keyword: str) -> Callable[[Schema, Schema], Differences]:
    def changes(old: Schema, new: Schema) -> Differences:
        before, after = old.get(keyword, math.inf), new.get(keyword, math.inf)
        if before != after:
            effect = Effect.NARROWED if after < before else Effect.WIDENED
            yield Judged(keyword, effect, f"is {limit(new, keyword)}, was {limit(old, keyword)}")

    return changes


def limit(schema: Schema, keyword: str) -> str:
    return shown(schema[keyword]) if keyword in schema else "none"


def presence_changes(keyword: str) -> Callable[[Schema, Schema], Differences]:
    """For what can only be compared as equal, there or not there."""

    def changes(old: Schema, new: Schema) -> Differences:
        if keyword not in old and keyword in new:
            yield Judged(keyword, Effect.NARROWED, f"must be {shown(new[keyword])} now")
        elif keyword in old and keyword not in new:
            yield Judged(keyword, Effect.WIDENED, f"need not be {shown(old[keyword])} any more")
        elif not same_value(old.get(keyword), new.get(keyword)):
            sentence = f"is {shown(new[keyword])}, was {shown(old[keyword])}: which allows more cannot be told"
            yield Judged(keyword, Effect.UNKNOWN, sentence)

    return changes


def multiple_changes(old: Schema, new: Schema) -> Differences:
    """A multiple of 6 is one of 3: the step that the other divides allows less."""
    if "multipleOf" not in old or "multipleOf" not in new:
        yield from presence_changes("multipleOf")(old, new)
        return
    before, after = exact(old["multipleOf"]), exact(new["multipleOf"])
    sentence = f"is {shown(new['multipleOf'])}, was {shown(old['multipleOf'])}"
    if before % after:
        yield Judged("multipleOf", Effect.NARROWED, sentence)
    if after % before:
        yield Judged("multipleOf", Effect.WIDENED, sentence)


def unique_changes(old: Schema, new: Schema) -> Differences:
    before, after = bool(old.get("uniqueItems")), bool(new.get("uniqueItems"))
    if before != after:
        yield Judged("uniqueItems", Effect.NARROWED if after else Effect.WIDENED, f"is {shown(after)} now")


def required_changes(old: Schema, new: Schema) -> Differences:
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(after - before):
        yield Judged("required", Effect.NARROWED, f"the property {quoted(name)} must be there now")
    for name in sorted(before - after):
        yield Judged("required", Effect.WIDENED, f"the property {quoted(name)} may be missing now")


def dependency_changes(old: Schema, new: Schema) -> Differences:
    pairs = [
        {(name, one) for name, all_ in each.get("dependentRequired", {}).items() for one in all_} for each in (old, new)
    ]
    for name, other in sorted(pairs[1] - pairs[0]):
        yield Judged("dependentRequired", Effect.NARROWED, f"{quoted(name)} now needs {quoted(other)} beside it")
    for name, other in sorted(pairs[0] - pairs[1]):
        yield Judged("dependentRequired", Effect.WIDENED, f"{quoted(name)} no longer needs {quoted(other)} beside it")


JUDGES: tuple[tuple[frozenset[str], tuple[str, ...], Callable[[Schema, Schema], Differences]], ...] = (
    (TYPES, ("type",), type_changes),
    (TYPES, ("enum", "const"), value_changes),
    (NUMBERS, ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"), bound_changes),
    (NUMBERS, ("multipleOf",), multiple_changes),
    (frozenset({"string"}), ("minLength",), least_changes("minLength")),
    (frozenset({"string"}), ("maxLength",), most_changes("maxLength")),
    (frozenset({"string"}), ("pattern",), presence_changes("pattern")),
    (frozenset({"string"}), ("format",), presence_changes("format")),
    (frozenset({"array"}), ("minItems",), least_changes("minItems")),
    (frozenset({"array"}), ("maxItems",), most_changes("maxItems")),
    (frozenset({"array"}), ("uniqueItems",), unique_changes),
    (frozenset({"object"}), ("minProperties",), least_changes("minProperties")),
    (frozenset({"object"}), ("maxProperties",), most_changes("maxProperties")),
    (frozenset({"object"}), ("required",), required_changes),
    (frozenset({"object"}), ("dependentRequired",), dependency_changes),
)
"""For which types of value, which keywords, and how a change of them is judged."""

ANNOTATIONS: frozenset[str] = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"}
    | {"$id", "$anchor", "$defs", "definitions"}
)
"""What no document can break. `$defs` are compared where a reference leads to them."""
