"""A sidecar's money during a partition, and the process killed in the middle of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sidecar.engine.state.ledger import Hold, Purse
from sidecar.engine.state.spool import Spool
from sidecar.errors import StoreUnavailable
from sidecar.stores.memory import MemoryLedger
from sidecar.stores.sqlite import SqliteSpool
from sidecar.testing import ManualClock
from tests.process.programs import Program

ALL = [Hold(Purse("all", ""), 10**12)]
HELD = 1_000_000


class Away:
    """A shared ledger that is away for good."""

    async def settle(self, charge_id: str, amount_micro_usd: int) -> bool:
        raise StoreUnavailable("away")

    async def charge(self, *arguments: object) -> bool:
        raise StoreUnavailable("away")


async def spend(path: Path) -> None:
    """Call after call; each is told once it is settled."""
    spool = Spool(Away(), ManualClock(), SqliteSpool(path, ManualClock()))  # type: ignore[arg-type]
    number = 0
    while True:
        number += 1
        await spool.reserve(f"call-{number}", HELD, ALL)
        await spool.settle(f"call-{number}", number)
        print(f"settled {number}", flush=True)


async def brought_in(path: Path) -> tuple[int, MemoryLedger]:
    """What the next process brings in."""
    ledger, file = MemoryLedger(ManualClock()), SqliteSpool(path, ManualClock())
    spool = Spool(ledger, ManualClock(), file)
    await spool.start()
    await spool.merge()
    assert spool.waiting == 0
    assert await file.load() == []
    await file.close()
    return (await ledger.balances(ALL))[0].used_micro_usd, ledger


def test_what_was_settled_before_a_kill_is_brought_in_by_the_next_process(tmp_path: Path):
    """All that was acknowledged, and of the call under way at most what it held."""
    program = Program("-m", "tests.process.test_spool", str(tmp_path / "spool.db"))
    try:
        program.read_until(r"settled 300$")
        program.kill()
        rest = program._child.stdout.read() if program._child.stdout else ""
        settled = int((program.printed + rest).rpartition("settled ")[2].split()[0])
    finally:
        program.close()
    used, _ = asyncio.run(brought_in(tmp_path / "spool.db"))
    acknowledged = settled * (settled + 1) // 2
    assert used in (acknowledged, acknowledged + HELD, acknowledged + settled + 1)


if __name__ == "__main__":
    asyncio.run(spend(Path(sys.argv[1])))
