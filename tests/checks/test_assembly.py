"""Assemblies: real A2A events in, the task that they made out."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from a2a.types import a2a_pb2 as a2a

from sidecar.checks.assembly import EVENT_BYTES, Assembly
from sidecar.engine.descriptors import Descriptors
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.message import Direction, Message

STREAM = "/lf.a2a.v1.A2AService/SendStreamingMessage"
PLENTY = 1 << 30
DESCRIPTORS = Descriptors()
DESCRIPTORS.add_module("a2a.types.a2a_pb2")
CODEC = DESCRIPTORS.method(STREAM).response  # type: ignore[union-attr]

WORKING, COMPLETED = a2a.TASK_STATE_WORKING, a2a.TASK_STATE_COMPLETED


def event(**fields: Any) -> Message:
    """One message of the stream, as it stands on the wire."""
    return Message(Direction.RESPONSE, 0, a2a.StreamResponse(**fields).SerializeToString(), CODEC)


def opened(**fields: Any) -> Message:
    return event(task=a2a.Task(id="t-1", context_id="c-1", **fields))


def status(state: int, text: str = "", message_id: str = "m") -> Message:
    said = a2a.Message(message_id=message_id, role=a2a.ROLE_AGENT, parts=[a2a.Part(text=text)]) if text else None
    told = a2a.TaskStatus(state=state, message=said)  # type: ignore[arg-type]
    return event(status_update=a2a.TaskStatusUpdateEvent(task_id="t-1", context_id="c-1", status=told))


def chunk(
    *parts: a2a.Part | str, name: str = "a", task: str = "t-1", append: bool = False, last: bool = False
) -> Message:
    made = [part if isinstance(part, a2a.Part) else a2a.Part(text=part) for part in parts]
    artifact = a2a.Artifact(artifact_id=name, parts=made)
    update = a2a.TaskArtifactUpdateEvent(
        task_id=task, context_id="c-1", artifact=artifact, append=append, last_chunk=last
    )
    return event(artifact_update=update)


def assembled(*messages: Message) -> Any:
    """What is shown when the last of these has come."""
    *earlier, last = messages
    stream = Assembly()
    for message in earlier:
        stream.add(message, PLENTY)
    return stream.finished(last.document)


def texts(document: Any) -> list[list[str]]:
    return [[part.get("text", "-") for part in each["parts"]] for each in document["task"]["artifacts"]]


def test_chunks_are_one_text_under_the_last_status():
    """The caller was told a figure in three pieces; a verifier sees the figure."""
    found = assembled(
        opened(status=a2a.TaskStatus(state=a2a.TASK_STATE_SUBMITTED)),
        chunk("There were 4"),
        chunk("12 pal", append=True),
        chunk("lets.", append=True, last=True),
        status(COMPLETED, "Done."),
    )
    assert found == {
        "task": {
            "id": "t-1",
            "contextId": "c-1",
            "status": {
                "state": "TASK_STATE_COMPLETED",
                "message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "Done."}]},
            },
            "artifacts": [{"artifactId": "a", "parts": [{"text": "There were 412 pallets."}]}],
        }
    }


def test_only_a_cut_is_mended():
    """Parts that one chunk keeps apart stay apart, and so does data, or text of another kind."""
    data = a2a.Part()
    data.data.struct_value.update({"n": 1})
    html = a2a.Part(text="<b>", media_type="text/html")
    found = assembled(
        chunk("a", "b"),
        chunk("c", data, append=True),
        chunk("d", append=True),
        chunk(html, append=True),
        status(COMPLETED),
    )
    assert texts(found) == [["a", "bc", "-", "d", "<b>"]]


def test_a_chunk_without_append_takes_the_artifacts_place():
    """As it does at a client that follows the protocol."""
    assert texts(assembled(chunk("draft"), chunk("final"), status(COMPLETED))) == [["final"]]


def test_artifacts_are_told_apart_by_task_and_id_in_the_order_of_their_beginning():
    """Chunks of several may alternate. One of another task does not hide the first."""
    found = assembled(
        chunk("1", name="a"),
        chunk("2", name="b"),
        chunk("+", name="a", append=True),
        chunk("3", task="t-2"),
        status(COMPLETED),
    )
    assert texts(found) == [["1+"], ["2"], ["3"]]


def test_a_chunk_that_continues_nothing_begins():
    """Whoever subscribes late hears the middle of an artifact first."""
    assert texts(assembled(chunk("tail", append=True), status(COMPLETED))) == [["tail"]]


def test_a_snapshot_replaces_what_it_names_and_takes_nothing_away():
    """A callee cannot make its earlier words unsaid by a task without them."""
    task = a2a.Artifact(artifact_id="b", parts=[a2a.Part(text="new")])
    found = assembled(chunk("told"), chunk("old", name="b"), opened(artifacts=[task]), status(COMPLETED))
    assert texts(found) == [["told"], ["new"]]


def test_a_task_that_ends_the_stream_is_joined_with_the_chunks():
    """Also where the last event is a whole task, and not a status."""
    done = opened(status=a2a.TaskStatus(state=COMPLETED))
    found = assembled(chunk("told"), done)
    assert found["task"]["status"] == {"state": "TASK_STATE_COMPLETED"}
    assert texts(found) == [["told"]]


def test_what_the_agent_said_on_the_way_is_history():
    """In order, each once, the last words staying with the last status."""
    asked = a2a.Message(message_id="q", role=a2a.ROLE_USER, parts=[a2a.Part(text="How many?")])
    found = assembled(
        opened(history=[asked]),
        status(WORKING, "I count 968.", "m-1"),
        status(WORKING, "I count again.", "m-2"),
        status(COMPLETED, "412.", "m-3"),
    )
    assert [said["messageId"] for said in found["task"]["history"]] == ["q", "m-1", "m-2"]
    assert found["task"]["status"]["message"]["messageId"] == "m-3"


def test_a_history_that_rewrites_what_was_said_does_not_hide_it():
    """Only a message that the task repeats word for word is left out."""
    first, second = status(WORKING, "968", "m-1"), status(WORKING, "so", "m-2")
    kept, rewritten = (
        a2a.Message(message_id="m-1", role=a2a.ROLE_AGENT, parts=[a2a.Part(text=text)]) for text in ("968", "412")
    )
    for history, shown in ((kept, ["968", "so"]), (rewritten, ["412", "968", "so"])):
        found = assembled(first, second, status(WORKING), opened(history=[history]), status(COMPLETED))
        assert [said["parts"][0]["text"] for said in found["task"]["history"]] == shown


def test_a_last_event_that_says_all_is_shown_as_it_is():
    """A stream that has told nothing before, and one of another protocol."""
    last = status(COMPLETED, "Done.")
    assert assembled(opened(), status(WORKING), last) == last.document
    other = [Message(Direction.RESPONSE, number, b'{"n": %d}' % number, JSON_CODEC) for number in range(2)]
    assert assembled(*other) == {"n": 1}


def test_a_message_is_an_answer_of_its_own():
    """The protocol has one in a stream; of a second, the first is still what was said before."""
    said = [
        event(message=a2a.Message(message_id=name, role=a2a.ROLE_AGENT, parts=[a2a.Part(text=name)])) for name in "ab"
    ]
    assert assembled(said[0]) == said[0].document
    assert [each["messageId"] for each in assembled(*said)["task"]["history"]] == ["a", "b"]


def test_a_stream_may_go_on_after_an_end():
    """An interrupted task is judged, then judged again; nothing is told twice."""
    stream = Assembly()
    stream.add(chunk("one"), PLENTY)
    pause = status(a2a.TASK_STATE_INPUT_REQUIRED, "Which one?", "m-1")
    assert texts(stream.finished(pause.document)) == [["one"]]
    for message in (pause, chunk(" two", append=True)):
        stream.add(message, PLENTY)
    found = stream.finished(status(COMPLETED).document)
    assert texts(found) == [["one two"]]
    assert [said["messageId"] for said in found["task"]["history"]] == ["m-1"]


def test_what_has_no_room_cuts_the_answer_off():
    """At the limit an event is taken, one byte over it is not; the last event always is."""
    first, second = chunk("told"), chunk("!", append=True)
    cost = first.size_bytes + EVENT_BYTES
    for room_bytes, is_cut_off in ((cost, False), (cost - 1, True), (0, True)):
        stream = Assembly()
        assert stream.add(first, room_bytes) == (0 if is_cut_off else cost)
        assert stream.is_cut_off is is_cut_off
    stream = Assembly()
    stream.add(first, PLENTY)
    stream.add(second, 0)
    found = stream.finished(
        opened(artifacts=[a2a.Artifact(artifact_id="b", parts=[a2a.Part(text="x" * 10_000)])]).document
    )
    assert (texts(found)[0], stream.is_cut_off, stream.size_bytes) == (["told"], True, cost)


def test_an_event_that_cannot_be_read_is_said():
    """Half of an answer would be blamed for what it lacks."""
    stream = Assembly()
    assert stream.add(Message(Direction.RESPONSE, 0, b"\xff\xff", CODEC), PLENTY) == 0
    assert not stream.is_readable


@pytest.mark.parametrize(
    "document",
    [
        7,
        [],
        {"task": 7},
        {"task": {"artifacts": 7, "history": "x", "status": []}},
        {"task": {"artifacts": [7, {"parts": 7}, {"parts": [7, {"text": 7}]}]}},
        {"artifactUpdate": {"artifact": [1]}},
        {"artifactUpdate": {"artifact": {"artifactId": ["a"], "parts": {"text": "x"}}, "taskId": {}}},
        {"statusUpdate": {"status": {"message": 7}}},
        {"statusUpdate": {"status": {"message": {"messageId": [1]}}}},
        {"message": {"messageId": {}}},
    ],
)
def test_json_of_any_shape_does_no_harm(document: Any):
    """A JSON payload has A2A's names without its types."""
    stream = Assembly()
    for each in (document, {"artifactUpdate": {"artifact": {"parts": [{"text": "x"}]}}}, document):
        stream.add(Message(Direction.RESPONSE, 0, json.dumps(each).encode(), JSON_CODEC), PLENTY)
    json.dumps(stream.finished(document))
    json.dumps(stream.finished({"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED"}}}))


def test_ten_thousand_chunks_are_folded_in_linear_time():
    """A model's answer may come a word at a time."""
    stream = Assembly()
    piece = chunk("word ", append=True)
    began = time.perf_counter()
    for _ in range(10_000):
        stream.add(piece, PLENTY)
    found = stream.finished(status(COMPLETED).document)
    assert time.perf_counter() - began < 1
    assert len(texts(found)[0][0]) == 50_000
