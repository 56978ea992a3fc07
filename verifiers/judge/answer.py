"""From the model's text to a verdict, or to nothing: what is not exactly what was asked for is no verdict."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]

from verifiers.base import Finding, Value, Verdict

_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_QUOTE_CHARS = 40
"""A run of the evidence this long in a finding's message is a quotation of it."""
_VALUES = {"pass": Value.PASS, "inconclusive": Value.INCONCLUSIVE, "fail": Value.FAIL}

_FINDING = {
    "type": "object",
    "additionalProperties": False,
    "required": ["rule", "message"],
    "properties": {
        "rule": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,63}$"},
        "message": {"type": "string", "minLength": 1, "maxLength": 400},
        "pointer": {"type": "string", "pattern": "^(/|$)", "maxLength": 400},
        "in_request": {"type": "boolean"},
    },
}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["token", "verdict", "score", "findings"],
    "properties": {
        "token": {"type": "string"},
        "verdict": {"enum": list(_VALUES)},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "findings": {"type": "array", "maxItems": 20, "items": _FINDING},
    },
    "allOf": [
        {
            "if": {"properties": {"verdict": {"const": "fail"}}},
            "then": {"properties": {"findings": {"minItems": 1}}},
        },
        {
            "if": {"properties": {"verdict": {"const": "pass"}}},
            "then": {"properties": {"findings": {"maxItems": 0}}},
        },
    ],
}


class Unparsable(Exception):
    """The text is not a verdict; the message says why, without quoting it."""


def read_answer(text: str, token: str, shown: str) -> Verdict:
    """The verdict. Raises `Unparsable`. `shown` is the evidence, so that findings that quote it can be cut."""
    answer = _parsed(text)
    if not _validator().is_valid(answer):
        raise Unparsable("the JSON is not a verdict of the form that was asked for")
    if answer["token"] != token:
        raise Unparsable("the answer does not repeat the token of its question")
    findings = tuple(_finding(found, shown) for found in answer["findings"])
    return Verdict(_VALUES[answer["verdict"]], float(answer["score"]), findings)


def _parsed(text: str) -> Any:
    """Takes the whole text as JSON, or the whole text as one fenced block; never a part that looks right."""
    fenced = _FENCED.fullmatch(text.strip())
    try:
        return json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError) as error:
        raise Unparsable("the text is not JSON") from error


@lru_cache(1)
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(SCHEMA)


def _finding(found: dict[str, Any], shown: str) -> Finding:
    message = _CONTROL.sub(" ", found["message"]).strip()
    if _quotes(message, shown):
        message = "The judge's sentence quoted the evidence and was left out."
    return Finding(found["rule"], message, found.get("pointer", ""), found.get("in_request", False))


def _quotes(message: str, shown: str) -> bool:
    starts = range(len(message) - _QUOTE_CHARS + 1)
    return any(message[start : start + _QUOTE_CHARS] in shown for start in starts)
