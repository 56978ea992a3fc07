"""Payloads in, documents out: what json_format says we say, and nothing but MalformedMessage escapes."""

from __future__ import annotations

import json
import math
import sys

import pytest
from a2a.types import a2a_pb2
from google.protobuf import (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.engine.document import ANY_DEPTH, Walkers
from sidecar.engine.message import Direction, Message
from sidecar.engine.names import Reader
from sidecar.engine.protobuf_codec import ProtobufCodec
from sidecar.engine.scalars import shortest_float
from sidecar.errors import MalformedMessage
from tests.engine.every_kind import BROUGHT, POOL, AnyInPool, New, Old, codec_of, finder, pool_of

REFUSED = "refused"


def expected(message):
    """What json_format makes of a message."""
    try:
        return json_format.MessageToDict(message, descriptor_pool=message.DESCRIPTOR.file.pool)
    except (json_format.SerializeToJsonError, ValueError, DecodeError):
        return REFUSED


def read(message):
    """What we make of it, from its bytes on."""
    codec = codec_of(type(message))
    try:
        return codec.document(codec.parse(message.SerializePartialToString()))
    except MalformedMessage:
        return REFUSED


def as_text(document):
    """Tells 1 from 1.0 and from True, and holds for NaN."""
    return json.dumps(document, sort_keys=True)


def assert_reads_alike(message):
    assert as_text(read(message)) == as_text(expected(message))


# Messages at random.

INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}
SECONDS = st.integers(-62_135_596_801, 253_402_300_800)
NANOS = st.sampled_from([0, 1, 5_000_000, 120_000_000, 1_500, 999_999_999, 1_000_000_000, -1, -500_000_000])


def scalars(field):
    if field.enum_type:
        known = st.sampled_from([value.number for value in field.enum_type.values])
        return known if field.enum_type.is_closed else known | st.integers(-5, 5)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=12)
    return st.text(max_size=8) if field.type == FieldDescriptor.TYPE_STRING else INTEGERS[field.cpp_type]


def fill(draw, message, depth):
    """Set some fields. Deep down only scalars are left."""
    if message.DESCRIPTOR.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
        message.seconds, message.nanos = draw(SECONDS), draw(NANOS)
        return
    fields = [field for field in message.DESCRIPTOR.fields if depth or not field.message_type]
    if fields:
        for field in draw(st.lists(st.sampled_from(fields), max_size=6, unique_by=lambda each: each.number)):
            fill_field(draw, message, field, depth)


def fill_field(draw, message, field, depth):
    holder = getattr(message, field.name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        for each in draw(st.lists(scalars(key), max_size=2)):
            if value.message_type:
                fill(draw, holder[each], depth - 1)
            else:
                holder[each] = draw(scalars(value))
    elif field.is_repeated and field.message_type:
        for _ in range(draw(st.integers(0, 2))):
            fill(draw, holder.add(), depth - 1)
    elif field.is_repeated:
        holder.extend(draw(st.lists(scalars(field), max_size=3)))
    elif field.message_type:
        holder.SetInParent()
        fill(draw, holder, depth - 1)
    else:
        setattr(message, field.name, draw(scalars(field)))


@st.composite
def messages(draw, kinds, depth=3):
    message = draw(st.sampled_from(kinds))()
    fill(draw, message, depth)
    return message


A2A = [
    GetMessageClass(kind)
    for service in a2a_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    for kind in (method.input_type, method.output_type)
]
bounded = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


# The same as json_format.


@bounded
@given(messages([New]))
def test_every_kind_of_field_reads_as_json_format_reads_it(message):
    """proto3, with all scalars, presence, maps, oneofs and well-known types."""
    assert_reads_alike(message)


@bounded
@given(messages([Old]), st.binary(max_size=4), st.integers(-(2**63), 2**63 - 1))
def test_proto2_reads_as_json_format_reads_it(message, data, number):
    """Groups, closed enums, missing required fields, and extensions with names in brackets."""
    message.Extensions[POOL.FindExtensionByName("test.doc.more_0")] = number
    message.Extensions[POOL.FindExtensionByName("test.doc.more_1")].append(data)
    message.Extensions[POOL.FindExtensionByName("test.doc.m")].band.a_text = "inside"
    assert_reads_alike(message)


@bounded
@given(messages(A2A, depth=4))
def test_a2a_reads_as_json_format_reads_it(message):
    """Every request and response of the A2A service."""
    assert_reads_alike(message)


@bounded
@given(messages([GetMessageClass(POOL.FindMessageTypeByName(name)) for name in BROUGHT], depth=4))
def test_well_known_types_read_as_json_format_reads_them_at_the_top(message):
    """A method may take a Struct or return Empty."""
    assert_reads_alike(message)


@bounded
@given(st.sampled_from([New, Old, AnyInPool, *A2A[:4]]), st.binary(max_size=200))
def test_random_bytes_are_malformed_exactly_when_protobuf_refuses_them(kind, payload):
    """And where it takes them, the documents are the same."""
    assert_same_fate(kind, payload)


@bounded
@given(messages([New, Old], depth=2), st.data())
def test_damaged_messages_are_malformed_exactly_when_protobuf_refuses_them(message, data):
    """A byte changed or the end cut off comes closer to the truth than random bytes do."""
    payload = bytearray(message.SerializePartialToString()) or bytearray(b"\0")
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    assert_same_fate(type(message), bytes(payload[: data.draw(st.integers(0, len(payload)))]))


def assert_same_fate(kind, payload):
    codec, message = codec_of(kind), kind()
    try:
        message.ParseFromString(payload)
    except DecodeError:
        with pytest.raises(MalformedMessage):
            codec.parse(payload)
    else:
        # json_format gives up on types it does not know; what we say of those has its own test.
        if "type_url" not in str(message):
            assert as_text(read_or_refuse(codec, payload)) == as_text(expected(message))
        else:
            read_or_refuse(codec, payload)


def read_or_refuse(codec, payload):
    parsed = codec.parse(payload)
    try:
        return codec.document(parsed)
    except MalformedMessage:
        return REFUSED


@given(st.floats(width=32, allow_nan=False))
def test_a_float_has_the_digits_that_json_format_gives_it(number):
    """Six to nine of them: the fewest that are the same float."""
    message = wrappers_pb2.FloatValue(value=number)
    assert shortest_float(message.value) == json_format.MessageToDict(message)


@pytest.mark.parametrize("number", [3.4028234663852886e38, 1e-45, 0.1, 16777216.0, -0.0, math.inf, -math.inf, math.nan])
def test_floats_at_the_edge_read_as_json_format_reads_them(number):
    """The largest, the smallest, and what is no number."""
    assert_reads_alike(wrappers_pb2.FloatValue(value=number))
    assert_reads_alike(wrappers_pb2.DoubleValue(value=number))


def test_messages_nested_90_deep_are_read():
    """Protobuf itself parses 100 levels, so all of those must fit on our stack."""
    message = New()
    field = next(each.name for each in New.DESCRIPTOR.fields if each.message_type == New.DESCRIPTOR)
    inner = message
    for _ in range(90):
        inner = getattr(inner, field)
    inner.odd = "bottom"
    assert_reads_alike(message)
    assert "bottom" in as_text(read(message))


def test_lists_in_lists_to_the_limit_of_protobuf_are_read():
    """A Value in a ListValue in a Value costs two levels of a parse and as many of ours."""
    message = struct_pb2.Value()
    inner = message
    for _ in range(49):
        inner = inner.list_value.values.add()
    inner.number_value = 1
    assert as_text(read(message)).count("[") == 49
    assert_reads_alike(message)


def test_what_is_deeper_than_protobuf_parses_is_malformed():
    """100-deep nesting is refused by the parser, in a sentence of ours."""
    payload = b""
    for _ in range(60):
        payload = wrapped(payload)
    with pytest.raises(MalformedMessage, match=r"do not parse as google\.protobuf\.Value"):
        codec_of(struct_pb2.Value).parse(payload)


def wrapped(payload):
    """A serialized Value inside one more list."""
    for tag in (b"\x0a", b"\x32"):
        payload = tag + varint(len(payload)) + payload
    return payload


def varint(number):
    groups = []
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    return bytes([*groups, number])


def test_a_stack_that_is_nearly_full_makes_a_message_malformed_and_no_crash():
    """RecursionError is ours to handle: nobody above expects it of a payload."""
    message = New()
    field = next(each.name for each in New.DESCRIPTOR.fields if each.message_type == New.DESCRIPTOR)
    inner = message
    for _ in range(90):
        inner = getattr(inner, field)
    inner.odd = "bottom"
    codec = codec_of(New)

    def deeper(frames):
        return codec.document(message) if frames == 0 else deeper(frames - 1)

    with pytest.raises(MalformedMessage):
        deeper(sys.getrecursionlimit() - frames_in_use() - 60)


def frames_in_use():
    frame, count = sys._getframe(), 0
    while frame:
        frame, count = frame.f_back, count + 1
    return count


# What a type cannot say.


@pytest.mark.parametrize(
    "message",
    [
        timestamp_pb2.Timestamp(seconds=253_402_300_800),
        timestamp_pb2.Timestamp(seconds=-62_135_596_801),
        timestamp_pb2.Timestamp(nanos=-1),
        timestamp_pb2.Timestamp(nanos=1_000_000_000),
        duration_pb2.Duration(seconds=1, nanos=-1),
        duration_pb2.Duration(seconds=315_576_000_001),
        struct_pb2.Value(number_value=math.nan),
        struct_pb2.Value(number_value=-math.inf),
        field_mask_pb2.FieldMask(paths=["secretPath"]),
    ],
    ids=lambda message: f"{message.DESCRIPTOR.name} {message}".strip(),
)
def test_what_json_cannot_express_is_malformed(message):
    """Where json_format raises we refuse, and the sentence does not quote the payload."""
    assert expected(message) == REFUSED
    codec = codec_of(type(message))
    with pytest.raises(MalformedMessage, match="has no JSON form") as refusal:
        codec.document(message)
    assert "secret" not in str(refusal.value)


def test_strings_that_are_no_utf8_are_malformed_in_proto3_and_shown_in_proto2():
    """proto3 refuses them while parsing; proto2 takes them, and json_format shows the bytes."""
    proto3, proto2 = wrappers_pb2.StringValue, Old
    with pytest.raises(MalformedMessage):
        codec_of(proto3).parse(b"\x0a\x02\xff\xfe")
    text = next(field for field in Old.DESCRIPTOR.fields if field.type == FieldDescriptor.TYPE_STRING)
    message = proto2.FromString(bytes([*varint(text.number << 3 | 2), 2]) + b"\xff\xfe")
    assert read(message) == expected(message) != {}


def test_enums_have_the_first_name_of_their_number_or_the_number():
    """As protobuf's own mapping does; a NullValue is null."""
    assert_reads_alike(a2a_pb2.Message(role=7))
    assert read(a2a_pb2.Message(role=7)) == {"role": 7}
    assert read(a2a_pb2.Message(role=1)) == {"role": "ROLE_USER"}
    field = next(each.name for each in New.DESCRIPTOR.fields if each.enum_type and each.is_repeated)
    assert list(read(New(**{field: [0, 1, -2, 9]})).values()) == [["NONE", "RED", "BLUE", 9]]


def test_enum_values_have_the_name_that_their_option_gives_them():
    """The option pb.enumvalue.json, which newer runtimes bring."""
    options = pytest.importorskip("google.protobuf.json_enumvalue_options_pb2")
    file = FileDescriptorProto(name="test/renamed.proto", package="test.renamed", syntax="proto3")
    kind = file.enum_type.add(name="Kind")
    for number, name in enumerate(("ZERO", "ONE")):
        kind.value.add(name=name, number=number)
    option = options.DESCRIPTOR.pool.FindExtensionByName("pb.enumvalue.json")
    kind.value[1].options.Extensions[option].string = "the one"
    holder = file.message_type.add(name="Holder")
    holder.field.add(name="kind", number=1, type=Field.TYPE_ENUM, label=1, type_name=".test.renamed.Kind")
    pool = pool_of(file)
    message = GetMessageClass(pool.FindMessageTypeByName("test.renamed.Holder"))(kind=1)
    codec = ProtobufCodec(message.DESCRIPTOR, Walkers(finder(pool)), Reader())
    assert codec.document(message) == json_format.MessageToDict(message) == {"kind": "the one"}


def test_unknown_fields_are_ignored():
    """A newer caller may send more than our descriptors know."""
    message = a2a_pb2.GetTaskRequest.FromString(b"\x12\x01x" + b"\xfa\x3e\x03abc")
    assert read(message) == expected(message) == {"id": "x"}


# Any.


@pytest.mark.parametrize(
    "inside",
    [
        a2a_pb2.Task(id="t", status=a2a_pb2.TaskStatus(state=2)),
        a2a_pb2.Task(),
        timestamp_pb2.Timestamp(seconds=1),
        wrappers_pb2.Int64Value(value=5),
        struct_pb2.Value(string_value="s"),
        empty_pb2.Empty(),
    ],
    ids=lambda message: message.DESCRIPTOR.name,
)
def test_any_with_a_known_type_reads_as_json_format_reads_it(inside):
    """Fields beside `@type`, or one `value` where the type has a form of its own."""
    packed = any_pb2.Any()
    packed.Pack(inside)
    twice = any_pb2.Any()
    twice.Pack(packed)
    assert_reads_alike(packed)
    assert_reads_alike(twice)


@pytest.mark.parametrize("url", ["", "types.example/who.Knows", "no slash", "/", "a/b/c\0"])
def test_any_with_an_unknown_type_keeps_its_url_and_its_bytes(url):
    """json_format raises; a payload with one unknown detail should still be checked for all the others."""
    assert read(any_pb2.Any(type_url=url, value=b"\0\xff")) == {"@type": url, "value": "AP8="}


def test_an_empty_any_is_an_empty_object():
    """As json_format has it."""
    assert read(any_pb2.Any()) == expected(any_pb2.Any()) == {}


def test_any_with_bytes_that_do_not_parse_is_malformed():
    """It says what it is and is not."""
    assert read(any_pb2.Any(type_url="x/lf.a2a.v1.Task", value=b"\x0a\xff")) == REFUSED


def test_anys_inside_each_other_are_read_up_to_the_limit():
    """The limit is what we allow; one more is refused, before it is copied once more."""
    packed = any_pb2.Any(type_url="x/lf.a2a.v1.Task")
    for depth in range(1, ANY_DEPTH + 2):
        assert (read(packed) == REFUSED) == (depth > ANY_DEPTH)
        outer = any_pb2.Any()
        outer.Pack(packed)
        packed = outer


# A message.


def test_a_message_reads_through_its_codec():
    """The engine's Message asks for a document and for ids; both come from one parse."""
    task = a2a_pb2.Task(id="task", context_id="context", status=a2a_pb2.TaskStatus(state=2))
    message = Message(Direction.RESPONSE, 0, task.SerializeToString(), codec_of(a2a_pb2.Task))
    assert message.document == json_format.MessageToDict(task)
    assert message.names.task_id == "task"
