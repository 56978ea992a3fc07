"""The fleet: four agents, four sidecars and three verifiers, each a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import grpc

from sidecar.demo import pages
from sidecar.demo.process import Process
from sidecar.demo.stage import AGENTS, PEERS, VERIFIERS, Stage

READY_LIMIT_S = 30.0
"""From start to ready. Eleven interpreters start at once, perhaps on two busy cores."""

POLL_S = 0.05

CLASH_MARKS = ("address already in use", "failed to bind", "errno 98", "cannot listen on")
"""Words in the log of a process whose port somebody else took between our picking it and its binding it."""

Told = Callable[[str, str], None]
"""Hears of each process that is ready: its name and its address."""


class StartError(Exception):
    """A process ended or stayed silent. The text has the end of its log."""

    def __init__(self, process: Process, why: str) -> None:
        self.log_tail = process.tail()
        super().__init__(f"{process.name} {why}. The end of {process.log}:\n{self.log_tail}")

    @property
    def is_clash(self) -> bool:
        """Whether other ports would help."""
        return any(mark in self.log_tail.lower() for mark in CLASH_MARKS)


async def until_ready(
    process: Process, is_ready: Callable[[], Awaitable[bool]], limit_s: float = READY_LIMIT_S, poll_s: float = POLL_S
) -> None:
    """Raises StartError where it ends or stays silent."""
    try:
        async with asyncio.timeout(limit_s):
            # Another process sets no event of ours, so it is polled.
            while process.is_running and not await is_ready():  # noqa: ASYNC110
                await asyncio.sleep(poll_s)
    except TimeoutError:
        raise StartError(process, f"was not ready within {limit_s:g} s") from None
    if not process.is_running:
        raise StartError(process, "ended at once")


class Fleet:
    """Use as `async with Fleet(stage) as fleet`: nothing outlives the block."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.agents = {name: agent_process(stage, name) for name in AGENTS}
        self.sidecars = {name: sidecar_process(stage, name) for name in AGENTS}
        self.verifiers = {name: verifier_process(stage, name) for name in VERIFIERS}

    async def __aenter__(self) -> Fleet:
        return self

    async def __aexit__(self, *_: object) -> None:
        everyone = (*self.agents.values(), *self.sidecars.values(), *self.verifiers.values())
        await asyncio.gather(*(process.stop() for process in everyone))

    async def start(self, told: Told) -> None:
        """Start everything at once and wait until each is ready. Raises StartError."""
        work = [self._start_agent(name, told) for name in AGENTS]
        work += [self._start_sidecar(name, told) for name in AGENTS]
        work += [self._start_verifier(name, told) for name in VERIFIERS]
        tasks = [asyncio.create_task(start) for start in work]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def kill_agent(self, name: str) -> None:
        await self.agents[name].kill()

    async def restart_agent(self, name: str) -> None:
        """Start it again at the same address. Raises StartError."""
        await self._start_agent(name, lambda _name, _address: None)

    async def kill_verifier(self, name: str) -> None:
        await self.verifiers[name].kill()

    async def restart_verifier(self, name: str) -> None:
        """Start it again at the same address. Raises StartError."""
        await self._start_verifier(name, lambda _name, _address: None)

    def calls_received(self, name: str) -> int:
        """How many messages the agent says it received: its own log, of which no sidecar knows."""
        return self.logged(name, "received message ")

    def logged(self, name: str, words: str) -> int:
        """How often the agent's own log has these words."""
        return self.agents[name].log.read_text(encoding="utf-8").count(words)

    async def _start_agent(self, name: str, told: Told) -> None:
        address = self.stage.agent(name)
        await self._start(self.agents[name], lambda: is_connectable(address))
        told(name, address)

    async def _start_sidecar(self, name: str, told: Told) -> None:
        await self._start(self.sidecars[name], lambda: pages.is_ready(self.stage.metrics(name)))
        told(f"{name}'s sidecar", self.stage.sidecar(name))

    async def _start_verifier(self, name: str, told: Told) -> None:
        address = self.stage.verifier(name)
        await self._start(self.verifiers[name], lambda: is_connectable(address))
        told(name, address)

    async def _start(self, process: Process, is_ready: Callable[[], Awaitable[bool]]) -> None:
        await process.start()
        await until_ready(process, is_ready)


def agent_process(stage: Stage, name: str) -> Process:
    peers = [flag for peer in PEERS[name] for flag in ("--peer", f"{peer}={stage.way_out(name, peer)}")]
    arguments = [sys.executable, "-m", f"examples.agents.{name}", "--listen", stage.agent(name), *peers]
    return Process(name, arguments, stage.log(name), stage.root)


def sidecar_process(stage: Stage, name: str) -> Process:
    arguments = [sys.executable, "-m", "sidecar", "run", "--config", str(stage.config(name))]
    return Process(f"{name}'s sidecar", arguments, stage.log(f"{name}-sidecar"), stage.root)


def verifier_process(stage: Stage, name: str) -> Process:
    arguments = [sys.executable, "-m", f"verifiers.{name}", "--listen", stage.verifier(name), "--metrics", "off"]
    return Process(name, arguments, stage.log(name), stage.root)


async def is_connectable(address: str) -> bool:
    """Whether somebody there speaks HTTP/2: a connection that comes up, and no call."""
    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            async with asyncio.timeout(1.0):
                await channel.channel_ready()
        except TimeoutError:
            return False
    return True
