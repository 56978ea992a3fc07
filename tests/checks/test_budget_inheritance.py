"""Inheritance: what a call and all that it causes may spend of the conversation above it.

No two sidecars here share a ledger, unless a test says so.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from sidecar.engine.exchange import Exchange, Mode, Origin, Status
from sidecar.engine.finding import Forward, Reject
from sidecar.engine.lineage import LineageKeeper, LineageSettings
from sidecar.stores.memory import open_memory
from sidecar.system import RandomIds
from sidecar.testing import EveryTrace, ManualClock
from tests.checks.money import CENT, USD, Sidecar, budget, costing


async def under_way(sidecar: Sidecar, metadata: Any = ()) -> Exchange:
    """An inbound call that its agent works on."""
    exchange = await sidecar.arrives(metadata)
    assert isinstance(await sidecar.asks(exchange), Forward)
    sidecar.engine.stamp(exchange)
    return exchange


async def met(ours: Sidecar, callee: str) -> None:
    """A first call told that the callee has a sidecar of its own."""
    out = await ours.leaves(callee)
    await ours.asks(out)
    ours.engine.stamp(out)
    await ours.answers(out, costing(0), is_guarded_there=True, spent_there_micro_usd=0)


async def arrived(ours: Sidecar, theirs: Sidecar) -> tuple[Exchange, Exchange]:
    """A call from our agent to theirs, seen by both sidecars, dispatched by both."""
    out = await ours.leaves(theirs.agent)
    assert isinstance(await ours.asks(out), Forward)
    return out, await under_way(theirs, ours.engine.stamp(out))


async def ended(ours: Sidecar, out: Exchange, theirs: Sidecar, inbound: Exchange, *answers: Any) -> None:
    await theirs.answers(inbound, *answers)
    await ours.answers(out, *answers, is_guarded_there=True, spent_there_micro_usd=inbound.spent_micro_usd)


async def test_a_callee_is_handed_a_slice_and_not_a_copy():
    """Half of what is left is gone from here while the call is under way."""
    planner, writer = Sidecar("planner", budget(limit=2 * USD)), Sidecar("writer")
    await met(planner, "writer")
    await under_way(planner)
    out, inbound = await arrived(planner, writer)
    # A cent is held for the planner's own answer.
    assert out.remainder_micro_usd == inbound.lineage.remainder_micro_usd == (2 * USD - CENT) // 2
    assert await planner.money() == (0, CENT + (2 * USD - CENT) // 2)
    second, _ = await arrived(planner, writer)
    assert second.remainder_micro_usd == (2 * USD - CENT - (2 * USD - CENT) // 2) // 2


async def test_what_is_not_spent_of_a_slice_comes_back():
    """The callee's sidecar tells what was spent, in a trailer."""
    planner, writer = Sidecar("planner", budget(limit=2 * USD)), Sidecar("writer")
    await met(planner, "writer")
    above = await under_way(planner)
    out, inbound = await arrived(planner, writer)
    await ended(planner, out, writer, inbound, costing(30_000))
    assert inbound.spent_micro_usd == 30_000
    assert await planner.money() == (30_000, CENT)
    await planner.answers(above, costing(5_000))
    assert await planner.money() == (35_000, 0)


async def test_sub_calls_draw_on_what_came_down():
    """Three agents in a row; the last one's cost is money of the first."""
    planner, writer, critic = Sidecar("planner", budget(limit=USD)), Sidecar("writer"), Sidecar("critic")
    await met(planner, "writer")
    await met(writer, "critic")
    above = await under_way(planner)
    out, inbound = await arrived(planner, writer)
    deeper, deepest = await arrived(writer, critic)
    assert deeper.lineage.cause == inbound.lineage.exchange_id
    assert deeper.remainder_micro_usd is not None
    assert inbound.lineage.remainder_micro_usd is not None
    assert deeper.remainder_micro_usd < inbound.lineage.remainder_micro_usd
    await ended(writer, deeper, critic, deepest, costing(70_000))
    await ended(planner, out, writer, inbound, costing(20_000))
    await planner.answers(above, costing(1_000))
    assert await planner.money() == (91_000, 0)


async def test_a_callee_that_has_spent_its_slice_is_refused_its_next_call():
    """ "You have $0.50 remaining" is not advice."""
    planner, writer, critic = Sidecar("planner", budget(limit=10 * CENT)), Sidecar("writer"), Sidecar("critic")
    await met(planner, "writer")
    await met(writer, "critic")
    await under_way(planner)
    _, inbound = await arrived(planner, writer)
    for _ in range(2):
        deeper, deepest = await arrived(writer, critic)
        await ended(writer, deeper, critic, deepest, costing(3 * CENT // 2))
    refused = await writer.leaves("critic")
    assert isinstance(refused.decision, Reject)
    assert refused.decision.message.startswith(
        "the budget handed down with this call: 0.01 USD are needed and 0.005 of"
    )
    await writer.engine.end(refused, Status("RESOURCE_EXHAUSTED", origin=Origin.SIDECAR))
    assert inbound.lineage.remainder_micro_usd == 45_000


async def test_no_tree_of_calls_spends_more_than_its_root_allows():
    """However calls fan out and nest, what all of them may spend is never more than the limit."""
    limit = 2 * USD
    sidecars = [Sidecar("a0", budget(limit=limit)), *(Sidecar(f"a{number}") for number in range(1, 4))]
    for caller, callee in pairwise(sidecars):
        await met(caller, callee.agent)
    level, handed = [await under_way(sidecars[0])], []
    for caller, callee in pairwise(sidecars):
        below = []
        for cause in level * 4:
            out = await caller.leaves(callee.agent, [("traceparent", cause.lineage.traceparent)])
            if isinstance(await caller.asks(out), Forward):
                below.append(await under_way(callee, caller.engine.stamp(out)))
        level = below
        handed.append(sum(call.lineage.remainder_micro_usd or 0 for call in level))
    assert len(level) > 16
    assert 0 < handed[2] <= handed[1] <= handed[0] <= limit


async def test_a_call_whose_end_nobody_tells_has_spent_its_slice():
    """The caller left, or the connection broke: the callee may have spent all of it."""
    planner, writer = Sidecar("planner", budget(limit=USD)), Sidecar("writer")
    await met(planner, "writer")
    out, _ = await arrived(planner, writer)
    await planner.engine.end(out, Status("CANCELLED", origin=Origin.DOWNSTREAM))
    assert await planner.money() == (USD // 2, 0)


async def test_a_slice_that_never_went_out_comes_back_whole():
    """No connection."""
    planner = Sidecar("planner", budget(limit=USD))
    await met(planner, "writer")
    out = await planner.leaves("writer")
    await planner.asks(out)
    await planner.engine.end(out, Status("UNAVAILABLE", origin=Origin.SIDECAR))
    assert await planner.money() == (0, 0)


async def test_a_callee_that_is_refused_tells_that_nothing_was_spent():
    """Its agent was never asked."""
    planner, writer = Sidecar("planner", budget(limit=USD)), Sidecar("writer", budget(limit=1))
    await met(planner, "writer")
    out = await planner.leaves("writer")
    await planner.asks(out)
    inbound = await writer.arrives(planner.engine.stamp(out))
    assert isinstance(await writer.asks(inbound), Reject)
    await writer.engine.end(inbound, Status("RESOURCE_EXHAUSTED", origin=Origin.SIDECAR))
    assert inbound.spent_micro_usd == 0


@pytest.mark.parametrize(
    ("state", "spent", "may_go_on"),
    [
        ("TASK_STATE_COMPLETED", 20_000, False),
        ("TASK_STATE_INPUT_REQUIRED", 20_000, False),
        ("", 20_000, False),
        ("TASK_STATE_WORKING", 495_000, True),
    ],
)
async def test_what_was_given_back_is_not_spent_afterwards(state: str, spent: int, may_go_on: bool):
    """Work in the background keeps its slice while its task goes on; else the slice has gone back."""
    planner, writer = Sidecar("planner", budget(limit=USD)), Sidecar("writer")
    await met(planner, "writer")
    await met(writer, "critic")
    await under_way(planner)
    out, inbound = await arrived(planner, writer)
    inbound.names = inbound.names._replace(task_id="t", task_state=state)
    await ended(planner, out, writer, inbound, costing(20_000))
    assert inbound.spent_micro_usd == spent
    # A call that the same exchange caused, made after it has ended.
    traced = [("traceparent", inbound.lineage.traceparent)]
    writer.engine._lineage._open(inbound)
    late = await writer.leaves("critic", traced)
    assert late.lineage.cause == inbound.lineage.exchange_id
    assert isinstance(late.decision, Forward) is may_go_on


async def test_a_first_call_tells_what_is_left_before_anybody_knows_who_answers():
    """Nothing is taken for it, since the callee may have no sidecar; its sub-calls are bounded all the same."""
    planner, writer = Sidecar("planner", budget(limit=USD)), Sidecar("writer")
    out, inbound = await arrived(planner, writer)
    assert await planner.money() == (0, CENT)
    assert inbound.lineage.remainder_micro_usd == CENT + (USD - CENT) // 2
    await ended(planner, out, writer, inbound, costing(33_000))
    assert await planner.money() == (33_000, 0)
    assert (planner.told.costs, writer.told.costs) == ([], [("writer", 33_000, "reported")])


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.ENFORCE])
async def test_a_budget_in_observe_hands_nothing_down(mode: Mode):
    """The callee's sidecar may enforce, and would refuse for it."""
    planner = Sidecar("planner", budget(limit=USD, mode=mode))
    await met(planner, "writer")
    out = await planner.leaves("writer")
    assert (out.remainder_micro_usd is None) is (mode is Mode.OBSERVE)


async def test_with_one_ledger_for_all_the_conversation_s_purse_is_the_truth():
    """Nothing is sliced, and every call of the conversation draws on one purse."""
    clock = ManualClock()
    store = open_memory(clock)
    shared = {"store": store, "clock": clock, "is_shared": True}
    planner = Sidecar("planner", budget(limit=5 * CENT), **shared)
    writer = Sidecar("writer", budget(limit=5 * CENT), **shared)
    await met(planner, "writer")
    above = await under_way(planner)
    out, inbound = await arrived(planner, writer)
    assert out.remainder_micro_usd is None
    assert inbound.lineage.conversation == above.lineage.conversation
    assert (await store.ledger.fullest("b", 0, 9))[0].held_micro_usd == 2 * CENT
    await ended(planner, out, writer, inbound, costing(4 * CENT))
    refused = await planner.leaves("writer")
    await planner.asks(refused)
    theirs = await writer.arrives(planner.engine.stamp(refused))
    assert isinstance(await writer.asks(theirs), Reject)


async def test_only_a_remainder_that_something_vouches_for_counts():
    """An entry that nobody signed, from another machine, is dropped; its limit as well."""
    planner, writer = Sidecar("planner", budget(limit=USD)), Sidecar("writer")
    await met(planner, "writer")
    out = await planner.leaves("writer")
    await planner.asks(out)
    metadata = planner.engine.stamp(out)
    keeper = LineageKeeper(
        clock=writer.clock,
        ids=RandomIds(),
        sampler=EveryTrace(),
        store=writer.store.conversations,
        settings=LineageSettings(keys=(("k", b"0123456789abcdef"),)),
    )
    writer.engine._lineage = keeper
    assert (await writer.arrives(metadata)).lineage.remainder_micro_usd is None


async def test_what_our_agent_makes_up_is_no_remainder():
    """Entries come from sidecars only."""
    planner, writer = Sidecar("planner", budget(limit=USD)), Sidecar("writer")
    await met(planner, "writer")
    out = await planner.leaves("writer")
    await planner.asks(out)
    forged = await writer.leaves("critic", planner.engine.stamp(out))
    assert forged.lineage.remainder_micro_usd is None
    assert forged.remainder_micro_usd is None
