"""Faults of work that goes on over many calls: stuck, out of date, or slow to end."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from a2a.types import a2a_pb2, a2a_pb2_grpc

from sidecar.demo.user import METADATA, request_of
from tests.e2e.faults.fault import Fault, shown
from tests.e2e.traffic import again_and_again, fresh_account, order
from tests.e2e.world import World


@asynccontextmanager
async def forgotten_task(world: World) -> AsyncIterator[None]:
    """The auditor begins an audit and forgets it. In the end somebody cancels it."""
    answer = await order(world, "auditor", "audit", fresh_account(), is_impatient=True)
    yield
    await cancelled(world, "auditor", answer.events[0]["task"]["id"])


async def cancelled(world: World, post: str, task_id: str) -> None:
    async with grpc.aio.insecure_channel(world.stage.sidecar(post)) as channel:
        await stub_of(channel).CancelTask(a2a_pb2.CancelTaskRequest(id=task_id), metadata=METADATA, timeout=10)


@asynccontextmanager
async def stale_writes(world: World) -> AsyncIterator[None]:
    """Two write the same account of the registrar, both from what they had read: the second would undo the first."""

    async def twice(_: int) -> None:
        account = {**fresh_account(), "version": 1, "limit_usd": 500}
        for _ in range(2):
            await order(world, "registrar", "write", account)

    async with again_and_again(twice, 0.5):
        yield


@asynccontextmanager
async def old_backup(world: World) -> AsyncIterator[None]:
    """The archivist is started again and has forgotten every change: what it tells is older than what was seen."""
    account = fresh_account()
    for _ in range(3):
        await order(world, "archivist", "write", account | {"limit_usd": 500})
    await world.workers["archivist"].process.stop()
    await world.restart("archivist")
    async with again_and_again(lambda _: order(world, "archivist", "advise", account), 0.5):
        yield


@asynccontextmanager
async def begun_twice(world: World) -> AsyncIterator[None]:
    """A caller that has not heard of its audit's end has the assayer begin the same again. Then all are cancelled."""
    begun: list[str] = []

    async def begin_twice(_: int) -> None:
        account, context_id = fresh_account(), str(uuid.uuid4())
        for _ in range(2):
            answer = await order(world, "assayer", "audit", account, context_id=context_id, is_impatient=True)
            begun.append(answer.events[0]["task"]["id"])

    async with again_and_again(begin_twice, 1.0):
        yield
    await asyncio.gather(*(cancelled(world, "assayer", task_id) for task_id in begun))


@asynccontextmanager
async def hung_agent(world: World) -> AsyncIterator[None]:
    """The sleeper's process stops in the middle of its work, and everybody waits for it."""
    async with world.frozen("sleeper"):
        waiting = asyncio.create_task(patient_call(world))
        yield
    await asyncio.wait({waiting}, timeout=15)
    waiting.cancel()


async def patient_call(world: World) -> None:
    """As the A2A client calls: without a deadline."""
    request = request_of({"data": {"do": "write", "account": fresh_account() | {"limit_usd": 5}}}, "")
    async with grpc.aio.insecure_channel(world.stage.sidecar("sleeper")) as channel:
        await stub_of(channel).SendMessage(request, metadata=METADATA)


def stub_of(channel: grpc.aio.Channel) -> Any:
    return a2a_pb2_grpc.A2AServiceStub(channel)


FAULTS = (
    Fault("a task that its agent has forgotten", forgotten_task, (shown("SidecarStuckTasks", callee="auditor"),)),
    Fault(
        "a task begun again while it is open",
        begun_twice,
        (shown("SidecarDuplicateExecuted", {"seen_as": "task"}, caller="user", callee="assayer"),),
    ),
    Fault(
        "writes from an overwritten version, to an agent whose sidecar observes",
        stale_writes,
        (shown("SidecarLostUpdates", caller="user", callee="registrar"),),
    ),
    Fault("an agent restored from an old backup", old_backup, (shown("SidecarStaleReads", resource="archive"),)),
    Fault("an agent that stops in the middle of its work", hung_agent, (shown("SidecarOldestCall", callee="sleeper"),)),
)
