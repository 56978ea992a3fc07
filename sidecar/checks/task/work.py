"""Work: what a call asks for, as a digest that is equal when the same is asked again."""

from __future__ import annotations

import hashlib
import json
from typing import Final

import orjson

from sidecar.engine.exchange import Exchange
from sidecar.engine.message import JSON
from sidecar.engine.pipeline import names_of
from sidecar.errors import MalformedMessage

WORK_BYTES_MAX: Final = 256 << 10
"""A larger request is not compared: it would hold up its call."""

NESTED: Final = (dict, list)

NEW_EVERY_TIME: Final = frozenset({"messageId", "message_id", "timestamp"})
"""Fields that a retry fills in anew, at any depth. What is written in a text is never left out."""


def work_of(exchange: Exchange) -> str:
    """32 hex digits for caller, method and arguments; empty where the call goes on with a task, or cannot be read."""
    request = exchange.last_request
    if request is None or not request.is_readable or request.size_bytes > WORK_BYTES_MAX:
        return ""
    if names_of(request).task_id:
        return ""
    try:
        arguments = canonical(without(request.document))
    except MalformedMessage:
        return ""
    digest = hashlib.blake2b(digest_size=16)
    for part in (exchange.caller.encode(), exchange.method.encode("utf-8", "replace"), arguments):
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.hexdigest()


def without(document: JSON) -> JSON:
    if isinstance(document, dict):
        return {
            key: without(value) if isinstance(value, NESTED) else value
            for key, value in document.items()
            if key not in NEW_EVERY_TIME
        }
    if isinstance(document, list):
        return [without(each) if isinstance(each, NESTED) else each for each in document]
    return document


def canonical(document: JSON) -> bytes:
    """Equal documents are equal bytes. orjson knows no integers beyond 64 bits and no half surrogates."""
    try:
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(document, sort_keys=True).encode()
