"""Which method carries which types: from modules, files and protos, one definition each, whole or not at all."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from a2a.types import a2a_pb2
from google.protobuf import any_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import Default

from sidecar.engine.descriptors import Descriptors, default_json_name
from sidecar.errors import MalformedMessage

SPECS = Path(__file__).parents[2] / "specs" / "a2a"
A2A = "/lf.a2a.v1.A2AService/"
SEND = f"{A2A}SendMessage"


def ledger(**changes):
    """`test.ledger.Ledger/Post` and `/Watch` over one message with a nested one."""
    file = FileDescriptorProto(
        name="test/ledger.proto", package="test.ledger", syntax="proto3", dependency=["google/protobuf/any.proto"]
    )
    entry = file.message_type.add(name="Entry")
    entry.field.add(name="task_id", number=1, type=Field.TYPE_STRING, label=1)
    entry.field.add(name="detail", number=2, type=Field.TYPE_MESSAGE, label=1, type_name=".google.protobuf.Any")
    entry.nested_type.add(name="Line").field.add(name="unit_price", number=1, type=Field.TYPE_INT64, label=1)
    entry.field.add(name="line", number=3, type=Field.TYPE_MESSAGE, label=3, type_name=".test.ledger.Entry.Line")
    service = file.service.add(name="Ledger")
    kinds = {"input_type": ".test.ledger.Entry", "output_type": ".test.ledger.Entry"}
    service.method.add(name="Post", **kinds)
    service.method.add(name="Watch", client_streaming=True, server_streaming=True, **kinds)
    file.MergeFrom(FileDescriptorProto(**changes))
    return file


def book():
    """A file that needs the ledger's."""
    file = FileDescriptorProto(
        name="test/book.proto", package="test.book", syntax="proto3", dependency=["test/ledger.proto"]
    )
    page = file.message_type.add(name="Page")
    page.field.add(name="entry", number=1, type=Field.TYPE_MESSAGE, label=1, type_name=".test.ledger.Entry")
    file.service.add(name="Book").method.add(
        name="Turn", input_type=".test.book.Page", output_type=".google.protobuf.Timestamp"
    )
    return file


def written(path, *files):
    path.write_bytes(FileDescriptorSet(file=files).SerializeToString())
    return path


@pytest.fixture
def descriptors():
    return Descriptors()


# What a source gives.


def test_a_module_gives_its_methods_with_their_cardinalities(descriptors):
    """A2A streams answers in two of its methods and never requests."""
    descriptors.add_module("a2a.types.a2a_pb2")
    assert len(list(descriptors.methods())) == 11
    streaming = {name for name in descriptors.methods() if descriptors.method(name).server_streaming}
    assert streaming == {f"{A2A}SendStreamingMessage", f"{A2A}SubscribeToTask"}
    assert not any(descriptors.method(name).client_streaming for name in descriptors.methods())


def test_a_module_keeps_its_own_message_classes(descriptors):
    """What is parsed for us is what the module's users know."""
    descriptors.add_module("a2a.types.a2a_pb2")
    assert isinstance(descriptors.method(SEND).request.parse(b""), a2a_pb2.SendMessageRequest)


def test_a_file_gives_the_same_documents_as_the_module():
    """Users without the SDK lose nothing."""
    by_module, by_file = Descriptors(), Descriptors()
    by_module.add_module("a2a.types.a2a_pb2")
    by_file.add_file(SPECS / "a2a_v1.binpb")
    payload = a2a_pb2.SendMessageRequest(message=a2a_pb2.Message(message_id="m", role=1)).SerializeToString()
    documents = [each.method(SEND).request for each in (by_module, by_file)]
    assert list(by_module.methods()) == list(by_file.methods())
    assert [codec.document(codec.parse(payload)) for codec in documents] == [
        {"message": {"messageId": "m", "role": "ROLE_USER"}}
    ] * 2


def test_methods_are_told_apart_by_cardinality(descriptors):
    """Streaming both ways, and not at all."""
    descriptors.add_protos([ledger()], "a test")
    post, watch = (descriptors.method(f"/test.ledger.Ledger/{name}") for name in ("Post", "Watch"))
    assert (post.client_streaming, post.server_streaming) == (False, False)
    assert (watch.client_streaming, watch.server_streaming) == (True, True)
    assert post.name == "/test.ledger.Ledger/Post"


def test_a_method_is_made_once(descriptors):
    """It is asked for at every call."""
    descriptors.add_protos([ledger()], "a test")
    assert descriptors.method("/test.ledger.Ledger/Post") is descriptors.method("/test.ledger.Ledger/Post")


@pytest.mark.parametrize("name", ["", "/", "/test.ledger.Ledger/Nothing", "test.ledger.Ledger/Post", "/a/b\0"])
def test_an_unknown_method_is_none(descriptors, name):
    """The proxy then passes it as bytes."""
    descriptors.add_protos([ledger()], "a test")
    assert descriptors.method(name) is None


def test_the_default_pool_stays_clean(descriptors):
    """A file that an upstream sends must not change what the rest of the process sees."""
    descriptors.add_protos([ledger()], "a test")
    with pytest.raises(KeyError):
        Default().FindFileByName("test/ledger.proto")


def test_a_malformed_payload_names_its_type(descriptors):
    """The sentence reaches a finding."""
    descriptors.add_protos([ledger()], "a test")
    with pytest.raises(MalformedMessage, match=r"2 bytes do not parse as test\.ledger\.Entry"):
        descriptors.method("/test.ledger.Ledger/Post").request.parse(b"\x0a\xff")


def test_an_any_may_hold_types_of_any_source_also_of_one_that_came_later(descriptors):
    """Reflection may answer after the method was first used."""
    descriptors.add_protos([ledger()], "first")
    codec = descriptors.method("/test.ledger.Ledger/Post").request
    payload = b"\x12" + nested(any_pb2.Any(type_url="x/test.book.Page", value=b"\x0a\x03\x0a\x01t"))
    assert codec.document(codec.parse(payload)) == {"detail": {"@type": "x/test.book.Page", "value": "CgMKAXQ="}}
    descriptors.add_protos([book()], "second")
    assert codec.document(codec.parse(payload)) == {"detail": {"@type": "x/test.book.Page", "entry": {"taskId": "t"}}}


def nested(message):
    payload = message.SerializeToString()
    return bytes([len(payload)]) + payload


# Sources together.


def test_the_same_file_from_two_sources_is_one_definition(descriptors, tmp_path):
    """Comments, written-out default JSON names and unknown options are no difference."""
    commented = ledger()
    commented.source_code_info.location.add(leading_comments="Money, mostly.")
    for field in (*commented.message_type[0].field, *commented.message_type[0].nested_type[0].field):
        field.json_name = default_json_name(field.name)
    commented.options.MergeFromString(b"\xfa\xff\x03\x01x")
    descriptors.add_protos([ledger()], "one")
    descriptors.add_file(written(tmp_path / "two.binpb", commented))
    assert len(list(descriptors.methods())) == 2


def test_a_module_and_the_set_made_of_it_agree(descriptors):
    """A2A from the SDK and from our own file may be named together."""
    descriptors.add_module("a2a.types.a2a_pb2")
    descriptors.add_file(SPECS / "a2a_v1.binpb")
    assert isinstance(descriptors.method(SEND).request.parse(b""), a2a_pb2.SendMessageRequest)


def test_sources_that_contradict_each_other_are_both_named(descriptors):
    """Whoever has to mend it must know where to look."""
    descriptors.add_protos([ledger()], "reflection of writer:50051")
    other = ledger()
    other.message_type[0].field[0].name = "renamed"
    with pytest.raises(ValueError, match=r"^old.binpb and reflection of writer:50051 define test/ledger\.proto diff"):
        descriptors.add_protos([other], "old.binpb")


def test_a_json_name_of_its_own_is_a_contradiction(descriptors):
    """It changes documents, so it counts."""
    descriptors.add_protos([ledger()], "one")
    other = ledger()
    other.message_type[0].field[0].json_name = "task"
    with pytest.raises(ValueError, match=r"define test/ledger\.proto differently"):
        descriptors.add_protos([other], "two")


def test_one_type_in_two_files_names_both_sources(descriptors):
    """Happens when the same file is known under two paths."""
    descriptors.add_protos([ledger()], "one")
    moved = ledger()
    moved.name = "moved/ledger.proto"
    with pytest.raises(ValueError, match=r"two cannot be used; .* is also in test/ledger\.proto of one"):
        descriptors.add_protos([moved], "two")


def test_what_is_refused_leaves_nothing_behind(descriptors):
    """The good file in a bad set is not half known afterwards."""
    broken = book()
    broken.message_type[0].field[0].type_name = ".test.nowhere.Thing"
    with pytest.raises(ValueError, match=r"test/book\.proto of bad cannot be used"):
        descriptors.add_protos([ledger(), broken], "bad")
    assert list(descriptors.methods()) == []
    assert descriptors.find_message("test.ledger.Entry") is None
    descriptors.add_protos([book(), ledger()], "good")
    assert len(list(descriptors.methods())) == 3


@pytest.mark.parametrize("name", ["google/api/annotations.proto", "google/rpc/status.proto"])
def test_of_files_that_every_toolchain_brings_the_first_stays(descriptors, name):
    """Two upstreams built in different years may both be described."""
    first = FileDescriptorProto(name=name, package="google.x", syntax="proto3")
    first.message_type.add(name="Kept")
    second = FileDescriptorProto(name=name, package="google.x", syntax="proto3")
    second.message_type.add(name="Dropped")
    descriptors.add_protos([first], "one")
    descriptors.add_protos([second], "two")
    assert descriptors.find_message("google.x.Kept") is not None
    assert descriptors.find_message("google.x.Dropped") is None


def test_well_known_types_are_those_of_the_runtime_and_need_not_be_brought(descriptors):
    """A source cannot give Timestamp other fields than the ones we read."""
    forged = FileDescriptorProto(name="google/protobuf/timestamp.proto", package="google.protobuf", syntax="proto3")
    forged.message_type.add(name="Timestamp")
    descriptors.add_protos([forged, book(), ledger()], "a test")
    codec = descriptors.method("/test.book.Book/Turn").response
    assert codec.document(codec.parse(timestamp_pb2.Timestamp(seconds=1).SerializeToString())) == "1970-01-01T00:00:01Z"


def test_a_file_may_import_what_an_earlier_source_brought(descriptors):
    """Only what nobody knows is missing."""
    descriptors.add_protos([ledger()], "one")
    descriptors.add_protos([book()], "two")
    assert descriptors.method("/test.book.Book/Turn").request.has_names


# What a source may get wrong.


def test_a_set_without_its_imports_names_the_one_that_is_missing(descriptors, tmp_path):
    """And how to make the set."""
    path = written(tmp_path / "alone.binpb", book())
    with pytest.raises(
        ValueError, match=r"alone\.binpb lacks test/ledger\.proto, which test/book\.proto imports; .*--inc"
    ):
        descriptors.add_file(path)


def test_files_that_import_each_other_are_refused(descriptors):
    """No order would do."""
    circle = ledger(dependency=["test/book.proto"])
    with pytest.raises(ValueError, match="import each other in a circle"):
        descriptors.add_protos([circle, book()], "a test")


def test_a_file_name_that_is_no_text_is_refused(descriptors, tmp_path):
    """Protobuf itself lets it pass."""
    path = tmp_path / "x.binpb"
    path.write_bytes(b"\x0a\x03\x0a\x01\xff")
    with pytest.raises(ValueError, match=r"x\.binpb has a file whose name is no UTF-8"):
        descriptors.add_file(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xff", "is no FileDescriptorSet"),
        (b"", "holds no files of types"),
    ],
)
def test_a_file_that_is_no_descriptor_set_is_refused_with_its_path(descriptors, tmp_path, content, sentence):
    """Missing, something else, or empty."""
    path = tmp_path / "x.binpb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.binpb {sentence}"):
        descriptors.add_file(path)


@pytest.mark.parametrize(
    ("dotted", "sentence"),
    [
        ("nowhere.at_all_pb2", "cannot be imported: ModuleNotFoundError"),
        ("", "cannot be imported: ValueError"),
        ("a2a.types.a2a_pb2_grpc", "holds no descriptors; .* ends in _pb2"),
        ("json", "holds no descriptors"),
    ],
)
def test_a_module_that_gives_no_types_is_refused_with_its_name(descriptors, dotted, sentence):
    """Not there, or not the one that protoc made."""
    with pytest.raises(ValueError, match=f"module {dotted} {sentence}"):
        descriptors.add_module(dotted)


def test_a_module_that_fails_when_imported_is_refused_with_its_reason(descriptors, tmp_path, monkeypatch):
    """Generated code refuses runtimes older than itself, for one."""
    (tmp_path / "too_new_for_us_pb2.py").write_text("raise RuntimeError('made by a newer protoc')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="RuntimeError: made by a newer protoc"):
        descriptors.add_module("too_new_for_us_pb2")
    assert "too_new_for_us_pb2" not in sys.modules


@pytest.mark.parametrize(
    "name", ["plain", "snake_case", "_leading", "trailing_", "two__bars", "digit_1x", "Upper_Case", "aB_c"]
)
def test_default_json_names_are_those_of_protoc(descriptors, name):
    """Two sources differ in whether they write them out, so we must know them."""
    file = FileDescriptorProto(name="n.proto", package="n", syntax="proto3")
    file.message_type.add(name="N").field.add(name=name, number=1, type=Field.TYPE_STRING, label=1)
    descriptors.add_protos([file], "a test")
    assert descriptors.find_message("n.N").fields[0].json_name == default_json_name(name)


# The set that we ship.


def made_again():
    spec = importlib.util.spec_from_file_location("build", SPECS / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    return build.descriptor_set()


def test_the_shipped_a2a_set_is_current():
    """A2A's own types are those of the installed SDK; of what they import, each file is there, of whatever age."""
    shipped = FileDescriptorSet.FromString((SPECS / "a2a_v1.binpb").read_bytes())
    again = made_again()
    assert [file.name for file in shipped.file] == [file.name for file in again.file]
    assert shipped.file[-1] == again.file[-1]
    assert shipped.file[-1].package == "lf.a2a.v1"
    brought: set[str] = set()
    for file in shipped.file:
        assert brought.issuperset(file.dependency), f"imports of {file.name} come before it"
        brought.add(file.name)
