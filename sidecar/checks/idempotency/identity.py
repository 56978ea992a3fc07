"""Identity: what a request is known by, so that the same one can be told when it comes again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from jsonpath_rfc9535.exceptions import JSONPathError

from sidecar.engine.canonical import arguments_of, digest_of
from sidecar.engine.exchange import UNKNOWN_CALLER, Exchange
from sidecar.engine.message import JSON, Message
from sidecar.engine.specs import MAX_MATCHES, Idempotency
from sidecar.engine.specs.path import Path
from sidecar.errors import MalformedMessage

AUTHORITY_KEY: Final = "authorization"
"""Metadata that says on whose behalf a call is made. Without a key, the same question of another user is another."""


class Unkeyed(StrEnum):
    """Why a request cannot be claimed. It passes, and a finding says so; the values are the rules."""

    UNKNOWN_CALLER = "unknown-caller"
    UNREADABLE = "unreadable"
    NO_KEY = "no-key"


@dataclass(frozen=True, slots=True)
class Identity:
    """All of it are digests: no store, log or finding ever holds what was in the payload."""

    key: str
    """Of (caller, callee, method, key): what is claimed."""
    payload: str
    """Of the arguments: another one under the same key is a conflict."""
    arguments: str
    """Of (caller, callee, method, arguments): the same for a retry that made itself a new key."""
    mark: str
    """What this sending calls itself, its key or its message id. Empty where it has neither."""


def identity_of(exchange: Exchange, terms: Idempotency, message: Message) -> Identity | Unkeyed:
    """What the request is known by. Unknown callers have none: an answer must never cross from one to another."""
    if exchange.caller == UNKNOWN_CALLER:
        return Unkeyed.UNKNOWN_CALLER
    if not message.is_readable:
        return Unkeyed.UNREADABLE
    try:
        document = message.document
        payload = digest_of(arguments_of(document))
        key = authority_of(exchange, payload) if terms.key is None else key_in(document, terms.key)
    except (MalformedMessage, ValueError, JSONPathError):
        return Unkeyed.UNREADABLE
    if key is None:
        return Unkeyed.NO_KEY
    edge = [exchange.caller, exchange.callee, exchange.method]
    by = "arguments" if terms.key is None else "key"
    claimed = digest_of([*edge, by, key])
    mark = message_mark(message) if terms.key is None else claimed
    return Identity(claimed, payload, digest_of([*edge, payload]), mark)


def key_in(document: JSON, path: Path) -> JSON:
    """What the path selects; None where that is nothing, or too much to be a key."""
    values = [value for _, value in path.select(document, MAX_MATCHES + 1)]
    is_key = 0 < len(values) <= MAX_MATCHES and all(value not in (None, "", [], {}) for value in values)
    return values if is_key else None


def authority_of(exchange: Exchange, payload: str) -> JSON:
    shown = [value for key, value in exchange.arrival.metadata if key == AUTHORITY_KEY]
    return [payload, *(value if isinstance(value, str) else value.hex() for value in shown)]


def message_mark(message: Message) -> str:
    found = message.names.message_id
    return digest_of(found) if found else ""
