"""The other schema engine, as a function from bytes to bytes that a cage can run.

`jsonschema` is written apart from the engine that the sidecar uses, so the two check each other. Its patterns are
Python's, which backtrack: this module therefore only ever runs in a child that may be killed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonpath_rfc9535
import jsonschema  # type: ignore[import-untyped]
from jsonpath_rfc9535 import JSONPathQuery
from jsonschema.protocols import Validator  # type: ignore[import-untyped]
from jsonschema.validators import validator_for  # type: ignore[import-untyped]
from referencing import Registry

MAX_FINDINGS = 20
MAX_PLACES = 1_000
"""Places that one part may select; a document with more is not judged."""
_MAX_COMPILED = 64
_MAX_QUOTED_CHARS = 80
_CAMEL = re.compile(r"([A-Z])")
_OFFLINE: Registry[Any] = Registry()
"""Knows the meta-schemas and nothing else: a `$ref` to another document must never make us fetch it."""

Found = dict[str, Any]


class TooManyPlaces(Exception):
    """A part selects more places than are judged."""


def answer(payload: bytes) -> bytes:
    """Judges `[{in_request, schema, document}, ...]`; answers one list of findings for each, in that order.

    A case with `at`, a JSONPath, and `required` is about the places that the path selects, and not about the whole.
    """
    return json.dumps([_judge(case) for case in json.loads(payload)]).encode()


def _judge(case: dict[str, Any]) -> list[Found]:
    """Whatever the engine raises is no verdict: it has no Unicode classes in patterns, which are no one's mistake."""
    try:
        found = list(islice(_found(case), MAX_FINDINGS))
    except Exception as error:  # noqa: BLE001, RUF100 the engine raises what it likes, re.error and RecursionError too
        found = [_unjudged(error)]
    return [finding | {"in_request": case["in_request"]} for finding in found]


def _found(case: dict[str, Any]) -> Iterator[Found]:
    places = _places(case)
    if not places and case["required"]:
        yield {"rule": "part-required", "message": f"Nothing is at {_cut(case['at'])}.", "pointer": ""}
    for path, value in places:
        for error in _compiled(case["schema"]).iter_errors(value):
            yield _finding(error, path)


def _places(case: dict[str, Any]) -> list[tuple[tuple[str | int, ...], Any]]:
    """What is judged, after the way to it: all of the document, or what the part's path selects."""
    if "at" not in case:
        return [((), case["document"])]
    nodes = list(islice(_path(case["at"]).finditer(case["document"]), MAX_PLACES + 1))
    if len(nodes) > MAX_PLACES:
        raise TooManyPlaces
    return [(node.location, node.value) for node in nodes]


@lru_cache(_MAX_COMPILED)
def _path(text: str) -> JSONPathQuery:
    return jsonpath_rfc9535.compile(text)


@lru_cache(_MAX_COMPILED)
def _compiled(text: str) -> Validator:
    schema = json.loads(text)
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    kind.check_schema(schema)
    return kind(schema, registry=_OFFLINE, format_checker=kind.FORMAT_CHECKER)


def _finding(error: jsonschema.ValidationError, above: tuple[str | int, ...]) -> Found:
    """The schema `false` has no keyword; it is the one that nothing holds to."""
    rule = _kebab(error.validator or "false-schema")
    return {"rule": rule, "message": _sentence(error), "pointer": _pointer((*above, *error.absolute_path))}


def _sentence(error: jsonschema.ValidationError) -> str:
    """Quotes the schema, which is the operator's, and never the value, which is the agent's."""
    if not error.validator:
        return "The schema allows nothing here."
    asked = "; ".join(_missing(error)) if error.validator == "required" else json.dumps(error.validator_value)
    return f"The schema's {error.validator!r} does not hold here: {_cut(asked)}"


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED_CHARS else text[:_MAX_QUOTED_CHARS] + "..."


def _missing(error: jsonschema.ValidationError) -> Iterator[str]:
    return (f"{name!r} is missing" for name in error.validator_value if name not in error.instance)


def _unjudged(error: Exception) -> Found:
    message = f"The schema could not be applied, so nothing is known: {type(error).__name__}"
    return {"rule": "unjudged", "message": message, "pointer": ""}


def _kebab(keyword: object) -> str:
    return _CAMEL.sub(r"-\1", str(keyword)).lower().strip("$")


def _pointer(path: Any) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
