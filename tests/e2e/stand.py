"""Where everything stands that one run needs: the world, and the monitoring around it, up and taken down again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from sidecar.demo.process import Process
from sidecar.demo.stage import free_addresses
from tests.e2e import template
from tests.e2e.life import Watch
from tests.e2e.monitoring import SHIPPED_ROUTES, Alertmanager, Prometheus, quick_routes
from tests.e2e.template import AlertRule
from tests.e2e.webhook import Webhook
from tests.e2e.world import Tell, Worker, World

WARM_UP_S = 10.0
"""From Prometheus' first scrape until something is claimed: a rate needs two samples, and first calls are slow ones."""


@dataclass(frozen=True, slots=True)
class Stand:
    """All that a phase of the run has at hand."""

    world: World
    prometheus: Prometheus
    webhook: Webhook
    watch: Watch
    rules: list[AlertRule]


@asynccontextmanager
async def stand(root: Path, folder: Path, factor: float, tell: Tell) -> AsyncIterator[Stand]:
    """Everything on free ports of 127.0.0.1. Raises StartError where something would not start."""
    files = template.generated(root, factor, folder / "rules")
    with Webhook() as webhook:
        async with World(root, folder) as world:
            tell("starting the demo's fleet")
            await world.start(tell)
            world.name_targets(world.targets())
            prometheus, manager = monitoring(root, folder, factor, world, files, webhook)
            tell("starting Prometheus and Alertmanager")
            async with running(manager), running(prometheus), Watch(prometheus, manager, webhook) as watch:
                yield Stand(world, prometheus, webhook, watch, template.alerts_in(files))


def monitoring(
    root: Path, folder: Path, factor: float, world: World, files: list[Path], webhook: Webhook
) -> tuple[Prometheus, Alertmanager]:
    shipped = yaml.safe_load((root / SHIPPED_ROUTES).read_text(encoding="utf-8"))
    prometheus_address, manager_address = free_addresses(2)
    manager = Alertmanager(folder, manager_address, quick_routes(shipped, factor, webhook.url))
    return Prometheus(folder, prometheus_address, world.targets_file, files, manager_address), manager


class Server(Protocol):
    """What Prometheus and Alertmanager have in common."""

    process: Process

    async def start(self) -> None: ...

    async def is_ready(self) -> bool: ...


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[None]:
    await server.start()
    try:
        await Worker(server.process, server.is_ready).until_ready()
        yield
    finally:
        await server.process.stop()
