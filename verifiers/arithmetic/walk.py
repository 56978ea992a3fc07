"""The claims of a document: its strings and objects with their JSON Pointers, without the protocol's own fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

PROTOCOL = frozenset(
    [
        "messageId",
        "contextId",
        "taskId",
        "artifactId",
        "id",
        "role",
        "state",
        "timestamp",
        "kind",
        "referenceTaskIds",
        "extensions",
        "mediaType",
        "filename",
        "url",
        "raw",
        "metadata",
        "message_id",
        "context_id",
        "task_id",
        "artifact_id",
        "reference_task_ids",
        "media_type",
    ]
)
"""Members that A2A (section 4.1, the message types) gives to the exchange rather than to the answer."""
_USER = frozenset(("user", "ROLE_USER"))


def walk(document: object) -> Iterator[tuple[str, object]]:
    """Every string and object, in the document's order, without what the user said in a task's history."""
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        pointer, value = waiting.pop()
        if isinstance(value, Mapping):
            if value.get("role") in _USER and pointer:
                continue
            yield pointer, value
            waiting += reversed(
                [(f"{pointer}/{escaped(str(name))}", value[name]) for name in value if name not in PROTOCOL]
            )
        elif isinstance(value, list):
            waiting += reversed([(f"{pointer}/{index}", member) for index, member in enumerate(value)])
        elif isinstance(value, str):
            yield pointer, value


def escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
