"""Mistakes in our own words: what pydantic complains of, as an operator reads it.

A value is shown short, without passwords, and never with what a variable put into it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from sidecar.config.clashes import BadValues
from sidecar.config.section import Section, keyed_fields, section_in
from sidecar.config.tree import Config
from sidecar.config.values import redacted
from sidecar.units import BadValue
from sidecar.yaml_source import Keys, Source, dotted

SECRET_ADVICE = "secret_file or secret_env: a secret never stands in this file"  # noqa: S105 - advice, not a secret


def said_of(error: ValidationError, source: Source) -> Iterator[tuple[Keys, str, str]]:
    """Where, what was found, and what is allowed, for each thing that pydantic complains of."""
    for one in error.errors(include_url=False):
        keys: Keys = tuple(one["loc"])
        bad = one.get("ctx", {}).get("error")
        if isinstance(bad, BadValues):
            yield from (((*keys, *inner), found, allowed) for inner, found, allowed in bad.mistakes)
        elif isinstance(bad, BadValue):
            yield keys, bad.found or shown(one["input"], keys, source), bad.allowed
        else:
            yield keys, *told(one["type"], keys, one["input"], one.get("ctx", {}), source)


def told(kind: str, keys: Keys, value: Any, context: Mapping[str, Any], source: Source) -> tuple[str, str]:
    """Found and allowed, for the complaints that pydantic makes by itself."""
    if kind == "missing":
        return "nothing", f"a value ({meaning(keys)})"
    if kind == "extra_forbidden":
        return unknown_key(keys)
    found = shown(value, keys, source)
    if kind in ("literal_error", "enum"):
        return found, str(context["expected"]).replace("'", "")
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return found, f"a mapping with {', '.join(known_keys(keys))}"
    return found, f"another value ({kind})"


def unknown_key(keys: Keys) -> tuple[str, str]:
    key, known = str(keys[-1]), known_keys(keys[:-1])
    if key == "secret" and "secret_file" in known:
        return "an inline secret", SECRET_ADVICE
    nearest = difflib.get_close_matches(key, known, n=1)
    return f"an unknown key (meant {nearest[0]}?)" if nearest else "an unknown key", ", ".join(known)


def shown(value: Any, keys: Keys, source: Source) -> str:
    """A value in a message: short, without passwords, and as it stood in the file where a variable was filled in."""
    if (said_at := template_of(keys, source)) is not None:
        suffix = "" if said_at in source.origins else " (variables filled in)"
        return f"{redacted(source.templates[said_at])[:80]!r}{suffix}"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return repr(redacted(value)[:80]) if isinstance(value, str) else str(value)


def template_of(keys: Keys, source: Source) -> Keys | None:
    """Where the value was written with a variable in it: here, or above where one text is short for a section."""
    return next((keys[:end] for end in range(len(keys), 0, -1) if keys[:end] in source.templates), None)


def known_keys(keys: Keys) -> list[str]:
    section = section_at(keys)
    return [] if section is None else list(keyed_fields(section))


def meaning(keys: Keys) -> str:
    """The first sentence of a key's docstring."""
    section = section_at(keys[:-1])
    described = keyed_fields(section).get(str(keys[-1])) if section else None
    sentence = ((described.description if described else None) or dotted(keys)).partition(". ")[0].rstrip(".")
    return sentence if sentence[:2].isupper() else sentence[0].lower() + sentence[1:]


def section_at(keys: Keys) -> type[Section] | None:
    """The class of the section at a place in the tree."""
    section: type[Section] | None = Config
    for key in keys:
        if section is not None and isinstance(key, str):
            inner = keyed_fields(section).get(key)
            section = section_in(inner.annotation) if inner else None
    return section
