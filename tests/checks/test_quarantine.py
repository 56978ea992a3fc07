"""The quarantine check: this edge was complained of, so this is what becomes of its next call."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from sidecar.checks.quarantine import QuarantineCheck
from sidecar.engine.exchange import Arrival, Mode, Route, Side
from sidecar.engine.finding import Finding, Forward, Reject, Severity
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import SpecTable
from sidecar.errors import Reason
from sidecar.stores.memory import MemoryConversations
from sidecar.testing import CountingIds, EveryTrace, ManualClock

EDGE = ("planner", "researcher", "/a.B/C")
COOLDOWN_S = 600.0


@dataclass
class Case:
    clock: ManualClock
    check: QuarantineCheck
    engine: Engine
    fail_opens: list[tuple[str, str]]
    mode: Mode = Mode.ENFORCE

    async def call(self, *edge: str) -> tuple[Forward | Reject, list[Finding]]:
        caller, callee, method = edge or EDGE
        arrival = Arrival(Route("inbound", Side.INBOUND, caller, callee, self.mode), method)
        exchange = await self.engine.start(arrival)
        return exchange.decision, exchange.findings

    async def is_held(self, *edge: str) -> bool:
        return isinstance((await self.call(*edge))[0], Reject)


def case(max_edges: int = 1024) -> Case:
    clock = ManualClock()
    fail_opens: list[tuple[str, str]] = []
    check = QuarantineCheck(
        clock, cooldown_s=COOLDOWN_S, fail_open=lambda *labels: fail_opens.append(labels), max_edges=max_edges
    )
    lineage = LineageKeeper(clock=clock, ids=CountingIds(), sampler=EveryTrace(), store=MemoryConversations())
    return Case(clock, check, Engine(clock=clock, lineage=lineage, specs=SpecTable(), checks=[check]), fail_opens)


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


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_edges_are_held_up_to_a_number(limit: int, caplog: pytest.LogCaptureFixture):
    """The one over it goes on, which is counted and logged; one that is held already still counts as held."""
    at = case(limit)
    for number in range(limit + 1):
        at.check.quarantine(*EDGE[:2], f"/a.B/{number}", "it was wrong")
    assert at.check.count == limit
    assert at.fail_opens == [("quarantine", "full")]
    assert any("quarantine is full" in each.message for each in caplog.records if each.levelno == logging.ERROR)
    if limit:
        at.check.quarantine(*EDGE[:2], "/a.B/0", "again")
        assert at.fail_opens == [("quarantine", "full")]
        at.clock.advance(COOLDOWN_S)
        at.check.quarantine(*EDGE, "room has become free")
        assert at.check.count == 1
        assert await at.is_held()
