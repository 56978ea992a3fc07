"""Changing: each change takes effect, is told with who and why, and can be taken back."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from sidecar.admin.feed import Wish
from sidecar.v1 import admin_pb2
from tests.admin.desk import ASK, BECAUSE, Edge, refused, running_desk, told, until

TARGETS = {
    "the agent that calls": admin_pb2.Target(agent="planner"),
    "the agent that is called": admin_pb2.Target(agent="desk"),
    "the edge": admin_pb2.Target(edge=Edge(caller="planner", callee="desk", method=ASK)),
}
SPEC = "spec: orders/v1\nmatch: {callee: desk, method: /shop.Orders/*}\nrequest: {schema: {required: [item]}}\n"
STRICT = SPEC.replace("required: [item]", "required: [item, count]")
TRACE = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)


@pytest.mark.parametrize("what", TARGETS)
async def test_a_quarantine_holds_until_it_is_released(tmp_path: Path, what: str):
    """From the next call on; the caller is told why, and lists say who."""
    target = TARGETS[what]
    async with running_desk(tmp_path) as desk:
        assert await desk.refusal() == ""
        made = await desk.operator.Quarantine(target=target, because="it orders too much tea")
        assert made.change == admin_pb2.Change(reach=admin_pb2.REACH_PROCESS, survives_restart=False)
        with pytest.raises(aio.AioRpcError, match="in quarantine, because it orders too much tea"):
            await desk.ask()
        [listed] = (await desk.reader.ListQuarantines()).quarantines
        assert listed.target == target
        assert (listed.author.who, listed.author.because) == ("token ops", "it orders too much tea")
        assert (listed.until_unix_ms, listed.spares_open, listed.is_local) == (0, False, False)
        assert sum((await desk.reader.GetStatus()).quarantined.values()) == 1
        assert (await desk.operator.Release(target=target, because=BECAUSE)).reach == admin_pb2.REACH_PROCESS
        assert await desk.refusal() == ""
        assert (await refused(desk.operator.Release(target=target, because=BECAUSE))).reason == "NOT_FOUND"


async def test_a_conversation_is_held_back_and_others_go_on(tmp_path: Path):
    """By the id that lists and refusals name."""
    async with running_desk(tmp_path) as desk:
        await desk.ask(metadata=TRACE)
        [seen] = (await desk.reader.ListConversations()).conversations
        target = admin_pb2.Target(conversation=seen.conversation)
        await desk.operator.Quarantine(target=target, because=BECAUSE)
        with pytest.raises(aio.AioRpcError, match="QUARANTINED"):
            await desk.ask(metadata=TRACE)
        assert await desk.refusal() == ""
        assert (await desk.reader.GetConversation(conversation=seen.conversation)).summary.is_quarantined


async def test_an_open_stream_goes_no_further(tmp_path: Path):
    """At its next message, without waiting for its end."""
    async with running_desk(tmp_path) as desk:
        stream = desk.agent.stream_stream("/shop.Orders/Stream")(timeout=10)
        await stream.write(b"{}")
        assert await stream.read() == b"{}"
        [open_now] = (await desk.reader.ListExchanges()).exchanges
        assert (open_now.requests, open_now.responses, open_now.is_dispatched) == (1, 1, True)
        assert open_now.age_s > 0
        await desk.operator.Quarantine(target=admin_pb2.Target(agent="desk"), because=BECAUSE)
        await stream.write(b"{}")
        with pytest.raises(aio.AioRpcError, match="QUARANTINED"):
            while await stream.read() is not aio.EOF:
                pass


async def test_a_quarantine_ends_by_itself_where_it_was_given_a_time(tmp_path: Path):
    """To the second, and lists say when."""
    async with running_desk(tmp_path) as desk:
        made = await desk.operator.Quarantine(target=TARGETS["the edge"], because=BECAUSE, for_s=0.5)
        assert made.quarantined.until_unix_ms - made.quarantined.author.at_unix_ms == pytest.approx(500, abs=100)
        assert await desk.refusal() == "QUARANTINED"

        async def is_free() -> bool:
            return await desk.refusal() == ""

        await until(is_free)
        assert not (await desk.reader.ListQuarantines()).quarantines


BAD = {
    "no edge": ("Quarantine", {"target": admin_pb2.Target(edge=Edge()), "because": BECAUSE}, "target.edge.caller"),
    "no method": (
        "Quarantine",
        {"target": admin_pb2.Target(edge=Edge(caller="a", callee="b")), "because": BECAUSE},
        "target.edge.method",
    ),
    "a bare method": (
        "Quarantine",
        {"target": admin_pb2.Target(edge=Edge(caller="a", callee="b", method="Ask")), "because": BECAUSE},
        "target.edge.method",
    ),
    "no agent": ("Quarantine", {"target": admin_pb2.Target(agent=""), "because": BECAUSE}, "target.agent"),
    "no task": (
        "Quarantine",
        {"target": admin_pb2.Target(task=admin_pb2.TaskTarget(callee="a")), "because": BECAUSE},
        "target.task.task",
    ),
    "a name that cannot be printed": (
        "Quarantine",
        {"target": admin_pb2.Target(agent="a\nb"), "because": BECAUSE},
        "target.agent",
    ),
    "a long name": ("Quarantine", {"target": admin_pb2.Target(agent="a" * 1025), "because": BECAUSE}, "target.agent"),
    "no reason": ("Quarantine", {"target": admin_pb2.Target(agent="a"), "because": " "}, "because"),
    "a long reason": ("Quarantine", {"target": admin_pb2.Target(agent="a"), "because": "x" * 501}, "because"),
    "less than no time": (
        "Quarantine",
        {"target": admin_pb2.Target(agent="a"), "because": BECAUSE, "for_s": -1},
        "for_s",
    ),
    "no time that ends": (
        "Quarantine",
        {"target": admin_pb2.Target(agent="a"), "because": BECAUSE, "for_s": float("nan")},
        "for_s",
    ),
    "too long": (
        "Quarantine",
        {"target": admin_pb2.Target(agent="a"), "because": BECAUSE, "for_s": 30 * 86_400 + 1},
        "for_s",
    ),
    "no level": ("SetMode", {"name": "inbound", "mode": "MODE_OBSERVE", "because": BECAUSE}, "level"),
    "no mode": ("SetMode", {"level": "LEVEL_ROOT", "because": BECAUSE}, "mode"),
    "a route without a name": ("SetMode", {"level": "LEVEL_ROUTE", "mode": "MODE_OBSERVE", "because": BECAUSE}, "name"),
    "a root with one": (
        "SetMode",
        {"level": "LEVEL_ROOT", "name": "x", "mode": "MODE_OBSERVE", "because": BECAUSE},
        "name",
    ),
    "no text": ("PutSpec", {"because": BECAUSE}, "text"),
    "too much text": ("PutSpec", {"text": "#" * (128 << 10) + "\n", "because": BECAUSE}, "text"),
    "no limit": ("SetBudgetLimit", {"budget": "all", "because": BECAUSE}, "limit"),
    "not configured": ("SetBudgetLimit", {"budget": "all", "configured": False, "because": BECAUSE}, "limit"),
    "a debt": ("SetBudgetLimit", {"budget": "all", "limit_micro_usd": -1, "because": BECAUSE}, "limit_micro_usd"),
    "no account": ("ResetBudget", {"budget": "all", "because": BECAUSE}, "account"),
    "an account of a budget for all": ("ResetBudget", {"budget": "all", "account": "x", "because": BECAUSE}, "account"),
    "a loop of another form": ("ResumeLoop", {"id": "!!", "because": BECAUSE}, "id"),
    "a page of nothing": ("ListEdges", {"page_size": -1}, "page_size"),
    "a page of everything": ("ListEdges", {"page_size": 501}, "page_size"),
    "a page after nothing": ("ListEdges", {"page_token": "x"}, "page_token"),
    "an unknown kind": ("ListQuarantines", {"kind": "planet"}, "kind"),
    "half an edge": ("MatchSpec", {"edge": Edge(caller="a", callee="b")}, "edge.method"),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_wrong_field_is_named_and_nothing_is_changed(tmp_path: Path, what: str):
    """Which one, and what is allowed there."""
    method, fields, wrong = BAD[what]
    async with running_desk(tmp_path, budgets=[{"name": "all", "scope": "global", "limit_usd": 1}]) as desk:
        found = await refused(getattr(desk.operator, method)(**fields))
        assert (found.code, found.reason) == ("INVALID_ARGUMENT", "INVALID")
        assert found.fields == (wrong,)
        status = await desk.reader.GetStatus()
        assert not (status.changed_modes or status.put_specs or status.changed_budgets)
        assert not any(status.quarantined.values())


async def test_a_route_is_weakened_and_takes_its_own_mode_back(tmp_path: Path):
    """From the next call on, and the status says that it was done, by whom and why."""
    async with running_desk(tmp_path) as desk:
        await desk.operator.Quarantine(target=TARGETS["the edge"], because=BECAUSE)
        assert await desk.refusal() == "QUARANTINED"
        level = {"level": "LEVEL_ROUTE", "name": "inbound"}
        made = await desk.operator.SetMode(**level, mode="MODE_OBSERVE", because="too much is refused")
        assert (made.mode.effective, made.mode.widens) == (admin_pb2.MODE_OBSERVE, False)
        assert await desk.refusal() == ""
        [changed] = (await desk.reader.GetStatus()).changed_modes
        assert (changed.name, changed.changed, changed.author.because) == (
            "inbound",
            admin_pb2.MODE_OBSERVE,
            "too much is refused",
        )
        await desk.operator.ClearMode(**level, because=BECAUSE)
        assert await desk.refusal() == "QUARANTINED"
        assert (await refused(desk.operator.ClearMode(**level, because=BECAUSE))).reason == "NOT_FOUND"


async def test_the_weakest_level_still_wins_and_what_widens_is_said(tmp_path: Path):
    """A route that is made stronger than its root observes on until the root is as well; the status shows both."""
    async with running_desk(tmp_path, mode="observe") as desk:
        await desk.operator.Quarantine(target=TARGETS["the edge"], because=BECAUSE)
        route = {"level": "LEVEL_ROUTE", "name": "inbound", "mode": "MODE_ENFORCE", "because": BECAUSE}
        made = await desk.operator.SetMode(**route)
        assert (made.mode.effective, made.mode.widens) == (admin_pb2.MODE_OBSERVE, True)
        assert await desk.refusal() == ""
        await desk.operator.SetMode(level="LEVEL_ROOT", mode="MODE_ENFORCE", because=BECAUSE)
        assert await desk.refusal() == "QUARANTINED"
        status = await desk.reader.GetStatus()
        assert status.mode == "enforce"
        assert [each.widens for each in status.changed_modes] == [True, True]


async def test_a_check_can_be_weakened_and_never_strengthened(tmp_path: Path):
    """Its own parts say what it enforces."""
    async with running_desk(tmp_path) as desk:
        await desk.operator.Quarantine(target=TARGETS["the edge"], because=BECAUSE)
        check = {"level": "LEVEL_CHECK", "name": "quarantine", "because": BECAUSE}
        await desk.operator.SetMode(**check, mode="MODE_OBSERVE")
        assert await desk.refusal() == ""
        found = await refused(desk.operator.SetMode(**check, mode="MODE_ENFORCE"))
        assert (found.code, found.reason) == ("FAILED_PRECONDITION", "NOT_ALLOWED")
        await desk.operator.ClearMode(**check)
        assert await desk.refusal() == "QUARANTINED"
        names = {each.name for each in (await desk.reader.ListModes()).modes if each.level == admin_pb2.LEVEL_CHECK}
        assert {"quarantine", "spec", "loop", "budget", "verification"} <= names


async def test_a_budget_check_that_observes_counts_on_and_refuses_nothing(tmp_path: Path):
    """Weakening a check does not make it blind."""
    budget = {"name": "all", "scope": "global", "limit_usd": 0.01, "hold_usd": 0.01}
    async with running_desk(tmp_path, budgets=[budget], prices={}) as desk:
        assert await desk.refusal() == ""
        assert await desk.refusal() == "BUDGET_EXHAUSTED"
        await desk.operator.SetMode(level="LEVEL_CHECK", name="budget", mode="MODE_OBSERVE", because=BECAUSE)
        assert await desk.refusal() == ""
        [found] = (await desk.reader.ListBudgets()).budgets
        assert found.accounts[0].spent_micro_usd == 20_000


async def test_an_unknown_name_is_told_with_the_known_ones(tmp_path: Path):
    """A slip of the pen must not become a change that nobody sees."""
    async with running_desk(tmp_path) as desk:
        found = await refused(
            desk.operator.SetMode(level="LEVEL_ROUTE", name="inbund", mode="MODE_OBSERVE", because=BECAUSE)
        )
        assert (found.code, found.facts["field"]) == ("NOT_FOUND", "name")
        assert "inbound" in found.details


async def test_a_spec_that_is_put_is_in_force_when_it_is_answered(tmp_path: Path):
    """It takes the place of a file's until it is deleted."""
    path = tmp_path / "orders.yaml"
    path.write_text(SPEC)
    async with running_desk(tmp_path, specs=[path]) as desk:
        assert await desk.refusal() == ""
        made = await desk.operator.PutSpec(text=STRICT, because="counts are needed")
        assert (made.spec.name, made.spec.source, made.spec.replaces_file) == ("orders/v1", "put", True)
        assert made.spec.put.because == "counts are needed"
        assert await desk.refusal() == "REQUEST_SPEC_VIOLATION"
        assert (await desk.reader.GetSpec(name="orders/v1")).text == STRICT
        edge = Edge(caller="planner", callee="desk", method=ASK)
        assert (await desk.reader.MatchSpec(edge=edge)).spec.put.who == "token ops"
        assert list((await desk.reader.GetStatus()).put_specs) == ["orders/v1"]
        await desk.operator.DeleteSpec(name="orders/v1", because=BECAUSE)
        assert await desk.refusal() == ""
        assert (await desk.reader.GetSpec(name="orders/v1")).text == SPEC
        found = await refused(desk.operator.DeleteSpec(name="orders/v1", because=BECAUSE))
        assert (found.reason, found.facts["field"]) == ("NOT_ALLOWED", "name")


async def test_a_spec_that_cannot_be_used_is_refused_with_every_mistake(tmp_path: Path):
    """And changes nothing: what was in force still is."""
    path = tmp_path / "orders.yaml"
    path.write_text(SPEC)
    async with running_desk(tmp_path, specs=[path]) as desk:
        broken = STRICT.replace("required:", "requird:").replace("match:", "mach:")
        found = await refused(desk.operator.PutSpec(text=broken, because=BECAUSE))
        assert found.reason == "INVALID"
        assert "mach" in found.details
        for text in (STRICT.replace("orders/v1", "tie/v1"), "{", "just words", "spec: [1]\nmatch: {}\n", "\x00"):
            assert (await refused(desk.operator.PutSpec(text=text, because=BECAUSE))).reason == "INVALID"
        [tie] = (await desk.operator.ValidateSpec(text=STRICT.replace("orders/v1", "tie/v1"))).mistakes
        assert tie.where.startswith("put:tie/v1")
        assert not (await desk.operator.ValidateSpec(text=STRICT)).mistakes
        assert await desk.refusal() == ""
        assert not (await desk.reader.ListSpecs()).problems
        assert not (await desk.reader.GetStatus()).put_specs


async def test_a_spec_that_was_put_follows_its_files(tmp_path: Path):
    """One that no longer fits is left out, and said; the rest stays in force."""
    path = tmp_path / "orders.yaml"
    path.write_text(SPEC)
    async with running_desk(tmp_path, specs=[path]) as desk:
        await desk.operator.PutSpec(text=STRICT.replace("orders/v1", "put/v1").replace("*", "Ask"), because=BECAUSE)
        assert await desk.refusal() == "REQUEST_SPEC_VIOLATION"
        path.write_text(SPEC.replace("*", "Ask"))

        async def is_told() -> bool:
            return bool((await desk.reader.ListSpecs()).problems)

        await until(is_told)
        assert await desk.refusal() == ""
        assert any("put:put/v1" in each for each in (await desk.reader.GetStatus()).problems)


async def test_the_mode_of_a_spec_is_changed(tmp_path: Path):
    """Its refusals become findings, and back."""
    path = tmp_path / "orders.yaml"
    path.write_text(STRICT)
    async with running_desk(tmp_path, specs=[path]) as desk:
        assert await desk.refusal() == "REQUEST_SPEC_VIOLATION"
        spec = {"level": "LEVEL_SPEC", "name": "orders/v1", "because": BECAUSE}
        await desk.operator.SetMode(**spec, mode="MODE_OBSERVE")
        assert await desk.refusal() == ""
        assert (await desk.reader.GetSpec(name="orders/v1")).mode == "observe"
        await desk.operator.ClearMode(**spec)
        assert await desk.refusal() == "REQUEST_SPEC_VIOLATION"


async def test_a_budget_gets_another_limit_and_its_account_a_fresh_start(tmp_path: Path):
    """In force for the next call; the configured limit comes back."""
    budget = {"name": "all", "scope": "global", "limit_usd": 0.02, "hold_usd": 0.01}
    async with running_desk(tmp_path, budgets=[budget], prices={}) as desk:
        for _ in range(2):
            assert await desk.refusal() == ""
        assert await desk.refusal() == "BUDGET_EXHAUSTED"
        made = await desk.operator.SetBudgetLimit(budget="all", limit_micro_usd=30_000, because=BECAUSE)
        assert (made.budget.limit_micro_usd, made.budget.configured_limit_micro_usd) == (30_000, 20_000)
        assert list((await desk.reader.GetStatus()).changed_budgets) == ["all"]
        assert await desk.refusal() == ""
        assert await desk.refusal() == "BUDGET_EXHAUSTED"
        reset = await desk.operator.ResetBudget(budget="all", account="", because=BECAUSE)
        assert (reset.forgotten_micro_usd, reset.account.spent_micro_usd) == (30_000, 0)
        back = await desk.operator.SetBudgetLimit(budget="all", configured=True, because=BECAUSE)
        assert (back.budget.limit_micro_usd, back.budget.is_changed) == (20_000, False)
        assert await desk.refusal() == ""
        found = await refused(desk.operator.ResetBudget(budget="everything", account="", because=BECAUSE))
        assert found.reason == "NOT_FOUND"


async def test_a_broken_loop_goes_on_when_an_operator_says_so(tmp_path: Path):
    """By the id that lists give; once."""
    async with running_desk(tmp_path, loops={"repeats": 2, "slow": "0s"}) as desk:

        async def refusal() -> str:
            try:
                await desk.ask(metadata=TRACE)
            except aio.AioRpcError as error:
                return dict(error.trailing_metadata() or ())["sidecar-reply"]
            return ""

        assert [await refusal() for _ in range(3)] == ["", "", "LOOP_DETECTED"]
        [loop] = (await desk.reader.ListLoops()).loops
        assert (loop.kind, loop.edge.callee) == ("repeat", "desk")
        assert [each.id for each in (await desk.reader.ListLoops(conversation=loop.conversation)).loops] == [loop.id]
        whole = await desk.reader.GetConversation(conversation=loop.conversation)
        assert ([each.id for each in whole.loops], whole.summary.total.loops) == ([loop.id], 1)
        await desk.operator.ResumeLoop(id=loop.id, because=BECAUSE)
        assert await refusal() == ""
        assert (await refused(desk.operator.ResumeLoop(id=loop.id, because=BECAUSE))).reason == "NOT_FOUND"


async def test_every_change_is_written_down_with_who_and_why(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """In the log, the tail and the journal; and so is one that was refused."""
    caplog.set_level(logging.INFO)
    journal = f"sqlite:{tmp_path}/journal.db"
    async with running_desk(tmp_path, journal=journal) as desk:
        tail = desk.reader.Tail(kinds=["EVENT_KIND_CHANGE"])
        assert (await tail.read()).WhichOneof("what") == "alive"
        await desk.operator.Quarantine(target=TARGETS["the edge"], because="it orders too much tea")
        await refused(desk.nobody.Release(target=TARGETS["the edge"], because="let me go"))
        done, tried = (await tail.read()).change, (await tail.read()).change
        assert (done.method, done.who, done.because, done.outcome) == (
            "Quarantine",
            "token ops",
            "it orders too much tea",
            "done",
        )
        assert 'callee: "desk"' in done.what
        assert (tried.method, tried.who, tried.outcome) == ("Release", "loopback", "FORBIDDEN")
        tail.cancel()
    logged = [each.fields for each in caplog.records if each.getMessage() == "admin change"]  # type: ignore[attr-defined]
    assert [(each["method"], each["outcome"]) for each in logged] == [("Quarantine", "done"), ("Release", "FORBIDDEN")]
    assert journalled(tmp_path / "journal.db") == [
        ("Quarantine", "token ops", "done"),
        ("Release", "loopback", "FORBIDDEN"),
    ]


async def test_a_change_is_written_down_although_its_caller_has_left(tmp_path: Path):
    """Whatever came into force has its line, however early the call was broken off."""
    written: list[str] = []
    async with running_desk(tmp_path) as desk:
        feed = desk.sidecar.app.administration.feed  # type: ignore[union-attr]
        reader = feed.join(Wish(), 1000)
        for number in range(40):
            call = desk.operator.Quarantine(target=admin_pb2.Target(agent=f"a{number}"), because=BECAUSE)
            await asyncio.sleep(number / 10_000)
            call.cancel()
        await asyncio.sleep(0.2)
        held = {each.target.agent for each in (await desk.reader.ListQuarantines(page_size=500)).quarantines}
        while reader.waiting:
            change = (await reader.next(1)).change
            written += [change.what] if change.outcome == "done" else []
    assert held
    assert len(written) == len(held)
    assert all(any(f'"{agent}"' in what for what in written) for agent in held)


def journalled(path: Path) -> list[tuple[Any, ...]]:
    """Admin records as a journal keeps them."""
    import sqlite3

    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT record FROM records ORDER BY seq").fetchall()
    bodies = [record["body"] for row in rows if (record := json.loads(row[0]))["kind"] == "admin"]
    return [(body["action"], body["by"], body["outcome"]) for body in bodies]


async def test_pages_show_everything_once(tmp_path: Path):
    """Whatever their size, and what came meanwhile hides nothing."""
    async with running_desk(tmp_path) as desk:
        for number in range(7):
            await desk.ask(method=f"/shop.Orders/M{number}")
        seen: list[str] = []
        token = ""
        while True:
            page = await desk.reader.ListEdges(page_size=3, page_token=token)
            assert len(page.edges) <= 3
            seen += [each.edge.method for each in page.edges]
            token = page.next_page_token
            if not token:
                break
            await desk.ask(method=f"/shop.Orders/Later{len(seen)}")
        assert sorted(seen) == [f"/shop.Orders/M{number}" for number in range(7)]
        other = (await desk.reader.ListAgents(page_size=1)).next_page_token
        assert (await refused(desk.reader.ListModes(page_token=other))).fields == ("page_token",)


async def test_a_task_is_listed_and_held_back(tmp_path: Path):
    """By callee and id; the pack of A2A says what a task is."""
    from a2a.types import a2a_pb2 as a2a

    from tests.desk import A2A, SEND, asking, spec
    from tests.desk import running_desk as working_desk

    (tmp_path / "send.json").write_text(json.dumps(spec(SEND)))
    async with (
        working_desk() as (_, address),
        running_desk(tmp_path, upstream=address, descriptors=[A2A], specs=[tmp_path / "send.json"]) as desk,
    ):
        answer = await desk.agent.unary_unary(SEND)(asking(SEND, "m1"), timeout=10)
        task = a2a.SendMessageResponse.FromString(answer).task.id
        listed = await desk.reader.ListTasks()
        [found] = listed.tasks
        assert (found.callee, found.task, found.state, found.is_terminal) == (
            "desk",
            task,
            "TASK_STATE_COMPLETED",
            True,
        )
        assert dict(listed.census[0].states) == {"TASK_STATE_COMPLETED": 1}
        target = admin_pb2.Target(task=admin_pb2.TaskTarget(callee="desk", task=task))
        await desk.operator.Quarantine(target=target, because=BECAUSE)
        more = a2a.SendMessageRequest(message=a2a.Message(message_id="m2", task_id=task, parts=[a2a.Part(text="x")]))
        with pytest.raises(aio.AioRpcError, match="QUARANTINED"):
            await desk.agent.unary_unary(SEND)(more.SerializeToString(), timeout=10)
        await desk.agent.unary_unary(SEND)(asking(SEND, "m3"), timeout=10)
        assert [each.is_quarantined for each in (await desk.reader.ListTasks()).tasks if each.task == task] == [True]


async def test_recorded_calls_are_replayed_through_what_holds_today(tmp_path: Path):
    """A spec that became stricter would refuse what it let pass; without a journal nothing can be replayed."""
    path = tmp_path / "orders.yaml"
    text = SPEC + "content: {journal: true}\n"
    path.write_text(text)
    async with running_desk(tmp_path, specs=[path], journal=f"sqlite:{tmp_path}/journal.db") as desk:
        await desk.ask(metadata=TRACE)
        [seen] = (await desk.reader.ListConversations()).conversations

        async def results() -> list[admin_pb2.ReplayResult]:
            return [each async for each in desk.operator.Replay(conversation=seen.conversation)]

        async def is_written() -> bool:
            try:
                return (await results())[-1].summary.replayed == 1
            except aio.AioRpcError as error:
                assert told(error).reason == "NOT_ALLOWED"  # its file is made with the first record
                return False

        await until(is_written)
        assert [each.WhichOneof("what") for each in await results()] == ["summary"]
        path.write_text(text.replace("required: [item]", "required: [item, count]"))
        found, summary = await results()
        assert (found.difference.was, found.difference.would_be) == ("forward", "reject REQUEST_SPEC_VIOLATION")
        assert found.difference.subject.edge.method == ASK
        assert (summary.summary.replayed, summary.summary.differences) == (1, 1)
        assert (await refused(desk.operator.Replay().read())).fields == ("conversation",)
    async with running_desk(tmp_path) as desk:
        assert (await refused(desk.operator.Replay(conversation="c").read())).reason == "NOT_ALLOWED"
