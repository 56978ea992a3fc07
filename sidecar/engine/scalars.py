"""Scalars: what the value of one field is in JSON, as ProtoJSON maps it (numbers, strings, bytes, enums).

The rules are those of https://protobuf.dev/programming-guides/json/. A value without a form raises ValueError.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import isfinite
from types import MappingProxyType
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor, FileDescriptor

from sidecar.engine.message import JSON

Convert = Callable[[Any], JSON]
"""Makes JSON of a value as protobuf hands it out."""


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
