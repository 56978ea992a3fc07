"""One JSON Schema, compiled once: the verdict in microseconds, and for a document that fails, where and why.

The verdict is always the compiled engine's. The explanation asks that same engine about ever smaller parts of schema
and document, so the two cannot disagree, and it follows only what fails, so it stays short whatever the two look like.
Patterns run in time linear in the text; one that cannot (look-around, back-references) is refused when the schema is
loaded. `format` is asserted, and an unknown format is refused too. Nothing here reads a file: `$ref` to another
document goes through the `Fetch` that is handed in.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urldefrag, urljoin

import jsonschema  # type: ignore[import-untyped]  # It ships no types. It says what is wrong with a schema itself.
import jsonschema_rs

from sidecar.engine.message import JSON

log = logging.getLogger(__name__)

Keys = tuple[str | int, ...]
"""The way to a value in a document: `("parts", 0, "data")`."""

Fetch = Callable[[str], JSON]
"""Gives the document at an absolute address without fragment. Raises `Unresolvable`."""

MAX_DEPTH = 128
"""Deepest document that a schema with references is asked about. Native code has no other guard against deep recursion:
a document 100,000 levels deep ends the process."""
MAX_VIOLATIONS = 8
"""Most complaints worth making about one document."""
MAX_STEPS = 20_000
"""Questions that one explanation may ask, about 20 ms. Past it a plainer sentence has to do."""
STEPS_TO_COMPILE = 20
"""What compiling the schema of one question counts for."""
MAX_ROUNDS = 1_000
"""Nested schemas that one explanation may follow: references may lead in a circle."""
MAX_SHOWN = 120
"""Characters of a schema's own value that a sentence quotes."""
MAX_NAME = 64
"""Characters of a property's name that a sentence quotes or a pointer holds."""
MAX_POINTER = 256
"""Characters of a JSON Pointer. A longer one ends at the last ancestor that fits."""

LATEST = "https://json-schema.org/draft/2020-12/schema"
DRAFTS: Mapping[str, Any] = MappingProxyType(
    {
        LATEST: jsonschema.Draft202012Validator,
        "https://json-schema.org/draft/2019-09/schema": jsonschema.Draft201909Validator,
        "http://json-schema.org/draft-07/schema": jsonschema.Draft7Validator,
        "http://json-schema.org/draft-06/schema": jsonschema.Draft6Validator,
        "http://json-schema.org/draft-04/schema": jsonschema.Draft4Validator,
    }
)
"""What `$schema` may name."""

NESTING_KEYWORDS = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "uniqueItems"})
"""What lets native code recurse as deep as the document does."""


class Unresolvable(Exception):
    """A `$ref` leads to a document that may not or cannot be read."""

    def __init__(self, found: str, allowed: str) -> None:
        self.found = found
        self.allowed = allowed
        super().__init__(found)


class BrokenSchema(ValueError):
    """A schema that cannot be used: the place in it, what was found and what is allowed."""

    def __init__(self, keys: Keys, found: str, allowed: str) -> None:
        self.keys = keys
        self.found = found
        self.allowed = allowed
        super().__init__(found)


@dataclass(frozen=True, slots=True)
class Violation:
    """One place of a document that breaks its schema."""

    keys: Keys
    """The way from the root of what was checked to the place."""
    keyword: str
    """The keyword of JSON Schema that it breaks."""
    sentence: str
    """What is wrong, to be read after the place's name. Quotes the schema, names properties, never shows a value."""


class Schema:
    """A compiled schema. Raises BrokenSchema where it cannot be used."""

    __slots__ = ("_documents", "_explainer", "_is_nesting", "_root_uri", "_validator")

    def __init__(self, schema: JSON, *, base_uri: str = "file:///schema", fetch: Fetch | None = None) -> None:
        self._root_uri = base_uri
        self._documents = {base_uri: schema}
        refuse_broken(schema)
        self._validator = self._compile(schema, fetch or refuse_all)
        self._is_nesting = any(map(is_nesting, self._documents.values()))
        self._explainer: _Explainer | None = None

    def is_valid(self, document: JSON) -> bool:
        """The verdict. Raises ValueError for what is no JSON (a lone surrogate, a key that is no text)."""
        return not self._is_too_deep(document) and self._validator.is_valid(document)

    def violations(self, document: JSON, limit: int = MAX_VIOLATIONS) -> Sequence[Violation]:
        """Why `is_valid` said no: at least one, at most `limit`, in the schema's own order."""
        if self._is_too_deep(document):
            return (Violation((), "depth", f"nests deeper than the {MAX_DEPTH} levels that can be checked"),)
        if self._explainer is None:
            self._explainer = _Explainer(self._root_uri, self._documents)
        return self._explainer.explain(document, limit)

    def _is_too_deep(self, document: JSON) -> bool:
        return self._is_nesting and is_deeper(document, MAX_DEPTH)

    def _compile(self, schema: JSON, fetch: Fetch) -> jsonschema_rs.Validator:
        refused: list[BrokenSchema] = []

        def retrieve(uri: str) -> JSON:
            try:
                self._documents[uri] = fetched(fetch, uri)
            except BrokenSchema as error:
                refused.append(error)
                raise
            return self._documents[uri]

        try:
            return compiled(schema, base_uri=self._root_uri, retriever=retrieve)
        except ValueError as error:
            if not refused:
                raise broken(error, schema) from error
            keys = way_to_ref(schema, lambda ref: urldefrag(resolved(self._root_uri, ref))[0] != self._root_uri)
            raise BrokenSchema(keys, refused[0].found, refused[0].allowed) from error


def compiled(schema: JSON, **options: Any) -> jsonschema_rs.Validator:
    """The one way in which anything is compiled: linear patterns, formats asserted, unknown formats refused."""
    return jsonschema_rs.validator_for(
        schema,
        validate_formats=True,
        ignore_unknown_formats=False,
        pattern_options=jsonschema_rs.RegexOptions(),
        **options,
    )


def fetched(fetch: Fetch, uri: str) -> JSON:
    """A document that a reference leads to, itself checked. BrokenSchema names the document instead of a place."""
    try:
        document = fetch(uri)
    except Unresolvable as error:
        raise BrokenSchema((), error.found, error.allowed) from error
    try:
        refuse_broken(document)
    except BrokenSchema as error:
        name = uri.rpartition("/")[2]
        raise BrokenSchema(
            (), f"{error.found} at {pointer_of(error.keys) or 'the top'} of {name}", error.allowed
        ) from error
    return document


def refuse_all(uri: str) -> NoReturn:
    raise Unresolvable(f"a reference to {shown(uri)}", "references within the schema")


def refuse_broken(schema: JSON) -> None:
    """Check a schema against its draft's metaschema. The fast engine says whether, the slow one says why."""
    if not isinstance(schema, dict | bool):
        raise BrokenSchema((), type_of(schema), "a JSON Schema: an object, true or false")
    draft = draft_of(schema)
    if draft not in DRAFTS:
        raise BrokenSchema(("$schema",), shown(draft), f"one of {', '.join(DRAFTS)}")
    if not is_schema(schema) and (error := why_no_schema(schema, draft)) is not None:
        raise BrokenSchema(tuple(error.absolute_path), shown(error.instance), what_is_allowed(error))


def is_schema(schema: JSON) -> bool:
    try:
        return jsonschema_rs.meta.is_valid(schema)
    except ValueError as error:
        raise broken(error, schema) from error


def why_no_schema(schema: JSON, draft: str) -> Any:
    """The most telling complaint. None where only a pattern is wrong: compiling it says which."""
    checker = DRAFTS[draft]
    errors = islice(checker(checker.META_SCHEMA).iter_errors(schema), MAX_VIOLATIONS)
    return jsonschema.exceptions.best_match(errors)


def what_is_allowed(error: Any) -> str:
    """In words where the metaschema's own would not help: it says what a `type` may be by way of references."""
    if error.absolute_path and error.absolute_path[-1] == "type":
        return f"one of {', '.join(TYPE_WORDS)}, or a list of them"
    if error.validator == "type":
        allowed = error.validator_value
        return " or ".join(TYPE_WORDS[word] for word in ([allowed] if isinstance(allowed, str) else allowed))
    return f"{error.validator} {shown(error.validator_value)}"


def draft_of(schema: JSON) -> str:
    said = schema.get("$schema", LATEST) if isinstance(schema, dict) else LATEST
    return said.rstrip("#") if isinstance(said, str) else shown(said)


def broken(error: ValueError, schema: JSON) -> BrokenSchema:
    """What the compiling engine complains of, in our words."""
    keys = tuple(getattr(error, "instance_path", ()))
    kind = getattr(error, "kind", None)
    said = shown(getattr(error, "instance", None))
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Format) and kind.format == "regex":
        return BrokenSchema(keys, f"the pattern {said}", "a regular expression without look-around, back-references")
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Custom) and keys[-1:] == ("format",):
        return BrokenSchema(keys, f"the format {said}", "a format that JSON Schema defines")
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Referencing):
        keys = way_to_ref(schema, lambda ref: not leads_somewhere(ref, schema))
    return BrokenSchema(keys, str(error).partition("\n")[0][:300], "a JSON Schema that can be compiled")


def way_to_ref(schema: JSON, is_wanted: Callable[[str], bool], keys: Keys = ()) -> Keys:
    """The first `$ref` that is wanted; empty where there is none."""
    ref = schema.get("$ref") if isinstance(schema, dict) else None
    if isinstance(ref, str) and is_wanted(ref):
        return (*keys, "$ref")
    ways = (way_to_ref(value, is_wanted, (*keys, key)) for key, value in children(schema))
    return next((way for way in ways if way), ())


def leads_somewhere(ref: str, schema: JSON) -> bool:
    """False for a pointer into this schema at which there is nothing."""
    try:
        return not ref.startswith("#/") or at_pointer(schema, ref[1:]) is not None
    except (LookupError, TypeError, ValueError):
        return False


def at_pointer(document: JSON, pointer: str) -> JSON:
    """What a percent-encoded JSON Pointer points at. LookupError, TypeError or ValueError where there is nothing."""
    for key in split_pointer(pointer):
        document = document[int(key) if isinstance(document, list) else key]
    return document


def split_pointer(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in unquote(pointer).split("/")[1:]]


def resolved(base: str, ref: str) -> str:
    """An absolute address (RFC 3986, section 5). `urljoin` alone loses the base of schemes that it does not know."""
    return f"{urldefrag(base)[0]}{ref}" if ref.startswith("#") else urljoin(base, ref)


def children(value: JSON) -> Iterable[tuple[str | int, JSON]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def is_nesting(schema: JSON) -> bool:
    if isinstance(schema, dict) and not NESTING_KEYWORDS.isdisjoint(schema):
        return True
    return any(is_nesting(value) for _, value in children(schema))


def is_deeper(document: JSON, levels: int) -> bool:
    """Whether objects and arrays nest deeper than `levels`. It goes level by level, so depth costs no stack."""
    level = [document]
    for _ in range(levels + 1):
        inner: list[JSON] = []
        has_nested = False
        for value in level:
            if type(value) is dict:
                has_nested = True
                inner.extend(value.values())
            elif type(value) is list:
                has_nested = True
                inner.extend(value)
        if not has_nested:
            return False
        level = inner
    return True


@dataclass(frozen=True)
class _Spot:
    """A place in a schema document."""

    uri: str
    keys: Keys
    schema: JSON
    base: str
    """What relative references are resolved against here: the document's address, or the nearest `$id`."""

    @cached_property
    def address(self) -> str:
        return f"{self.uri}#{quote(joined(self.keys))}"

    def at(self, *keys: str | int) -> _Spot:
        """A place further in."""
        schema, base = self.schema, self.base
        for key in keys:
            schema = schema[key]
            if isinstance(schema, dict) and isinstance(schema.get("$id"), str):
                base = urljoin(base, schema["$id"])
        return _Spot(self.uri, (*self.keys, *keys), schema, base)


Place = tuple[_Spot, JSON, Keys]
"""A schema, the value it is applied to, and the way to that value."""

Failure = Place | Violation
"""What a keyword finds: a place further in to look at, or the end of the way."""


class _TooManySteps(Exception):
    """The explanation would take longer than it is worth."""


class _Explainer:
    """Walks from the root of a failing document to the places that fail."""

    def __init__(self, root_uri: str, documents: Mapping[str, JSON]) -> None:
        self._documents = documents
        self._root = _Spot(root_uri, (), documents[root_uri], root_uri).at()
        self._draft = draft_of(self._root.schema)
        self._registry = jsonschema_rs.Registry(documents.items())
        self._compiled: dict[str, jsonschema_rs.Validator] = {}
        self._steps = 0

    def explain(self, document: JSON, limit: int) -> Sequence[Violation]:
        self._steps = 0
        found: list[Violation] = []
        try:
            found.extend(islice(self._walk((self._root, document, ())), limit))
        except _TooManySteps:
            log.debug("an explanation was cut short after %d steps", self._steps)
        except Exception:
            # The verdict stands without its explanation.
            log.exception("a violation could not be explained")
        return found or (Violation((), "schema", "does not satisfy the schema"),)

    def _walk(self, root: Place) -> Iterator[Violation]:
        """Depth first, with a stack of our own: documents nest deeper than Python's would hold."""
        stack = [self._failures(*root)]
        while stack:
            failure = next(stack[-1], None)
            if failure is None:
                stack.pop()
            elif isinstance(failure, Violation):
                yield failure
            elif len(stack) < MAX_ROUNDS:
                stack.append(self._failures(*failure))
            else:
                raise _TooManySteps

    def _failures(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        """What is wrong with a value that is known to fail: one failure at least."""
        is_explained = False
        for keyword in self._keywords(spot.schema):
            for failure in self._breaches(spot, keyword, value, keys):
                is_explained = True
                yield failure
        if not is_explained:
            yield unexplained(spot.schema, keys)

    def _keywords(self, schema: JSON) -> Iterable[str]:
        """Up to draft 7 a reference hides its siblings."""
        if not isinstance(schema, dict):
            return ()
        return ("$ref",) if "$ref" in schema and self._draft in HIDING_DRAFTS else schema

    def _breaches(self, spot: _Spot, keyword: str, value: JSON, keys: Keys) -> Iterator[Failure]:
        if keyword in APPLIED:
            yield from APPLIED[keyword](self, spot, value, keys)
        elif keyword in SENTENCES and not self._leaf_holds(spot, keyword, value):
            yield Violation(keys, keyword, SENTENCES[keyword](spot.schema[keyword], value))

    def _leaf_holds(self, spot: _Spot, keyword: str, value: JSON) -> bool:
        return self._ask(f"{keyword} {spot.address}", {keyword: spot.schema[keyword]}, value)

    def _is_valid(self, spot: _Spot, value: JSON) -> bool:
        return self._ask(spot.address, {"$ref": spot.address}, value)

    def _ask(self, name: str, schema: dict[str, JSON], value: JSON) -> bool:
        """Compiled at the first question, by name: there are only as many as the schema has places."""
        validator = self._compiled.get(name)
        self._steps += 1 if validator else STEPS_TO_COMPILE
        if self._steps > MAX_STEPS:
            raise _TooManySteps
        if validator is None:
            validator = compiled({"$schema": self._draft, **schema}, registry=self._registry)
            self._compiled[name] = validator
        return validator.is_valid(value)

    def _failing(self, places: Iterable[Place]) -> Iterator[Place]:
        return (place for place in places if not self._is_valid(place[0], place[1]))

    def all_of(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Place]:
        return self._failing((spot.at("allOf", index), value, keys) for index in range(len(spot.schema["allOf"])))

    def any_of(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        alternatives = [spot.at("anyOf", index) for index in range(len(spot.schema["anyOf"]))]
        if not any(self._is_valid(alternative, value) for alternative in alternatives):
            yield self._nearest(alternatives, "anyOf", value, keys)

    def one_of(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        alternatives = [spot.at("oneOf", index) for index in range(len(spot.schema["oneOf"]))]
        fitting = sum(self._is_valid(alternative, value) for alternative in alternatives)
        if fitting > 1:
            yield Violation(keys, "oneOf", f"fits {fitting} of {len(alternatives)} alternatives and may fit one only")
        elif not fitting:
            yield self._nearest(alternatives, "oneOf", value, keys)

    def _nearest(self, alternatives: Sequence[_Spot], keyword: str, value: JSON, keys: Keys) -> Failure:
        """Where a single alternative is meant for such a value, that one explains; else the choice as a whole."""
        meant = [alternative for alternative in alternatives if self._is_meant(alternative, value)]
        if len(meant) > 1:  # The union types of protocols: the property that is there says which is meant.
            meant = [
                alternative for alternative in meant if self._agrees(self._followed(alternative), ["required"], value)
            ]
        if len(meant) == 1:
            return meant[0], value, keys
        return Violation(keys, keyword, f"fits none of the {len(alternatives)} alternatives")

    def _is_meant(self, spot: _Spot, value: JSON) -> bool:
        """Whether type and tags (properties that are constants) agree, whatever else is wrong."""
        spot = self._followed(spot)
        if not self._agrees(spot, ("type", "const", "enum"), value):
            return False
        named = ((self._followed(place[0]), place[1]) for place in self._named(spot, value, ()))
        return all(self._agrees(inner, ("const", "enum"), said) for inner, said in named)

    def _agrees(self, spot: _Spot, keywords: Iterable[str], value: JSON) -> bool:
        if not isinstance(spot.schema, dict):
            return spot.schema is not False
        return all(self._leaf_holds(spot, keyword, value) for keyword in keywords if keyword in spot.schema)

    def forbidden(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        if self._is_valid(spot.at("not"), value):
            yield Violation(keys, "not", "is what the schema forbids")

    def conditional(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        branch = "then" if self._is_valid(spot.at("if"), value) else "else"
        return self._failing([(spot.at(branch), value, keys)] if branch in spot.schema else [])

    def reference(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        target = self._target(spot)
        return self._failing([(target, value, keys)] if target else [])

    def _target(self, spot: _Spot) -> _Spot | None:
        """Where `$ref` leads; None for an anchor or a schema embedded by `$id`, which end the explanation there."""
        uri, fragment = urldefrag(resolved(spot.base, spot.schema["$ref"]))
        if uri not in self._documents or (fragment and not fragment.startswith("/")):
            return None
        document = self._documents[uri]
        target = _Spot(uri, (), document, uri).at()
        for step in split_pointer(fragment):
            target = target.at(int(step) if isinstance(target.schema, list) else step)
        return target

    def _followed(self, spot: _Spot) -> _Spot:
        """What a reference stands for, through at most eight of them."""
        for _ in range(8):
            target = self._target(spot) if isinstance(spot.schema, dict) and "$ref" in spot.schema else None
            if target is None:
                break
            spot = target
        return spot

    def properties(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        return self._failing(self._named(spot, value, keys))

    def _named(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Place]:
        named = spot.schema.get("properties", {}) if isinstance(spot.schema, dict) and isinstance(value, dict) else {}
        return ((spot.at("properties", name), value[name], (*keys, name)) for name in named if name in value)

    def pattern_properties(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        return self._failing(
            (spot.at("patternProperties", pattern), inner, (*keys, name))
            for pattern in spot.schema["patternProperties"]
            for name, inner in members(value)
            if self._matches(pattern, name)
        )

    def additional_properties(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        patterns = spot.schema.get("patternProperties", {})
        known = spot.schema.get("properties", {})
        others = [name for name, _ in members(value) if name not in known]
        others = [name for name in others if not any(self._matches(pattern, name) for pattern in patterns)]
        if spot.schema["additionalProperties"] is not False:
            inner = spot.at("additionalProperties")
            yield from self._failing((inner, value[name], (*keys, name)) for name in others)
        elif others:
            yield Violation(
                keys,
                "additionalProperties",
                f"has {listed('property', 'properties', others)} that the schema does not allow",
            )

    def _matches(self, pattern: str, name: str) -> bool:
        return self._ask(f"matches {pattern}", {"pattern": pattern}, name)

    def property_names(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        inner = spot.at("propertyNames")
        for name, _ in members(value):
            if not self._is_valid(inner, name):
                yield Violation(
                    keys, "propertyNames", f"has the property name {quoted(name)}, which the schema does not allow"
                )

    def dependent_schemas(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        present = [name for name in spot.schema["dependentSchemas"] if name in dict(members(value))]
        return self._failing((spot.at("dependentSchemas", name), value, keys) for name in present)

    def items(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        if isinstance(spot.schema["items"], list):
            return self._tuple(spot, "items", value, keys)
        return self._rest(spot, "items", len(spot.schema.get("prefixItems", ())), value, keys)

    def prefix_items(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        return self._tuple(spot, "prefixItems", value, keys)

    def additional_items(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        """Up to draft 2019-09, and only beside an `items` that is a list."""
        first = spot.schema.get("items")
        return self._rest(spot, "additionalItems", len(first), value, keys) if isinstance(first, list) else iter(())

    def _tuple(self, spot: _Spot, keyword: str, value: JSON, keys: Keys) -> Iterator[Place]:
        pairs = range(min(len(spot.schema[keyword]), len(value))) if isinstance(value, list) else ()
        return self._failing((spot.at(keyword, index), value[index], (*keys, index)) for index in pairs)

    def _rest(self, spot: _Spot, keyword: str, start: int, value: JSON, keys: Keys) -> Iterator[Place]:
        inner = spot.at(keyword)
        indexes = range(start, len(value)) if isinstance(value, list) else ()
        return self._failing((inner, value[index], (*keys, index)) for index in indexes)

    def contains(self, spot: _Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        bounds = {name: spot.schema[name] for name in ("minContains", "maxContains") if name in spot.schema}
        schema = {"contains": {"$ref": spot.at("contains").address}, **bounds}
        if not self._ask(f"contains {spot.address}", schema, value):
            yield Violation(keys, "contains", "has too few or too many items of the kind that the schema asks for")


Handler = Callable[[_Explainer, _Spot, JSON, Keys], Iterator[Failure]]

APPLIED: Mapping[str, Handler] = MappingProxyType(
    {
        "$ref": _Explainer.reference,
        "allOf": _Explainer.all_of,
        "anyOf": _Explainer.any_of,
        "oneOf": _Explainer.one_of,
        "not": _Explainer.forbidden,
        "if": _Explainer.conditional,
        "properties": _Explainer.properties,
        "patternProperties": _Explainer.pattern_properties,
        "additionalProperties": _Explainer.additional_properties,
        "propertyNames": _Explainer.property_names,
        "dependentSchemas": _Explainer.dependent_schemas,
        "items": _Explainer.items,
        "prefixItems": _Explainer.prefix_items,
        "additionalItems": _Explainer.additional_items,
        "contains": _Explainer.contains,
    }
)
"""Keywords that apply other schemas. One that is missing here (`unevaluatedItems`) is named by `unexplained`."""

HIDING_DRAFTS = frozenset(draft for draft in DRAFTS if "/draft-0" in draft)


def unexplained(schema: JSON, keys: Keys) -> Violation:
    """A place that fails although none of the keywords above says why."""
    if schema is False:
        return Violation(keys, "false", "is not allowed by the schema")
    for keyword, parts in (("unevaluatedProperties", "properties"), ("unevaluatedItems", "items")):
        if keyword in schema:
            return Violation(keys, keyword, f"has {parts} that no part of the schema allows")
    return Violation(keys, "schema", "does not satisfy the schema")


def members(value: JSON) -> Iterable[tuple[str, JSON]]:
    return value.items() if isinstance(value, dict) else ()


Sentence = Callable[[Any, Any], str]
"""From the keyword's value in the schema and the value that fails."""


def missing(required: Sequence[str], value: dict[str, JSON]) -> str:
    return f"lacks the required {listed('property', 'properties', [name for name in required if name not in value])}"


def missing_beside(required: Mapping[str, Sequence[str]], value: dict[str, JSON]) -> str:
    absent = [name for present, names in required.items() if present in value for name in names if name not in value]
    return f"lacks the {listed('property', 'properties', absent)} that others in it require"


def of_another_type(allowed: str | Sequence[str], value: JSON) -> str:
    words = [allowed] if isinstance(allowed, str) else allowed
    return f"is {type_of(value)} where the schema asks for {' or '.join(TYPE_WORDS[word] for word in words)}"


SENTENCES: Mapping[str, Sentence] = MappingProxyType(
    {
        "type": of_another_type,
        "enum": lambda allowed, _: f"is not one of the {len(allowed)} values allowed: {shown(allowed)}",
        "const": lambda allowed, _: f"is not the one value allowed: {shown(allowed)}",
        "required": missing,
        "dependentRequired": missing_beside,
        "minimum": lambda limit, _: f"is below the minimum of {shown(limit)}",
        "maximum": lambda limit, _: f"is above the maximum of {shown(limit)}",
        "exclusiveMinimum": lambda limit, _: f"is not above {shown(limit)}",
        "exclusiveMaximum": lambda limit, _: f"is not below {shown(limit)}",
        "multipleOf": lambda step, _: f"is not a multiple of {shown(step)}",
        "minLength": lambda limit, value: f"has {counted(len(value), 'character')}, fewer than the {limit} required",
        "maxLength": lambda limit, value: f"has {counted(len(value), 'character')}, more than the {limit} allowed",
        "pattern": lambda pattern, _: f"does not match the pattern {shown(pattern)}",
        "format": lambda name, _: f"is not in the format {name}",
        "minItems": lambda limit, value: f"has {counted(len(value), 'item')}, fewer than the {limit} required",
        "maxItems": lambda limit, value: f"has {counted(len(value), 'item')}, more than the {limit} allowed",
        "uniqueItems": lambda _, value: f"has {counted(len(value), 'item')} of which some are equal",
        "minProperties": lambda limit, value: f"has {named(len(value))}, fewer than the {limit} required",
        "maxProperties": lambda limit, value: f"has {named(len(value))}, more than the {limit} allowed",
    }
)
"""Keywords that judge one value by themselves."""

TYPE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "object": "an object",
        "array": "an array",
        "string": "a string",
        "integer": "an integer",
        "number": "a number",
        "boolean": "a boolean",
        "null": "null",
    }
)


def type_of(value: JSON) -> str:
    """`a string`: JSON's name for what a value is."""
    if value is None:
        return "null"
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return TYPE_WORDS.get(names.get(type(value), ""), f"no JSON but {type(value).__name__}")


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def named(count: int) -> str:
    return "1 property" if count == 1 else f"{count} properties"


def listed(singular: str, plural: str, names: Sequence[str]) -> str:
    """`properties "a", "b", "c" and 4 more`."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{singular if len(names) == 1 else plural} {', '.join(map(quoted, names[:3]))}{more}"


def quoted(name: str) -> str:
    return json.dumps(name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…", ensure_ascii=False)


def shown(value: JSON) -> str:
    """A value of the schema's own, as JSON, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def pointer_of(keys: Keys) -> str:
    """JSON Pointer (RFC 6901), bounded: it ends before a name that is too long, so that no payload travels in it."""
    pointer = ""
    for key in keys:
        longer = f"{pointer}{joined((key,))}"
        if len(str(key)) > MAX_NAME or len(longer) > MAX_POINTER:
            break
        pointer = longer
    return pointer


def joined(keys: Keys) -> str:
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)
