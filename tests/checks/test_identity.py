"""The identity check: what is claimed, next to what a certificate proves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.checks.identity import IdentityCheck
from sidecar.engine.exchange import UNKNOWN_CALLER, Arrival, Peer, Route, Side
from sidecar.engine.finding import Finding, Forward, Severity
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import SpecTable
from sidecar.stores.memory import MemoryConversations
from sidecar.testing import CountingIds, EveryTrace, ManualClock

PLANNER = "spiffe://example.org/ns/prod/sa/planner"


async def found(
    identity: str | None,
    *,
    claimed: str | None = None,
    agent: str | None = None,
    side: Side = Side.INBOUND,
    route_caller: str = UNKNOWN_CALLER,
) -> list[Finding]:
    """What the check says of a call whose lineage entry names `claimed`."""
    clock = ManualClock()
    lineage = LineageKeeper(clock=clock, ids=CountingIds(), sampler=EveryTrace(), store=MemoryConversations())
    engine = Engine(clock=clock, lineage=lineage, specs=SpecTable(), checks=[IdentityCheck()])
    route = Route("r", side, route_caller, "writer")
    exchange = await engine.arrive(Arrival(route, "/a.A/Do", (), Peer("ipv4:10.0.0.1:1", identity, agent)))
    exchange.lineage = replace(exchange.lineage, caller=claimed)
    assert isinstance(await engine.open(exchange), Forward), "a claim is never a refusal"
    return exchange.findings


@pytest.mark.parametrize("claimed", [None, PLANNER, "planner"])
async def test_a_name_that_fits_the_certificate_is_no_finding(claimed: str | None):
    """The whole identity, or its last part where nobody said which agent it stands for."""
    assert await found(PLANNER, claimed=claimed) == []


async def test_a_host_name_stands_for_the_agent_before_its_first_dot():
    assert await found("planner.prod.svc", claimed="planner") == []


async def test_a_signed_name_that_contradicts_the_certificate_is_a_finding():
    [finding] = await found(PLANNER, claimed="billing")
    assert (finding.check, finding.rule, finding.severity) == ("identity", "caller", Severity.WARNING)
    assert finding.message == (
        f"its lineage entry says that billing calls, and the client certificate proves {PLANNER}"
    )


async def test_the_routes_own_word_is_held_to_the_certificate_too():
    [finding] = await found(PLANNER, route_caller="billing")
    assert finding.message.startswith("this route says that billing calls")


async def test_the_configuration_decides_which_agent_an_identity_stands_for():
    """Then the last part of the name says nothing any more."""
    assert await found(PLANNER, claimed="chief", agent="chief") == []
    [finding] = await found(PLANNER, claimed="planner", agent="chief")
    assert "(agent chief)" in finding.message


async def test_without_a_certificate_or_on_the_way_out_there_is_nothing_to_compare():
    assert await found(None, claimed="billing") == []
    assert await found(PLANNER, claimed="billing", side=Side.OUTBOUND, route_caller="writer") == []
