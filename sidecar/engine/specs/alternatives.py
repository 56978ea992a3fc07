"""Alternatives: of several schemas that a value might fit, which one was meant.

"Fits none of the 5 alternatives" helps nobody. Where type and tags leave one, what is wrong with that one is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sidecar.engine.message import JSON
from sidecar.engine.specs.place import Failure, Spot, Violation
from sidecar.engine.specs.pointer import Keys
from sidecar.engine.specs.questions import Questions


def any_of(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    alternatives = alternatives_at(spot, "anyOf")
    if not any(asked.is_valid(alternative, value) for alternative in alternatives):
        yield nearest(asked, alternatives, "anyOf", value, keys)


def one_of(asked: Questions, spot: Spot, value: JSON, keys: Keys) -> Iterator[Failure]:
    alternatives = alternatives_at(spot, "oneOf")
    fitting = sum(asked.is_valid(alternative, value) for alternative in alternatives)
    if fitting > 1:
        yield Violation(keys, "oneOf", f"fits {fitting} of {len(alternatives)} alternatives and may fit one only")
    elif not fitting:
        yield nearest(asked, alternatives, "oneOf", value, keys)


def alternatives_at(spot: Spot, keyword: str) -> list[Spot]:
    return [spot.at(keyword, index) for index in range(len(spot.schema[keyword]))]


def nearest(asked: Questions, alternatives: Sequence[Spot], keyword: str, value: JSON, keys: Keys) -> Failure:
    """Where a single alternative is meant for such a value, that one explains; else the choice as a whole."""
    meant = [alternative for alternative in alternatives if is_meant(asked, alternative, value)]
    if len(meant) > 1:  # The union types of protocols: the property that is there says which is meant.
        meant = [spot for spot in meant if agrees(asked, asked.followed(spot), ["required"], value)]
    if len(meant) == 1:
        return meant[0], value, keys
    return Violation(keys, keyword, f"fits none of the {len(alternatives)} alternatives")


def is_meant(asked: Questions, spot: Spot, value: JSON) -> bool:
    """Whether type and tags (properties that are constants) agree, whatever else is wrong."""
    spot = asked.followed(spot)
    if not agrees(asked, spot, ("type", "const", "enum"), value):
        return False
    said = ((asked.followed(place[0]), place[1]) for place in spot.said(value, ()))
    return all(agrees(asked, inner, ("const", "enum"), inner_value) for inner, inner_value in said)


def agrees(asked: Questions, spot: Spot, keywords: Iterable[str], value: JSON) -> bool:
    if not isinstance(spot.schema, dict):
        return spot.schema is not False
    return all(asked.holds(spot, keyword, value) for keyword in keywords if keyword in spot.schema)
