"""Fingerprints: equal for messages that say the same, whatever ids and times they carry.

Ids and times are known by their fields, never by their shape inside a text: a new messageId hides nothing, and a text
with another number is another text. Of a request only its own are left out, those of the document and its envelopes:
what belongs to the question stays (a task id, a page token, a `createdAt` that is searched for). Of an answer they are
left out wherever they are, for it may hold many things that were made just now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from sidecar.engine.canonical import OWN_FIELDS, canonical
from sidecar.engine.message import JSON, Message
from sidecar.errors import MalformedMessage

Read = TypeVar("Read")

ANSWER_FIELDS: Final = OWN_FIELDS | {
    *("artifactId", "artifact_id", "responseId", "response_id"),
    *("updatedAt", "updated_at", "updateTime", "update_time", "lastModified", "last_modified"),
}
"""Fields that differ each time the same thing is answered."""

NESTED: Final = (dict, list)

READ_MAX_BYTES: Final = 256 * 1024
"""A longer message is compared byte for byte: reading it would cost more than a loop check may."""


def statement_of(document: JSON) -> JSON:
    """What an answer says: the document without ids and times of its own, at any depth. Raises RecursionError."""
    if isinstance(document, dict):
        return {
            key: statement_of(value) if isinstance(value, NESTED) else value
            for key, value in document.items()
            if key not in ANSWER_FIELDS
        }
    if isinstance(document, list):
        return [statement_of(value) if isinstance(value, NESTED) else value for value in document]
    return document


def read_by(reader: Callable[[JSON], Read], message: Message) -> Read | None:
    """What a message says; None where nobody can tell (its type is unknown, or it is malformed, huge or too deep)."""
    if not message.is_readable or message.size_bytes > READ_MAX_BYTES:
        return None
    try:
        return reader(message.document)
    except (MalformedMessage, RecursionError, ValueError):
        return None


def fingerprint_of(arguments: JSON) -> int:
    """64 bits; never 0, which means none. Raises ValueError for what is nested too deeply."""
    return hashed(canonical(arguments))


def hashed(data: bytes) -> int:
    """64 bits of BLAKE2b; never 0."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest()) or 1


def hashed_text(*texts: str) -> int:
    """64 bits of some texts, each told from its neighbours."""
    return hashed("\x00".join(texts).encode("utf-8", "surrogatepass"))
