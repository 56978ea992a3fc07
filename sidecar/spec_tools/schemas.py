"""What changed between two JSON Schemas, and whether that narrows or widens what is allowed.

Both schemas are walked together, wherever a keyword's meaning only adds up: a narrower part there can only make the
whole narrower. Where it does not (`oneOf`, `not`, `if`), equal is equal and anything else is unknown. A difference is
never passed over: what is not understood is unknown. Each place is looked at by itself, so the comparison may call
narrower what another keyword forbade already; it never calls compatible what is narrower.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sidecar.engine.message import JSON
from sidecar.engine.specs import Keys, Schema, quoted, shown
from sidecar.spec_tools.documents import NotFound, Place
from sidecar.spec_tools.keywords import ANNOTATIONS, JUDGES, Effect, allowed_types, same_value

EVERYTHING: dict[str, Any] = {}
"""The schema that allows everything: `true`, and what stands where nothing is said."""

ANYTHING = Place(EVERYTHING, EVERYTHING)

WALKED = frozenset(
    {"$ref", "properties", "patternProperties", "additionalProperties", "propertyNames", "dependentSchemas"}
    | {"prefixItems", "items", "contains", "minContains", "maxContains", "allOf", "anyOf", "oneOf", "not"}
    | {"if", "then", "else", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef"}
)
"""Keywords that hold schemas and are compared below."""

JUDGED = frozenset(keyword for _, keywords, _ in JUDGES for keyword in keywords)

FAR_REACHING = ("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef")
"""What these mean depends on everything around them."""


@dataclass(frozen=True, slots=True)
class Step:
    """One difference: where in the schema, what it does, and a sentence about it."""

    keys: Keys
    effect: Effect
    sentence: str


Steps = Iterator[Step]


def schema_changes(old: Place, new: Place) -> Steps:
    """Every difference between two schemas, in the order of the newer one's walk."""
    return _Comparison().changes(old, new, ())


def said(place: Place, keyword: str) -> Place:
    """What a keyword says of the values it is about; everything where it is absent."""
    return place.at(keyword) if keyword in place.schema else ANYTHING


@dataclass(slots=True)
class _Comparison:
    """Remembers which pairs it has been at, so that schemas that refer to themselves come to an end."""

    seen: set[tuple[int, int]] = field(default_factory=set)

    def changes(self, old: Place, new: Place, keys: Keys) -> Steps:
        try:
            before, after = map(open_form, both_followed(old, new))
        except NotFound as reason:
            yield Step(keys, Effect.UNKNOWN, f"refers to what cannot be followed here: {reason}")
            return
        pair = (id(before.schema), id(after.schema))
        if before.schema is after.schema or pair in self.seen:
            return
        if is_of_a_document(before) or is_of_a_document(after):
            self.seen.add(pair)
        yield from self._at(before, after, keys)

    def _at(self, old: Place, new: Place, keys: Keys) -> Steps:
        if new.schema is False or old.schema is False:
            if old.schema is not new.schema:
                is_closed = new.schema is False
                sentence = "nothing is allowed here any more" if is_closed else "something is allowed here now"
                yield Step(keys, Effect.NARROWED if is_closed else Effect.WIDENED, sentence)
            return
        yield from judged(old.schema, new.schema, keys)
        types = allowed_types(old.schema) & allowed_types(new.schema)
        if "object" in types:
            yield from self._properties(old, new, keys)
        if "array" in types:
            yield from self._items(old, new, keys)
        yield from self._combined(old, new, keys)
        yield from self._conditional(old, new, keys)
        yield from self._whole(old, new, keys)

    def _properties(self, old: Place, new: Place, keys: Keys) -> Steps:
        patterns = [place.schema.get("patternProperties", {}) for place in (old, new)]
        for pattern in sorted(patterns[0].keys() | patterns[1].keys()):
            way = (*keys, "patternProperties", pattern)
            if pattern in patterns[0] and pattern in patterns[1]:
                yield from self.changes(old.at(*way[-2:]), new.at(*way[-2:]), way)
            else:
                yield Step(way, Effect.UNKNOWN, "stands in one of the two only; which names it is about cannot be told")
        names = [place.schema.get("properties", {}) for place in (old, new)]
        for name in [*names[1], *(name for name in names[0] if name not in names[1])]:
            yield from self.changes(of_property(old, name), of_property(new, name), (*keys, "properties", name))
        for keyword in ("additionalProperties", "propertyNames"):
            yield from self.changes(said(old, keyword), said(new, keyword), (*keys, keyword))
        needed = [place.schema.get("dependentSchemas", {}) for place in (old, new)]
        for name in sorted(needed[0].keys() | needed[1].keys()):
            before, after = (said(said(place, "dependentSchemas"), name) for place in (old, new))
            yield from self.changes(before, after, (*keys, "dependentSchemas", name))

    def _items(self, old: Place, new: Place, keys: Keys) -> Steps:
        if any(
            isinstance(place.schema.get("items"), list) or "additionalItems" in place.schema for place in (old, new)
        ):
            if not all(self._is_same_at(old, new, keyword) for keyword in ("items", "additionalItems", "prefixItems")):
                yield Step(
                    (*keys, "items"), Effect.UNKNOWN, "changed; lists of items as in older drafts are not compared"
                )
            return
        longest = max(len(place.schema.get("prefixItems", ())) for place in (old, new))
        for index in range(longest):
            yield from self.changes(of_item(old, index), of_item(new, index), (*keys, "prefixItems", index))
        yield from self.changes(said(old, "items"), said(new, "items"), (*keys, "items"))
        yield from self._contained(old, new, keys)

    def _contained(self, old: Place, new: Place, keys: Keys) -> Steps:
        names = ("contains", "minContains", "maxContains")
        has_counts = any(name in place.schema for place in (old, new) for name in names[1:])
        if has_counts:
            if not all(self._is_same_at(old, new, name) for name in names):
                yield Step((*keys, "contains"), Effect.UNKNOWN, "changed, and counts stand beside it")
        elif "contains" in old.schema and "contains" in new.schema:
            yield from self.changes(old.at("contains"), new.at("contains"), (*keys, "contains"))
        else:
            yield from there_or_not("contains", old, new, keys)

    def _combined(self, old: Place, new: Place, keys: Keys) -> Steps:
        yield from self._all_of(old, new, keys)
        if "anyOf" in old.schema and "anyOf" in new.schema:
            yield from self._branches("anyOf", old, new, keys)
        else:
            yield from there_or_not("anyOf", old, new, keys)
        for keyword in ("oneOf", "not"):
            yield from self._same_or_unknown(keyword, old, new, keys)

    def _all_of(self, old: Place, new: Place, keys: Keys) -> Steps:
        """A reference with something beside it is one more schema that all must satisfy."""
        if "$ref" in old.schema or "$ref" in new.schema:
            try:
                before, after = (place.target() if "$ref" in place.schema else ANYTHING for place in (old, new))
            except NotFound as reason:
                yield Step((*keys, "$ref"), Effect.UNKNOWN, f"cannot be followed here: {reason}")
            else:
                yield from self.changes(before, after, (*keys, "$ref"))
        yield from self._branches("allOf", old, new, keys)

    def _branches(self, keyword: str, old: Place, new: Place, keys: Keys) -> Steps:
        """Equal branches are set aside, the others are compared in order; one too many narrows or widens by itself."""
        before, after = self._unequal(keyword, old, new)
        for (_, one), (index, two) in zip(before, after, strict=False):
            yield from self.changes(one, two, (*keys, keyword, index))
        lost, won = (Effect.WIDENED, Effect.NARROWED) if keyword == "allOf" else (Effect.NARROWED, Effect.WIDENED)
        for index, _ in before[len(after) :]:
            yield Step((*keys, keyword, index), lost, "is gone")
        for index, _ in after[len(before) :]:
            yield Step((*keys, keyword, index), won, "is new")

    def _unequal(self, keyword: str, old: Place, new: Place) -> tuple[list[tuple[int, Place]], list[tuple[int, Place]]]:
        before = [(index, old.at(keyword, index)) for index in range(len(old.schema.get(keyword, ())))]
        after = []
        for index in range(len(new.schema.get(keyword, ()))):
            two = new.at(keyword, index)
            twin = next((one for one in before if is_same(one[1], two)), None)
            if twin is None:
                after.append((index, two))
            else:
                before.remove(twin)
        return before, after

    def _conditional(self, old: Place, new: Place, keys: Keys) -> Steps:
        if "if" in old.schema and "if" in new.schema:
            if not self._is_same_at(old, new, "if"):
                yield Step((*keys, "if"), Effect.UNKNOWN, "changed; what that allows cannot be told")
                return
            for keyword in ("then", "else"):
                yield from self.changes(said(old, keyword), said(new, keyword), (*keys, keyword))
        else:
            yield from there_or_not("if", old, new, keys)

    def _whole(self, old: Place, new: Place, keys: Keys) -> Steps:
        """Keywords that are only compared as equal or not, and those nobody here knows."""
        if any(name in place.schema for place in (old, new) for name in FAR_REACHING):
            name = next(name for name in FAR_REACHING if name in old.schema or name in new.schema)
            if not is_same(old, new) or (name.startswith("$") and not same_value(old.root, new.root)):
                yield Step((*keys, name), Effect.UNKNOWN, "stands beside something that changed, and depends on it")
        known = ANNOTATIONS | WALKED | JUDGED | {"additionalItems"}
        for keyword in sorted((old.schema.keys() | new.schema.keys()) - known):
            before, after = old.schema.get(keyword, EVERYTHING), new.schema.get(keyword, EVERYTHING)
            if not same_value(before, after):
                sentence = f"is {shown(after)}, was {shown(before)}; changes of {quoted(keyword)} are not compared"
                yield Step((*keys, keyword), Effect.UNKNOWN, sentence)

    def _same_or_unknown(self, keyword: str, old: Place, new: Place, keys: Keys) -> Steps:
        if keyword not in old.schema or keyword not in new.schema:
            yield from there_or_not(keyword, old, new, keys)
        elif not self._is_same_at(old, new, keyword):
            yield Step((*keys, keyword), Effect.UNKNOWN, "changed; what that allows cannot be told")

    def _is_same_at(self, old: Place, new: Place, keyword: str) -> bool:
        if keyword not in old.schema or keyword not in new.schema:
            return keyword not in old.schema and keyword not in new.schema
        return is_same(old.at(keyword), new.at(keyword))


def judged(old: dict[str, Any], new: dict[str, Any], keys: Keys) -> Steps:
    """A keyword that is about strings matters only where both allow strings: `type` says the rest."""
    types = allowed_types(old) & allowed_types(new)
    for about, keywords, judge in JUDGES:
        if (about & types or "type" in keywords) and any(keyword in old or keyword in new for keyword in keywords):
            for one in judge(old, new):
                yield Step((*keys, one.keyword), one.effect, one.sentence)


def is_of_a_document(place: Place) -> bool:
    """Whether the schema is an object of its own: `true`, `false` and what stands for nothing are shared."""
    return isinstance(place.schema, dict) and place.schema is not EVERYTHING


def open_form(place: Place) -> Place:
    """`true` as the schema that says nothing."""
    return ANYTHING if place.schema is True else place


def there_or_not(keyword: str, old: Place, new: Place, keys: Keys) -> Steps:
    """What can only forbid: its coming narrows and its going widens."""
    if keyword in new.schema and keyword not in old.schema:
        yield Step((*keys, keyword), Effect.NARROWED, "is new")
    elif keyword in old.schema and keyword not in new.schema:
        yield Step((*keys, keyword), Effect.WIDENED, "is gone")


def both_followed(old: Place, new: Place) -> tuple[Place, Place]:
    """Past references, unless something stands beside one of two: then the two targets are what compares best."""
    if old.has_ref and new.has_ref and not (old.is_ref and new.is_ref):
        return old, new
    return old.followed(), new.followed()


def of_property(place: Place, name: str) -> Place:
    """What a property must satisfy, patterns apart: they are compared by themselves."""
    if name in place.schema.get("properties", {}):
        return place.at("properties", name)
    if any(matches(pattern, name) for pattern in place.schema.get("patternProperties", {})):
        return ANYTHING
    return said(place, "additionalProperties")


def matches(pattern: str, name: str) -> bool:
    """As the engine itself would say: patterns of another engine may mean something else."""
    return Schema({"pattern": pattern}).is_valid(name)


def of_item(place: Place, index: int) -> Place:
    return place.at("prefixItems", index) if index < len(place.schema.get("prefixItems", ())) else said(place, "items")


def is_same(old: Place, new: Place) -> bool:
    """Whether two schemas (or parts of them) say the same, through their references; texts for people do not count."""
    return _is_same(old, new, set())


def _is_same(old: Place, new: Place, seen: set[tuple[int, int]]) -> bool:
    one, two = old.schema, new.schema
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        return all(_is_same(old.at(index), new.at(index), seen) for index in range(len(one)))
    if not (isinstance(one, dict) and isinstance(two, dict)):
        return same_value(one, two)
    keys = meaning(one)
    if keys != meaning(two) or (id(one), id(two)) in seen:
        return keys == meaning(two)
    seen.add((id(one), id(two)))
    return all(_is_same_member(key, old, new, seen) for key in keys)


def _is_same_member(key: str, old: Place, new: Place, seen: set[tuple[int, int]]) -> bool:
    is_reference = key == "$ref" and isinstance(old.schema[key], str) and isinstance(new.schema[key], str)
    if not is_reference:
        is_data = key in ("const", "enum")  # in which nothing is a text for people
        is_equal = not is_data or same_value(old.schema[key], new.schema[key])
        return is_equal and _is_same(old.at(key), new.at(key), seen)
    try:
        return _is_same(old.target(), new.target(), seen)
    except NotFound:
        return False


def meaning(schema: dict[str, JSON]) -> set[str]:
    """Keys that say something: all but texts for people (a property called `title` is no text but a schema)."""
    return {
        key for key, value in schema.items() if not (key in ("title", "description", "$comment") and type(value) is str)
    }
