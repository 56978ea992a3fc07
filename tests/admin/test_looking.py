"""Looking: what an operator is shown of what passed."""

from __future__ import annotations

import json
from pathlib import Path

from sidecar.v1 import admin_pb2
from tests.admin.desk import ASK, Edge, refused, running_desk

SPEC = """
spec: orders/v1
match: {callee: desk, method: /shop.Orders/*}
request: {schema: {type: object, required: [item], properties: {item: {type: string, maxLength: 5}}}}
cost: {estimate_usd: 0.02}
"""


async def test_the_status_says_what_runs_and_who_asks(tmp_path: Path):
    """Nothing is changed yet, so nothing is said to be."""
    async with running_desk(tmp_path) as desk:
        status = await desk.reader.GetStatus()
        assert (status.agent, status.mode, status.is_ready) == ("desk", "enforce", True)
        assert (status.you, status.role) == ("token eyes", admin_pb2.ROLE_READ)
        [route] = status.routes
        assert (route.name, route.listen, route.side, route.mode) == (
            "inbound",
            desk.sidecar.address,
            "inbound",
            "enforce",
        )
        assert (status.store.kind, status.store.is_away, status.store.untold) == ("memory", False, 0)
        assert not (status.changed_modes or status.put_specs or status.changed_budgets or status.problems)
        assert dict(status.quarantined) == {"agent": 0, "edge": 0, "conversation": 0, "task": 0}


async def test_agents_edges_and_conversations_are_what_passed(tmp_path: Path):
    """Counted once each, with what they cost and what was found."""
    (tmp_path / "orders.yaml").write_text(SPEC)
    budget = {"name": "each", "scope": "conversation", "limit_usd": 1}
    async with running_desk(tmp_path, specs=[tmp_path / "orders.yaml"], budgets=[budget]) as desk:
        trace = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)
        await desk.ask("tea", metadata=trace)
        await desk.ask("cake", metadata=trace)
        assert await desk.refusal("a large breakfast") == "REQUEST_SPEC_VIOLATION"
        [edge] = (await desk.reader.ListEdges()).edges
        assert edge.edge == Edge(caller="planner", callee="desk", method=ASK)
        assert (edge.total.exchanges, edge.total.errors, edge.total.refused, edge.total.findings) == (3, 1, 1, 1)
        assert (edge.recent.exchanges, edge.recent.refused, edge.spec) == (3, 1, "orders/v1")
        assert 0 < edge.recent.median_s <= edge.recent.p95_s
        assert edge.total.cost_micro_usd == edge.recent.cost_micro_usd == 40_000
        agents = {each.name: each for each in (await desk.reader.ListAgents()).agents}
        assert set(agents) == {"planner", "desk"}
        assert (agents["planner"].as_caller.exchanges, agents["desk"].as_callee.exchanges) == (3, 3)
        assert len((await desk.reader.ListConversations()).conversations) == 2
        [found] = (await desk.reader.ListConversations(with_findings=True)).conversations
        assert found.total.refused == 1
        refusal = (await desk.reader.GetConversation(conversation=found.conversation)).timeline[0]
        assert (refusal.code, refusal.decision, refusal.reason) == (
            "INVALID_ARGUMENT",
            "reject",
            "REQUEST_SPEC_VIOLATION",
        )
        assert [(each.check, each.action) for each in refusal.findings] == [("spec", "rejected")]
        other = next(
            each
            for each in (await desk.reader.ListConversations()).conversations
            if each.conversation != found.conversation
        )
        whole = await desk.reader.GetConversation(conversation=other.conversation)
        assert [entry.cost_micro_usd for entry in whole.timeline] == [20_000, 20_000]
        assert [(each.budget, each.spent_micro_usd) for each in whole.budgets] == [("each", 40_000)]
        assert [each.total.exchanges for each in whole.graph] == [2]


async def test_the_configuration_is_shown_without_its_secrets(tmp_path: Path):
    """Where a token stands is said; what it is, is not. A password in a URL is masked."""
    journal = f"sqlite:{tmp_path}/journal.db"
    async with running_desk(
        tmp_path, journal=journal, tracing={"exporter": "none", "endpoint": "http://u:pw@h:1"}
    ) as desk:
        text = (await desk.reader.GetConfig()).json.decode()
        tree = json.loads(text)
        assert tree["agent"] == "desk"
        assert tree["routes"][0]["limits"]["message"] == "67108864B"
        assert tree["loops"]["window"] == "600s"
        assert tree["admin"]["tokens"][0]["secret_file"] == str(tmp_path / "ops")
        assert tree["tracing"]["endpoint"] == "http://***@h:1"
        assert "token-0123456789" not in text


async def test_what_was_not_seen_is_not_found(tmp_path: Path):
    """With the field that names it."""
    async with running_desk(tmp_path) as desk:
        told = await refused(desk.reader.GetConversation(conversation="nobody"))
        assert (told.code, told.reason, told.facts["field"]) == ("NOT_FOUND", "NOT_FOUND", "conversation")
