"""A verifier as a process: from the command line to SIGTERM, and out with code 0."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from verifiers.base.bench import Judge
from verifiers.base.description import Description
from verifiers.base.scores import BadScores, read
from verifiers.base.server import CannotListen, Server
from verifiers.base.settings import EX_USAGE, Settings, parse


def run(
    description: Description, judge: Judge, arguments: Sequence[str] | None, *, scores: Mapping[str, float]
) -> None:
    """Serve until told to stop."""
    settings = parse(description.name, arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        measured = read(settings.scores, description) if settings.scores else {}
        asyncio.run(live(Server(description, judge, settings, {**scores, **measured}), settings))
    except (CannotListen, BadScores) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EX_USAGE)


async def live(server: Server, settings: Settings) -> None:
    """A judge that hangs in a thread must not keep a stopped verifier alive, so the process then ends from here."""
    await server.start()
    stop = told_to_stop()
    say(f"listening {server.address}")
    if server.metrics_address:
        say(f"metrics http://{server.metrics_address}/metrics")
    await stop.wait()
    say(f"draining, open calls may finish within {settings.limits.drain_ms} ms")
    await server.drain()
    say("stopped")
    if not server.is_idle:
        os._exit(0)


def told_to_stop() -> asyncio.Event:
    """Set by the first SIGTERM or Ctrl-C. A second one ends the process at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


def say(line: str) -> None:
    """Flushed at once: whoever started us may be waiting for the address."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
