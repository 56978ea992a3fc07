"""Bundles: another engine is handed the spec's own schemas, whole, and learns nothing of the operator's machine."""

from __future__ import annotations

import json
import logging
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships none
import pytest

from sidecar.engine.specs import PanelTerms, Spec, compile_spec
from sidecar.engine.specs.bundle import MAX_BUNDLE_BYTES
from sidecar.engine.specs.flaws import Unresolvable

BASE = "file:///home/operator/specs/a.yaml"


def spec_of(files: dict[str, Any] | None = None, **data: Any) -> Spec:
    """A compiled spec with a panel; `files` are what it may refer to, by address."""

    def fetch(uri: str) -> Any:
        try:
            return (files or {})[uri]
        except KeyError:
            raise Unresolvable(uri, "what there is") from None

    data = {"spec": "a/v1", "match": {}, "verifiers": {"require": ["schema"]}, **data}
    return compile_spec(data, base_uri=BASE, fetch=fetch)


def schemas(*arguments: Any, **data: Any) -> dict[str, Any]:
    panel = spec_of(*arguments, **data).panel
    assert isinstance(panel, PanelTerms)
    return {name: json.loads(text) for name, text in panel.schemas.items()}


def accepts(schema: Any, document: Any) -> bool:
    """The other engine's answer; it resolves nothing that the schema does not hold."""
    return bool(jsonschema.Draft202012Validator(schema).is_valid(document))


def test_schemas_and_parts_of_both_sides_are_handed_over():
    """A schema without references goes as it stands."""
    part = {"at": "$.message.parts[*].data", "schema": {"type": "object"}, "required": True}
    found = schemas(request={"schema": {"type": "object"}, "parts": [part]}, response={"schema": False})
    assert found == {"request_schema": {"type": "object"}, "request_parts": [part], "response_schema": False}


def test_a_spec_without_schemas_or_without_a_panel_hands_over_nothing():
    """There is nothing to compare, or nobody to do it."""
    assert schemas() == {}
    assert compile_spec({"spec": "a/v1", "match": {}, "request": {"schema": {}}}, base_uri=BASE).panel is None


NAMES = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"name": {"type": "string"}}}
FILES = {
    "file:///home/operator/specs/schemas/query.json": {"properties": {"who": {"$ref": "../names.json#/$defs/name"}}},
    "file:///home/operator/specs/names.json": NAMES,
    "file:///home/operator/specs/yes.json": True,
    "https://acme.example/money.json": {"$id": "https://acme.example/money.json", "minimum": 0},
    "file:///home/operator/specs/tree.json": {"properties": {"leaf": {"$ref": "#"}}, "required": ["leaf"]},
}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"$ref": "schemas/query.json"}, {"who": "Orla"}, {"who": 7}),
        ({"$ref": "names.json#/$defs/name"}, "Orla", 7),
        ({"allOf": [{"$ref": "yes.json"}, {"type": "string"}]}, "x", 7),
        ({"$ref": "https://acme.example/money.json"}, 0, -1),
        ({"not": {"$ref": "tree.json"}}, 7 * [0], None),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "allOf": [{"$ref": "names.json#/$defs/name"}]}, "x", 7),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "allOf": [{"$ref": "yes.json"}]}, None, None),
        ({"$ref": "file:///home/operator/specs/names.json#/$defs/name"}, None, None),
    ],
    ids=[
        "through two files",
        "into a file",
        "a file that is true",
        "an address",
        "a circle",
        "an older draft",
        "draft 4",
        "an absolute path",
    ],
)
def test_what_a_schema_refers_to_is_inside(schema: Any, good: Any, bad: Any, caplog: pytest.LogCaptureFixture):
    """Another engine comes to the same answer without reading a file, or gets no schema and we say so."""
    found = schemas(FILES, response={"schema": schema})
    if not found:
        assert "no schema verifier can check its schemas" in caplog.text
        assert good is None
        return
    assert "operator" not in json.dumps(found)
    inline = spec_of(FILES, response={"schema": schema}).response.schema
    assert inline is not None
    for document in (good, bad):
        assert accepts(found["response_schema"], document) is inline.is_valid(document)


@pytest.mark.parametrize(("over_bytes", "is_handed_over"), [(0, True), (1, False)])
def test_schemas_travel_up_to_a_size(over_bytes: int, is_handed_over: bool, caplog: pytest.LogCaptureFixture):
    """They go with every question; what is over the limit is not sent, and a warning says so when the spec loads."""
    frame = len(json.dumps({"title": ""}))
    schema = {"title": "x" * (MAX_BUNDLE_BYTES - frame + over_bytes)}
    with caplog.at_level(logging.WARNING):
        assert bool(schemas(request={"schema": schema})) is is_handed_over
    assert ("a/v1: no schema verifier can check" in caplog.text) is not is_handed_over
