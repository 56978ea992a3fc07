"""Faults of what the sidecars lean on, and of a sidecar itself."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing

from redis.asyncio import Redis

from tests.e2e.faults.fault import Fault, at_instance, shown
from tests.e2e.traffic import again_and_again, fresh_account, order
from tests.e2e.world import World

MID_CALL_S = 0.05
"""Into a payment: a teller takes a tenth of a second for it."""


@asynccontextmanager
async def killed_sidecar(world: World) -> AsyncIterator[None]:
    """The lookout's sidecar is killed, as a machine that runs out of memory would."""
    await world.workers["lookout_sidecar"].process.kill()
    yield
    await world.restart("lookout_sidecar")


@asynccontextmanager
async def refused_spans(world: World) -> AsyncIterator[None]:
    """The collector that takes the courier's spans refuses them."""
    world.sinks["courier_sink"].is_refusing = True
    async with errands_at(world, "courier"):
        yield
    world.sinks["courier_sink"].is_refusing = False


@asynccontextmanager
async def stopped_redis(world: World) -> AsyncIterator[None]:
    """The Redis of the depot is stopped."""
    await world.workers["depot_redis"].process.stop()
    async with errands_at(world, "depot"):
        yield
    await world.restart("depot_redis")


@asynccontextmanager
async def emptied_redis(world: World) -> AsyncIterator[None]:
    """Somebody empties the cellar's Redis every few seconds, also while a payment is under way."""

    async def emptied(_: int) -> None:
        paying = asyncio.create_task(
            order(world, "cellar", "pay", fresh_account(), payment=str(uuid.uuid4()), amount_usd=1)
        )
        await asyncio.sleep(MID_CALL_S)
        await flushed(world.stage.addresses["cellar_redis"])
        await paying

    async with again_and_again(emptied, 2.0):
        yield


async def flushed(address: str) -> None:
    async with Redis.from_url(f"redis://{address}/0") as redis:
        await redis.flushall()


@asynccontextmanager
async def slow_redis(world: World) -> AsyncIterator[None]:
    """The line from the quay to its Redis takes 60 ms more for each question."""
    world.line.delay_s = 0.06
    async with errands_at(world, "quay", callers=30):
        yield
    world.line.delay_s = 0.0


@asynccontextmanager
async def locked_journal(world: World) -> AsyncIterator[None]:
    """Another program, a backup say, keeps the scrivener's journal locked while a hundred records may wait."""
    path = world.folder / "scrivener-journal.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as program:
        program.execute("BEGIN EXCLUSIVE")
        async with errands_at(world, "scrivener", callers=8):
            yield
        program.execute("ROLLBACK")


@asynccontextmanager
async def lost_targets(world: World) -> AsyncIterator[None]:
    """Whoever tells Prometheus where sidecars are knows of none any more."""
    world.name_targets([])
    yield
    world.name_targets(world.targets())


def errands_at(world: World, post: str, callers: int = 2) -> AbstractAsyncContextManager[None]:
    return again_and_again(
        lambda _: order(world, post, "write", fresh_account() | {"limit_usd": 5}), 0.2, callers=callers
    )


FAULTS = (
    Fault("a sidecar killed", killed_sidecar, (at_instance("SidecarDown", "lookout"),)),
    Fault("a collector that refuses spans", refused_spans, (at_instance("SidecarSpansLost", "courier"),)),
    Fault(
        "Redis stopped",
        stopped_redis,
        (shown("SidecarStoreAway", store="redis"),),
        brings=(shown("SidecarFailOpen", reason="store_away"),),
    ),
    Fault(
        "Redis emptied while calls are under way",
        emptied_redis,
        (
            shown("SidecarStoreLostWrites", store="redis", outcome="all"),
            shown("SidecarDuplicateExecuted", {"seen_as": "claim"}, caller="user", callee="cellar"),
        ),
    ),
    Fault("a slow line to Redis", slow_redis, (at_instance("SidecarOverheadHigh", "quay"),)),
    Fault(
        "a journal that another program keeps locked",
        locked_journal,
        (at_instance("SidecarJournalLosing", "scrivener"),),
    ),
    Fault("service discovery that loses every target", lost_targets, (shown("SidecarAbsent"),), is_alone=True),
)
