"""Names, without a document: where the ids are in a message type, found once, and how they are read from a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from sidecar.engine.message import Names
from sidecar.engine.scalars import Convert, enum_names, scalar
from sidecar.engine.well_known import is_regular

NAMES_DEPTH = 3
"""How far below the top ids are looked for, in messages inside messages."""

CONTEXT, TASK, MESSAGE, STATE, REFERENCES = range(5)
"""Where each stands in Names."""

NAMED_FIELDS: Mapping[str, int] = MappingProxyType(
    {"context_id": CONTEXT, "task_id": TASK, "message_id": MESSAGE, "reference_task_ids": REFERENCES}
)
"""Ids in any protocol, where the field is a string (or strings)."""

A2A_PACKAGES = ("lf.a2a.v1.", "a2a.v1.")
A2A_FIELDS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "Task": {"id": TASK},
        "TaskStatus": {"state": STATE},
        "GetTaskRequest": {"id": TASK},
        "CancelTaskRequest": {"id": TASK},
        "SubscribeToTaskRequest": {"id": TASK},
    }
)
"""What A2A means by fields whose names say less."""

OTHER_WORK = frozenset({"metadata", "history", "artifacts"})
"""Fields that speak of something else than this message."""


@dataclass(frozen=True, slots=True)
class Sites:
    """Where ids are in one message type."""

    ids: tuple[tuple[int, str, Convert | None], ...]
    """Place in Names, field, and what makes it of the field's value."""
    inside: tuple[tuple[str, Sites], ...]
    """Fields with messages that have ids further down."""


class Reader:
    """Finds the sites of ids in message types, each type once per depth, so that its work is bounded by their size."""

    def __init__(self) -> None:
        self._sites: dict[tuple[Descriptor, int], Sites] = {}

    def sites(self, descriptor: Descriptor, depth: int = 0) -> Sites:
        key = descriptor, depth
        if key not in self._sites:
            self._sites[key] = Sites(ids_of(descriptor), tuple(self._inside(descriptor, depth)))
        return self._sites[key]

    def _inside(self, descriptor: Descriptor, depth: int) -> list[tuple[str, Sites]]:
        if depth == NAMES_DEPTH:
            return []
        below = [
            (field.name, field.message_type)
            for field in descriptor.fields
            if field.message_type and not field.is_repeated and field.name not in OTHER_WORK
        ]
        found = [(name, self.sites(kind, depth + 1)) for name, kind in below if is_regular(kind)]
        return [(name, sites) for name, sites in found if sites.ids or sites.inside]


def ids_of(descriptor: Descriptor) -> tuple[tuple[int, str, Convert | None], ...]:
    """The sites in a type itself. A field with a known name but another type is no id."""
    is_a2a = descriptor.full_name.removesuffix(descriptor.name) in A2A_PACKAGES
    places = {**NAMED_FIELDS, **(A2A_FIELDS.get(descriptor.name, {}) if is_a2a else {})}
    known = [(places[field.name], field) for field in descriptor.fields if field.name in places]
    return tuple((place, field.name, _id(place, field)) for place, field in known if _is_id(place, field))


def _is_id(place: int, field: FieldDescriptor) -> bool:
    kind = FieldDescriptor.TYPE_ENUM if place == STATE else FieldDescriptor.TYPE_STRING
    return field.type == kind and field.is_repeated == (place == REFERENCES)


def _id(place: int, field: Any) -> Convert | None:
    if place == STATE:
        names = enum_names(field.enum_type)
        return lambda number: names.get(number, str(number))
    return _texts if place == REFERENCES else scalar(field)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(str, values))


def read_names(sites: Sites, message: Any) -> Names:
    """The nearest to the top wins; at one depth the field declared first."""
    found: list[Any] = ["", "", "", "", ()]
    near = [(sites, message)]
    for here, holder in near:  # grows while it is read: the messages in order of their depth
        for place, field, convert in here.ids:
            if not found[place] and (value := getattr(holder, field)):
                found[place] = value if convert is None else convert(value)
        for field, below in here.inside:
            if holder.HasField(field):
                near.append((below, getattr(holder, field)))
    return Names(*found)
