"""`python -m tests.e2e.boards`: does every board have data? Every scene, every fault, then every query.

Prints a row for each panel, variable and exemplar query. 0: all have data; 1: one has none.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Set
from dataclasses import replace
from pathlib import Path

from dashboards import check
from sidecar.demo.fleet import StartError
from sidecar.demo.play import SCENES
from sidecar.demo.scenes import House
from tests.e2e.faults import FAULTS
from tests.e2e.faults.fault import Fault
from tests.e2e.oddities import oddities
from tests.e2e.progress import ROOT, Progress, run_to_the_end
from tests.e2e.stand import WARM_UP_S, Stand, stand
from tests.e2e.traffic import ordinary_traffic
from tests.e2e.world import Tell

FACTOR = 60.0

FAULT_S = 8.0
"""How long each fault lasts here: long enough to be scraped a few times."""

AT_ONCE = 6

AGENTS = ("planner", "spender", "doorman", "cashier", "porter", "assayer")
"""Of whom between them all is true that a board can say of an agent."""

EXEMPLARS = "exemplars of "
"""How results about exemplars begin."""

RATE_S = 15.0
"""Stands for Grafana's $__rate_interval."""


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="sidecar-boards-"))
    try:
        results = run_to_the_end(asked_live(folder, Progress()))
    except (StartError, asyncio.CancelledError) as error:
        print(error or "interrupted")
        return 1
    missing = [each for each in results if not each.has_data]
    print(check.table(results))
    print(f"\n{len(results)} queries, {len(missing)} without data")
    if missing:
        return 1
    shutil.rmtree(folder)
    return 0


async def asked_live(folder: Path, tell: Tell) -> list[check.Result]:
    tell(f"logs, databases and configurations are in {folder}")
    async with stand(ROOT, folder, FACTOR, tell) as standing:
        began_s = time.time()
        await asyncio.sleep(WARM_UP_S)
        async with ordinary_traffic(standing.world), oddities(standing.world):
            await scenes(standing, tell)
            await faults(standing, tell)
            return await asked(standing, began_s)


async def scenes(stand: Stand, tell: Tell) -> None:
    """The demo's play, on its own stage. Whether its claims hold is for the demo to say; other traffic goes on here."""
    house = House(stand.world.fleet, stand.world.sinks["sink"])
    for number, scene in enumerate(SCENES, 1):
        tell(f"scene {number} of {len(SCENES)}: {(await scene(house)).title}")


async def faults(stand: Stand, tell: Tell) -> None:
    """Each for a moment, several side by side."""
    places = asyncio.Semaphore(AT_ONCE)

    async def for_a_moment(fault: Fault) -> None:
        async with places:
            tell(fault.words)
            async with fault.inject(stand.world):
                await asyncio.sleep(FAULT_S)

    await asyncio.gather(*(for_a_moment(fault) for fault in FAULTS if not fault.is_alone))


async def asked(stand: Stand, since_s: float) -> list[check.Result]:
    """What each query of each board finds in all that has happened since then, and whether exemplars lead somewhere."""
    now_s = time.time()
    window = check.Window(now_s, range_s=now_s - since_s, rate_s=RATE_S)
    results = await asyncio.to_thread(as_each_agent, stand.prometheus.url, window)
    traces = {trace_id for sink in stand.world.sinks.values() for trace_id in sink.trace_ids}
    return [linked(result, traces) for result in results]


def as_each_agent(url: str, window: check.Window) -> list[check.Result]:
    """No agent does everything, so what a board says about one is asked about each of AGENTS until there is data."""
    about_one = check.FOLDER / "agent.json"
    others = [path for path in sorted(check.FOLDER.glob("*.json")) if path != about_one]
    results = check.check(url, window=window, boards=[about_one])
    for agent in AGENTS:
        if all(result.has_data for result in results):
            break
        again = check.check(url, window=window, boards=[about_one], variables={"agent": agent})
        results = [first if first.has_data else second for first, second in zip(results, again, strict=True)]
    return results + check.check(url, window=window, boards=others)


def linked(result: check.Result, traces: Set[str]) -> check.Result:
    """An exemplar is worth something where its link leads to a trace: one that no collector ever heard of is none."""
    if not result.panel.startswith(EXEMPLARS) or not result.has_data or result.last in traces:
        return result
    return replace(result, series=0, error=f"trace {result.last} never came to a collector: {result.query}")


if __name__ == "__main__":
    sys.exit(main())
