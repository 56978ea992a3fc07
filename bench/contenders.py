"""Who stands in the middle: a bare proxy of each kind, Envoy, and the sidecar in several configurations."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.processes import Process, free_port

ROOT: Final = Path(__file__).parent.parent

BASE: Final = "bare unary proxy"
"""What all others are compared with."""

DEFAULT: Final = "sidecar, default"
JOURNALED: Final = "sidecar, default, journal"
GUARDED: Final = "sidecar, every guard"
GUARDED_REDIS: Final = "sidecar, every guard, Redis"

LOOPS: Final = "sidecar, loops off"
LOOPS_OFF: Final = "loops: false"

GUARDS: Final = """
loops: {mode: enforce}
idempotency: {wait: 30s}
tasks: {stuck_after: 10m}
budgets:
  - {name: a-conversation, scope: conversation, limit_usd: 1000}
  - {name: a-day, scope: agent, limit_usd: 1000000, window: day}
prices: {models: [{name: bench-model, input_usd_per_mtok: 1, output_usd_per_mtok: 3}]}
pressure:
  limits: [{callee: callee, concurrency: 10000, rate: 10000/s}]
  retries: {ratio: 0.2, minimum: 3, window: 10s}
  breaker: {failures: 5}
  deadlocks: {agents: [{name: callee, serves: 1000}], mode: enforce}
"""
"""Every guard at work, with limits that nothing here reaches."""


@dataclass(slots=True)
class Contender:
    """One process in the middle, and what it cost so far."""

    process: Process
    metrics: int | None = None
    """Port of its metrics; None where it is no sidecar."""
    cpu_us: list[float] = field(default_factory=list)
    """CPU microseconds per call, a figure a round."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Ports of what stands around them."""

    callee: int
    sink: int


@dataclass(frozen=True, slots=True)
class Field:
    """Which contenders there are."""

    redis: str | None = None
    """URL of a Redis; None: the row is left out."""
    against: Path | None = None
    """Another checkout whose sidecar runs beside ours."""
    only: str = ""
    """What the names of contenders must hold, but for the one that all are compared with."""

    def has(self, name: str) -> bool:
        return name == BASE or self.only in name


def sidecar_config(path: Path, listen: int, metrics: int, around: Neighbours, contract: str, more: str) -> Path:
    path.write_text(
        f"""
agent: callee
mode: enforce
routes:
  - name: inbound
    listen: "127.0.0.1:{listen}"
    upstream: "127.0.0.1:{around.callee}"
    caller: bench
    callee: callee
descriptors: ["{ROOT}/specs/a2a/a2a_v1.binpb"]
specs: ["{ROOT}/bench/{contract}"]
metrics: {{listen: "127.0.0.1:{metrics}"}}
tracing: {{exporter: otlp, protocol: grpc, endpoint: "http://127.0.0.1:{around.sink}"}}
{more}
""",
        encoding="utf-8",
    )
    return path


def envoy_config(path: Path, listen: int, upstream: int) -> Path:
    path.write_text(
        f"""
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {listen}}}}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: hop
          codec_type: HTTP2
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: callee, timeout: 0s}}}}]}}
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: callee
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{http2_protocol_options: {{}}}}
    load_assignment:
      cluster_name: callee
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
""",
        encoding="utf-8",
    )
    return path


class Builder:
    """Starts contenders whose files are in one folder."""

    def __init__(self, folder: Path, around: Neighbours) -> None:
        self._folder = folder
        self._around = around

    def bare(self, name: str, role: str) -> Contender:
        port = free_port()
        command = ["-m", "bench.peers", role, "--listen", str(port), "--upstream", str(self._around.callee)]
        return Contender(self._process(name, [sys.executable, *command], port))

    def envoy(self) -> Contender:
        port = free_port()
        config = envoy_config(self._folder / "envoy.yaml", port, self._around.callee)
        envoy = str(Path(sys.executable).parent / "envoy")
        options = ["--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id"]
        return Contender(self._process("envoy", [envoy, "-c", str(config), *options], port))

    def sidecar(self, name: str, contract: str = "contract", more: str = "", cwd: Path | None = None) -> Contender:
        port, metrics = free_port(), free_port()
        config = sidecar_config(self._folder / f"{name}.yaml", port, metrics, self._around, contract, more)
        command = [sys.executable, "-m", "sidecar", "run", "-c", str(config)]
        return Contender(self._process(name, command, port, cwd), metrics)

    def _process(self, name: str, command: Sequence[str], port: int, cwd: Path | None = None) -> Process:
        env = {"PYTHONPATH": str(cwd or ROOT)}
        return Process(name, command, port, self._folder / f"{name}.log", env, cwd or ROOT)

    def guarded(self, name: str, store: str = "memory://", cwd: Path | None = None) -> Contender:
        return self.sidecar(name, "guarded", f'{GUARDS}store: "{store}"\n', cwd)

    def all(self, field: Field) -> Iterator[Contender]:
        """Those that are wanted; no other is started."""
        wanted: list[tuple[str, Callable[[str], Contender]]] = [
            (BASE, lambda name: self.bare(name, "bare-unary")),
            ("bare stream proxy", lambda name: self.bare(name, "bare-stream")),
            ("envoy", lambda _: self.envoy()),
            (LOOPS, lambda name: self.sidecar(name, more=LOOPS_OFF)),
            (DEFAULT, self.sidecar),
            (JOURNALED, lambda name: self.sidecar(name, more=f'journal: "sqlite://{self._folder}/journal.db"')),
            (GUARDED, self.guarded),
        ]
        if (redis := field.redis) is not None:
            wanted.append((GUARDED_REDIS, lambda name: self.guarded(name, redis)))
        if (other := field.against) is not None:
            wanted += [
                ("other: loops off", lambda name: self.sidecar(name, more=LOOPS_OFF, cwd=other)),
                ("other: default", lambda name: self.sidecar(name, cwd=other)),
                ("other: every guard", lambda name: self.guarded(name, cwd=other)),
            ]
            if redis is not None:
                wanted.append(("other: every guard, Redis", lambda name: self.guarded(name, f"{redis[:-1]}1", other)))
        for name, start in wanted:
            if field.has(name):
                yield start(name)


@contextmanager
def callee_and_sink(folder: Path) -> Iterator[Neighbours]:
    around = Neighbours(free_port(), free_port())
    roles = {"callee": around.callee, "sink": around.sink}
    peers = [sys.executable, "-m", "bench.peers"]
    processes = [
        Process(role, [*peers, role, "--listen", str(port)], port, folder / f"{role}.log", cwd=ROOT)
        for role, port in roles.items()
    ]
    with running(processes):
        yield around


@contextmanager
def running(processes: Sequence[Process]) -> Iterator[None]:
    """Wait until they listen; stop them at the end."""
    try:
        for process in processes:
            process.wait_until_it_listens()
        yield
    finally:
        for process in processes:
            process.stop()
