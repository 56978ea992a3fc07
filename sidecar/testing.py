"""For tests, ours and yours: time that stands still, ids that can be foreseen, and a real sidecar in this process."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sidecar.app import App
from sidecar.config import parse
from sidecar.engine.exchange import Outcome, Side
from sidecar.engine.ports import Check, Clock, Ids, Reporter, Sampler


class ManualClock(Clock):
    """Time passes when the test says so."""

    def __init__(self, start_unix_s: float = 1_700_000_000.0) -> None:
        self._elapsed_ns = 0
        self._start_unix_ns = int(start_unix_s * 1e9)

    def advance(self, seconds: float) -> None:
        self._elapsed_ns += int(seconds * 1e9)

    def monotonic_ns(self) -> int:
        return self._elapsed_ns

    def unix_ns(self) -> int:
        return self._start_unix_ns + self._elapsed_ns

    async def sleep(self, seconds: float) -> None:
        """Time passes at once, and whoever else is ready goes first."""
        self.advance(seconds)
        await asyncio.sleep(0)


class CountingIds(Ids):
    """1, 2, 3: ids in the order in which they were asked for."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def trace_id(self) -> str:
        return f"{next(self._numbers):032x}"

    def span_id(self) -> str:
        return f"{next(self._numbers):016x}"

    def exchange_id(self) -> str:
        return f"exchange-{next(self._numbers)}"


class EveryTrace(Sampler):
    """Follows the parent, and records every root."""

    def is_sampled(self, trace_id: str, parent_is_sampled: bool | None, method: str, side: Side) -> bool:  # noqa: ARG002
        return parent_is_sampled is not False


class Outcomes(Reporter):
    """Keeps every ended exchange."""

    def __init__(self) -> None:
        self.all: list[Outcome] = []

    def exchange_ended(self, outcome: Outcome) -> None:
        self.all.append(outcome)


@dataclass(frozen=True, slots=True)
class RunningSidecar:
    """A sidecar that serves in this process."""

    app: App
    outcomes: list[Outcome]
    """Exchanges that have ended, oldest first."""

    @property
    def address(self) -> str:
        """Where callers connect: the first route's address."""
        return self.app.routes[0].listener.address

    @property
    def admin_address(self) -> str:
        """Where operators connect, where `admin` was configured."""
        return self.app.admin_address

    @property
    def metrics_url(self) -> str:
        return f"http://{self.app.metrics_address}/metrics"


@asynccontextmanager
async def running_sidecar(
    upstream: str,
    *,
    mode: str = "observe",
    listen: str = "127.0.0.1:0",
    agent: str = "callee",
    listen_tls: Mapping[str, str] | None = None,
    upstream_tls: Mapping[str, str] | None = None,
    descriptors: Sequence[str | Path] = (),
    specs: Sequence[str | Path] = (),
    route: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    reporters: Sequence[Reporter] = (),
    checks: Sequence[Check] = (),
    clock: Clock | None = None,
    **config: Any,
) -> AsyncIterator[RunningSidecar]:
    """A real sidecar with one route, inbound unless `route` says otherwise. `config` holds further root keys.

    It goes the way of a configuration file, so a mistake here raises the ConfigError that a user would see.
    """
    tls = {"listen_tls": listen_tls, "upstream_tls": upstream_tls}
    first = {"listen": listen, "upstream": upstream, **{key: dict(value) for key, value in tls.items() if value}}
    tree = {
        "agent": agent,
        "mode": mode,
        "routes": [{**first, **(route or {})}],
        "descriptors": [str(descriptor) for descriptor in descriptors],
        "specs": [str(spec) for spec in specs],
        "tracing": {"exporter": "none"},
        "metrics": {"listen": "127.0.0.1:0"},
        "admin": False,
        "drain": {"timeout": "1s"},
        **config,
    }
    variables = dict(os.environ if environ is None else environ)
    outcomes = Outcomes()
    parsed = parse(yaml.safe_dump(tree), name="testing", base=Path.cwd(), environ=variables)
    app = App(parsed, environ=variables, clock=clock, reporters=[outcomes, *reporters], checks=checks)
    await app.start()
    try:
        yield RunningSidecar(app, outcomes.all)
    finally:
        await app.drain()
