"""Tail: what passes, as it passes, and what a slow reader is told."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from sidecar.admin.feed import Feed, Wish
from sidecar.engine.exchange import Status
from sidecar.testing import ManualClock
from sidecar.v1 import admin_pb2
from tests.admin.desk import ASK, refused, running_desk, until
from tests.admin.passing import exchange_of, outcome_of

SPEC = {"spec": "orders/v1", "match": {"callee": "desk"}, "request": {"schema": {"required": ["item"]}}}


async def events(tail: Any, count: int) -> list[admin_pb2.TailEvent]:
    return [await asyncio.wait_for(tail.read(), 10) for _ in range(count)]


async def test_a_call_is_told_as_it_passes(tmp_path: Path):
    """Its start, what was found, and its end; who, whom, and how long. Of messages only where asked for."""
    spec = SPEC | {"response": {"schema": {"required": ["price"]}}, "mode": "observe"}
    (tmp_path / "s.json").write_text(json.dumps(spec))
    async with running_desk(tmp_path, specs=[tmp_path / "s.json"]) as desk:
        tail, whole = desk.reader.Tail(), desk.reader.Tail(kinds=admin_pb2.EventKind.values()[1:])
        await events(tail, 1)
        await events(whole, 1)
        await desk.ask()
        started, found, ended = await events(tail, 3)
        assert started.exchange_started == admin_pb2.ExchangeStarted(joined_by="root", spec="orders/v1")
        assert (found.finding.check, found.finding.rule, found.finding.action) == (
            "spec",
            "response.schema",
            "observed",
        )
        assert (ended.exchange_ended.code, ended.exchange_ended.decision) == ("OK", "forward")
        assert ended.exchange_ended.duration_s >= ended.exchange_ended.overhead_s > 0
        assert {each.subject.edge.method for each in (started, found, ended)} == {ASK}
        assert len({each.subject.lineage.conversation for each in (started, found, ended)}) == 1
        assert [each.number for each in (started, found, ended)] == [1, 2, 3]
        kinds = [each.WhichOneof("what") for each in await events(whole, 5)]
        assert kinds == ["exchange_started", "message", "finding", "message", "exchange_ended"]
        for each in (tail, whole):
            each.cancel()


async def test_a_tail_shows_what_was_asked_for(tmp_path: Path):
    """By kind, agent, method and severity; all of them must fit."""
    async with running_desk(tmp_path) as desk:
        tails = {
            "ends": desk.reader.Tail(kinds=["EVENT_KIND_EXCHANGE_ENDED"]),
            "mine": desk.reader.Tail(agent="desk", method="/shop.Orders/Other"),
            "theirs": desk.reader.Tail(agent="somebody else"),
        }
        for tail in tails.values():
            await events(tail, 1)
        await desk.ask()
        await desk.ask(method="/shop.Orders/Other")
        assert [each.subject.edge.method for each in await events(tails["ends"], 2)] == [ASK, "/shop.Orders/Other"]
        assert [each.number for each in await events(tails["mine"], 2)] == [1, 2]
        for tail in tails.values():
            tail.cancel()
        for fields, wrong in (
            ({"kinds": [99]}, "kinds[0]"),
            ({"min_severity": "bad"}, "min_severity"),
            ({"buffer": 10_001}, "buffer"),
        ):
            assert (await refused(desk.reader.Tail(**fields).read())).fields == (wrong,)


async def test_as_many_tail_as_are_served_and_a_place_is_free_again_when_one_leaves(tmp_path: Path):
    """Those without a credential have fewer places, and take none from the others."""
    async with running_desk(tmp_path) as desk:
        tails = [desk.nobody.Tail() for _ in range(4)]
        for tail in tails:
            await events(tail, 1)
        assert (await refused(desk.nobody.Tail().read())).reason == "BUSY"
        theirs = desk.reader.Tail()
        await events(theirs, 1)
        tails[0].cancel()

        async def is_let_in() -> bool:
            again = desk.nobody.Tail()
            try:
                await events(again, 1)
            except Exception:
                return False
            return True

        await until(is_let_in)
        assert desk.sidecar.app.administration is not None
        assert desk.sidecar.app.administration.feed.readers == 5


async def test_one_that_does_not_read_keeps_nobody_waiting_and_is_told_what_it_missed(tmp_path: Path):
    """Calls pass as ever; when it reads again, numbers jump by what was dropped."""
    async with running_desk(tmp_path) as desk:
        asleep, awake = desk.reader.Tail(buffer=10), desk.reader.Tail()
        await events(asleep, 1)
        await events(awake, 1)
        feed = desk.sidecar.app.administration.feed  # type: ignore[union-attr]
        reader = feed._readers[0]
        calls = 0
        while not reader.dropped:
            # What grpc and the kernel hold for it comes first.
            await asyncio.gather(*(desk.ask() for _ in range(50)))
            calls += 50
            assert calls < 100_000
        read = 0
        while read < 2 * calls:
            read = (await awake.read()).number
        seen, last = 0, admin_pb2.TailEvent()
        while last.number < 2 * calls - 10 or not last.dropped:
            last = await asleep.read()
            seen += 1
        assert last.dropped == last.number - seen
        asleep.cancel()
        awake.cancel()


async def test_one_that_leaves_in_the_middle_is_no_fault_of_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """However much was on its way to it: nothing is logged, and its place is free."""
    async with running_desk(tmp_path) as desk:
        for _ in range(5):
            tails = [desk.operator.Tail(kinds=admin_pb2.EventKind.values()[1:]) for _ in range(10)]
            for tail in tails:
                await events(tail, 1)
            calls = asyncio.gather(*(desk.ask() for _ in range(30)))
            await asyncio.sleep(0.01)
            for tail in tails:
                tail.cancel()
            await calls
        administration = desk.sidecar.app.administration
        assert administration is not None
        await until(lambda: administration.feed.readers == 0)
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


async def test_the_oldest_make_room_and_are_counted():
    """At the room's size nothing is lost, one over it is; the newest stay."""
    feed = Feed(ManualClock())
    reader = feed.join(Wish(), 3)
    for number in range(4):
        feed.exchange_ended(outcome_of(exchange_of(f"/a.B/{number}"), Status("OK")))
    assert (reader.number, reader.dropped) == (4, 1)
    told = [await reader.next(1) for _ in range(3)]
    assert [(each.number, each.dropped, each.subject.edge.method) for each in told] == [
        (2, 1, "/a.B/1"),
        (3, 1, "/a.B/2"),
        (4, 1, "/a.B/3"),
    ]
    quiet = await reader.next(0.01)
    assert (quiet.WhichOneof("what"), quiet.number, quiet.dropped) == ("alive", 4, 1)


async def test_what_looks_like_a_secret_is_masked(tmp_path: Path):
    """A verifier's sentence may quote more than it should."""
    from sidecar.engine.finding import Action, Finding, Severity
    from sidecar.engine.redaction import Redactor

    feed = Feed(ManualClock(), Redactor().text)
    reader = feed.join(Wish(), 3)
    finding = Finding("verification", "x", Severity.ERROR, "it said ghp_0123456789abcdefghijABCDEFGHIJ012345")
    feed.finding_made(exchange_of("/a.B/C"), finding, Action.OBSERVED)
    assert "ghp_" not in (await reader.next(1)).finding.message
