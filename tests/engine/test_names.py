"""Names of payloads: the ids are found where a protocol puts them, and nowhere else."""

from __future__ import annotations

import pytest
from a2a.types import a2a_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message_factory import GetMessageClass

from sidecar.engine.document import Walkers
from sidecar.engine.message import NO_NAMES, Names
from sidecar.engine.names import Reader
from sidecar.engine.protobuf_codec import ProtobufCodec
from tests.engine.every_kind import codec_of, finder, pool_of


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
    assert codec_of(a2a_pb2.AgentCard).names(a2a_pb2.AgentCard(name="x")) is NO_NAMES
    assert codec_of(a2a_pb2.SendMessageRequest).has_names


@pytest.mark.parametrize("field", Names._fields)
def test_of_two_messages_the_later_names_what_it_can(field):
    """What only one of them names stays, whichever it is."""
    early, late = (("early",), ("late",)) if field == "reference_task_ids" else ("early", "late")
    assert NO_NAMES.merged(Names(**{field: late})) == Names(**{field: late})
    assert Names(**{field: early}).merged(NO_NAMES) == Names(**{field: early})
    assert Names(**{field: early}).merged(Names(**{field: late})) == Names(**{field: late})
