"""Takes a pair of documents apart: which passages are sources, and which are the answer's?

Any JSON is walked. The shapes of A2A v1 (message, task, artifact, history, parts) say more: whose words they are, and
which fields belong to the protocol and state nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PROTOCOL_KEYS = frozenset(
    str.split(
        "messageId contextId taskId artifactId id role state timestamp kind extensions mediaType mimeType filename"
        " url uri raw bytes createdAt lastModified referenceTaskIds historyLength acceptedOutputModes configuration"
        " tenant protocolVersion jsonrpc append lastChunk final index metadata name"
    )
)
"""Fields of the protocol outside data parts (A2A v1, Message, Task, Artifact, Part and events)."""

MACHINE_KEYS = frozenset(
    str.split(
        "id messageId contextId taskId artifactId traceId spanId requestId timestamp confidence score probability"
        " similarity relevance rank index offset page tokens inputTokens outputTokens durationMs latencyMs elapsed"
        " elapsedMs schemaVersion"
    )
)
"""Fields inside data that an agent says about its own work, not about the world."""

SOURCE_KEYS = frozenset(("sources", "facts", "documents", "references", "passages", "context", "evidence"))
"""Inside a data part of the response these hold source material."""

DATA_KEYS = frozenset(("data",))
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+|\*)\]")


@dataclass(frozen=True, slots=True)
class Passage:
    pointer: str
    text: str
    row: str = ""
    """Pointer of the object that holds it, for values of data; empty for prose."""
    key: str = ""
    """The field's name, for values of data."""
    is_number: bool = False


@dataclass(slots=True)
class Parts:
    """The two sides of one piece of evidence."""

    sources: list[Passage] = field(default_factory=list)
    answer: list[Passage] = field(default_factory=list)
    earlier: list[Passage] = field(default_factory=list)
    """What the agent said in former turns. Judged then; judged now only where the response says nothing else."""
    listed: int = 0
    """Length of the longest list of sources: what [n] may point to."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the walk stands."""

    node: Any
    pointer: str
    side: str
    row: str = ""
    key: str = ""
    in_data: bool = False


def separate(request: Any, response: Any, trust_response: bool, paths: tuple[str, ...]) -> Parts:
    """Sources and answer of one exchange. `paths` name further sources."""
    named = {pointer for path in paths for pointer in resolve(path, {"request": request, "response": response})}
    parts = Parts()
    _walk(_Place(request, "", "sources"), parts, trust_response, frozenset())
    inside = frozenset(pointer.removeprefix("/response") for pointer in named if pointer.startswith("/response"))
    _walk(_Place(response, "", "answer"), parts, trust_response, inside)
    return parts


def resolve(path: str, root: Any) -> Iterator[str]:
    """JSON Pointers of what `request.message.parts[*].data.notes` names. `*` stands for every key or item."""
    found: list[tuple[str, Any]] = [("", root)]
    for key, index in _STEP.findall(path):
        found = [step for pointer, node in found for step in _children(pointer, node) if _fits(step[0], key or index)]
    return iter(pointer for pointer, _ in found)


def _fits(pointer: str, wanted: str) -> bool:
    return wanted == "*" or pointer.rpartition("/")[2] == _escape(wanted)


def _children(pointer: str, node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield f"{pointer}/{_escape(str(key))}", child
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield f"{pointer}/{index}", child


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _walk(start: _Place, parts: Parts, trust_response: bool, named: frozenset[str]) -> None:
    """Depth first with a stack of its own, in the document's order: nesting costs no recursion."""
    stack = [start]
    while stack:
        place = stack.pop()
        if place.pointer in named:
            place = _Place(place.node, place.pointer, "sources", place.row, place.key, place.in_data)
        if isinstance(place.node, Mapping | list):
            stack.extend(reversed(list(_descend(place, parts, trust_response))))
        else:
            _take(place, parts)


def _descend(place: _Place, parts: Parts, trust_response: bool) -> Iterator[_Place]:
    if isinstance(place.node, list):
        yield from _items(place, parts)
        return
    side = _side_of(place, trust_response)
    for key, child in place.node.items():
        if _is_skipped(key, child, place, side):
            continue
        in_data = place.in_data or key in DATA_KEYS
        below = "sources" if trust_response and place.in_data and key in SOURCE_KEYS else side
        below = "history" if key == "history" and not place.in_data and side == "answer" else below
        yield _Place(child, f"{place.pointer}/{_escape(key)}", below, place.pointer, key, in_data)


def _items(place: _Place, parts: Parts) -> Iterator[_Place]:
    if place.key in SOURCE_KEYS and place.side == "sources":
        parts.listed = max(parts.listed, len(place.node))
    for index, child in enumerate(place.node):
        yield _Place(child, f"{place.pointer}/{index}", place.side, place.row, place.key, place.in_data)


def _side_of(place: _Place, trust_response: bool) -> str:
    """Whose words an object holds: a role says it, and so does text that comes with its source."""
    role = str(place.node.get("role", "")).lower()
    if place.side == "history":
        return "sources" if "user" in role else "earlier"
    is_excerpt = place.in_data and "text" in place.node and "source" in place.node
    if place.side == "answer" and ((is_excerpt and trust_response) or ("user" in role and not place.in_data)):
        return "sources"
    return place.side


def _is_skipped(key: str, child: Any, place: _Place, side: str) -> bool:
    if side == "sources":
        return not place.in_data and key in PROTOCOL_KEYS and key not in ("metadata", "url", "uri", "name")
    if place.in_data:
        return key in MACHINE_KEYS or _camel(key) in MACHINE_KEYS
    return (key in PROTOCOL_KEYS and not isinstance(child, Mapping | list)) or key in ("metadata", "extensions")


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _take(place: _Place, parts: Parts) -> None:
    if place.node is None or isinstance(place.node, bool) or place.node == "":
        return
    is_prose = not place.in_data and place.key == "text"
    row, key = ("", "") if is_prose else (place.row, place.key)
    passage = Passage(place.pointer, str(place.node), row, key, not isinstance(place.node, str))
    {"sources": parts.sources, "answer": parts.answer}.get(place.side, parts.earlier).append(passage)
