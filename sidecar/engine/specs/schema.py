"""One JSON Schema, compiled once: the verdict in microseconds, and for a document that fails, where and why.

The verdict is always the compiled engine's. The explanation asks that same engine about ever smaller parts of schema
and document, so the two cannot disagree. Patterns run in time linear in the text; one that cannot (look-around,
back-references) is refused when the schema is loaded. `format` is asserted, and an unknown format is refused too.
Nothing here reads a file: `$ref` to another document goes through the `Fetch` that is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urldefrag

import jsonschema_rs

from sidecar.engine.message import JSON
from sidecar.engine.specs.compiling import broken, compiled
from sidecar.engine.specs.draft import refuse_broken
from sidecar.engine.specs.explain import Explainer
from sidecar.engine.specs.flaws import BrokenSchema, Unresolvable
from sidecar.engine.specs.nesting import MAX_DEPTH, is_deeper, is_nesting
from sidecar.engine.specs.place import Violation
from sidecar.engine.specs.pointer import pointer_of
from sidecar.engine.specs.reference import Fetch, refuse_all, resolved, way_to_ref

MAX_VIOLATIONS = 8
"""Most complaints worth making about one document."""


class Schema:
    """A compiled schema. Raises BrokenSchema where it cannot be used."""

    __slots__ = ("_documents", "_explainer", "_is_nesting", "_lenient", "_root_uri", "_validator")

    def __init__(self, schema: JSON, *, base_uri: str = "file:///schema", fetch: Fetch | None = None) -> None:
        self._root_uri = base_uri
        self._documents = {base_uri: schema}
        refuse_broken(schema)
        self._validator = self._compile(schema, fetch or refuse_all)
        self._is_nesting = any(map(is_nesting, self._documents.values()))
        self._explainer: Explainer | None = None
        self._lenient: jsonschema_rs.Validator | None = None

    @property
    def documents(self) -> Mapping[str, JSON]:
        """The schema, and after it all that it refers to, by their absolute addresses."""
        return self._documents

    def is_valid(self, document: JSON) -> bool:
        """The verdict. Raises ValueError for what is no JSON (a lone surrogate, a key that is no text)."""
        return not self.is_too_deep(document) and self._validator.is_valid(document)

    def violations(self, document: JSON, limit: int = MAX_VIOLATIONS) -> Sequence[Violation]:
        """Why `is_valid` said no: at least one, at most `limit`, in the schema's own order."""
        if self.is_too_deep(document):
            return (Violation((), "depth", f"nests deeper than the {MAX_DEPTH} levels that can be checked"),)
        if self._explainer is None:
            self._explainer = Explainer(self._root_uri, self._documents)
        return self._explainer.explain(document, limit)

    def is_valid_but_for_formats(self, document: JSON) -> bool:
        """What `is_valid` would say if no format were asserted. Compiled at the first call: few ask."""
        if self._lenient is None:
            self._lenient = jsonschema_rs.validator_for(
                self._documents[self._root_uri],
                validate_formats=False,
                pattern_options=jsonschema_rs.RegexOptions(),
                base_uri=self._root_uri,
                retriever=self._documents.__getitem__,
            )
        return not self.is_too_deep(document) and self._lenient.is_valid(document)

    def is_too_deep(self, document: JSON) -> bool:
        """Whether native code would recurse too far: then `is_valid` says no, and no engine has judged it."""
        return self._is_nesting and is_deeper(document, MAX_DEPTH)

    def _compile(self, schema: JSON, fetch: Fetch) -> jsonschema_rs.Validator:
        refused: list[BrokenSchema] = []

        def retrieve(uri: str) -> JSON:
            try:
                self._documents[uri] = fetched(fetch, uri)
            except BrokenSchema as error:
                refused.append(error)
                raise
            return self._documents[uri]

        try:
            return compiled(schema, base_uri=self._root_uri, retriever=retrieve)
        except ValueError as error:
            if not refused:
                raise broken(error, schema) from error
            keys = way_to_ref(schema, lambda ref: urldefrag(resolved(self._root_uri, ref))[0] != self._root_uri)
            raise BrokenSchema(keys, refused[0].found, refused[0].allowed) from error


def fetched(fetch: Fetch, uri: str) -> JSON:
    """A document that a reference leads to, itself checked. BrokenSchema names the document instead of a place."""
    try:
        document = fetch(uri)
    except Unresolvable as error:
        raise BrokenSchema((), error.found, error.allowed) from error
    try:
        refuse_broken(document)
    except BrokenSchema as error:
        name = uri.rpartition("/")[2]
        raise BrokenSchema(
            (), f"{error.found} at {pointer_of(error.keys) or 'the top'} of {name}", error.allowed
        ) from error
    return document
