"""While a far store is asked which conversation a call belongs to: what checks and reporters see of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sidecar.engine.exchange import Arrival, Exchange, Mode, Outcome, Route, Side, Status
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.state.conversations import Naming
from sidecar.testing import CountingIds, EveryTrace, ManualClock

REQUEST = Message(Direction.REQUEST, 0, b'{"message": {"messageId": "1"}}', JSON_CODEC)


class NoSpecs:
    def match(self, caller: str, callee: str, method: str) -> None:
        return None


class FarNames:
    """Answers a turn of the loop later, that everything belongs to one conversation."""

    async def name_conversation(self, aliases: Sequence[str], proposed: str) -> Naming:
        await asyncio.sleep(0)
        return Naming("true")


class Looking:
    """Writes down which conversation it sees."""

    name = "looking"
    fail = "open"

    def __init__(self) -> None:
        self.saw: list[str] = []

    def on_start(self, exchange: Exchange) -> None:
        self.saw.append(exchange.lineage.conversation)

    async def on_message(self, exchange: Exchange, message: Message) -> None:
        self.saw.append(exchange.lineage.conversation)


class Sure(Looking):
    """Goes by the conversation."""

    goes_by_conversation = True


class Telling:
    def __init__(self) -> None:
        self.told: list[str] = []

    def exchange_started(self, exchange: Exchange) -> None:
        self.told.append(f"started {exchange.lineage.conversation}")

    def exchange_ended(self, outcome: Outcome) -> None:
        self.told.append(f"ended {outcome.exchange.lineage.conversation}")


class Line:
    def __init__(self, check: Looking) -> None:
        clock, self.telling = ManualClock(), Telling()
        lineage = LineageKeeper(clock=clock, ids=CountingIds(), sampler=EveryTrace(), store=FarNames())
        self.engine = Engine(
            clock=clock,
            lineage=lineage,
            specs=NoSpecs(),
            checks=[check],
            reporters=[self.telling],
            is_worth_asking_ahead=lambda: True,
        )

    async def arrives(self, first: Message | None) -> Exchange:
        route = Route("in", Side.INBOUND, "planner", "writer", Mode.ENFORCE)
        return await self.engine.start(Arrival(route, "/a.B/C", first=first))


async def test_a_check_may_see_the_foreseen_conversation_at_the_start_and_the_true_one_with_the_message():
    """The request is in hand: what it needs of the store is asked together with the name."""
    check = Looking()
    line = Line(check)
    exchange = await line.arrives(REQUEST)
    assert line.telling.told == []
    await line.engine.message(exchange, REQUEST)
    assert check.saw[0] != check.saw[1] == "true"
    await line.engine.end(exchange, Status("OK"))
    assert line.telling.told == ["started true", "ended true"]


@pytest.mark.parametrize("first", [REQUEST, None])
async def test_a_check_that_goes_by_the_conversation_sees_none_but_the_true_one(first: Message | None):
    """It may hold it back."""
    check = Sure()
    exchange = await Line(check).arrives(first)
    assert check.saw == [exchange.lineage.conversation] == ["true"]


async def test_a_call_that_goes_out_with_its_headers_carries_the_true_conversation():
    """What it causes belongs to that."""
    exchange = await Line(Looking()).arrives(None)
    assert exchange.lineage.conversation == "true"


async def test_an_exchange_that_ends_before_its_first_message_was_told_of():
    """Its start, then its end: once each."""
    line = Line(Looking())
    exchange = await line.arrives(REQUEST)
    await line.engine.end(exchange, Status("CANCELLED"))
    assert line.telling.told == ["started true", "ended true"]
