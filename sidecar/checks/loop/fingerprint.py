"""Fingerprints: equal for messages that say the same, whatever ids and times they carry.

Ids and times are known by their fields, never by their shape inside a text: a new messageId hides nothing, and a text
with another number is another text. What belongs to the question stays: a task id, a page token, a path.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

import orjson

from sidecar.engine.message import JSON, Message
from sidecar.errors import MalformedMessage

PASSING_FIELDS: Final = frozenset(
    {
        # the message's own identity
        *("messageId", "message_id", "contextId", "context_id", "requestId", "request_id"),
        *("artifactId", "artifact_id", "responseId", "response_id"),
        *("idempotencyKey", "idempotency_key", "correlationId", "correlation_id"),
        # the call's place in a trace
        *("traceparent", "tracestate", "traceId", "trace_id", "spanId", "span_id"),
        # when it was made
        *("timestamp", "createdAt", "created_at", "createTime", "create_time", "sentAt", "sent_at"),
        *("updatedAt", "updated_at", "updateTime", "update_time", "lastModified", "last_modified"),
    }
)
"""Fields that differ each time the same thing is said. At any depth, by these spellings only."""

READ_MAX_BYTES: Final = 256 * 1024
"""A longer message is compared byte for byte: reading it would cost more than a loop check may."""


def arguments_of(document: JSON) -> JSON:
    """A document without ids and times of its own. Raises RecursionError where it is nested too deeply to be read."""
    if isinstance(document, dict):
        return {key: arguments_of(value) for key, value in document.items() if key not in PASSING_FIELDS}
    if isinstance(document, list):
        return [arguments_of(value) for value in document]
    return document


def read_arguments(message: Message) -> JSON | None:
    """What a message says; None where nobody can tell (its type is unknown, or it is malformed, huge or too deep)."""
    if not message.is_readable or message.size_bytes > READ_MAX_BYTES:
        return None
    try:
        return arguments_of(message.document)
    except (MalformedMessage, RecursionError):
        return None


def fingerprint_of(arguments: JSON) -> int:
    """64 bits; never 0, which means none."""
    return hashed(canonical(arguments))


def canonical(arguments: JSON) -> bytes:
    """One spelling for equal values, whatever the order of their fields."""
    try:
        return orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS)
    except (TypeError, RecursionError):  # integers past 64 bits, lone surrogates, more levels than it takes
        return json.dumps(arguments, sort_keys=True).encode()


def hashed(data: bytes) -> int:
    """64 bits of BLAKE2b; never 0."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest()) or 1


def hashed_text(*texts: str) -> int:
    """64 bits of some texts, each told from its neighbours."""
    return hashed("\x00".join(texts).encode("utf-8", "surrogatepass"))
