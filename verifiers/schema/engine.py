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

import jsonschema  # type: ignore[import-untyped]
from jsonschema.protocols import Validator  # type: ignore[import-untyped]
from jsonschema.validators import validator_for  # type: ignore[import-untyped]
from referencing import Registry

MAX_FINDINGS = 20
_MAX_COMPILED = 64
_MAX_QUOTED_CHARS = 80
_CAMEL = re.compile(r"([A-Z])")
_OFFLINE: Registry[Any] = Registry()
"""Knows the meta-schemas and nothing else: a `$ref` to another document must never make us fetch it."""

Found = dict[str, Any]


def answer(payload: bytes) -> bytes:
    """Judges `[{in_request, schema, document}, ...]`; answers one list of findings for each, in that order."""
    return json.dumps([_judge(case) for case in json.loads(payload)]).encode()


def _judge(case: dict[str, Any]) -> list[Found]:
    """Whatever the engine raises is no verdict: it has no Unicode classes in patterns, which are no one's mistake."""
    try:
        errors = _compiled(case["schema"]).iter_errors(case["document"])
        found = [_finding(error) for error in islice(errors, MAX_FINDINGS)]
    except Exception as error:  # noqa: BLE001, RUF100 the engine raises what it likes, re.error and RecursionError too
        found = [_unjudged(error)]
    return [finding | {"in_request": case["in_request"]} for finding in found]


@lru_cache(_MAX_COMPILED)
def _compiled(text: str) -> Validator:
    schema = json.loads(text)
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    kind.check_schema(schema)
    return kind(schema, registry=_OFFLINE, format_checker=kind.FORMAT_CHECKER)


def _finding(error: jsonschema.ValidationError) -> Found:
    """The schema `false` has no keyword; it is the one that nothing holds to."""
    rule = _kebab(error.validator or "false-schema")
    return {"rule": rule, "message": _sentence(error), "pointer": _pointer(error.absolute_path)}


def _sentence(error: jsonschema.ValidationError) -> str:
    """Quotes the schema, which is the operator's, and never the value, which is the agent's."""
    if not error.validator:
        return "The schema allows nothing here."
    asked = "; ".join(_missing(error)) if error.validator == "required" else json.dumps(error.validator_value)
    quoted = asked if len(asked) <= _MAX_QUOTED_CHARS else asked[:_MAX_QUOTED_CHARS] + "..."
    return f"The schema's {error.validator!r} does not hold here: {quoted}"


def _missing(error: jsonschema.ValidationError) -> Iterator[str]:
    return (f"{name!r} is missing" for name in error.validator_value if name not in error.instance)


def _unjudged(error: Exception) -> Found:
    message = f"The schema could not be applied, so nothing is known: {type(error).__name__}"
    return {"rule": "unjudged", "message": message, "pointer": ""}


def _kebab(keyword: object) -> str:
    return _CAMEL.sub(r"-\1", str(keyword)).lower().strip("$")


def _pointer(path: Any) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
