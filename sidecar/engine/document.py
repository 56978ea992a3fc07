"""Documents: the JSON form of a payload, as ProtoJSON defines it, from walkers compiled once per message type.

The form is that of `google.protobuf.json_format.MessageToDict` with its default options, value for value. Two things
differ, both because a sidecar may not know every type and may not be made to work for ever:

- an Any whose type is not known has the form `{"@type": URL, "value": BASE64}` (json_format raises TypeError);
- more than `ANY_DEPTH` Anys inside each other are refused: each level copies all that is inside it.

Whatever json_format cannot express (a Timestamp past the year 9999, NaN in a Value) raises ValueError; `protobuf_codec`
makes a MalformedMessage of it. The rules are those of https://protobuf.dev/programming-guides/json/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from sidecar.engine.message import JSON
from sidecar.engine.scalars import Convert, base64, scalar
from sidecar.engine.well_known import ANY, SPECIAL, WRAPPERS_FILE, is_regular

ANY_DEPTH = 8
"""How many Anys may be inside each other. A payload of 64 MiB is then copied at most eight times."""

Find = Callable[[str], Descriptor | None]
"""A message type by its full name, for what an Any holds."""


class Walkers:
    """Turns messages into documents. Holds what was compiled for each type and each field, at first sight.

    A message is walked by ListFields and one look-up per field that is set. Asking each declared field by itself was
    measured as well: about as fast for small messages where most fields are set, slower for all others (an agent
    card), and blind to extensions.
    """

    def __init__(self, find: Find, anys_left: int = ANY_DEPTH) -> None:
        self._find = find
        self._anys_left = anys_left
        self._walkers: dict[Descriptor, Convert] = {}

    def of(self, descriptor: Descriptor) -> Convert:
        walker = self._walkers.get(descriptor)
        if walker is None:
            walker = self._walkers[descriptor] = self._compiled(descriptor)
        return walker

    def _compiled(self, descriptor: Descriptor) -> Convert:
        if descriptor.full_name == ANY:
            return self._any()
        if descriptor.file.name == WRAPPERS_FILE:
            return _wrapper(scalar(descriptor.fields_by_name["value"]))
        return SPECIAL.get(descriptor.full_name) or _regular(_Fields(self))

    def _any(self) -> Convert:
        if self._anys_left == 0:
            return _too_many_anys
        find, inside = self._find, Walkers(self._find, self._anys_left - 1)

        def walk(message: Any) -> JSON:
            url, packed = message.type_url, message.value
            descriptor = find(url.rpartition("/")[2])
            if descriptor is None:
                return {"@type": url, "value": base64(packed)} if url or packed else {}
            document = inside.of(descriptor)(GetMessageClass(descriptor).FromString(packed))
            return {"@type": url, **document} if is_regular(descriptor) else {"@type": url, "value": document}

        return walk

    def field(self, field: Any) -> Convert | None:
        """What makes JSON of a field's value as ListFields gives it; None where it is JSON already."""
        if is_map(field):
            return self._map(*field.message_type.fields)
        one = self.of(field.message_type) if field.message_type else scalar(field)
        return one if not field.is_repeated else _as_list if one is None else _repeated(one)

    def _map(self, key: FieldDescriptor, entry: FieldDescriptor) -> Convert:
        name = _bool_key if key.type == FieldDescriptor.TYPE_BOOL else str
        convert = self.field(entry)
        if convert is None:
            return lambda entries: {name(key): entries[key] for key in entries}
        return lambda entries: {name(key): convert(entries[key]) for key in entries}


class _Fields(dict[FieldDescriptor, "tuple[str, Convert | None]"]):
    """The JSON name and converter of each field, found at first sight: only then are extensions known."""

    def __init__(self, walkers: Walkers) -> None:
        self._walkers = walkers

    def __missing__(self, field: FieldDescriptor) -> tuple[str, Convert | None]:
        name = f"[{field.full_name}]" if field.is_extension else field.json_name
        self[field] = name, self._walkers.field(field)
        return self[field]


def _regular(fields: _Fields) -> Convert:
    def walk(message: Any) -> JSON:
        document: dict[str, JSON] = {}
        for field, value in message.ListFields():
            name, convert = fields[field]
            document[name] = value if convert is None else convert(value)
        return document

    return walk


def _wrapper(convert: Convert | None) -> Convert:
    return lambda message: message.value if convert is None else convert(message.value)


def _repeated(one: Convert) -> Convert:
    return lambda values: [one(value) for value in values]


def _as_list(values: Any) -> JSON:
    return values[:]  # a list of Python's own, and faster than list() makes one


def _bool_key(key: bool) -> str:
    return "true" if key else "false"


def _too_many_anys(_: Any) -> JSON:
    raise ValueError(f"more than {ANY_DEPTH} Anys are inside each other")


def is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)
