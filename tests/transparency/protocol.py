"""The service under test: `test.v1.Script`, one method a cardinality, and `Note`, the message of all of them.

It is described here in data, so that the same service can be served to a sidecar that knows its descriptors and to
one that does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "test.v1.Script"
UNARY_UNARY = f"/{SERVICE}/UnaryUnary"
UNARY_STREAM = f"/{SERVICE}/UnaryStream"
STREAM_UNARY = f"/{SERVICE}/StreamUnary"
STREAM_STREAM = f"/{SERVICE}/StreamStream"
SHAPES = (UNARY_UNARY, UNARY_STREAM, STREAM_UNARY, STREAM_STREAM)

SENDS_MANY = frozenset({STREAM_UNARY, STREAM_STREAM})
"""Methods whose caller may send any number of messages."""

ANSWERS_MANY = frozenset({UNARY_STREAM, STREAM_STREAM})
"""Methods whose callee may send any number of messages."""

_FIELD = descriptor_pb2.FieldDescriptorProto
_FIELDS = (
    ("data", 1, _FIELD.TYPE_BYTES),
    ("text", 2, _FIELD.TYPE_STRING),
    ("child", 3, _FIELD.TYPE_MESSAGE),
    ("count", 4, _FIELD.TYPE_INT32),
)


def file_descriptor() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="test/v1/script.proto", package="test.v1", syntax="proto3")
    note = file.message_type.add(name="Note")
    for name, number, kind in _FIELDS:
        type_name = ".test.v1.Note" if kind == _FIELD.TYPE_MESSAGE else None
        note.field.add(name=name, number=number, type=kind, type_name=type_name, label=_FIELD.LABEL_OPTIONAL)
    service = file.service.add(name="Script")
    for path in SHAPES:
        service.method.add(
            name=path.rpartition("/")[2],
            input_type=".test.v1.Note",
            output_type=".test.v1.Note",
            client_streaming=path in SENDS_MANY,
            server_streaming=path in ANSWERS_MANY,
        )
    return file


def write_descriptor_set(folder: Path) -> Path:
    """The service as a descriptor-set file, the form in which a sidecar may be given it."""
    path = folder / "script.binpb"
    path.write_bytes(descriptor_pb2.FileDescriptorSet(file=[file_descriptor()]).SerializeToString())
    return path


def _note_class() -> Any:
    # A pool of our own: the process's default pool belongs to the product.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file_descriptor())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.v1.Note"))


Note: Any = _note_class()


def pack(data: bytes) -> bytes:
    """A Note that holds `data`; the empty message for no data."""
    packed: bytes = Note(data=data).SerializeToString()
    return packed


def unpack(payload: bytes) -> bytes:
    data: bytes = Note.FromString(payload).data
    return data
