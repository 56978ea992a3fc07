"""What is wrong with a value, in words, to be read after the name of its place.

A sentence quotes the schema and names properties. It never shows a value: what agents say to each other is theirs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sidecar.engine.message import JSON
from sidecar.engine.specs.pointer import MAX_NAME

MAX_SHOWN = 120
"""Characters of a schema's own value that a sentence quotes."""

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
