"""The stream check: these messages came in this order, these rules were broken."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.checks.stream import StreamCheck
from sidecar.checks.stream.a2a import ARTIFACTS_MAX, Memory
from sidecar.engine.exchange import Answer, Arrival, Exchange, Mode, Route, Side, Status
from sidecar.engine.finding import Forward, Reject
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import A2A, SpecTable, compile_spec
from sidecar.errors import Reason
from sidecar.stores.memory import MemoryConversations
from sidecar.testing import CountingIds, EveryTrace, ManualClock

METHOD = "/lf.a2a.v1.A2AService/SendStreamingMessage"
REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE
DONE, WORKING, WAITING = "TASK_STATE_COMPLETED", "TASK_STATE_WORKING", "TASK_STATE_INPUT_REQUIRED"
ANSWER = {"message": {"messageId": "m2", "contextId": "c1"}}


def task(state: str = WORKING, *artifacts: str, at: str = "", **names: str) -> dict[str, Any]:
    found = {"artifacts": [{"artifactId": each} for each in artifacts]} if artifacts else {}
    return {"task": {"id": "t1", "contextId": "c1", "status": status(state, at), **found, **names}}


def update(state: str = WORKING, at: str = "", **names: str) -> dict[str, Any]:
    return {"statusUpdate": {"taskId": "t1", "contextId": "c1", "status": status(state, at), **names}}


def status(state: str, at: str) -> dict[str, str]:
    return {"state": state, **({"timestamp": f"2026-01-02T03:04:{at}Z"} if at else {})}


def chunk(artifact: str = "a1", *, append: bool = False, last: bool = False, **names: str) -> dict[str, Any]:
    flags = {**({"append": True} if append else {}), **({"lastChunk": True} if last else {})}
    return {
        "artifactUpdate": {"taskId": "t1", "contextId": "c1", "artifact": {"artifactId": artifact}, **flags, **names}
    }


def send(**names: str) -> dict[str, Any]:
    return {"message": {"messageId": "m1", **names}}


class Stream:
    """One exchange under a spec that says `stream: a2a`."""

    def __init__(self, *, mode: Mode = Mode.ENFORCE, answers_once: bool = False, **spec: Any) -> None:
        clock = ManualClock()
        self.check = StreamCheck(answers_once=lambda _: answers_once)
        compiled = compile_spec({"spec": "w/v1", "match": {}, "stream": "a2a", **spec}, base_uri="file:///w.yaml")
        self.engine = Engine(
            clock=clock,
            lineage=LineageKeeper(clock=clock, ids=CountingIds(), sampler=EveryTrace(), store=MemoryConversations()),
            specs=SpecTable([compiled]),
            checks=[self.check],
        )
        self.route = Route("inbound", Side.INBOUND, "planner", "writer", mode)
        self.exchange: Any = None
        self.sequence = 0

    async def start(self, request: Any = None) -> Stream:
        self.exchange = await self.engine.start(Arrival(self.route, METHOD))
        await self.say(send() if request is None else request, REQUEST)
        return self

    async def say(self, document: Any, direction: Direction = RESPONSE) -> Any:
        payload = document if isinstance(document, bytes) else json.dumps(document).encode()
        codec = None if payload == b"?" else JSON_CODEC
        number = 0 if direction is REQUEST else self.sequence
        self.sequence += direction is RESPONSE
        return await self.engine.message(self.exchange, Message(direction, number, payload, codec))

    async def end(self, code: str = "OK") -> Any:
        decision = await self.engine.answered(self.exchange, Answer(Status(code)))
        await self.engine.end(self.exchange, Status(code))
        return decision

    @property
    def rules(self) -> list[str]:
        return [finding.rule for finding in self.exchange.findings]


async def rules_of(responses: list[Any], request: Any = None, code: str = "OK") -> list[str]:
    """In observe, so that all of the stream is seen."""
    stream = await Stream(mode=Mode.OBSERVE).start(request)
    for response in responses:
        await stream.say(response)
    await stream.end(code)
    return stream.rules


GOOD = [
    [ANSWER],
    [task(DONE)],
    [task(WORKING), update(DONE)],
    [task(WAITING)],
    [task(), update(WAITING), update(WORKING), update(DONE)],
    [task(), chunk(), update(DONE)],
    [task(), chunk(), chunk(append=True), chunk(append=True, last=True), update(DONE)],
    [task(), chunk("a"), chunk("b"), chunk("a", append=True), chunk("b", append=True), update(DONE)],
    [task(WORKING, "a1"), chunk("a1", append=True, last=True), update(DONE)],
    [task(), chunk(last=True), chunk(), chunk(append=True), update(DONE)],
    [task(at="05"), update(at="05"), update(DONE, at="06.5")],
]
"""Streams as the protocol's text allows them."""

BROKEN = [
    ([], "ends", "3.1.2: the stream ended with neither a task nor a message"),
    (
        [task()],
        "ends",
        '3.1.2: the stream ended with its task in "TASK_STATE_WORKING", neither terminal nor interrupted',
    ),
    (
        [task("odd")],
        "ends",
        "3.1.2: the stream ended with its task in no known state, neither terminal nor interrupted",
    ),
    ([update(DONE)], "begins", "3.1.2: the stream begins with an update, before any task or message"),
    ([ANSWER, ANSWER], "message-alone", "3.1.2: more comes after the message that should be all of its stream"),
    ([ANSWER, task(DONE)], "message-alone", "3.1.2: more comes after the message that should be all of its stream"),
    (
        [task(), task(DONE)],
        "task-first",
        "3.1.2: a task comes after the beginning, where only updates may",
    ),
    (
        [task(DONE), ANSWER],
        "message-first",
        "3.1.2: a message comes after the beginning, where only updates may",
    ),
    (
        [task(), update(DONE), chunk()],
        "after-end",
        '3.1.2: the stream goes on after "TASK_STATE_COMPLETED", which should close it',
    ),
    (
        [task(), update(DONE, contextId="c2")],
        "same-context",
        "3.4.1: the status update is in another context than the stream so far",
    ),
    (
        [task(), chunk(taskId="t2")],
        "same-task",
        "4.2.2: the artifact update is about another task than the stream so far",
    ),
    (
        [task(), chunk(append=True)],
        "append-first",
        "4.2.2: a chunk is appended to an artifact that was not sent before",
    ),
    (
        [task(), chunk(last=True), chunk(append=True)],
        "after-last-chunk",
        "4.2.2: a chunk is appended to an artifact after its last chunk",
    ),
    (
        [task(at="06"), update(DONE, at="05.999")],
        "in-order",
        "3.5.2: a status is older than the one before it: events come in the order in which they were made",
    ),
]


@pytest.mark.parametrize("responses", GOOD)
async def test_a_stream_in_order_breaks_no_rule(responses: list[Any]):
    """Whatever the text of the protocol allows, seen whole."""
    assert await rules_of(responses, send(contextId="c1", taskId="t1")) == []


@pytest.mark.parametrize(("responses", "rule", "sentence"), BROKEN)
async def test_a_stream_out_of_order_is_refused_with_its_section(responses: list[Any], rule: str, sentence: str):
    """At the message that breaks the rule, or at the end where only the end does."""
    stream = await Stream().start()
    decisions = [await stream.say(response) for response in responses]
    decisions.append(await stream.end())
    refused = decisions[-1]
    assert isinstance(refused, Reject)
    assert refused.reason is Reason.RESPONSE_SPEC_VIOLATION
    assert refused.message == f"w/v1: {sentence}"
    assert (stream.exchange.findings[0].rule, stream.exchange.findings[0].evidence) == (
        rule,
        {"section": sentence.partition(":")[0]},
    )
    assert all(isinstance(decision, Forward) for decision in decisions[: max(len(responses) - 1, 0)])


@pytest.mark.parametrize(
    ("request_", "rules", "section"),
    [
        (send(contextId="c2"), ["same-context", "same-context"], "3.4.1"),
        (send(taskId="t2"), ["same-task", "same-task"], "3.4.2"),
        ({"id": "t2"}, ["same-task", "same-task"], "3.1.6"),
        ({"id": "t1"}, [], ""),
        (send(contextId="c1", taskId="t1"), [], ""),
        ({"message": 7, "id": ["t"]}, [], ""),
    ],
)
async def test_a_stream_is_about_what_it_was_asked_for(request_: Any, rules: list[str], section: str):
    """Context and task of the request hold for all that follows."""
    stream = await Stream(mode=Mode.OBSERVE).start(request_)
    await stream.say(task())
    await stream.say(update(DONE))
    await stream.end()
    assert stream.rules == rules
    assert {finding.evidence["section"] for finding in stream.exchange.findings} <= {section}


@pytest.mark.parametrize("code", ["INTERNAL", "UNAVAILABLE", "CANCELLED"])
async def test_a_stream_that_breaks_off_has_not_come_to_its_end(code: str):
    """An error is an answer of its own kind."""
    assert await rules_of([task()], code=code) == []


async def test_a_method_that_answers_once_is_no_stream():
    """A blocking call has rules of its own."""
    stream = await Stream(answers_once=True).start()
    await stream.say(task())
    await stream.end()
    assert stream.rules == []


async def test_a_stream_that_cannot_be_read_is_not_judged():
    """Without its type nothing is known of a message, so nothing is known of those that follow."""
    assert await rules_of([b"?", update(WORKING)]) == []
    assert await rules_of([task(), b"?", update(WORKING)]) == []


@pytest.mark.parametrize(("terms", "rules"), [({}, ["malformed"]), ({"response": {"schema": True}}, [])])
async def test_garbage_is_no_way_round_the_rules(terms: Any, rules: list[str]):
    """Said once: by the spec check where the spec has terms, else here."""
    stream = await Stream(**terms).start()
    await stream.say(b"{")
    assert stream.rules == rules


async def test_a_request_that_cannot_be_parsed_asks_for_nothing():
    """Its own terms say so; the answer is judged by itself."""
    stream = await Stream().start(b"{")
    await stream.say(task(DONE))
    await stream.end()
    assert stream.rules == []


@pytest.mark.parametrize("hostile", [[], 7, None, {"task": []}, {"task": {"status": 3}}, {"artifactUpdate": {}}, {}])
async def test_documents_of_any_shape_are_looked_at_without_harm(hostile: Any):
    """JSON payloads may hold anything; the schema says what is wrong with them."""
    rules = await rules_of([hostile, task(WORKING, at="05"), hostile, update(DONE, at="05")])
    assert "crashed" not in rules


@pytest.mark.parametrize("count", [ARTIFACTS_MAX - 1, ARTIFACTS_MAX, ARTIFACTS_MAX + 1])
def test_artifacts_past_the_limit_are_not_followed(count: int):
    """What is not remembered is not complained of either."""
    memory = Memory()
    assert list(memory.saw(task())) == []
    for number in range(count):
        assert list(memory.saw(chunk(f"a{number}"))) == []
    assert len(memory.artifacts) == min(count, ARTIFACTS_MAX)
    assert [breach.rule for breach in memory.saw(chunk("new", append=True))] == ["append-first"] * (
        count < ARTIFACTS_MAX
    )


async def test_nothing_is_remembered_of_a_stream_that_is_over():
    """Refused, ended or left: the memory goes with the exchange."""
    stream = await Stream().start()
    await stream.say(task())
    assert len(stream.check._memories) == 1
    await stream.engine.end(stream.exchange, Status("CANCELLED"))
    assert not stream.check._memories


async def test_a_spec_without_the_key_costs_nothing():
    """No document is asked for."""
    check = StreamCheck(answers_once=lambda _: False)
    exchange: Any = Exchange.__new__(Exchange)
    exchange.spec = compile_spec({"spec": "w/v1", "match": {}}, base_uri="file:///w.yaml")
    assert check.on_message(exchange, Message(RESPONSE, 0, b"{", JSON_CODEC)) is None
    assert check.on_answer(exchange, Answer(Status("OK"))) is None


# Order, for streams that nobody wrote by hand.

states = st.sampled_from(sorted(A2A.states))
open_states = st.sampled_from(sorted(A2A.states - A2A.terminal))
artifacts = st.sampled_from(["a", "b", "c"])


@st.composite
def orderly(draw: st.DrawFn) -> list[Any]:
    """A stream that keeps every rule."""
    events, chunks = [task(draw(open_states))], dict[str, bool]()
    for _ in range(draw(st.integers(0, 8))):
        if draw(st.booleans()):
            events.append(update(draw(open_states)))
            continue
        artifact, last = draw(artifacts), draw(st.booleans())
        append = chunks.get(artifact) is False and draw(st.booleans())
        chunks[artifact] = last
        events.append(chunk(artifact, append=append, last=last))
    return [*events, update(draw(st.sampled_from(sorted(A2A.terminal))))]


def breaches(events: list[Any]) -> list[str]:
    memory = Memory()
    return [breach.rule for event in events for breach in memory.saw(event)] + [each.rule for each in memory.ended()]


@given(orderly())
def test_no_orderly_stream_is_ever_complained_of(events: list[Any]):
    """Silence on what is right."""
    assert breaches(events) == []


@given(orderly(), st.integers(0, 8))
def test_whatever_follows_the_end_is_found(events: list[Any], extra: int):
    """However many messages there are after a terminal state, each one is one too many."""
    assert breaches(events + [update(DONE)] * extra) == ["after-end"] * extra


@given(orderly())
def test_a_stream_without_its_first_message_is_found(events: list[Any]):
    """The beginning cannot be missed."""
    assert breaches(events[1:])[0] == "begins"


@given(orderly(), st.data())
def test_an_append_moved_before_its_first_chunk_is_found(events: list[Any], data: st.DataObject):
    """Chunks are in order or they are not: the first append of a new artifact can stand nowhere."""
    place = data.draw(st.integers(1, len(events) - 1))
    moved = [*events[:place], chunk("new", append=True), *events[place:]]
    assert breaches(moved) == ["append-first"]


@given(orderly())
def test_a_stream_cut_off_before_its_end_is_found_unless_it_waits(events: list[Any]):
    """Terminal, or interrupted: nothing else is an end."""
    told = [event[kind]["status"]["state"] for event in events[:-1] for kind in event if kind != "artifactUpdate"]
    assert breaches(events[:-1]) == ([] if told[-1] in A2A.interrupted else ["ends"])
