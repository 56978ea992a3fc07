"""The way to a value in a document, and its text: JSON Pointer (RFC 6901)."""

from __future__ import annotations

from urllib.parse import unquote

from sidecar.engine.message import JSON

Keys = tuple[str | int, ...]
"""The way to a value in a document: `("parts", 0, "data")`."""

MAX_NAME = 64
"""Characters of a property's name that a sentence quotes or a pointer holds."""

MAX_POINTER = 256
"""Characters of a JSON Pointer. A longer one ends at the last ancestor that fits."""


def pointer_of(keys: Keys) -> str:
    """JSON Pointer (RFC 6901), bounded: it ends before a name that is too long, so that no payload travels in it."""
    pointer = ""
    for key in keys:
        longer = f"{pointer}{joined((key,))}"
        if len(str(key)) > MAX_NAME or len(longer) > MAX_POINTER:
            break
        pointer = longer
    return pointer


def joined(keys: Keys) -> str:
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def split_pointer(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in unquote(pointer).split("/")[1:]]


def at_pointer(document: JSON, pointer: str) -> JSON:
    """What a percent-encoded JSON Pointer points at. LookupError, TypeError or ValueError where there is nothing."""
    for key in split_pointer(pointer):
        document = document[int(key) if isinstance(document, list) else key]
    return document
