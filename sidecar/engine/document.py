"""Documents: the JSON form of a payload, as ProtoJSON defines it, from walkers compiled once per message type.

The form is that of `google.protobuf.json_format.MessageToDict` with its default options, value for value. Two things
differ, both because a sidecar may not know every type and may not be made to work for ever:

- an Any whose type is not known has the form `{"@type": URL, "value": BASE64}` (json_format raises TypeError);
- more than `ANY_DEPTH` Anys inside each other are refused: each level copies all that is inside it.

Whatever json_format cannot express (a Timestamp past the year 9999, NaN in a Value) is a MalformedMessage here.
The rules are those of https://protobuf.dev/programming-guides/json/.
"""

from __future__ import annotations

import binascii
import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Any

import orjson
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from sidecar.engine.message import JSON, NO_NAMES, Names
from sidecar.errors import MalformedMessage

ANY_DEPTH = 8
"""How many Anys may be inside each other. A payload of 64 MiB is then copied at most eight times."""

NAMES_DEPTH = 3
"""How far below the top ids are looked for, in messages inside messages."""

Convert = Callable[[Any], JSON]
Find = Callable[[str], Descriptor | None]
"""A message type by its full name, for what an Any holds."""


# Values of one field.


def base64(value: bytes) -> str:
    return binascii.b2a_base64(value, newline=False).decode("ascii")


def double(value: float) -> JSON:
    return value if isfinite(value) else _non_finite(value)


def shortest_float(value: float) -> JSON:
    """The number with the fewest digits (6 to 9) that is the same 32-bit float."""
    if not isfinite(value):
        return _non_finite(value)
    for precision in range(6, 9):
        rounded = float(f"{value:.{precision}g}")
        if _FLOAT.unpack(_FLOAT.pack(rounded))[0] == value:
            return rounded
    return float(f"{value:.9g}")


def _non_finite(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


_FLOAT = struct.Struct("<f")

SCALARS: Mapping[int, Convert] = MappingProxyType(
    {
        FieldDescriptor.TYPE_BYTES: base64,
        FieldDescriptor.TYPE_DOUBLE: double,
        FieldDescriptor.TYPE_FLOAT: shortest_float,
        FieldDescriptor.TYPE_INT64: str,
        FieldDescriptor.TYPE_UINT64: str,
        FieldDescriptor.TYPE_SINT64: str,
        FieldDescriptor.TYPE_FIXED64: str,
        FieldDescriptor.TYPE_SFIXED64: str,
    }
)
"""What is not here (bool, 32-bit integers, checked strings) is JSON already."""


def scalar(field: Any) -> Convert | None:
    """None where the value is JSON already."""
    if field.type == FieldDescriptor.TYPE_ENUM:
        return enum(field.enum_type)
    if field.type == FieldDescriptor.TYPE_STRING:
        return None if _has_checked_strings(field.file) else str
    return SCALARS.get(field.type)


@lru_cache(maxsize=256)
def _has_checked_strings(file: FileDescriptor) -> bool:
    """Whether parsing refuses strings that are no UTF-8. Where it does not, protobuf hands out bytes for them."""
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    return proto.syntax == "proto3"


def enum(descriptor: EnumDescriptor) -> Convert:
    """A value's name; in open enums the number where it has none."""
    if descriptor.full_name == "google.protobuf.NullValue":
        return lambda _: None
    names = enum_names(descriptor)
    if not descriptor.is_closed:
        return lambda number: names.get(number, number)
    return lambda number: _known(names, number)


def _known(names: Mapping[int, str], number: int) -> str:
    if number not in names:
        raise ValueError("a closed enum holds a number without a name")
    return names[number]


def enum_names(descriptor: EnumDescriptor) -> dict[int, str]:
    """The name of each number: the first one declared, or the one that the option `pb.enumvalue.json` gives it."""
    values = {number: descriptor.values_by_number[number] for number in descriptor.values_by_number}
    names = {number: value.name for number, value in values.items()}
    try:
        option: Any = descriptor_pool.Default().FindExtensionByName("pb.enumvalue.json")
    except KeyError:
        return names  # nobody who could have used the option has loaded it
    for number, value in values.items():
        if value.GetOptions().HasExtension(option):
            names[number] = value.GetOptions().Extensions[option].string
    return names


# Messages with a JSON form of their own.

_EPOCH = datetime(1970, 1, 1)
_TIMESTAMP_SECONDS = (-62_135_596_800, 253_402_300_799)
"""The years 1 to 9999, as google/protobuf/timestamp.proto defines them."""
_NANOS = 1_000_000_000


def timestamp(message: Any) -> str:
    """RFC 3339 in UTC with `Z`; 0, 3, 6 or 9 fractional digits."""
    seconds, nanos = message.seconds, message.nanos
    if not _TIMESTAMP_SECONDS[0] <= seconds <= _TIMESTAMP_SECONDS[1] or not 0 <= nanos < _NANOS:
        raise ValueError("a Timestamp is outside the years 1 to 9999")
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat()}{_fraction(nanos)}Z"


def _fraction(nanos: int) -> str:
    if nanos == 0:
        return ""
    if nanos % 1_000_000 == 0:
        return f".{nanos // 1_000_000:03d}"
    return f".{nanos // 1_000:06d}" if nanos % 1_000 == 0 else f".{nanos:09d}"


def by_protobuf(message: Any) -> str:
    """Duration and FieldMask are rare: protobuf's own text will do. Its complaints quote the payload, ours do not."""
    try:
        text: str = message.ToJsonString()
    except ValueError:
        raise ValueError(f"a {message.DESCRIPTOR.name} has no JSON form") from None
    return text


def value(message: Any) -> JSON:
    """A Value. One that is neither empty nor zero gives its kind away, and is told without asking for the kind."""
    text = message.string_value
    if text:
        return text
    if message.number_value:
        return _number(message)
    return _KINDS[message.WhichOneof("kind")](message)


def _number(message: Any) -> float:
    number: float = message.number_value
    if not isfinite(number):
        raise ValueError("a Value holds a number that JSON cannot express")
    return number


def struct_fields(message: Any) -> JSON:
    fields = message.fields
    return {key: value(fields[key]) for key in fields}


def list_values(message: Any) -> JSON:
    return [value(each) for each in message.values]


_KINDS: Mapping[str | None, Convert] = MappingProxyType(
    {
        None: lambda _: None,
        "null_value": lambda _: None,
        "number_value": _number,
        "string_value": lambda message: message.string_value,
        "bool_value": lambda message: message.bool_value,
        "struct_value": lambda message: struct_fields(message.struct_value),
        "list_value": lambda message: list_values(message.list_value),
    }
)

SPECIAL: Mapping[str, Convert] = MappingProxyType(
    {
        "google.protobuf.Duration": by_protobuf,
        "google.protobuf.FieldMask": by_protobuf,
        "google.protobuf.ListValue": list_values,
        "google.protobuf.Struct": struct_fields,
        "google.protobuf.Timestamp": timestamp,
        "google.protobuf.Value": value,
    }
)

ANY = "google.protobuf.Any"
WRAPPERS_FILE = "google/protobuf/wrappers.proto"


def is_regular(descriptor: Descriptor) -> bool:
    """Whether the JSON form is an object of the message's own fields."""
    name = descriptor.full_name
    return name not in SPECIAL and name != ANY and descriptor.file.name != WRAPPERS_FILE


# All others: one walker a type.


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


# Ids, without a document.

_CONTEXT, _TASK, _MESSAGE, _STATE, _REFERENCES = range(5)
"""Places in Names."""

NAMED_FIELDS: Mapping[str, int] = MappingProxyType(
    {"context_id": _CONTEXT, "task_id": _TASK, "message_id": _MESSAGE, "reference_task_ids": _REFERENCES}
)
"""Ids in any protocol, where the field is a string (or strings)."""

A2A_PACKAGES = ("lf.a2a.v1.", "a2a.v1.")
A2A_FIELDS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "Task": {"id": _TASK},
        "TaskStatus": {"state": _STATE},
        "GetTaskRequest": {"id": _TASK},
        "CancelTaskRequest": {"id": _TASK},
        "SubscribeToTaskRequest": {"id": _TASK},
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
    kind = FieldDescriptor.TYPE_ENUM if place == _STATE else FieldDescriptor.TYPE_STRING
    return field.type == kind and field.is_repeated == (place == _REFERENCES)


def _id(place: int, field: Any) -> Convert | None:
    if place == _STATE:
        names = enum_names(field.enum_type)
        return lambda number: names.get(number, str(number))
    return _texts if place == _REFERENCES else scalar(field)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(str, values))


def read_names(sites: Sites, message: Any) -> Names:
    """The nearest to the top wins; at one depth the field declared first. Most of the cost is making Names."""
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


# Codecs.

_NO_FORM = (ValueError, DecodeError, RecursionError, OverflowError)
"""What a payload can make a walker raise: no JSON form, a broken Any, too deep for the stack that is left."""


class ProtobufCodec:
    """Reads payloads of one message type."""

    __slots__ = ("_parse", "_sites", "_type", "_walk", "has_names")

    def __init__(self, descriptor: Descriptor, walkers: Walkers, reader: Reader) -> None:
        self._type = descriptor.full_name
        self._parse = GetMessageClass(descriptor).FromString
        self._walk = walkers.of(descriptor)
        self._sites = reader.sites(descriptor)
        self.has_names = bool(self._sites.ids or self._sites.inside)

    def parse(self, payload: bytes) -> Any:
        try:
            return self._parse(payload)
        except DecodeError as error:
            raise MalformedMessage(f"{len(payload)} bytes do not parse as {self._type}: {error}") from error

    def document(self, parsed: Any) -> JSON:
        """The JSON form. Raises MalformedMessage where there is none."""
        try:
            return self._walk(parsed)
        except _NO_FORM as error:
            raise MalformedMessage(f"{self._type} has no JSON form: {error}") from error

    def names(self, parsed: Any) -> Names:
        return read_names(self._sites, parsed) if self.has_names else NO_NAMES

    def __repr__(self) -> str:
        return f"<ProtobufCodec {self._type}>"


# JSON itself.

_LONG_INTEGER = re.compile(rb"[0-9]{19}")
"""64 bits hold every integer of 18 digits."""

JSON_NAMES: Mapping[str, int] = MappingProxyType(
    {
        "contextId": _CONTEXT,
        "context_id": _CONTEXT,
        "taskId": _TASK,
        "task_id": _TASK,
        "messageId": _MESSAGE,
        "message_id": _MESSAGE,
        "referenceTaskIds": _REFERENCES,
        "reference_task_ids": _REFERENCES,
    }
)


class JsonCodec:
    """Reads payloads that are JSON (RFC 8259) in UTF-8, at most 1024 deep. Of equal keys the last counts."""

    has_names = True

    def parse(self, payload: bytes) -> JSON:
        """Integers are exact at any length that Python reads (4300 digits)."""
        try:
            document = orjson.loads(payload)
            # Only orjson is strict, but it makes floats of integers past 64 bits: both read what may hold such a one.
            return json.loads(payload) if _LONG_INTEGER.search(payload) else document
        except (ValueError, RecursionError) as error:
            raise MalformedMessage(f"{len(payload)} bytes are no JSON: {_without_payload(error)}") from error

    def document(self, parsed: JSON) -> JSON:
        return parsed

    def names(self, parsed: JSON) -> Names:
        return read_json_names(parsed)

    def __repr__(self) -> str:
        return "<JsonCodec>"


def _without_payload(error: Exception) -> str:
    """What was wrong and where; a JSONDecodeError carries the whole text besides."""
    return f"{error.msg} at character {error.pos}" if isinstance(error, json.JSONDecodeError) else str(error)


def read_json_names(document: JSON) -> Names:
    """As `read_names`, by the JSON names of the same fields and the shapes of A2A's JSON."""
    found: list[Any] = ["", "", "", "", ()]
    near = [(document, 0)] if isinstance(document, dict) else []
    for holder, depth in near:
        for place, name in _json_ids(holder):
            found[place] = found[place] or name
        if depth < NAMES_DEPTH:
            near += [(each, depth + 1) for key, each in holder.items() if _is_inside(key, each)]
    return Names(*found)


def _is_inside(key: str, value: JSON) -> bool:
    return isinstance(value, dict) and key not in OTHER_WORK


def _json_ids(holder: dict[str, JSON]) -> list[tuple[int, Any]]:
    found = [(place, _json_id(place, holder[key])) for key, place in JSON_NAMES.items() if key in holder]
    status = holder.get("status")
    if isinstance(status, dict):
        found.append((_STATE, _json_id(_STATE, status.get("state"))))
    if isinstance(status, dict) or holder.get("kind") == "task":
        found.append((_TASK, _json_id(_TASK, holder.get("id"))))
    return found


def _json_id(place: int, value: JSON) -> Any:
    if place == _REFERENCES:
        return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
    return value if isinstance(value, str) else ""


JSON_CODEC = JsonCodec()

_JSON_START = re.compile(rb"[ \t\r\n]{0,64}(?:\{[ \t\r\n]{0,64}[\"}]|\[[ \t\r\n]{0,64}[\]\[{\"\-0-9tfn])")


def sniff(payload: bytes) -> bool:
    r"""Whether a payload of unknown type looks like a JSON object or array, by its first bytes and its last.

    Protobuf may begin alike (a first field of 123 bytes is `\n{`), so what follows the brace and what ends it count.
    """
    return bool(_JSON_START.match(payload)) and payload[-64:].rstrip(b" \t\r\n").endswith((b"}", b"]"))
