"""The texts of a document with their JSON Pointers: strings, numbers beside their names, and attached text files."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_NAMES = "messageId contextId taskId artifactId message_id context_id task_id artifact_id timestamp"
_IDS = frozenset(_NAMES.split())
_SHORT = 200
"""Characters up to which a value is read together with its name: `{"password": "..."}`."""


@dataclass(frozen=True, slots=True)
class Text:
    pointer: str
    text: str
    is_readable: bool = True
    """False of an attached file that is no text."""


def texts(document: object) -> Iterator[Text]:
    waiting: list[tuple[str, str, object]] = [("", "", document)]
    while waiting:
        pointer, name, value = waiting.pop()
        if isinstance(value, Mapping):
            members = [(str(key), member) for key, member in value.items() if key not in _IDS]
            waiting += reversed([(f"{pointer}/{escaped(key)}", key, member) for key, member in members])
        elif isinstance(value, list):
            waiting += reversed([(f"{pointer}/{index}", name, member) for index, member in enumerate(value)])
        elif isinstance(value, str) or (isinstance(value, int) and abs(value) < 10**20):
            yield _text(pointer, name, str(value))


def _text(pointer: str, name: str, value: str) -> Text:
    if name == "raw":
        return _file(pointer, value)
    is_named = name and len(name) + len(value) <= _SHORT
    return Text(pointer, f"{name}={value}" if is_named else value)


def _file(pointer: str, value: str) -> Text:
    """Bytes of an A2A part, in base 64 (ProtoJSON)."""
    try:
        return Text(pointer, base64.b64decode(value, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        return Text(pointer, "", is_readable=False)


def escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
