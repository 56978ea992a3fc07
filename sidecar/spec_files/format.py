"""The spec format, and what a file says that the format does not allow."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # It ships no types. It says what is wrong in a spec's own format.

from sidecar.engine.specs import BrokenPath, Keys, quoted, shown, type_of
from sidecar.engine.specs import Path as JsonPath
from sidecar.errors import Mistake
from sidecar.yaml_source import Source

FORMAT_PATH = Path(__file__).with_name("spec_format.json")
"""The published JSON Schema of the spec format. Its descriptions are what a mistake names as allowed."""

FORMAT: dict[str, Any] = json.loads(FORMAT_PATH.read_text(encoding="utf-8"))

_formats = jsonschema.FormatChecker(formats=())


@_formats.checks("json-path", raises=BrokenPath)  # type: ignore[untyped-decorator]  # From the untyped package above.
def is_json_path(value: object) -> bool:
    return not isinstance(value, str) or bool(JsonPath(value))


_format = jsonschema.Draft202012Validator(FORMAT, format_checker=_formats)


def format_mistakes(source: Source) -> Iterator[Mistake]:
    """What breaks the spec format."""
    if not isinstance(source.data, dict):
        yield Mistake(source.where(()), type_of(source.data), FORMAT["description"])
        return
    for error in sorted(_format.iter_errors(source.data), key=lambda error: str(error.absolute_path)):
        yield from mistakes_of(error, source)


def mistakes_of(error: Any, source: Source) -> Iterator[Mistake]:
    """One complaint of the format's schema in words of ours; what is allowed is in the format's descriptions."""
    keys: Keys = tuple(error.absolute_path)
    known = error.schema.get("properties", {})
    if error.validator == "additionalProperties":
        for name in error.instance.keys() - known.keys():
            yield Mistake(source.where((*keys, name)), f"the unknown key {quoted(name)}", suggested(name, list(known)))
    elif error.validator == "required":
        name = next(name for name in error.validator_value if error.message.startswith(repr(name)))
        yield Mistake(source.where(keys), f"no `{name}`", told(known[name]))
    elif isinstance(error.cause, BrokenPath):
        yield Mistake(source.where(keys), error.cause.found, error.cause.allowed)
    else:
        yield Mistake(source.where(keys), shown(error.instance), error.schema["description"])


def suggested(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{', '.join(known)}{f' (did you mean {near[0]}?)' if near else ''}"


def told(schema: dict[str, Any]) -> str:
    """A description, through the format's own `$defs`."""
    target: str = schema.get("$ref", "").rpartition("/")[2]
    described: str = (FORMAT["$defs"][target] if target else schema)["description"]
    return described
