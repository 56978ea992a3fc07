"""Arguments: what a request asks for, apart from what merely names this sending of it.

A request that is sent again has a new message id and a new time, and asks for the same. Both are known by the names of
their fields, never by what a value looks like: a text that happens to hold a date is another text. Only the request's
own fields are left out, those of the document itself and of its envelopes. All else is part of the question: ids of
tasks and resources, page tokens, paths, and everything inside the content (a date in `parts` is an argument).
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

import orjson

from sidecar.engine.message import JSON

MESSAGE_IDS: Final = frozenset(
    {
        "messageId",
        "message_id",
        "contextId",
        "context_id",
        "requestId",
        "request_id",
        "correlationId",
        "correlation_id",
        "idempotencyKey",
        "idempotency_key",
        "traceparent",
        "tracestate",
        "traceId",
        "trace_id",
        "spanId",
        "span_id",
    }
)
"""Names of fields that say which sending this is, or which conversation it belongs to."""

MESSAGE_TIMES: Final = frozenset(
    {"timestamp", "sentAt", "sent_at", "sendTime", "send_time", "createdAt", "created_at", "createTime", "create_time"}
)
"""Names of fields that say when it was sent."""

OWN_FIELDS: Final = MESSAGE_IDS | MESSAGE_TIMES

ENVELOPES: Final = frozenset({"message", "metadata", "header", "headers", "request", "params"})
"""Fields whose object still speaks of the sending: A2A's Message and its metadata, JSON-RPC's `params`."""

ENVELOPES_DEPTH: Final = 4
"""JSON-RPC's `params.message.metadata` is three deep."""


def arguments_of(document: JSON) -> JSON:
    """The document without its own ids and times. Shares all that it leaves as it is with the document."""
    return bare(document, ENVELOPES_DEPTH)


def bare(value: JSON, depth: int) -> JSON:
    if not isinstance(value, dict):
        return value
    left_out = OWN_FIELDS | {"id"} if "jsonrpc" in value else OWN_FIELDS
    return {
        name: bare(inner, depth - 1) if depth and name in ENVELOPES else inner
        for name, inner in value.items()
        if name not in left_out
    }


def digest_of(value: JSON) -> str:
    """32 hex digits: equal for equal JSON, whatever the order of its keys. Raises ValueError for what is no JSON."""
    return hashlib.blake2b(canonical(value), digest_size=16).hexdigest()


def canonical(value: JSON) -> bytes:
    """JSON with sorted keys and no spaces. Numbers stay apart as they are written: 1 and 1.0 are two."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, RecursionError):
        # Integers past 64 bits, lone surrogates and deep nesting: rarer, so slower.
        return fallback(value)


def fallback(value: JSON) -> bytes:
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return b"~" + text.encode()
