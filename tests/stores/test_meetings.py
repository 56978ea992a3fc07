"""Two conversations with money meet on one exchange: a finding links them, and neither purse is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.checks.budget import Budget, BudgetCheck, MeetingCheck, Scope, Terms, Till
from sidecar.engine.exchange import Answer, Arrival, Exchange, Guarding, Mode, Peer, Route, Side, Status
from sidecar.engine.finding import Finding, Forward, Severity
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import SpecTable
from sidecar.engine.state import Store
from sidecar.engine.state.ledger import Hold
from sidecar.errors import StoreUnavailable
from sidecar.system import RandomIds
from sidecar.testing import EveryTrace, ManualClock
from tests.checks.money import PerToken, Told, costing

USD = 1_000_000
TRACES = {name: f"{number:032x}" for number, name in enumerate(("one", "two", "three"), 1)}
BUDGETS = (Budget("each", Scope.CONVERSATION, 2 * USD), Budget("all", Scope.GLOBAL, 100 * USD))


class Away:
    """A ledger that does not answer."""

    async def balances(self, holds: Any) -> Any:
        raise StoreUnavailable("away")


class Scene:
    """A sidecar before one agent, on the store under test."""

    def __init__(self, store: Store, budgets: tuple[Budget, ...] = BUDGETS, **more: Any) -> None:
        clock = ManualClock()
        self.store = store
        self.meetings = MeetingCheck(more.pop("ledger", store.ledger), budgets, **more)
        money = BudgetCheck(Till(store.ledger), PerToken(), Told(), Terms(budgets))
        keeper = LineageKeeper(clock=clock, ids=RandomIds(), sampler=EveryTrace(), store=store.conversations)
        self.engine = Engine(clock=clock, lineage=keeper, specs=SpecTable([]), checks=[self.meetings, money])

    async def call(
        self, trace: str, context: str = "", *, costs: int = 7, answers_with: str = "", guards: str = "auto"
    ) -> Exchange:
        route = Route("inbound", Side.INBOUND, "user", "writer", Mode.ENFORCE, Guarding(guards))
        headers = (("traceparent", f"00-{TRACES[trace]}-b7ad6b7169203331-01"),)
        exchange = await self.engine.start(Arrival(route, "/t.Agent/Ask", headers, Peer("unix:/a")))
        asked = {"message": {"contextId": context, "messageId": "m", "role": "user", "parts": []}}
        assert isinstance(await self.engine.message(exchange, message(asked, Direction.REQUEST)), Forward)
        self.engine.stamp(exchange)
        task = {"task": {"id": f"t-{answers_with}", "contextId": answers_with}} if answers_with else {}
        await self.engine.message(exchange, message({**costing(costs), **task}, Direction.RESPONSE))
        await self.engine.answered(exchange, Answer(Status("OK")))
        await self.engine.end(exchange, Status("OK"))
        return exchange

    async def spent(self, trace: str) -> int:
        hold = Hold(BUDGETS[0].purse_of(TRACES[trace]), 2 * USD)
        return (await self.store.ledger.balances([hold]))[0].spent_micro_usd


def message(document: Any, direction: Direction) -> Message:
    return Message(direction, 0, json.dumps(document).encode(), JSON_CODEC)


def met(exchange: Exchange) -> list[Finding]:
    return [finding for finding in exchange.findings if finding.rule == "conversations-met"]


async def test_two_charged_conversations_that_meet_are_linked_and_not_merged(store: Store):
    """The trace of one with the contextId of the other: the call is the first one's, and both purses stay."""
    scene = Scene(store)
    await scene.call("one", "ctx-1", costs=100)
    await scene.call("two", "ctx-2", costs=50)
    exchange = await scene.call("one", "ctx-2", costs=7)
    [finding] = met(exchange)
    assert (finding.check, finding.severity, finding.reason) == ("lineage", Severity.WARNING, None)
    evidence = {
        "conversation": TRACES["one"],
        "other": TRACES["two"],
        "spent_usd": "0.0001",
        "other_spent_usd": "0.00005",
    }
    assert finding.evidence == evidence
    assert exchange.lineage.conversation == TRACES["one"]
    assert (await scene.spent("one"), await scene.spent("two")) == (107, 50)
    assert (await scene.call("two", "ctx-2")).lineage.conversation == TRACES["two"]


async def test_a_meeting_is_told_once_whoever_comes_first(store: Store):
    """It would be said with every further call; the two have not changed."""
    scene = Scene(store)
    await scene.call("one", "ctx-1")
    await scene.call("two", "ctx-2")
    assert len(met(await scene.call("one", "ctx-2"))) == 1
    assert met(await scene.call("one", "ctx-2")) == []
    assert met(await scene.call("two", "ctx-1")) == []


async def test_a_meeting_in_an_answer_is_one_too(store: Store):
    """The callee answers one conversation with the contextId of another."""
    scene = Scene(store)
    await scene.call("one", "ctx-1")
    await scene.call("two", answers_with="ctx-2")
    exchange = await scene.call("one", answers_with="ctx-2")
    assert [finding.evidence["other"] for finding in met(exchange)] == [TRACES["two"]]


async def test_a_conversation_that_has_spent_nothing_meets_nobody(store: Store):
    """There is no second purse to speak of, on either side; once there is, it is told."""
    scene = Scene(store)
    await scene.call("one", "ctx-1")
    await store.conversations.name_conversation(["context:writer::ctx-2", f"trace:{TRACES['two']}"], TRACES["two"])
    assert met(await scene.call("one", "ctx-2")) == []
    assert met(await scene.call("two", "ctx-1")) == []
    assert len(met(await scene.call("one", "ctx-2"))) == 1


@pytest.mark.parametrize("why", ["no budget of conversations", "another sidecar guards", "the ledger is away"])
async def test_nothing_is_said_where_nobody_can_know(store: Store, why: str):
    """And the call goes on."""
    others = {"no budget of conversations": {"budgets": BUDGETS[1:]}, "the ledger is away": {"ledger": Away()}}
    scene = Scene(store, **others.get(why, {}))  # type: ignore[arg-type]
    await scene.call("one", "ctx-1")
    await scene.call("two", "ctx-2")
    exchange = await scene.call("one", "ctx-2", guards="never" if why == "another sidecar guards" else "auto")
    assert met(exchange) == []
    assert isinstance(exchange.decision, Forward)


async def test_pairs_that_were_told_of_are_bounded(store: Store):
    """Past the limit the oldest is told of again; at it, none is."""
    scene = Scene(store, told_max=1)
    for name in ("one", "two", "three"):
        await scene.call(name, f"ctx-{name}")
    assert len(met(await scene.call("one", "ctx-two"))) == 1
    assert met(await scene.call("one", "ctx-two")) == []
    assert len(met(await scene.call("one", "ctx-three"))) == 1
    assert len(met(await scene.call("one", "ctx-two"))) == 1
