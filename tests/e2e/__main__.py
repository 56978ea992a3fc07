"""`python -m tests.e2e`: prove every alert of the shipped rules on real faults. 0: all was seen; 1: not all."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sidecar.demo.fleet import StartError
from sidecar.demo.play import INTERRUPTED
from tests.e2e import boards, phases, report
from tests.e2e.faults import FAULTS, unregistered
from tests.e2e.progress import ROOT, Progress, run_to_the_end
from tests.e2e.stand import WARM_UP_S, stand

FACTOR = 120.0
"""An hour is half a minute, five minutes are two and a half seconds: the shortest window still has two scrapes."""

HEALTHY_S = 320.0
"""As long as the faults take: the slowest rule waits a minute and a half, and three minutes until it is content."""

ATTEMPTS = 3
"""Ports are picked, released and bound again by others; somebody else may be quicker now and then."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e")
    parser.add_argument("--factor", type=float, default=FACTOR, help="by which every window and `for` is divided")
    parser.add_argument("--healthy", type=float, default=HEALTHY_S, metavar="SECONDS", help="length of the healthy run")
    parser.add_argument("--only", nargs="+", default=[], metavar="ALERT", help="these alone")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there, where all was seen")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs, whatever comes of it")
    flags = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="sidecar-e2e-"))
    try:
        is_proven = run_to_the_end(run(flags, folder))
    except asyncio.CancelledError:
        print("interrupted")
        return INTERRUPTED
    if is_proven and not flags.keep:
        shutil.rmtree(folder)
    return 0 if is_proven else 1


async def run(flags: argparse.Namespace, folder: Path) -> bool:
    tell = Progress()
    tell(f"logs, databases and configurations are in {folder}")
    faults = [fault for fault in FAULTS if not flags.only or {shown.alert for shown in fault.shows} & set(flags.only)]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with stand(ROOT, folder, flags.factor, tell) as standing:
                began_s = time.time()
                await asyncio.sleep(WARM_UP_S)
                in_healthy = await phases.healthy(standing, flags.healthy, tell)
                seen = await phases.faulty(standing, faults, tell)
                unshown = unregistered(standing.rules)
                tell("asking for everything on every board")
                # What a few faults alone bring about fills no boards.
                results = [] if flags.only else await boards.asked(standing, began_s)
                tell("taking everything down")
            break
        except StartError as error:
            tell(str(error))
            if attempt == ATTEMPTS or not error.is_clash:
                return False
    found = report.mistakes(seen, in_healthy, unshown, results)
    report.tell(seen, in_healthy, found)
    if flags.write and not found:
        flags.write.write_text(report.page(seen, in_healthy, flags.factor), encoding="utf-8")
    return not found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
