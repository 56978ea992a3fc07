"""Reading one file, YAML or JSON, to the same limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from sidecar.engine.specs import is_deeper, quoted
from sidecar.spec_files.files import shown_path
from sidecar.yaml_source import MAX_DEPTH, Source, read, read_text, refuse


def read_source(path: Path) -> Source:
    """A file's data with its lines. Raises ConfigError; smaller mistakes are in the source."""
    name = shown_path(path)
    text = read_text(Path(name))
    if path.suffix == ".json":
        return read_json(text, name)
    return read(text, name=name, environ=None)  # `$` is a character here: patterns and paths are full of it


def read_text_of(text: str, name: str) -> Source:
    """A text that came without a file. JSON is what begins like an object."""
    return read_json(text, name) if text.lstrip().startswith("{") else read(text, name=name, environ=None)


def read_json(text: str, name: str) -> Source:
    """JSON, each key once, to the same depth and number of values as YAML. Lines are known for syntax errors only."""
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        refuse(f"{name}:{error.lineno}", f"{error.msg} (column {error.colno})", "valid JSON")
    except (RecursionError, ValueError) as error:
        refuse(name, str(error) or type(error).__name__, "valid JSON, each key once")
    if is_deeper(data, MAX_DEPTH):
        refuse(name, "deeper nesting", f"at most {MAX_DEPTH} levels")
    return Source(name, data)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {quoted(twice)} twice in one object")
    return mapping


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word}, which is no JSON")
