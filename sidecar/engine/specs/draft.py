"""The drafts of JSON Schema, and whether a schema is what its own draft allows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # It ships no types. It says what is wrong with a schema itself.
import jsonschema_rs

from sidecar.engine.message import JSON
from sidecar.engine.specs.compiling import broken
from sidecar.engine.specs.flaws import BrokenSchema
from sidecar.engine.specs.sentences import TYPE_WORDS, shown, type_of

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

HIDING_DRAFTS = frozenset(draft for draft in DRAFTS if "/draft-0" in draft)
"""Those in which a reference hides what stands beside it."""

MAX_COMPLAINTS = 8
"""Complaints of the metaschema among which the most telling is looked for."""


def draft_of(schema: JSON) -> str:
    said = schema.get("$schema", LATEST) if isinstance(schema, dict) else LATEST
    return said.rstrip("#") if isinstance(said, str) else shown(said)


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
    errors = islice(checker(checker.META_SCHEMA).iter_errors(schema), MAX_COMPLAINTS)
    return jsonschema.exceptions.best_match(errors)


def what_is_allowed(error: Any) -> str:
    """In words where the metaschema's own would not help: it says what a `type` may be by way of references."""
    if error.absolute_path and error.absolute_path[-1] == "type":
        return f"one of {', '.join(TYPE_WORDS)}, or a list of them"
    if error.validator == "type":
        allowed = error.validator_value
        return " or ".join(TYPE_WORDS[word] for word in ([allowed] if isinstance(allowed, str) else allowed))
    return f"{error.validator} {shown(error.validator_value)}"
