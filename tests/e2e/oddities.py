"""What happens in any fleet and is no alert's business: somebody is turned away, somebody makes up a lineage.

Boards show it, so it has to happen in a run that says whether boards have data.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from a2a.types import a2a_pb2_grpc

from sidecar.demo.user import METADATA, request_of
from tests.e2e.traffic import again_and_again, fresh_account, order
from tests.e2e.world import World

CROWD = 4
"""Callers at the doorman's, who lets one in at a time."""

MADE_UP = (("sidecar-lineage-bin", b"no lineage at all"),)

CALL_LIMIT_S = 10.0


@asynccontextmanager
async def oddities(world: World) -> AsyncIterator[None]:
    """Every few seconds, for as long as the block lasts."""
    async with again_and_again(lambda _: crowd(world), 4.0), again_and_again(lambda _: made_up_lineage(world), 4.0):
        yield


async def crowd(world: World) -> None:
    accounts = (fresh_account() for _ in range(CROWD))
    await asyncio.gather(*(order(world, "doorman", "write", account | {"limit_usd": 5}) for account in accounts))


async def made_up_lineage(world: World) -> None:
    """It is dropped and counted, and the call goes on."""
    request = request_of({"data": {"do": "write", "account": fresh_account() | {"limit_usd": 5}}}, "")
    async with grpc.aio.insecure_channel(world.stage.sidecar("doorman")) as channel:
        stub = a2a_pb2_grpc.A2AServiceStub(channel)
        try:
            await stub.SendMessage(request, metadata=(*METADATA, *MADE_UP), timeout=CALL_LIMIT_S)
        except grpc.aio.AioRpcError as error:
            # Somebody else was let in just then.
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
