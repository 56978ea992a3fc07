"""The world of one run: the demo's fleet, the posts, what they lean on, and the monitoring, all on 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sidecar.demo.fleet import Fleet, is_connectable, until_ready
from sidecar.demo.pages import is_ready
from sidecar.demo.process import Process
from sidecar.demo.stage import AGENTS, Stage, filled_template, free_addresses, names_of_addresses, write_key
from tests.e2e import configs, model
from tests.e2e.collector import Collector
from tests.e2e.posts import POSTS, Post
from tests.e2e.slow_line import SlowLine

READY_LIMIT_S = 120.0
"""From start to ready. Fifty interpreters start at once, perhaps on two busy cores."""

POLL_S = 0.2

TOLD_EVERY = 20
"""Processes that got ready between two lines about it."""

REDISES = ("depot_redis", "cellar_redis", "quay_server")
"""Each is one post's own. The quay reaches its by a line that can be made slow, whose end is `quay_redis`."""

STARTING_AT_ONCE = 6
"""Processes that start side by side: more of them would only take turns on two cores."""

Tell = Callable[[str], None]
"""Hears what is being waited for, in one line."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process of the world, and how one sees that it serves."""

    process: Process
    is_ready: Callable[[], Awaitable[bool]]

    async def start(self) -> None:
        """Start it and wait until it serves. Raises StartError."""
        await self.process.start()
        await self.until_ready()

    async def until_ready(self) -> None:
        """Raises StartError where it ends or stays silent."""
        await until_ready(self.process, self.is_ready, READY_LIMIT_S, POLL_S)


class World:
    """Everything that runs, by name. Use as `async with World(root, folder) as world`, then `world.start(tell)`."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.posts = {post.name: post for post in POSTS}
        self.sinks = {"sink": Collector(), "courier_sink": Collector()}
        self.workers: dict[str, Worker] = {}
        """By name: `clerk`, `clerk_sidecar`, `editor_grounding`, `depot_redis`. The demo's own are in `fleet`."""
        self._house_keeping = AsyncExitStack()

    async def __aenter__(self) -> World:
        for sink in self.sinks.values():
            await self._house_keeping.enter_async_context(sink)
        self.model = self._house_keeping.enter_context(model.Model())
        names = [*names_of_addresses(), *own_addresses()]
        addresses = dict(zip(names, free_addresses(len(names)), strict=True))
        self.line = await self._house_keeping.enter_async_context(SlowLine(addresses["quay_server"]))
        addresses["quay_redis"] = self.line.address
        self.stage = Stage(self.root, self.folder, MappingProxyType(addresses))
        self._write_configs()
        self.fleet = await self._house_keeping.enter_async_context(Fleet(self.stage))
        self._man()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(worker.process.stop() for worker in self.workers.values()))
        await self._house_keeping.aclose()

    def _write_configs(self) -> None:
        write_key(self.folder / "lineage.key")
        for agent in AGENTS:
            text = filled_template(self.stage, agent, self.sinks["sink"].address)
            self.stage.config(agent).write_text(text, encoding="utf-8")
        for post in POSTS:
            configs.write(self.stage, post, self.sinks[post.sink].address)

    def _man(self) -> None:
        """A worker for every process that is not the demo's."""
        for name in REDISES:
            self.workers[name] = self._redis(name)
        for post in POSTS:
            self.workers |= {f"{post.name}_{program}": self._verifier(post, program) for program in post.verifiers}
            self.workers[post.name] = self._agent(post)
            self.workers[f"{post.name}_sidecar"] = self._sidecar(post)

    def _agent(self, post: Post) -> Worker:
        address = self.stage.agent(post.name)
        peers = [flag for peer in post.peers for flag in ("--peer", f"{peer}={self.stage.way_out(post.name, peer)}")]
        return self._python(post.name, f"examples.agents.{post.program}", address, peers)

    def _verifier(self, post: Post, program: str) -> Worker:
        name = f"{post.name}_{program}"
        flags = self._judges_flags() if program == "judge" else []
        return self._python(name, f"verifiers.{program}", self.stage.verifier(name), ["--metrics", "off", *flags])

    def _judges_flags(self) -> list[str]:
        rubric, prices = self.folder / "rubric.txt", self.folder / "prices.json"
        rubric.write_text(model.RUBRIC, encoding="utf-8")
        prices.write_text(json.dumps(model.PRICES), encoding="utf-8")
        what = ("--endpoint", self.model.endpoint, "--model", model.NAME)
        return [*what, "--rubric", str(rubric), "--prices", str(prices)]

    def _python(self, name: str, module: str, address: str, flags: Sequence[str]) -> Worker:
        arguments = [sys.executable, "-m", module, "--listen", address, *flags]
        return Worker(self._process(name, arguments), lambda: is_connectable(address))

    def _sidecar(self, post: Post) -> Worker:
        config = str(configs.path_of(self.stage, post, "sidecar"))
        process = self._process(f"{post.name}_sidecar", [sys.executable, "-m", "sidecar", "run", "--config", config])
        return Worker(process, lambda: is_ready(self.stage.metrics(post.name)))

    def _redis(self, name: str) -> Worker:
        host, _, port = self.stage.addresses[name].rpartition(":")
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        arguments = ["redis-server", "--bind", host, "--port", port, "--dir", str(folder), "--appendonly", "yes"]
        return Worker(self._process(name, arguments), lambda: is_open(host, int(port)))

    def _process(self, name: str, arguments: Sequence[str]) -> Process:
        return Process(name, arguments, self.stage.log(name), self.root)

    async def start(self, tell: Tell) -> None:
        """Start the demo's fleet, then all else, a few at a time. Raises StartError."""
        await self.fleet.start(lambda _name, _address: None)
        tell(f"the demo's fleet is ready; {len(self.workers)} processes more")
        places, ready = asyncio.Semaphore(STARTING_AT_ONCE), list[Worker]()

        async def started(worker: Worker) -> None:
            async with places:
                await worker.start()
            ready.append(worker)
            if len(ready) % TOLD_EVERY == 0:
                tell(f"{len(ready)} of {len(self.workers)} more are ready")

        await asyncio.gather(*(started(worker) for worker in self.workers.values()))

    def targets(self) -> list[str]:
        """Every metrics page there is to scrape."""
        return [self.stage.metrics(name) for name in (*AGENTS, *self.posts)]

    @property
    def targets_file(self) -> Path:
        """Where Prometheus reads what there is to scrape."""
        return self.folder / "targets.json"

    def name_targets(self, addresses: Sequence[str]) -> None:
        """In one step, so that nobody reads half of it."""
        written = self.targets_file.with_suffix(".new")
        written.write_text(json.dumps([{"targets": list(addresses)}]), encoding="utf-8")
        written.replace(self.targets_file)

    async def restart(self, name: str) -> None:
        await self.workers[name].start()

    @asynccontextmanager
    async def frozen(self, name: str) -> AsyncIterator[None]:
        """For as long as the block lasts, a process neither works nor ends: what a hung one looks like from outside."""
        pid = self.workers[name].process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def reconfigure(self, name: str, settings: Mapping[str, Any]) -> None:
        """Restart a post's sidecar with other settings, as an operator does who has changed its file."""
        post = replace(self.posts[name], settings={**self.posts[name].settings, **settings})
        configs.write(self.stage, post, self.sinks[post.sink].address)
        await self.workers[f"{name}_sidecar"].process.stop()
        await self.restart(f"{name}_sidecar")


def own_addresses() -> list[str]:
    names = [*REDISES]
    for post in POSTS:
        names += [post.name, f"{post.name}_sidecar", f"{post.name}_metrics"]
        names += [f"{post.name}_{program}" for program in post.verifiers]
        names += [f"{post.name}_to_{peer}" for peer in post.peers]
    return names


async def is_open(host: str, port: int) -> bool:
    """Whether somebody there takes connections."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
