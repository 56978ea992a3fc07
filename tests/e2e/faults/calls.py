"""Faults of those who call: loops, payloads that break a promise, the same thing sent again."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.demo.user import ask
from tests.e2e.faults.fault import Fault, at_instance, shown
from tests.e2e.traffic import again_and_again, fresh_account, order
from tests.e2e.world import World

UNKNOWN_TOPIC = "perpetual motion"
"""Nobody has facts about it, so the planner asks again, twenty times if it is let."""

HERD = 12
"""Callers who were all told of the same failure and all come back at once."""


@asynccontextmanager
async def runaway_planner(world: World) -> AsyncIterator[None]:
    """The planner asks the researcher for facts that nobody has, and gives up once it is told to stop."""
    async with again_and_again(lambda _: ask(world.stage.sidecar("planner"), {"text": UNKNOWN_TOPIC}), 1.0):
        yield


@asynccontextmanager
async def deaf_caller(world: World) -> AsyncIterator[None]:
    """Somebody asks the clerk the same again and again in one conversation, and does not stop when told to."""
    context_id, account = str(uuid.uuid4()), fresh_account()
    async with again_and_again(
        lambda _: order(world, "clerk", "write", account | {"limit_usd": 1}, context_id=context_id), 0.1
    ):
        yield


@asynccontextmanager
async def broken_answers(world: World) -> AsyncIterator[None]:
    """The novice answers with years in words, which its spec rules out. So does the researcher, to the planner."""
    query = {"data": {"query": "movable type"}}
    async with (
        again_and_again(lambda _: ask(world.stage.sidecar("novice"), query), 0.2),
        again_and_again(lambda _: ask(world.stage.sidecar("planner"), {"text": "movable type"}), 3.0),
    ):
        yield


@asynccontextmanager
async def paid_twice(world: World) -> AsyncIterator[None]:
    """A caller sends each payment twice to the cashier, whose sidecar only observes, so each is made twice."""

    async def twice(_: int) -> None:
        payment, account = str(uuid.uuid4()), fresh_account()
        for _ in range(2):
            await order(world, "cashier", "pay", account, payment=payment, amount_usd=20)

    async with again_and_again(twice, 0.3):
        yield


@asynccontextmanager
async def retry_storm(world: World) -> AsyncIterator[None]:
    """An order on which the porter fails each time, and a caller who will not take that for an answer."""
    account = fresh_account()
    async with again_and_again(lambda _: order(world, "porter", "pay", account, amount_usd="twenty"), 0.05, callers=4):
        yield


@asynccontextmanager
async def herd(world: World) -> AsyncIterator[None]:
    """Many callers whose orders failed come back in the same instant, every few seconds."""
    accounts = [fresh_account() for _ in range(HERD)]

    async def stampede(_: int) -> None:
        await asyncio.gather(*(order(world, "drover", "pay", account, amount_usd="twenty") for account in accounts))

    async with again_and_again(stampede, 2.2):
        yield


@asynccontextmanager
async def lost_traces(world: World) -> AsyncIterator[None]:
    """Several people ask the dispatcher at once. It passes no trace on, so its calls could belong to any of them."""

    async def at_once(_: int) -> None:
        topics = ("bridges", "lighthouses", "moon landings")
        await asyncio.gather(*(ask(world.stage.sidecar("dispatcher"), {"text": topic}) for topic in topics))

    async with again_and_again(at_once, 0.2):
        yield


FAULTS = (
    Fault(
        "a planner that asks for facts nobody has",
        runaway_planner,
        (shown("SidecarLoopDetected", kind="repeat", caller="planner", callee="researcher", action="rejected"),),
    ),
    Fault(
        "a caller that goes on after its loop was broken off",
        deaf_caller,
        (shown("SidecarRunawayLoop", kind="repeat", caller="user", callee="clerk"),),
        brings=(shown("SidecarLoopDetected", callee="clerk"),),
    ),
    Fault(
        "an agent whose answers break its spec",
        broken_answers,
        (shown("SidecarSpecViolations", check="spec", callee="novice"),),
        brings=(shown("SidecarSpecViolations", callee="researcher"),),
    ),
    Fault(
        "each payment sent twice to an agent that pays twice",
        paid_twice,
        (shown("SidecarDuplicateExecuted", {"seen_as": "key"}, callee="cashier"),),
    ),
    Fault(
        "a caller that will not take an error for an answer",
        retry_storm,
        (shown("SidecarRetryStorm", caller="user", callee="porter"),),
    ),
    Fault(
        "twelve callers that retry in the same instant",
        herd,
        (shown("SidecarHerd", callee="drover"),),
        brings=(shown("SidecarRetryStorm", callee="drover"),),
    ),
    Fault(
        "an agent that serves three at once and drops their traces",
        lost_traces,
        (at_instance("SidecarBrokenTraces", "dispatcher"),),
        brings=(shown("SidecarDuplicateExecuted", caller="dispatcher", seen_as="task"),),
    ),
)
