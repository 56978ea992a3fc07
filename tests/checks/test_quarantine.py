"""The quarantine check: this edge was complained of, so this is what becomes of its next call."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import pytest

from sidecar.checks.quarantine import QuarantineCheck
from sidecar.engine.exchange import Arrival, Exchange, Mode, Route, Side
from sidecar.engine.finding import Finding, Forward, Reject, Severity
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message, Names
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import SpecTable
from sidecar.engine.state import Board
from sidecar.engine.state.controls import CONTROLS_MAX, Control, Kind, Name, pair
from sidecar.errors import Reason
from sidecar.stores.memory import MemoryControls, MemoryConversations
from sidecar.testing import CountingIds, EveryTrace, ManualClock

EDGE = ("planner", "researcher", "/a.B/C")
COOLDOWN_S = 600.0
TRACE = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)


class Reads:
    """Finds the same task in whatever it is given."""

    has_names = True

    def parse(self, payload: bytes) -> bytes:
        return payload

    def document(self, parsed: bytes) -> dict[str, str]:
        return {"task": parsed.decode()}

    def names(self, parsed: bytes) -> Names:
        return Names(task_id=parsed.decode())


def request() -> Message:
    return Message(Direction.REQUEST, 0, b"t-1", Reads())


def response() -> Message:
    return Message(Direction.RESPONSE, 0, b"t-1", Reads())


@dataclass
class Case:
    clock: ManualClock
    check: QuarantineCheck
    engine: Engine
    fail_opens: list[tuple[str, str]]
    board: Board
    mode: Mode = Mode.ENFORCE

    async def call(self, *edge: str) -> tuple[Forward | Reject, list[Finding]]:
        caller, callee, method = edge or EDGE
        arrival = Arrival(Route("inbound", Side.INBOUND, caller, callee, self.mode), method)
        exchange = await self.engine.start(arrival)
        return exchange.decision, exchange.findings

    async def open(self) -> Exchange:
        """An exchange with its headers in, of one conversation."""
        caller, callee, method = EDGE
        arrival = Arrival(Route("inbound", Side.INBOUND, caller, callee, self.mode), method, metadata=TRACE)
        return await self.engine.start(arrival)

    async def is_held(self, *edge: str) -> bool:
        return isinstance((await self.call(*edge))[0], Reject)


def case() -> Case:
    clock = ManualClock()
    fail_opens: list[tuple[str, str]] = []
    board = Board(MemoryControls(clock), clock)
    check = QuarantineCheck(board, clock, cooldown_s=COOLDOWN_S, fail_open=lambda *labels: fail_opens.append(labels))
    lineage = LineageKeeper(clock=clock, ids=CountingIds(), sampler=EveryTrace(), store=MemoryConversations())
    return Case(
        clock, check, Engine(clock=clock, lineage=lineage, specs=SpecTable(), checks=[check]), fail_opens, board
    )


async def test_a_call_on_an_edge_in_quarantine_is_refused_before_it_is_dispatched():
    """The caller is told which edge and why."""
    at = case()
    at.check.quarantine(*EDGE, "researcher/v1: grounding: 42 is in no source")
    decision, findings = await at.call()
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.QUARANTINED
    assert [(found.check, found.rule, found.severity) for found in findings] == [("quarantine", "edge", Severity.ERROR)]
    assert findings[0].message == (
        "planner -> researcher /a.B/C is in quarantine, because an earlier answer failed: "
        "researcher/v1: grounding: 42 is in no source"
    )


async def test_on_a_route_that_observes_it_is_a_finding():
    """An operator sees what enforcing would refuse."""
    at = case()
    at.mode = Mode.OBSERVE
    at.check.quarantine(*EDGE, "it was wrong")
    decision, findings = await at.call()
    assert isinstance(decision, Forward)
    assert [found.reason for found in findings] == [Reason.QUARANTINED]


@pytest.mark.parametrize(
    "edge",
    [("writer", *EDGE[1:]), (EDGE[0], "writer", EDGE[2]), (*EDGE[:2], "/a.B/D")],
    ids=["caller", "callee", "method"],
)
async def test_other_edges_go_on(edge: tuple[str, str, str]):
    """One wrong answer says nothing about another caller's, another agent's or another method's."""
    at = case()
    at.check.quarantine(*EDGE, "it was wrong")
    assert not await at.is_held(*edge)


async def test_the_cool_down_lets_an_edge_go_and_a_complaint_prolongs_it():
    """To the nanosecond: held before its end, free at it."""
    at = case()
    at.check.quarantine(*EDGE, "first")
    at.clock.advance(COOLDOWN_S - 1)
    at.check.quarantine(*EDGE, "second")
    at.clock.advance(COOLDOWN_S - 1)
    assert await at.is_held()
    assert at.check.count == 1
    at.clock.advance(1)
    assert at.check.count == 0
    assert not await at.is_held()


async def test_a_release_lets_an_edge_go_at_once():
    """And says whether there was one."""
    at = case()
    at.check.quarantine(*EDGE, "it was wrong")
    assert at.check.release(*EDGE)
    assert not at.check.release(*EDGE)
    assert not await at.is_held()


async def test_edges_are_held_up_to_a_number(caplog: pytest.LogCaptureFixture):
    """The one over it goes on, which is counted and logged; one that is held already still counts as held."""
    at = case()
    for number in range(CONTROLS_MAX + 1):
        at.check.quarantine(*EDGE[:2], f"/a.B/{number}", "it was wrong")
    assert at.check.count == CONTROLS_MAX
    assert at.fail_opens == [("quarantine", "full")]
    assert any("quarantine is full" in each.message for each in caplog.records if each.levelno == logging.ERROR)
    at.check.quarantine(*EDGE[:2], "/a.B/0", "again")
    assert at.fail_opens == [("quarantine", "full")]
    at.clock.advance(COOLDOWN_S)
    at.check.quarantine(*EDGE, "room has become free")
    assert at.check.count == 1
    assert await at.is_held()


HELD = {
    "agent that calls": Name(Kind.AGENT, "planner"),
    "agent that is called": Name(Kind.AGENT, "researcher"),
    "edge": Name(Kind.EDGE, pair(*EDGE)),
    "conversation": Name(Kind.CONVERSATION, "the conversation"),
    "task": Name(Kind.TASK, pair("researcher", "t-1")),
}


def held(name: Name, **more: Any) -> Control:
    return Control(name, "token ops", "it misbehaves", 1, **more)


@pytest.mark.parametrize("what", HELD)
async def test_an_operator_holds_back_an_agent_an_edge_a_conversation_or_a_task(what: str):
    """Its next call is refused before the callee has seen a request, and says which it was; a release ends that."""
    at = case()
    await at.engine.message(exchange := await at.open(), request())
    assert isinstance(exchange.decision, Forward)
    name = HELD[what]
    if name.kind is Kind.CONVERSATION:
        name = Name(name.kind, exchange.lineage.conversation)
    at.board.put(held(name))
    second = await at.open()
    decision = await at.engine.message(second, request())
    assert isinstance(decision, Reject)
    assert decision.findings[0].rule == name.kind
    assert decision.message.endswith("is in quarantine, because it misbehaves")
    assert at.board.remove(name)
    assert isinstance(await at.engine.message(await at.open(), request()), Forward)


@pytest.mark.parametrize("what", HELD)
async def test_what_is_open_goes_no_further(what: str):
    """At its next message, either way; unless it was to be spared."""
    at = case()
    open_already, spared = await at.open(), await at.open()
    for each in (open_already, spared):
        assert isinstance(await at.engine.message(each, request()), Forward)
    name = HELD[what]
    if name.kind is Kind.CONVERSATION:
        name = Name(name.kind, open_already.lineage.conversation)
    at.board.put(held(name, spares_open=True))
    assert isinstance(await at.engine.message(spared, response()), Forward)
    at.board.put(held(name))
    assert isinstance(await at.engine.message(open_already, response()), Reject)


async def test_a_late_verdict_spares_what_is_open_and_a_person_outranks_it():
    """It complains of an answer that has gone on; and its cool-down ends nothing that a person holds."""
    at = case()
    exchange = await at.open()
    at.check.quarantine(*EDGE, "it was wrong")
    assert isinstance(await at.engine.message(exchange, request()), Reject)
    again = case()
    exchange = await again.open()
    assert isinstance(await again.engine.message(exchange, request()), Forward)
    again.check.quarantine(*EDGE, "it was wrong")
    assert isinstance(await again.engine.message(exchange, response()), Forward)
    again.board.put(held(HELD["edge"]))
    again.check.quarantine(*EDGE, "it was wrong again")
    again.clock.advance(COOLDOWN_S)
    assert await again.is_held()


async def test_what_is_observed_is_told_once_an_exchange():
    """A stream of days would say it with every message."""
    at = case()
    at.mode = Mode.OBSERVE
    exchange = await at.open()
    at.board.put(held(HELD["edge"]))
    for _ in range(3):
        assert isinstance(await at.engine.message(exchange, response()), Forward)
    assert [found.reason for found in exchange.findings] == [Reason.QUARANTINED]
