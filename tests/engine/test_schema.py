"""One compiled schema: the verdict, the explanation, and what is refused when it is loaded."""

from __future__ import annotations

import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.engine.specs import (
    MAX_DEPTH,
    MAX_VIOLATIONS,
    BrokenSchema,
    Schema,
    Unresolvable,
    is_deeper,
    pointer_of,
)
from sidecar.engine.specs.draft import DRAFTS
from sidecar.engine.specs.pointer import MAX_POINTER

DRAFT_4, DRAFT_6, DRAFT_7 = (f"http://json-schema.org/draft-0{number}/schema#" for number in (4, 6, 7))
DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema"


def explained(schema: Any, document: Any) -> list[tuple[str, str]]:
    compiled = Schema(schema)
    assert not compiled.is_valid(document)
    return [(pointer_of(found.keys), found.sentence) for found in compiled.violations(document)]


def nested(levels: int, key: str = "c", leaf: Any = None) -> Any:
    document = leaf
    for _ in range(levels):
        document = {key: document}
    return document


SENTENCES = [
    ({"type": "integer"}, "secret", "", "is a string where the schema asks for an integer"),
    ({"type": ["integer", "null"]}, True, "", "is a boolean where the schema asks for an integer or null"),
    ({"enum": ["a", 1]}, "secret", "", 'is not one of the 2 values allowed: ["a", 1]'),
    ({"const": "a"}, "secret", "", 'is not the one value allowed: "a"'),
    ({"required": ["a", "b"]}, {"b": 1}, "", 'lacks the required property "a"'),
    ({"required": ["a", "b"]}, {}, "", 'lacks the required properties "a", "b"'),
    ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "", 'lacks the property "b" that others in it require'),
    ({"minimum": 3}, 2, "", "is below the minimum of 3"),
    ({"maximum": 3}, 4, "", "is above the maximum of 3"),
    ({"exclusiveMinimum": 3}, 3, "", "is not above 3"),
    ({"exclusiveMaximum": 3}, 3, "", "is not below 3"),
    ({"multipleOf": 2}, 3, "", "is not a multiple of 2"),
    ({"minLength": 2}, "é", "", "has 1 character, fewer than the 2 required"),
    ({"maxLength": 2}, "secret", "", "has 6 characters, more than the 2 allowed"),
    ({"pattern": "^[a-z]+$"}, "Secret", "", 'does not match the pattern "^[a-z]+$"'),
    ({"format": "date-time"}, "secret", "", "is not in the format date-time"),
    ({"minItems": 1}, [], "", "has 0 items, fewer than the 1 required"),
    ({"maxItems": 1}, [1, 2], "", "has 2 items, more than the 1 allowed"),
    ({"uniqueItems": True}, [1, 1], "", "has 2 items of which some are equal"),
    ({"minProperties": 1}, {}, "", "has 0 properties, fewer than the 1 required"),
    ({"maxProperties": 0}, {"a": 1}, "", "has 1 property, more than the 0 allowed"),
    ({"additionalProperties": False}, {"a": 1}, "", 'has property "a" that the schema does not allow'),
    (
        {"additionalProperties": False, "properties": {"a": {}}, "patternProperties": {"^x": {}}},
        {"a": 1, "x1": 1, "b": 1, "c": 1, "d": 1, "e": 1},
        "",
        'has properties "b", "c", "d" and 1 more that the schema does not allow',
    ),
    ({"additionalProperties": {"type": "null"}}, {"a": "secret"}, "/a", "is a string where the schema asks for null"),
    ({"properties": {"a/b": {"type": "null"}}}, {"a/b": 1}, "/a~1b", "is an integer where the schema asks for null"),
    ({"patternProperties": {"^a": {"type": "null"}}}, {"ab": 1.5}, "/ab", "is a number where the schema asks for null"),
    (
        {"propertyNames": {"maxLength": 1}},
        {"ab": 1},
        "",
        'has the property name "ab", which the schema does not allow',
    ),
    ({"items": {"type": "null"}}, [None, []], "/1", "is an array where the schema asks for null"),
    ({"prefixItems": [{"type": "null"}]}, [{}], "/0", "is an object where the schema asks for null"),
    ({"prefixItems": [{}], "items": False}, [1, 2], "/1", "is not allowed by the schema"),
    (
        {"contains": {"type": "null"}},
        [1],
        "",
        "has too few or too many items of the kind that the schema asks for",
    ),
    ({"not": {"type": "string"}}, "secret", "", "is what the schema forbids"),
    ({"if": {"type": "string"}, "then": {"maxLength": 1}}, "ab", "", "has 2 characters, more than the 1 allowed"),
    ({"if": {"type": "null"}, "else": {"type": "string"}}, 1, "", "is an integer where the schema asks for a string"),
    ({"allOf": [{}, {"type": "null"}]}, 1, "", "is an integer where the schema asks for null"),
    ({"anyOf": [{"type": "null"}, {"type": "string"}]}, 1, "", "fits none of the 2 alternatives"),
    (
        {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 1}]},
        "ab",
        "",
        "has 2 characters, more than the 1 allowed",
    ),
    (
        {"oneOf": [{"minimum": 1}, {"minimum": 2}, {"minimum": 9}]},
        3,
        "",
        "fits 2 of 3 alternatives and may fit one only",
    ),
    (
        {
            "oneOf": [
                {"properties": {"kind": {"const": "a"}, "n": {"type": "null"}}},
                {"properties": {"kind": {"const": "b"}, "n": {"type": "string"}}},
            ]
        },
        {"kind": "b", "n": 1},
        "/n",
        "is an integer where the schema asks for a string",
    ),
    (
        {
            "oneOf": [
                {"required": ["a"], "properties": {"a": {"type": "null"}}},
                {"required": ["b"], "properties": {"b": {"type": "null"}}},
            ]
        },
        {"b": 1},
        "/b",
        "is an integer where the schema asks for null",
    ),
    ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1}, "", 'lacks the required property "b"'),
    ({"unevaluatedProperties": False}, {"a": 1}, "", "has properties that no part of the schema allows"),
    ({"unevaluatedItems": False}, [1], "", "has items that no part of the schema allows"),
    (
        {"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "null"}}},
        1,
        "",
        "is an integer where the schema asks for null",
    ),
    ({"$ref": "#a", "$defs": {"x": {"$anchor": "a", "type": "null"}}}, 1, "", "does not satisfy the schema"),
    (False, 1, "", "is not allowed by the schema"),
    (
        {"$schema": DRAFT_7, "items": [{}], "additionalItems": {"type": "null"}},
        [1, 1],
        "/1",
        "is an integer where the schema asks for null",
    ),
    (
        {
            "$schema": DRAFT_7,
            "properties": {"a": {"$ref": "#/definitions/s", "maxLength": 0}},
            "definitions": {"s": {"type": "string"}},
        },
        {"a": 1},
        "/a",
        "is an integer where the schema asks for a string",
    ),
    ({"$schema": DRAFT_4, "minimum": 3, "exclusiveMinimum": True}, 3, "", "does not satisfy the schema"),
]


@pytest.mark.parametrize(("schema", "document", "pointer", "sentence"), SENTENCES)
def test_each_keyword_has_its_sentence(schema: Any, document: Any, pointer: str, sentence: str):
    """A person reads where and what; the schema's own values are quoted, the message's never."""
    assert explained(schema, document) == [(pointer, sentence)]


def test_values_of_the_message_stay_hidden():
    """Findings travel to logs, metrics and callers, where payloads have no business."""
    schema = {
        "properties": {
            "a": {"type": "integer"},
            "b": {"enum": [1]},
            "c": {"const": 1},
            "d": {"pattern": "^x$"},
            "e": {"maxLength": 1},
            "f": {"format": "email"},
            "g": {"not": {}},
            "h": {"anyOf": [False, False]},
        }
    }
    found = explained(schema, dict.fromkeys("abcdefgh", "topsecret"))
    assert len(found) == 8
    assert "topsecret" not in str(found)


@pytest.mark.parametrize("count", [0, 1, MAX_VIOLATIONS, MAX_VIOLATIONS + 1, 1_000_000])
def test_violations_are_counted_to_the_limit(count: int):
    """A million bad items cost no more than eight."""
    schema = Schema({"items": {"type": "string"}})
    document = [1] * count
    assert schema.is_valid(document) == (count == 0)
    if count:
        started = time.monotonic()
        assert len(schema.violations(document)) == min(count, MAX_VIOLATIONS)
        assert time.monotonic() - started < 1


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_named_draft_is_honoured(draft: str):
    """`$schema` decides what a keyword means: `items` as a list is a tuple up to 2019-09."""
    schema = Schema({"$schema": draft, "type": "array", "additionalItems": False, "items": {"type": "string"}})
    assert schema.is_valid(["a"])
    assert not schema.is_valid([1])


BROKEN = [
    (
        {"type": "strin"},
        ("type",),
        '"strin"',
        "one of object, array, string, integer, number, boolean, null, or a list",
    ),
    ({"properties": {"a": {"minLength": "3"}}}, ("properties", "a", "minLength"), '"3"', "an integer"),
    ({"required": "a"}, ("required",), '"a"', "an array"),
    ([], (), "an array", "an object, true or false"),
    ("x", (), "a string", "an object, true or false"),
    ({"$schema": "https://example.com/mine"}, ("$schema",), '"https://example.com/mine"', "2020-12"),
    ({"$schema": 7}, ("$schema",), "7", "2020-12"),
    ({"pattern": "(?=a)b"}, ("pattern",), 'the pattern "(?=a)b"', "without look-around, back-references"),
    ({"pattern": r"(a)\1"}, ("pattern",), r'the pattern "(a)\\1"', "without look-around, back-references"),
    ({"pattern": "("}, ("pattern",), 'the pattern "("', "regular expression"),
    ({"items": {"pattern": "a{1000}{1000}{1000}"}}, ("items", "pattern"), "the pattern", "regular expression"),
    ({"patternProperties": {"(?<!a)b": {}}}, ("patternProperties",), 'the pattern "(?<!a)b"', "regular expression"),
    ({"format": "shoe-size"}, ("format",), 'the format "shoe-size"', "that JSON Schema defines"),
    ({"properties": {"a": {"$ref": "#/$defs/b"}}}, ("properties", "a", "$ref"), "$defs/b", "can be compiled"),
    ({"$ref": "#nowhere"}, (), "nowhere", "can be compiled"),
    ({"$ref": "https://example.com/a.json"}, ("$ref",), '"https://example.com/a.json"', "within the schema"),
    ({"items": {"$ref": "other.json"}}, ("items", "$ref"), "other.json", "within the schema"),
    (nested(300, "not", {}), (), "ecursion", "can be compiled"),
]


@pytest.mark.parametrize(("schema", "keys", "found", "allowed"), BROKEN)
def test_a_broken_schema_is_refused_with_place_and_reason(schema: Any, keys: Any, found: str, allowed: str):
    """Whoever wrote it must see where to look, before any message meets it."""
    with pytest.raises(BrokenSchema) as caught:
        Schema(schema)
    assert caught.value.keys[: len(keys)] == keys
    assert found in caught.value.found
    assert allowed in caught.value.allowed


def test_a_large_broken_schema_is_refused_in_time():
    """A reload runs beside traffic, so even nonsense must be read quickly."""
    started = time.monotonic()
    with pytest.raises(BrokenSchema):
        Schema({"properties": {str(number): {"type": "strin"} for number in range(20_000)}})
    assert time.monotonic() - started < 10


def test_references_are_fetched_checked_and_explained_across_documents():
    """A `$ref` resolves against the document it stands in, and its violations are found like any other."""
    documents = {
        "file:///s/sub/b.json": {"$defs": {"q": {"$ref": "c.json#/$defs/name"}}},
        "file:///s/sub/c.json": {"$defs": {"name": {"type": "string", "minLength": 2}}},
    }
    fetched = []

    def fetch(uri: str) -> Any:
        fetched.append(uri)
        return documents[uri]

    schema = Schema({"properties": {"a": {"$ref": "sub/b.json#/$defs/q"}}}, base_uri="file:///s/spec.yaml", fetch=fetch)
    assert fetched == list(documents)
    assert schema.is_valid({"a": "xy"})
    (found,) = schema.violations({"a": "x"})
    assert (found.keys, found.keyword) == (("a",), "minLength")


def test_a_document_that_is_referred_to_must_be_a_schema_too():
    """The mistake names the document, because the place is not in the file that is being loaded."""
    with pytest.raises(BrokenSchema) as caught:
        Schema({"$ref": "b.json"}, base_uri="file:///s/a.json", fetch=lambda uri: {"properties": {"a": 1}})
    assert caught.value.keys == ("$ref",)
    assert caught.value.found == "1 at /properties/a of b.json"


def test_a_document_that_cannot_be_fetched_is_refused_with_the_reason():
    """The reason comes from whoever reads files."""

    def fetch(uri: str) -> Any:
        raise Unresolvable(f"nothing at {uri}", "something")

    with pytest.raises(BrokenSchema) as caught:
        Schema({"allOf": [{"$ref": "b.json"}]}, base_uri="file:///s/a.json", fetch=fetch)
    assert (caught.value.keys, caught.value.found) == (("allOf", 0, "$ref"), "nothing at file:///s/b.json")


RECURSIVE = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}}}}}


@pytest.mark.parametrize(
    ("levels", "is_valid"), [(1, True), (MAX_DEPTH, True), (MAX_DEPTH + 1, False), (100_000, False)]
)
def test_documents_deeper_than_the_limit_break_schemas_with_references(levels: int, is_valid: bool):
    """Native code would recurse with the document until the process dies."""
    schema = Schema(RECURSIVE)
    document = nested(levels - 1, leaf={})
    assert schema.is_valid(document) is is_valid
    if not is_valid:
        (found,) = schema.violations(document)
        assert found.sentence == "nests deeper than the 128 levels that can be checked"


@pytest.mark.parametrize("levels", [0, 1, 5])
def test_depth_counts_objects_and_arrays(levels: int):
    """A scalar has no level, a list of lists has two."""
    assert not is_deeper(nested(levels, leaf=1), levels)
    assert is_deeper(nested(levels, leaf=[]), levels)


def test_circular_references_end():
    """A schema that only refers to itself says nothing, and says it at once."""
    assert Schema({"$ref": "#"}).is_valid(1)
    circle = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}}}
    assert Schema(circle).is_valid("x")


def test_ambiguous_recursion_is_explained_down_to_the_leaf():
    """Naive explanation tries every alternative at every level: 4 to the power of 30 here."""
    operators = [
        {
            "type": "object",
            "required": ["op"],
            "properties": {"op": {"const": name}, "left": {"$ref": "#/$defs/n"}},
        }
        for name in ("add", "sub", "mul")
    ]
    schema = {"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"type": "integer"}, *operators]}}}
    document: Any = "bad"
    for _ in range(30):
        document = {"op": "sub", "left": document}
    started = time.monotonic()
    compiled = Schema(schema)
    assert not compiled.is_valid(document)
    (found,) = compiled.violations(document)
    assert time.monotonic() - started < 2
    assert found.keys == ("left",) * 30
    assert found.sentence == "fits none of the 4 alternatives"


def test_identical_alternatives_do_not_hang():
    """Where nothing tells alternatives apart, the choice as a whole is named."""
    branch = {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}}, "required": ["c"]}
    schema = Schema({"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"type": "string"}, branch, branch]}}})
    started = time.monotonic()
    assert [found.sentence for found in schema.violations(nested(100))] == ["fits none of the 3 alternatives"]
    assert time.monotonic() - started < 2


def test_an_explanation_that_takes_too_long_is_cut_short():
    """One bad item behind a million good ones: the verdict is exact, the place is not worth the time."""
    schema = Schema({"items": {"type": "string"}})
    document = ["a"] * 1_000_000 + [1]
    assert not schema.is_valid(document)
    started = time.monotonic()
    (found,) = schema.violations(document)
    assert time.monotonic() - started < 1
    assert found.sentence == "does not satisfy the schema"


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(.*a){12}$", "(x+x+)+y"])
def test_catastrophic_patterns_are_linear_in_both_engines(pattern: str):
    """A backtracking engine needs longer than the age of the universe for the second of these."""
    schema = Schema({"pattern": pattern, "type": "string"})
    document = "a" * 50_000 + "!"
    started = time.monotonic()
    assert not schema.is_valid(document)
    (found,) = schema.violations(document)
    assert found.keyword == "pattern"
    assert time.monotonic() - started < 2


def test_a_large_string_is_judged_and_not_quoted():
    """1 MiB in, one short sentence out."""
    ((pointer, sentence),) = explained({"properties": {"t": {"maxLength": 9}}}, {"t": "a" * (1 << 20)})
    assert (pointer, sentence) == ("/t", "has 1048576 characters, more than the 9 allowed")


def test_long_names_travel_neither_in_sentences_nor_in_pointers():
    """Property names are shown, so they must not become a way to carry a payload."""
    schema = {"additionalProperties": {"type": "null"}}
    ((pointer, _),) = explained(schema, {"x" * 65: 1})
    assert pointer == ""
    ((_, sentence),) = explained({"additionalProperties": False}, {"x" * 1_000: 1})
    assert len(sentence) < 120


@pytest.mark.parametrize(("length", "kept"), [(0, 0), (1, 1), (51, 51), (52, 51)])
def test_pointers_end_at_the_last_ancestor_that_fits(length: int, kept: int):
    """51 names of four characters and their slashes make 255 of the 256 characters."""
    assert pointer_of(("abcd",) * length) == "/abcd" * kept
    assert len(pointer_of(("abcd",) * length)) <= MAX_POINTER


def test_pointers_are_escaped():
    """RFC 6901, section 3."""
    assert pointer_of(("a/b", "m~n", 0, "")) == "/a~1b/m~0n/0/"


def test_formats_are_asserted():
    """A format that only annotates would be a promise that nobody keeps."""
    schema = Schema({"format": "uuid"})
    assert schema.is_valid("2eb8aa08-aa98-11ea-b4aa-73b441d16380")
    assert not schema.is_valid("2eb8aa08")


def test_what_is_no_json_raises():
    """The check turns this into a verdict; it must not pass as valid."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        Schema({"type": "string"}).is_valid("\ud800")


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "ab", "x1"])
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abx"), inner, max_size=3)
)
TYPES = st.sampled_from(["object", "array", "string", "integer", "null", "boolean"])
LEAVES = st.one_of(  # without `false`, whose place the other engine reports one level up
    st.just(True),
    st.builds(lambda kind: {"type": kind}, TYPES),
    st.builds(lambda value: {"const": value}, SCALARS),
    st.builds(lambda number: {"minLength": number, "minimum": number}, st.integers(0, 3)),
    st.builds(lambda names: {"required": names}, st.lists(st.sampled_from("abx"), unique=True, max_size=2)),
    st.just({"pattern": "^x"}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda schema: {"items": schema}, inner),
        st.builds(lambda first, rest: {"prefixItems": [first], "items": rest}, inner, inner),
        st.builds(
            lambda a, more: {"properties": {"a": a}, "additionalProperties": more}, inner, inner | st.just(False)
        ),
        st.builds(lambda schema: {"patternProperties": {"^x": schema}}, inner),
        st.builds(lambda one, two: {"allOf": [one, two]}, inner, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, DOCUMENTS)
def test_two_engines_agree_on_verdict_and_places(schema: Any, document: Any):
    """An independent engine finds the same verdict, and the same places where no alternatives leave a choice."""
    ours = Schema(schema)
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(document))
    assert ours.is_valid(document) == (not errors)
    if errors:
        places = {found.keys for found in ours.violations(document, limit=1_000)}
        assert places == {tuple(error.absolute_path) for error in errors}
