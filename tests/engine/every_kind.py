"""Message types with every kind of field, and codecs for them and for A2A's."""

from __future__ import annotations

from google.protobuf import (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from sidecar.engine.document import Walkers
from sidecar.engine.names import Reader
from sidecar.engine.protobuf_codec import ProtobufCodec

WELL_KNOWN = [any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2]
SCALARS = [kind for kind in range(1, 19) if kind not in (Field.TYPE_GROUP, Field.TYPE_MESSAGE, Field.TYPE_ENUM)]
NOT_KEYS = (Field.TYPE_DOUBLE, Field.TYPE_FLOAT, Field.TYPE_BYTES)
BROUGHT = [
    f"google.protobuf.{name}"
    for module in WELL_KNOWN
    for name in module.DESCRIPTOR.message_types_by_name
    if name != "Any"
]
"""Every message of the runtime with a JSON form of its own, and Empty, which has none."""


class Numbers:
    """Field numbers and names in the order in which fields are added."""

    def __init__(self, message):
        self.message = message
        self.numbers = iter(range(1, 10_000))

    def add(self, kind, label=Field.LABEL_OPTIONAL, type_name=None, **others):
        number = next(self.numbers)
        name = f"f_{number}_of_kind{kind}"
        return self.message.field.add(name=name, number=number, type=kind, label=label, type_name=type_name, **others)

    def add_map(self, key, value, type_name=None):
        entry = self.message.nested_type.add()
        field = self.add(Field.TYPE_MESSAGE, Field.LABEL_REPEATED)
        entry.name = "".join(part.capitalize() for part in field.name.split("_")) + "Entry"
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=key, label=Field.LABEL_OPTIONAL)
        entry.field.add(name="value", number=2, type=value, label=Field.LABEL_OPTIONAL, type_name=type_name)
        field.type_name = f".test.doc.{self.message.name}.{entry.name}"

    def add_present(self, kind, type_name=None):
        field = self.add(kind, type_name=type_name, proto3_optional=True)
        field.oneof_index = len(self.message.oneof_decl)
        self.message.oneof_decl.add(name=f"_{field.name}")


def add_colour(file):
    colour = file.enum_type.add(name="Colour")
    colour.options.allow_alias = True
    for name, number in (("NONE", 0), ("RED", 1), ("SCARLET", 1), ("BLUE", -2)):
        colour.value.add(name=name, number=number)


def new_file():
    """proto3: each scalar four ways, enums, maps of each key, oneofs, messages, and all well-known types."""
    file = FileDescriptorProto(name="test/new.proto", package="test.doc", syntax="proto3")
    file.dependency.extend(module.DESCRIPTOR.name for module in WELL_KNOWN)
    add_colour(file)
    new = Numbers(file.message_type.add(name="New"))
    new.message.oneof_decl.add(name="choice")
    enums = ((Field.TYPE_ENUM, ".test.doc.Colour"), (Field.TYPE_ENUM, ".google.protobuf.NullValue"))
    for kind, type_name in [(kind, None) for kind in SCALARS] + list(enums):
        new.add(kind, type_name=type_name)
        new.add(kind, Field.LABEL_REPEATED, type_name=type_name)
        new.add(kind, type_name=type_name, oneof_index=0)
        new.add_map(Field.TYPE_STRING, kind, type_name)
        if kind not in NOT_KEYS and kind != Field.TYPE_ENUM:
            new.add_map(kind, Field.TYPE_STRING)
    for type_name in [f".{name}" for name in BROUGHT] + [".test.doc.New"]:
        new.add(Field.TYPE_MESSAGE, type_name=type_name)
        new.add(Field.TYPE_MESSAGE, Field.LABEL_REPEATED, type_name=type_name)
        new.add(Field.TYPE_MESSAGE, type_name=type_name, oneof_index=0)
        new.add_map(Field.TYPE_INT32, Field.TYPE_MESSAGE, type_name)
    new.message.field.add(name="odd", number=20_000, type=9, label=1, json_name="@a name of its own")
    for kind in SCALARS:
        new.add_present(kind)
    return file


def old_file():
    """proto2: strings nobody checks, closed enums, groups, required fields, extensions, a message set."""
    file = FileDescriptorProto(
        name="test/old.proto", package="test.doc", syntax="proto2", dependency=["test/new.proto"]
    )
    kind = file.enum_type.add(name="Kind")
    kind.value.add(name="FIRST", number=0)
    kind.value.add(name="SECOND", number=1)
    old = Numbers(file.message_type.add(name="Old"))
    for scalar in SCALARS:
        old.add(scalar)
        old.add(scalar, Field.LABEL_REPEATED)
    old.add(Field.TYPE_ENUM, Field.LABEL_REQUIRED, type_name=".test.doc.Kind")
    old.add(Field.TYPE_ENUM, Field.LABEL_REPEATED, type_name=".test.doc.Kind")
    old.add_map(Field.TYPE_STRING, Field.TYPE_ENUM, ".test.doc.Kind")
    old.add_map(Field.TYPE_STRING, Field.TYPE_STRING)
    old.add(Field.TYPE_MESSAGE, type_name=".test.doc.New")
    group = old.message.nested_type.add(name="Band")
    group.field.add(name="a_text", number=1, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
    old.message.field.add(name="band", number=900, type=Field.TYPE_GROUP, label=1, type_name=".test.doc.Old.Band")
    old.message.field.add(name="bands", number=901, type=Field.TYPE_GROUP, label=3, type_name=".test.doc.Old.Band")
    old.message.extension_range.add(start=1000, end=2000)
    for number, (scalar, label) in enumerate([(Field.TYPE_INT64, 1), (Field.TYPE_BYTES, 3), (Field.TYPE_STRING, 1)]):
        file.extension.add(
            name=f"more_{number}", number=1000 + number, type=scalar, label=label, extendee=".test.doc.Old"
        )
    file.extension.add(name="m", number=1010, type=11, label=1, type_name=".test.doc.Old", extendee=".test.doc.Old")
    return file


def pool_of(*files):
    pool = DescriptorPool()
    for module in WELL_KNOWN:
        proto = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(proto)
        pool.Add(proto)
    for file in files:
        pool.Add(file)
    return pool


POOL = pool_of(new_file(), old_file())
New = GetMessageClass(POOL.FindMessageTypeByName("test.doc.New"))
Old = GetMessageClass(POOL.FindMessageTypeByName("test.doc.Old"))
AnyInPool = GetMessageClass(POOL.FindMessageTypeByName("google.protobuf.Any"))


def finder(pool):
    def find(name):
        try:
            return pool.FindMessageTypeByName(name)
        except KeyError:
            return None

    return find


WALKERS = {id(pool): Walkers(finder(pool)) for pool in (POOL, Default())}


def codec_of(kind):
    pool = POOL if kind.DESCRIPTOR.file.pool is POOL else Default()
    return ProtobufCodec(kind.DESCRIPTOR, WALKERS[id(pool)], Reader())
