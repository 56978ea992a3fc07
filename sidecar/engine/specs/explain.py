"""The explainer: from the root of a failing document to the places that fail, and a sentence for each.

It follows only what fails, so it stays short whatever schema and document look like; where it would not, it is cut off
and a plainer sentence has to do. The verdict never depends on it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from sidecar.engine.message import JSON
from sidecar.engine.specs.draft import HIDING_DRAFTS
from sidecar.engine.specs.keywords import APPLIED
from sidecar.engine.specs.place import Failure, Place, Spot, Violation
from sidecar.engine.specs.pointer import Keys
from sidecar.engine.specs.questions import Questions, TooManySteps
from sidecar.engine.specs.sentences import SENTENCES

log = logging.getLogger(__name__)

MAX_ROUNDS = 1_000
"""Nested schemas that one explanation may follow: references may lead in a circle."""


class Explainer:
    """Explains documents that one schema refuses."""

    def __init__(self, root_uri: str, documents: Mapping[str, JSON]) -> None:
        self._asked = Questions(root_uri, documents)

    def explain(self, document: JSON, limit: int) -> Sequence[Violation]:
        """One violation at least, and `limit` at most."""
        self._asked.steps = 0
        found: list[Violation] = []
        try:
            found.extend(islice(self._walk((self._asked.root, document, ())), limit))
        except TooManySteps:
            log.debug("an explanation was cut short after %d steps", self._asked.steps)
        except Exception:
            # The verdict stands without its explanation.
            log.exception("a violation could not be explained")
        return found or (Violation((), "schema", "does not satisfy the schema"),)

    def _walk(self, root: Place) -> Iterator[Violation]:
        """Depth first, with a stack of our own: documents nest deeper than Python's would hold."""
        stack = [self._failures(*root)]
        while stack:
            failure = next(stack[-1], None)
            if failure is None:
                stack.pop()
            elif isinstance(failure, Violation):
                yield failure
            elif len(stack) < MAX_ROUNDS:
                stack.append(self._failures(*failure))
            else:
                raise TooManySteps

    def _failures(self, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
        """What is wrong with a value that is known to fail: one failure at least."""
        is_explained = False
        for keyword in self._keywords(spot.schema):
            for failure in self._breaches(spot, keyword, value, keys):
                is_explained = True
                yield failure
        if not is_explained:
            yield unexplained(spot.schema, keys)

    def _keywords(self, schema: JSON) -> Iterable[str]:
        """Up to draft 7 a reference hides its siblings."""
        if not isinstance(schema, dict):
            return ()
        return ("$ref",) if "$ref" in schema and self._asked.draft in HIDING_DRAFTS else schema

    def _breaches(self, spot: Spot, keyword: str, value: JSON, keys: Keys) -> Iterator[Failure]:
        if keyword in APPLIED:
            yield from APPLIED[keyword](self._asked, spot, value, keys)
        elif keyword in SENTENCES and not self._asked.holds(spot, keyword, value):
            yield Violation(keys, keyword, SENTENCES[keyword](spot.schema[keyword], value))


def unexplained(schema: JSON, keys: Keys) -> Violation:
    """A place that fails although none of its keywords says why."""
    if schema is False:
        return Violation(keys, "false", "is not allowed by the schema")
    for keyword, parts in (("unevaluatedProperties", "properties"), ("unevaluatedItems", "items")):
        if keyword in schema:
            return Violation(keys, keyword, f"has {parts} that no part of the schema allows")
    return Violation(keys, "schema", "does not satisfy the schema")
