"""Search: the usage that a document reports, wherever in it that stands.

Agents report usage in places of their own choosing: in a task's metadata, in an artifact, in a provider's answer that
they pass on whole. So the whole document is looked through, from its root down, within bounds.

One document makes one report. Of several, those nearest to the root count, because a summary stands above its parts;
of equally near ones those of different responses (an `id` beside the usage) add up, and of the others the largest
counts. So neither the order of keys nor a history of old messages makes a call dearer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from sidecar.engine.message import JSON
from sidecar.engine.usage.shapes import KEYS_READ, OTEL, model_in, read_flat, read_object, some
from sidecar.engine.usage.usage import Usage

DEPTH_MAX: Final = 12
"""Levels of objects and lists that are looked into."""

PLACES_MAX: Final = 2_000
"""Objects and list items that are looked at, nearest first: at most half a millisecond."""

REPORTS_MAX: Final = 64
"""Reports of one document that are compared."""

RESPONSE_ID_MAX_CHARS: Final = 128

OBJECT_KEYS: Final = frozenset({"usage", "usagemetadata", "adkusagemetadata", "tokenusage"})
"""Keys, without case and underscores, under which a usage object stands."""

KEY_MAX_CHARS: Final = 64
"""A longer key is none of them, whatever underscores it has."""

NESTED: Final = (dict, list)

Place = tuple[JSON, str]
"""An object or a list, and the model that was named above it."""


class Report(NamedTuple):
    """What one place of a document says."""

    usage: Usage
    response_id: str = ""
    """Of the model's response that this is the usage of; empty where it is not said."""


def report_of(document: JSON) -> list[Report]:
    """The reports of a document, one for each response that it tells apart; empty where it reports nothing."""
    level: list[Place] = [(document, "")] if isinstance(document, NESTED) else []
    seen = 0
    for _ in range(DEPTH_MAX):
        found: list[Report] = []
        below: list[Place] = []
        for value, model in level:
            look_at(value, model, found, below)
        if found:
            return combined(found[:REPORTS_MAX])
        seen += len(level)
        level = below[: max(PLACES_MAX - seen, 0)]
        if not level:
            break
    return []


def look_at(value: JSON, model: str, found: list[Report], below: list[Place]) -> None:
    """What an object itself reports, and the objects and lists inside, each with the model named on the way to it.

    Every answer is looked through, and hardly any object in it reports: so each is gone through once, without more.
    """
    if isinstance(value, list):
        room = max(PLACES_MAX - len(below), 0)
        below.extend([(each, model) for each in value[:room] if isinstance(each, NESTED)])
        return
    model = model_in(value) or model
    is_flat = False
    for key, each in value.items() if len(value) <= KEYS_READ else some(value):
        if isinstance(each, NESTED):
            if len(below) < PLACES_MAX:
                below.append((each, model))
            if is_usage(key) and isinstance(each, dict):
                usage = read_object(each)
                if not usage.is_empty:
                    found.append(Report(named(usage, model_in(each) or model), response_id_of(value)))
        elif key.startswith(OTEL):
            is_flat = True
    if is_flat:
        usage = read_flat(value)
        if not usage.is_empty:
            found.append(Report(named(usage, model), response_id_of(value)))


@lru_cache(1_024)
def is_usage(key: str) -> bool:
    """Whether a usage object stands under it."""
    return len(key) <= KEY_MAX_CHARS and key.replace("_", "").lower() in OBJECT_KEYS


def named(usage: Usage, model: str) -> Usage:
    return usage._replace(model=model) if model else usage


def response_id_of(value: Mapping[str, JSON]) -> str:
    """A provider's answer bears an id beside its usage, and says what it is; an A2A task's metadata does neither."""
    if not ("object" in value or "type" in value or "choices" in value or "gen_ai.response.id" in value):
        return ""
    found = value.get("gen_ai.response.id", value.get("id"))
    return found if isinstance(found, str) and len(found) <= RESPONSE_ID_MAX_CHARS else ""


def combined(found: Sequence[Report]) -> list[Report]:
    """One report for each response id."""
    largest: dict[str, Usage] = {}
    for usage, response_id in found:
        known = largest.get(response_id)
        largest[response_id] = usage if known is None else max(known, usage, key=lambda each: each.size)
    return [Report(usage, response_id) for response_id, usage in largest.items()]
