"""Payloads in, documents and ids out: what json_format says we say, and nothing but MalformedMessage escapes."""

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
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.engine.document import (
    ANY_DEPTH,
    JSON_CODEC,
    ProtobufCodec,
    Reader,
    Walkers,
    shortest_float,
    sniff,
)
from sidecar.engine.message import NO_NAMES, Direction, Message, Names
from sidecar.errors import MalformedMessage

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

REFUSED = "refused"


# A schema with every kind of field.


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


# Ids.


def names_of(message):
    return codec_of(type(message)).names(message)


TASK = a2a_pb2.Task(id="task", context_id="context", status=a2a_pb2.TaskStatus(state=2))
UPDATE = a2a_pb2.TaskStatusUpdateEvent(task_id="task", context_id="context", status=a2a_pb2.TaskStatus(state=3))
QUESTION = a2a_pb2.Message(message_id="m", context_id="c", task_id="t", reference_task_ids=["r1", "r2"])


@pytest.mark.parametrize(
    ("message", "names"),
    [
        (a2a_pb2.SendMessageRequest(message=QUESTION), Names("c", "t", "m", "", ("r1", "r2"))),
        (a2a_pb2.SendMessageResponse(message=QUESTION), Names("c", "t", "m", "", ("r1", "r2"))),
        (a2a_pb2.SendMessageResponse(task=TASK), Names("context", "task", "", "TASK_STATE_WORKING")),
        (a2a_pb2.StreamResponse(task=TASK), Names("context", "task", "", "TASK_STATE_WORKING")),
        (a2a_pb2.StreamResponse(status_update=UPDATE), Names("context", "task", "", "TASK_STATE_COMPLETED")),
        (
            a2a_pb2.StreamResponse(artifact_update=a2a_pb2.TaskArtifactUpdateEvent(task_id="t", context_id="c")),
            Names("c", "t"),
        ),
        (TASK, Names("context", "task", "", "TASK_STATE_WORKING")),
        (a2a_pb2.Task(status=a2a_pb2.TaskStatus(state=77)), Names(task_state="77")),
        (a2a_pb2.GetTaskRequest(id="t"), Names(task_id="t")),
        (a2a_pb2.CancelTaskRequest(id="t"), Names(task_id="t")),
        (a2a_pb2.SubscribeToTaskRequest(id="t"), Names(task_id="t")),
        (a2a_pb2.ListTasksRequest(context_id="c"), Names("c")),
        (a2a_pb2.GetTaskPushNotificationConfigRequest(id="not a task", task_id="t"), Names(task_id="t")),
        (a2a_pb2.Task(history=[QUESTION]), Names()),
        (a2a_pb2.ListTasksResponse(tasks=[TASK]), Names()),
        (a2a_pb2.Task(id="t", status=a2a_pb2.TaskStatus(message=QUESTION)), Names("c", "t", "m", "", ("r1", "r2"))),
        (a2a_pb2.SendMessageRequest(), Names()),
    ],
    ids=lambda value: value.DESCRIPTOR.name if hasattr(value, "DESCRIPTOR") else "",
)
def test_ids_of_a2a_are_found(message, names):
    """Where the specification puts them: not in history, not in lists of other tasks."""
    assert names_of(message) == names


def test_ids_in_metadata_are_not_ids():
    """Metadata is the caller's own; what it says of contexts binds nobody."""
    request = a2a_pb2.SendMessageRequest()
    request.metadata.update({"context_id": "c"})
    assert names_of(request) == NO_NAMES


def test_ids_of_other_protocols_are_found_by_field_name_to_depth_three():
    """The nearest wins; a field with the name of an id and another type is none."""
    file = FileDescriptorProto(name="test/other.proto", package="test.other", syntax="proto3")
    node = file.message_type.add(name="Node")
    for number, name in enumerate(("context_id", "task_id"), start=1):
        node.field.add(name=name, number=number, type=Field.TYPE_STRING, label=1)
    node.field.add(name="message_id", number=3, type=Field.TYPE_INT64, label=1)
    node.field.add(name="id", number=4, type=Field.TYPE_STRING, label=1)
    node.field.add(name="child", number=5, type=Field.TYPE_MESSAGE, label=1, type_name=".test.other.Node")
    pool = pool_of(file)
    kind = GetMessageClass(pool.FindMessageTypeByName("test.other.Node"))
    codec = ProtobufCodec(kind.DESCRIPTOR, Walkers(finder(pool)), Reader())
    third = kind(child=kind(task_id="near", child=kind(child=kind(context_id="third", task_id="far"))))
    fourth = kind(message_id=5, id="x", child=kind(child=kind(child=kind(child=kind(context_id="fourth")))))
    assert codec.names(third) == Names("third", "near")
    assert codec.names(fourth) == NO_NAMES


def test_a_type_without_ids_says_so():
    """Nobody parses for ids that cannot be there."""
    assert not codec_of(a2a_pb2.AgentCard).has_names
    assert codec_of(a2a_pb2.AgentCard).names(a2a_pb2.AgentCard(name="x")) == NO_NAMES
    assert codec_of(a2a_pb2.SendMessageRequest).has_names


def test_a_message_reads_through_its_codec():
    """The engine's Message asks for a document and for ids; both come from one parse."""
    message = Message(Direction.RESPONSE, 0, TASK.SerializeToString(), codec_of(a2a_pb2.Task))
    assert message.document == json_format.MessageToDict(TASK)
    assert message.names.task_id == "task"


# JSON.


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b"[Infinity]",
        b"[1e999]",
        b'["\xff\xfe"]',
        b'["\\ud800"]',
        b'{"secret": 1,}',
        b"[" * 5_000 + b"]" * 5_000,
        b"[" + b"9" * 5_000 + b"]",
        b"[" * 1_000 + b"9" * 30 + b"]" * 1_000,
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda payload: repr(payload[:12]),
)
def test_what_is_no_json_is_malformed(payload):
    """RFC 8259 in UTF-8; 1024 levels; integers of 4300 digits. The sentence quotes nothing."""
    with pytest.raises(MalformedMessage, match="are no JSON") as refusal:
        JSON_CODEC.parse(payload)
    assert "secret" not in str(refusal.value)


@given(st.binary(max_size=40))
def test_random_bytes_are_json_or_malformed(payload):
    """Nothing else comes out."""
    try:
        document = JSON_CODEC.document(JSON_CODEC.parse(payload))
    except MalformedMessage:
        return
    assert document == json.loads(payload)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30 + 1])
def test_integers_are_exact_at_any_length(number):
    """Beyond 64 bits too, where many parsers turn to floats: an amount must not change on the way to a rule."""
    assert JSON_CODEC.parse(b'{"n": [%d]}' % number) == {"n": [number]}


def test_of_equal_keys_the_last_counts():
    """As in most parsers, so that most callees see what we saw."""
    assert JSON_CODEC.parse(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"contextId": "c", "taskId": "t", "messageId": "m"}, Names("c", "t", "m")),
        ({"context_id": "c", "task_id": "t", "message_id": "m"}, Names("c", "t", "m")),
        ({"referenceTaskIds": ["r1", 5, "r2"]}, Names(reference_task_ids=("r1", "r2"))),
        ({"reference_task_ids": ["r"]}, Names(reference_task_ids=("r",))),
        ({"message": {"messageId": "m", "contextId": "c"}}, Names("c", "", "m")),
        ({"task": {"id": "t", "contextId": "c", "status": {"state": "working"}}}, Names("c", "t", "", "working")),
        ({"kind": "task", "id": "t"}, Names("", "t")),
        ({"kind": "status-update", "taskId": "t", "status": {"state": "done"}}, Names("", "t", "", "done")),
        ({"jsonrpc": "2.0", "id": "1", "result": {"kind": "task", "id": "t", "status": {}}}, Names("", "t")),
        ({"jsonrpc": "2.0", "id": "1", "params": {"message": {"messageId": "m"}}}, Names("", "", "m")),
        ({"taskId": "near", "a": {"taskId": "far"}}, Names("", "near")),
        ({"a": {"b": {"c": {"taskId": "third"}}}}, Names("", "third")),
        ({"a": {"b": {"c": {"d": {"taskId": "fourth"}}}}}, Names()),
        ({"metadata": {"taskId": "t"}, "history": {"taskId": "t"}, "tasks": [{"taskId": "t"}]}, Names()),
        ({"id": "t", "taskId": 5, "contextId": None, "referenceTaskIds": "r", "status": "ok"}, Names()),
        ([{"taskId": "t"}], Names()),
        (None, Names()),
    ],
)  # fmt: skip
def test_ids_in_json_are_found_by_their_json_names(document, names):
    """The same ids in the same places, in A2A's JSON shapes as well."""
    assert JSON_CODEC.names(JSON_CODEC.parse(json.dumps(document).encode())) == names


@pytest.mark.parametrize(
    "payload", [b"{}", b'{"a":1}', b' \n\t{ "a": 1 }\n', b"[]", b"[1, 2]", b"[{}]", b'["a"]', b"[-1]"]
)
def test_json_objects_and_arrays_look_like_json(payload):
    """By what they begin and end with."""
    assert sniff(payload)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"}", b"1", b'"a"', b"{a}", b"[x]", b" ", b"{]x", b"\x00{}", b" " * 500 + b"{}"]
)
def test_other_payloads_do_not_look_like_json(payload):
    """Values that are no object or array are not worth a guess."""
    assert not sniff(payload)


def test_protobuf_that_begins_like_json_does_not_look_like_json():
    """A first field of 123 bytes is a line feed and an opening brace."""
    payload = wrappers_pb2.StringValue(value="a" * 123).SerializeToString()
    assert payload.startswith(b"\n{")
    assert not sniff(payload)
