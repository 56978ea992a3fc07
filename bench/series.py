"""Series, scrapes and memory of one sidecar that sees a whole fleet: `python -m bench.series [--max-series 5000]`.

50 agents call each other on 2,500 edges, some calls fail and some break a rule, 200 verifiers judge, loops, duplicates,
tasks, budgets and models have all labels they can have. On top of it callers that nobody knows come with each round,
as fast as names can be made up. Exchanges go through the engine, everything else through the reporters that a sidecar
has; the page is read over HTTP by another process, as Prometheus reads it: OpenMetrics with exemplars, compressed.

It ends with 1 where a metric has more series than docs/metrics.md says, where a scrape takes a second, or where memory
grows once all names are known.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import gzip
import multiprocessing
import os
import statistics
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise, product
from pathlib import Path
from typing import Any, get_args

from sidecar.engine.costs import BudgetEvent, Cost, Source, Waste
from sidecar.engine.exchange import Arrival, Mode, Origin, Peer, Route, Side, Status
from sidecar.engine.finding import Action, Finding, Severity
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.ports import Check
from sidecar.engine.state.ledger import Balance, Purse
from sidecar.engine.state.tasks import Census
from sidecar.engine.usage import Usage
from sidecar.engine.verdict import Failure, Opinion, Value
from sidecar.stores.memory import open_memory
from sidecar.system import RandomIds, SystemClock
from sidecar.telemetry.breaker_gauge import BreakerGauge
from sidecar.telemetry.duplicate_metrics import DuplicateMetrics
from sidecar.telemetry.families import SERIES_LIMIT
from sidecar.telemetry.journal_metrics import JournalMetrics
from sidecar.telemetry.loop_metrics import LoopMetrics
from sidecar.telemetry.methods import KnownMethods
from sidecar.telemetry.metrics import MetricsReporter
from sidecar.telemetry.metrics_server import MetricsServer
from sidecar.telemetry.money_metrics import MoneyMetrics
from sidecar.telemetry.names import METRICS, Metric
from sidecar.telemetry.panel_metrics import PanelMetrics
from sidecar.telemetry.pressure_metrics import PressureMetrics
from sidecar.telemetry.store_metrics import StoreMetrics
from sidecar.telemetry.task_metrics import STATES_MAX, TaskMetrics
from sidecar.telemetry.version_metrics import VersionMetrics
from sidecar.testing import EveryTrace

AGENTS = [f"agent-{number}" for number in range(50)]
VERIFIERS = [f"verifier-{number}" for number in range(200)]
BUDGETS = [f"budget-{number}" for number in range(20)]
MODELS = [f"model-{number}" for number in range(40)]
STATES = [f"TASK_STATE_{number}" for number in range(STATES_MAX)]
RESOURCES = [f"resource-{number}" for number in range(100)]
METHOD = "/lf.a2a.v1.A2AService/SendMessage"
STRANGERS = 500
"""Callers in each round that were never seen before."""

SCRAPE_LIMIT_S = 1.0
GROWTH_LIMIT_MIB = 8.0
"""In the second half of the rounds: in the first, names fill what every metric has room for."""
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


class NoSpecs:
    """No contract is in force."""

    def match(self, caller: str, callee: str, method: str) -> None:
        """Never any."""


class Complains(Check):
    """Finds something on every fourth call, in observe."""

    name = "spec"

    def on_message(self, _exchange: Any, message: Message) -> list[Finding]:
        rule = message.payload[0]
        return [Finding("spec", f"rule-{rule}", Severity.ERROR, "not as agreed")] if rule < 4 else []


class Fleet:
    """The reporters of one sidecar, and what all the fleet does to them."""

    def __init__(self, max_series: int = SERIES_LIMIT) -> None:
        clock = SystemClock()
        methods = KnownMethods()
        methods.configure([METHOD])
        self.metrics = MetricsReporter(clock=clock, methods=methods, series_limit=max_series)
        self.registry = self.metrics.registry
        breakers = BreakerGauge(self.registry)
        self._money = MoneyMetrics(self.registry, dict.fromkeys(BUDGETS, "agent"), max_series)
        self._panel = PanelMetrics(self.registry, VERIFIERS, max_series, breakers, spent=self._money.cost_settled)
        self._pressure = PressureMetrics(breakers, AGENTS)
        self._loops = LoopMetrics(self.registry, max_series)
        self._duplicates = DuplicateMetrics(self.registry, max_series)
        self._tasks = TaskMetrics(self.registry, max_series)
        self._versions = VersionMetrics(self.registry, max_series)
        self._store = StoreMetrics(self.registry, max_series, ["redis"])
        self.metrics.watch_quarantine(lambda: dict.fromkeys(("agent", "edge", "conversation", "task"), 0))
        JournalMetrics(self.registry, ["sqlite", "jsonl", "otlp", "redis"], max_series)
        lineage = LineageKeeper(
            clock=clock, ids=RandomIds(), sampler=EveryTrace(), store=open_memory(clock).conversations
        )
        self._engine = Engine(
            clock=clock, lineage=lineage, specs=NoSpecs(), checks=[Complains()], reporters=[self.metrics]
        )
        self._routes = [Route("inbound", Side.INBOUND, "_unknown", agent, Mode.OBSERVE) for agent in AGENTS]
        self._strangers = 0

    async def round(self) -> int:
        """Each edge is called once, and strangers call as well; then all that is no call. Returns the calls."""
        calls = 0
        for route, (number, caller) in product(self._routes, enumerate(AGENTS)):
            await self._call(route, caller, number)
            calls += 1
        for number in range(STRANGERS):
            self._strangers += 1
            await self._call(self._routes[number % len(AGENTS)], f"stranger-{self._strangers}", number)
            calls += 1
        self.beside()
        return calls

    async def _call(self, route: Route, caller: str, number: int) -> None:
        trace = f"00-{hash((route.callee, caller)) & (2**128 - 1) | 1:032x}-{1:016x}-01"
        arrival = Arrival(route, METHOD, (("traceparent", trace),), Peer("ipv4:127.0.0.1:1", identity=caller))
        exchange = await self._engine.start(arrival)
        await self._engine.message(exchange, Message(Direction.REQUEST, 0, bytes([number % 16])))
        await self._engine.message(exchange, Message(Direction.RESPONSE, 0, b"\xff" * 64))
        code = "UNAVAILABLE" if number % 10 == 0 else "OK"
        await self._engine.end(exchange, Status(code, "", Origin.UPSTREAM))

    def beside(self) -> None:
        """What checks, verifiers, the store and the sweep tell their reporters."""
        for verifier, value in product(VERIFIERS, Value):
            opinion = Opinion(verifier, value, duration_s=0.2)
            self._panel.opinion_given(opinion)
            self._panel.dissented(opinion)
        for verifier, failure in product(VERIFIERS, Failure):
            self._panel.opinion_given(Opinion(verifier, Value.INCONCLUSIVE, failure=failure))
        for agent, model in product(AGENTS, MODELS):
            self._money.cost_settled(agent, Cost(1_000, Source.UNKNOWN, Usage(model, 100, 10)))
        for caller, callee in product(AGENTS, AGENTS):
            self._money.edge_charged(caller, callee, 1_000)
            self._loops.past_limit("repeats", caller, callee, Action.OBSERVED)
            self.metrics.retries.series(caller, callee).add()
        for waste in Waste:
            self._money.money_wasted(waste, 1_000)
        for budget in BUDGETS:
            for event in get_args(BudgetEvent):
                self._money.budget_event(budget, event)
            self._money.budget_stands(budget, 10**6, [Balance(Purse(budget, ""), 0, 500_000, 0, 10**6)])
        for agent in AGENTS:
            self._tasks.tasks_counted(agent, Census(dict.fromkeys(STATES, 3), 1))
            for outcome in ("replayed", "waited", "in_flight", "conflict", "unknown", "not_kept", "observed"):
                self._duplicates.duplicate_found(agent, outcome)
            for origin in ("below", "above", "grpc", "unknown"):
                self._duplicates.retry_seen(agent, origin, is_near_deadline=True)
            self.metrics.shed(agent, "concurrency")
            for before, after in pairwise(STATES):
                self._tasks.task_moved(agent, before, after, is_legal=True)
        for resource in RESOURCES:
            self._versions.read_was_stale(resource)
            self._versions.update_was_lost(resource)
            self._panel.engines_compared(resource, False)
        self.metrics.fail_open("verification", "unreachable")
        self._store.verb_failed("redis", "claim")
        self._store.store_left("redis")
        self._store.store_forgot("redis", "all")


def bounds(max_series: int) -> dict[str, int]:
    """Series that each metric may have at most, here: what docs/metrics.md says, with this fleet's numbers put in."""
    words = {
        "one a callee": len(AGENTS),
        "one a budget": len(BUDGETS),
        "one a budget, and 1": len(BUDGETS) + 1,
        f"{STATES_MAX} a callee": STATES_MAX * len(AGENTS),
        "one a verifier and callee": len(VERIFIERS) + len(AGENTS),
        "1": 1,
        "4": 4,
    }
    return {
        metric.name: words[metric.bound] if metric.bound else metric.samples_each * (max_series + 1)
        for metric in METRICS
    }


def counted(page: str) -> Counter[str]:
    """Series of each metric of ours on a page, by the metric's name."""
    found: Counter[str] = Counter()
    for line in page.splitlines():
        if line.startswith("sidecar_"):
            found[line[: min(line.index("{"), line.index(" ")) if "{" in line else line.index(" ")]] += 1
    return Counter({metric.name: sum(found[name] for name in sample_names(metric)) for metric in METRICS})


def sample_names(metric: Metric) -> Iterator[str]:
    yield metric.name
    if metric.kind == "histogram":
        yield from (f"{metric.name}_{part}" for part in ("bucket", "count", "sum"))


def too_many(found: Counter[str], max_series: int) -> list[str]:
    """A line for each metric that has more series than it may."""
    return [
        f"{name}: {found[name]} series, {most} allowed"
        for name, most in bounds(max_series).items()
        if found[name] > most
    ]


def scraped(address: str) -> tuple[str, float]:
    """The page, and the seconds until its last byte."""
    headers = {"Accept": OPENMETRICS, "Accept-Encoding": "gzip"}
    request = urllib.request.Request(f"http://{address}/metrics", headers=headers)
    began_s = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as page:
        body = page.read()
    took_s = time.perf_counter() - began_s
    return gzip.decompress(body).decode(), took_s


def looked_at(address: str) -> tuple[Counter[str], float, float]:
    """A scrape as the process of a scraper does it: series of each metric, MiB of the page, seconds."""
    page, took_s = scraped(address)
    return counted(page), len(page) / 2**20, took_s


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def measure(max_series: int, rounds: int) -> int:
    fleet = Fleet(max_series)
    server = MetricsServer(fleet.registry, "127.0.0.1:0")
    address = server.start()
    times_s, sizes_mib, calls = [], [], 0
    found: Counter[str] = Counter()
    print(f"{len(AGENTS)} agents, {len(AGENTS) ** 2} edges, {len(VERIFIERS)} verifiers, max_series {max_series}\n")
    print(f"{'calls':>8}{'series':>9}{'page MiB':>10}{'scrape ms':>11}{'CPU ms':>8}{'RSS MiB':>9}")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as scraper:
        for _ in range(rounds):
            calls += await fleet.round()
            before_s = time.process_time()
            asked = asyncio.get_running_loop().run_in_executor(scraper, looked_at, address)
            found, page_mib, took_s = await asked
            cpu_s = time.process_time() - before_s
            gc.collect()
            times_s.append(took_s)
            sizes_mib.append(rss_mib())
            taken = f"{took_s * 1e3:>11.0f}{cpu_s * 1e3:>8.0f}"
            print(f"{calls:>8}{sum(found.values()):>9}{page_mib:>10.1f}{taken}{sizes_mib[-1]:>9.0f}", flush=True)
    server.stop()
    print_metrics(found, max_series)
    return verdict(too_many(found, max_series), times_s, sizes_mib)


def print_metrics(found: Counter[str], max_series: int) -> None:
    limits = bounds(max_series)
    print(f"\n{'metric':<40}{'series':>9}{'bound':>9}")
    for name, count in found.most_common():
        print(f"{name:<40}{count:>9}{limits[name]:>9}")
    print(f"{'all':<40}{sum(found.values()):>9}{sum(limits.values()):>9}")


def verdict(over: list[str], times_s: list[float], sizes_mib: list[float]) -> int:
    """0, or 1 with the reasons."""
    scrape_s, growth_mib = statistics.median(times_s), sizes_mib[-1] - sizes_mib[len(sizes_mib) // 2]
    reasons = list(over)
    if scrape_s > SCRAPE_LIMIT_S:
        reasons.append(f"a scrape takes {scrape_s:.2f} s, {SCRAPE_LIMIT_S} s allowed")
    if growth_mib > GROWTH_LIMIT_MIB:
        reasons.append(f"memory grew by {growth_mib:.1f} MiB in the second half, {GROWTH_LIMIT_MIB} MiB allowed")
    print(f"\nmedian scrape {scrape_s * 1e3:.0f} ms; memory {growth_mib:+.1f} MiB in the second half")
    print("\n".join(reasons) or "within all bounds")
    return 1 if reasons else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-series", type=int, default=SERIES_LIMIT, help="label sets of a metric (%(default)s)")
    parser.add_argument("--rounds", type=int, default=24, help="lines of the table (%(default)s)")
    options = parser.parse_args()
    raise SystemExit(asyncio.run(measure(options.max_series, options.rounds)))


if __name__ == "__main__":
    main()
