"""References: where a `$ref` leads, and who may read what it leads to."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urldefrag, urljoin

from sidecar.engine.message import JSON
from sidecar.engine.specs.flaws import Unresolvable
from sidecar.engine.specs.nesting import children
from sidecar.engine.specs.pointer import Keys, at_pointer
from sidecar.engine.specs.sentences import shown

Fetch = Callable[[str], JSON]
"""Gives the document at an absolute address without fragment. Raises `Unresolvable`."""


def refuse_all(uri: str) -> NoReturn:
    raise Unresolvable(f"a reference to {shown(uri)}", "references within the schema")


def resolved(base: str, ref: str) -> str:
    """An absolute address (RFC 3986, section 5). `urljoin` alone loses the base of schemes that it does not know."""
    return f"{urldefrag(base)[0]}{ref}" if ref.startswith("#") else urljoin(base, ref)


def leads_somewhere(ref: str, schema: JSON) -> bool:
    """False for a pointer into this schema at which there is nothing."""
    try:
        return not ref.startswith("#/") or at_pointer(schema, ref[1:]) is not None
    except (LookupError, TypeError, ValueError):
        return False


def way_to_ref(schema: JSON, is_wanted: Callable[[str], bool], keys: Keys = ()) -> Keys:
    """The first `$ref` that is wanted; empty where there is none."""
    ref = schema.get("$ref") if isinstance(schema, dict) else None
    if isinstance(ref, str) and is_wanted(ref):
        return (*keys, "$ref")
    ways = (way_to_ref(value, is_wanted, (*keys, key)) for key, value in children(schema))
    return next((way for way in ways if way), ())
