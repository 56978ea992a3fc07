"""The play from first to last: set up, start, the scenes, the show, and everything taken down again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from sidecar.demo import guard_scenes, panel_scenes, scenes
from sidecar.demo.claims import Scene
from sidecar.demo.fleet import Fleet, StartError
from sidecar.demo.otlp_sink import OtlpSink
from sidecar.demo.scenes import House
from sidecar.demo.show import Show
from sidecar.demo.stage import new_folder, set_up

SCENES = (*scenes.SCENES, *panel_scenes.SCENES, *guard_scenes.SCENES)

SIGNALS = (signal.SIGINT, signal.SIGTERM)

ATTEMPTS = 3
"""Ports are picked, released and bound again by others; somebody else may be quicker now and then."""

INTERRUPTED = 130
"""Exit code after Ctrl-C (128 and the signal's number, as shells have it)."""


def play(root: Path, keep: bool) -> int:
    """As `sidecar.demo.run`, and 130 where a person interrupts the scenes."""
    try:
        return asyncio.run(perform(root, keep, Show()))
    except asyncio.CancelledError:
        return INTERRUPTED


async def perform(root: Path, keep: bool, show: Show) -> int:
    task = asyncio.current_task()
    assert task is not None
    on_signal(task.cancel)
    async with AsyncExitStack() as house_keeping:
        sink = await house_keeping.enter_async_context(OtlpSink())
        try:
            fleet = await started(root, sink, house_keeping, show)
        except StartError as error:
            show.say(str(error), "bold red")
            return 1
        seen = [await played(number, House(fleet, sink), show) for number in range(len(SCENES))]
        tell(seen, fleet, keep, show)
        if keep:
            await interrupted()
    return 0 if all(scene.is_ok for scene in seen) else 1


def on_signal(act: Callable[[], object]) -> None:
    """Act on the first Ctrl-C or SIGTERM. More of them must not disturb the taking down, which has its own limit."""
    loop = asyncio.get_running_loop()

    def once() -> None:
        for number in SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        act()

    for number in SIGNALS:
        loop.add_signal_handler(number, once)


async def started(root: Path, sink: OtlpSink, house_keeping: AsyncExitStack, show: Show) -> Fleet:
    """A fleet that is ready, on other ports where the first ones were taken. Raises StartError."""
    for attempt in range(1, ATTEMPTS + 1):
        folder = new_folder()
        show.say("Starting four agents, a sidecar beside each, and three verifiers:", "bold")
        fleet = await house_keeping.enter_async_context(Fleet(set_up(root, folder, sink.address)))
        try:
            await fleet.start(show.ready)
        except StartError as error:
            if not error.is_clash or attempt == ATTEMPTS:
                raise
            show.say("  somebody took one of the ports; once more with others")
        else:
            return fleet
    raise AssertionError("the last attempt returns or raises")


async def played(number: int, house: House, show: Show) -> Scene:
    if number == 0:
        show.say("Playing:", "bold")
    began_s = time.monotonic()
    scene = await SCENES[number](house)
    show.scene(number + 1, len(SCENES), scene, time.monotonic() - began_s)
    return scene


def tell(seen: list[Scene], fleet: Fleet, keep: bool, show: Show) -> None:
    show.table(seen)
    for scene in seen:
        show.trace(scene.trace)
    show.failures(seen)
    show.verdict(seen)
    show.whereabouts(fleet.stage, keep)


async def interrupted() -> None:
    """Wait for Ctrl-C (or SIGTERM). With --keep that is the ordinary end, so nothing is cancelled by it."""
    stop = asyncio.Event()
    on_signal(stop.set)
    await stop.wait()
