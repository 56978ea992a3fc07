"""Well-known types: the messages of the protobuf runtime that have a JSON form of their own.

A Timestamp is text and a Struct an object, whatever fields they are made of. What has no form (a Timestamp past the
year 9999, NaN in a Value) raises ValueError, in words that quote no payload. Any is not converted here: it holds a
message of any other type, so the walkers do that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import isfinite
from types import MappingProxyType
from typing import Any

from google.protobuf.descriptor import Descriptor

from sidecar.engine.message import JSON
from sidecar.engine.scalars import Convert

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
