"""Redis killed in mid-run, under load, and brought back: every charge is counted once, to the micro-USD."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from sidecar.checks.budget import Till
from sidecar.engine.state.ledger import Hold, Purse
from sidecar.engine.state.spool import Spool
from sidecar.stores.redis import RedisLedger, RedisLink
from sidecar.stores.sqlite import SqliteSpool
from sidecar.testing import ManualClock
from tests.checks.money import Sidecar
from tests.stores.places import RedisServer

CALLS = 1_500
USD = 1_000_000
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


class Process:
    """What one sidecar has: a link, a spool in a file, a till."""

    def __init__(self, url: str, path: Path) -> None:
        self.link = RedisLink(url, timeout_s=0.5)
        self.file = SqliteSpool(path, ManualClock())
        self.ledger = RedisLedger(self.link)
        self.spool = Spool(self.ledger, ManualClock(), self.file)
        self.local = 0
        self.till = Till(self.ledger, self.spool, told=self.count)
        self.link.on_return.append(self.spool.merge_soon)

    def count(self) -> None:
        self.local += 1

    async def start(self) -> None:
        await self.link.start()
        await self.spool.start()

    async def close(self) -> None:
        await self.spool.close()
        await self.link.close()
        await self.file.close()

    async def emptied(self) -> None:
        for _ in range(200):
            if not self.spool.waiting and not self.link.is_away:
                return
            self.spool.merge_soon()
            await asyncio.sleep(0.05)
        raise AssertionError(f"{self.spool.waiting} charges were not brought in")


async def call(process: Process, exchange: Any, holds: list[Hold], amount: int) -> int:
    """Reserved, answered after a while, settled. What it cost."""
    receipt = await process.till.reserve(exchange, 20_000, holds)
    if receipt.reservation.refused_by is not None:
        return 0
    await asyncio.sleep(random.uniform(0, 0.3))
    await process.till.settle(receipt, amount)
    return amount


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_charge_is_lost_or_doubled_when_redis_is_killed_under_load(tmp_path: Path, seed: int):
    """Two sidecars, two kills in mid-run. Added up afterwards, the purse has spent what the calls cost."""
    random.seed(seed)
    server = RedisServer(tmp_path, *DURABLE).start()
    processes = [Process(server.url, tmp_path / f"spool-{number}.db") for number in range(2)]
    for process in processes:
        await process.start()
    holds = [Hold(Purse("all", ""), 1_000 * USD), Hold(Purse("agent", "writer"), 1_000 * USD)]
    sidecar, work, expected = Sidecar("writer"), [], 0
    for number in range(CALLS):
        amount = random.randint(0, 50_000)
        expected += amount
        work.append(asyncio.create_task(call(processes[number % 2], await sidecar.arrives(), holds, amount)))
        if number in (CALLS // 4, CALLS // 2):
            await asyncio.to_thread(server.kill)
        if number in (CALLS // 3, CALLS * 3 // 5):
            await asyncio.to_thread(server.start)
        await asyncio.sleep(0.001)
    costs = await asyncio.gather(*work)
    for process in processes:
        await process.emptied()
    balances = await processes[0].ledger.balances(holds)
    local = sum(process.local for process in processes)
    for process in processes:
        await process.close()
    server.stop()
    assert sum(costs) == expected
    assert 0 < local < CALLS
    assert [(each.spent_micro_usd, each.held_micro_usd) for each in balances] == [(expected, 0), (expected, 0)]


async def test_the_budget_is_overshot_by_no_more_than_what_was_left(tmp_path: Path):
    """Two sidecars part from Redis with $1.00 left: each may spend that dollar, and not a cent more."""
    server = RedisServer(tmp_path, *DURABLE).start()
    processes = [Process(server.url, tmp_path / f"spool-{number}.db") for number in range(2)]
    holds, sidecar = [Hold(Purse("all", ""), 2 * USD)], Sidecar("writer")
    for process in processes:
        await process.start()
        receipt = await process.till.reserve(await sidecar.arrives(), USD // 2, holds)
        await process.till.settle(receipt, USD // 2)
    # The first knows only of its own half dollar until it asks again.
    await processes[0].till.settle(await processes[0].till.reserve(await sidecar.arrives(), 0, holds), 0)
    await asyncio.to_thread(server.kill)
    exchanges = [await sidecar.arrives() for _ in range(300)]
    costs = await asyncio.gather(
        *(call(processes[number % 2], exchange, holds, 20_000) for number, exchange in enumerate(exchanges))
    )
    await asyncio.to_thread(server.start)
    for process in processes:
        await process.emptied()
    spent = (await processes[0].ledger.balances(holds))[0].spent_micro_usd
    for process in processes:
        await process.close()
    server.stop()
    assert sum(costs) == 2 * USD
    assert spent == 3 * USD
