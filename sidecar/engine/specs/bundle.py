"""Bundles: a spec's schemas as text that stands on its own, so that another engine can be asked about the same ones.

A schema that refers to other files becomes a compound document (JSON Schema 2020-12, section 9.3): every document that
it leads to is embedded under its address. Addresses of files are rewritten, because where an operator keeps specs is
nobody's business; `invalid` is a domain that nobody can have (RFC 6761), so nothing is ever fetched from there.
"""

from __future__ import annotations

import json
import logging
import posixpath
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from sidecar.engine.message import JSON
from sidecar.engine.specs.flaws import BrokenSchema
from sidecar.engine.specs.schema import Schema

if TYPE_CHECKING:
    from sidecar.engine.specs.spec import Spec, Terms

log = logging.getLogger(__name__)

MAX_BUNDLE_BYTES = 512 << 10
"""Of all schemas of one spec together: they travel with every question to a schema verifier."""

HOME = "https://spec.invalid"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOTHING: Mapping[str, str] = MappingProxyType({})


class NotBundled(Exception):
    """These schemas cannot be handed to anybody. The message says why."""


def bundles_of(spec: Spec) -> Mapping[str, str]:
    """The parameters of a schema verifier: `request_schema`, `request_parts` and the same of the response, as JSON.

    Empty where the spec has no schemas, and, with a warning, where they cannot be bundled.
    """
    sides = {"request": spec.request, "response": spec.response}
    try:
        texts = {name: text for side, terms in sides.items() for name, text in texts_of(side, terms)}
        size_bytes = sum(len(text.encode()) for text in texts.values())
        if size_bytes > MAX_BUNDLE_BYTES:
            raise NotBundled(f"they have {size_bytes} bytes, and at most {MAX_BUNDLE_BYTES} are handed on")
    except NotBundled as error:
        log.warning("%s: no schema verifier can check its schemas: %s", spec.name, error)
        return NOTHING
    return MappingProxyType(texts)


def texts_of(side: str, terms: Terms) -> Iterable[tuple[str, str]]:
    if terms.schema is not None:
        yield f"{side}_schema", json.dumps(bundled(terms.schema))
    if terms.parts:
        parts = [
            {"at": part.path.text, "required": part.required, "schema": bundled(part.schema)} for part in terms.parts
        ]
        yield f"{side}_parts", json.dumps(parts)


def bundled(schema: Schema) -> JSON:
    """The schema, with all that it refers to inside. Raises NotBundled."""
    documents = schema.documents
    root_uri = next(iter(documents))
    if len(documents) == 1:
        return documents[root_uri]
    renamed = dict(zip(documents, addresses(documents), strict=True))
    inside = dict(embedded(address, documents[uri]) for uri, address in renamed.items())
    compound = {"$schema": DIALECT, "$ref": renamed[root_uri], "$defs": inside}
    try:
        Schema(compound, base_uri=f"{HOME}/")  # refuses every reference that leads outside
    except BrokenSchema as error:
        raise NotBundled(f"with all references inside there is {error.found}") from error
    return compound


def addresses(uris: Iterable[str]) -> list[str]:
    """The same documents below an address that says nothing of this machine; relative references lead as before."""
    split = [urlsplit(uri) for uri in uris]
    folders = [posixpath.dirname(parts.path) for parts in split if parts.scheme == "file"]
    above = posixpath.commonpath(folders) if folders else ""
    return [
        f"{HOME}{parts.path.removeprefix(above.rstrip('/'))}" if parts.scheme == "file" else parts.geturl()
        for parts in split
    ]


def embedded(address: str, document: JSON) -> tuple[str, Any]:
    """A document under its address; beside an `$id` of its own, which other references may use."""
    if not isinstance(document, dict):
        return address, {"$id": address, "allOf": [document]}
    own = urljoin(address, document.get("$id", address)).rstrip("#")
    if own == address:
        return address, {**document, "$id": address}
    return address, {"$id": address, "$ref": own, "$defs": {own: {**document, "$id": own}}}
