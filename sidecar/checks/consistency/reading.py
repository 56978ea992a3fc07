"""Reading: which resources a document names, and at which version.

A spec has one path to the key and one to the version, for requests and responses alike. A response without the key is
about the one that its request named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jsonpath_rfc9535 import JSONPathError

from sidecar.checks.consistency.token import token_of
from sidecar.engine.conversation import bounded
from sidecar.engine.message import JSON, Message
from sidecar.engine.specs import Path, ResourceTerms
from sidecar.errors import MalformedMessage

RESOURCES_AT_ONCE: Final = 32
"""Resources of one message that are looked at: those past them are not."""

Named = tuple[str, str]
"""A key in a form that is safe to keep, and the token of its version, empty where the document has none."""


def named_in(terms: ResourceTerms, message: Message | None, asked: Sequence[Named] = ()) -> list[Named]:
    """The resources of a message. Of a list, keys and versions belong together by their order, if they are as many."""
    if message is None or not message.is_readable:
        return []
    try:
        document = message.document
    except MalformedMessage:
        return []
    keys = [bounded(key) for value in values(terms.key, document) if (key := key_of(value))]
    tokens = [token_of(value) for value in values(terms.version, document)] if terms.version else []
    if not keys and len(asked) == 1 and len(tokens) == 1:
        keys = [asked[0][0]]
    if not tokens:
        tokens = [""] * len(keys)
    return list(zip(keys, tokens, strict=True)) if len(keys) == len(tokens) else []


def values(path: Path, document: JSON) -> list[JSON]:
    try:
        return [value for _, value in path.select(document, RESOURCES_AT_ONCE)]
    except JSONPathError:
        return []


def key_of(value: JSON) -> str:
    """A text or a number; nothing else names a resource."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
