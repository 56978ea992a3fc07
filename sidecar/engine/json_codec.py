"""JSON payloads: a document as it comes, its names by their JSON spellings, and how JSON is told from other bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import orjson

from sidecar.engine.message import JSON, Names
from sidecar.engine.names import CONTEXT, MESSAGE, NAMES_DEPTH, OTHER_WORK, REFERENCES, STATE, TASK
from sidecar.errors import MalformedMessage

_LONG_INTEGER = re.compile(rb"[0-9]{19}")
"""64 bits hold every integer of 18 digits."""

JSON_NAMES: Mapping[str, int] = MappingProxyType(
    {
        "contextId": CONTEXT,
        "context_id": CONTEXT,
        "taskId": TASK,
        "task_id": TASK,
        "messageId": MESSAGE,
        "message_id": MESSAGE,
        "referenceTaskIds": REFERENCES,
        "reference_task_ids": REFERENCES,
    }
)


class JsonCodec:
    """Reads payloads that are JSON (RFC 8259) in UTF-8, at most 1024 deep. Of equal keys the last counts."""

    has_names = True

    def parse(self, payload: bytes) -> JSON:
        """Integers are exact at any length that Python reads (4300 digits)."""
        try:
            document = orjson.loads(payload)
            # Only orjson is strict, but it makes floats of integers past 64 bits: both read what may hold such a one.
            return json.loads(payload) if _LONG_INTEGER.search(payload) else document
        except (ValueError, RecursionError) as error:
            raise MalformedMessage(f"{len(payload)} bytes are no JSON: {_without_payload(error)}") from error

    def document(self, parsed: JSON) -> JSON:
        return parsed

    def names(self, parsed: JSON) -> Names:
        return read_json_names(parsed)

    def __repr__(self) -> str:
        return "<JsonCodec>"


JSON_CODEC = JsonCodec()
"""The only one: there is no type to know."""


def _without_payload(error: Exception) -> str:
    """What was wrong and where; a JSONDecodeError carries the whole text besides."""
    return f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)


def read_json_names(document: JSON) -> Names:
    """As `read_names`, by the JSON names of the same fields and the shapes of A2A's JSON."""
    found: list[Any] = ["", "", "", "", ()]
    near = [(document, 0)] if isinstance(document, dict) else []
    for holder, depth in near:
        for place, name in _json_ids(holder):
            found[place] = found[place] or name
        if depth < NAMES_DEPTH:
            near += [(each, depth + 1) for key, each in holder.items() if _is_inside(key, each)]
    return Names(*found)


def _is_inside(key: str, value: JSON) -> bool:
    return isinstance(value, dict) and key not in OTHER_WORK


def _json_ids(holder: dict[str, JSON]) -> list[tuple[int, Any]]:
    found = [(place, _json_id(place, holder[key])) for key, place in JSON_NAMES.items() if key in holder]
    status = holder.get("status")
    if isinstance(status, dict):
        found.append((STATE, _json_id(STATE, status.get("state"))))
    if isinstance(status, dict) or holder.get("kind") == "task":
        found.append((TASK, _json_id(TASK, holder.get("id"))))
    return found


def _json_id(place: int, value: JSON) -> Any:
    if place == REFERENCES:
        return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
    return value if isinstance(value, str) else ""


_JSON_START = re.compile(rb"[ \t\r\n]{0,64}(?:\{[ \t\r\n]{0,64}[\"}]|\[[ \t\r\n]{0,64}[\]\[{\"\-0-9tfn])")


def sniff(payload: bytes) -> bool:
    r"""Whether a payload of unknown type looks like a JSON object or array, by its first bytes and its last.

    Protobuf may begin alike (a first field of 123 bytes is `\n{`), so what follows the brace and what ends it count.
    """
    return bool(_JSON_START.match(payload)) and payload[-64:].rstrip(b" \t\r\n").endswith((b"}", b"]"))
