"""Wire, start, drain: the only file that knows everyone.

What can be wrong in configuration, specs, descriptors and secrets is found before the first socket is bound. Then, in
this order: listeners bind, metrics are served, calls are served, files are watched. Draining goes the other way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.checks.budget import BudgetCheck, Standing, Terms, Till
from sidecar.checks.consistency import ConsistencyCheck
from sidecar.checks.idempotency import IdempotencyCheck
from sidecar.checks.loop import LoopCheck
from sidecar.checks.pressure import PressureCheck
from sidecar.checks.quarantine import QuarantineCheck
from sidecar.checks.spec import SpecCheck
from sidecar.checks.stream import StreamCheck
from sidecar.checks.task import TaskCheck, TaskSweep
from sidecar.checks.verification import VerificationCheck
from sidecar.config import Config, DescriptorKind, Route
from sidecar.engine.descriptors import Descriptors
from sidecar.engine.exchange import Exchange
from sidecar.engine.finding import Action, Finding
from sidecar.engine.guarding import Guards
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.pipeline import Engine
from sidecar.engine.ports import Check, Clock, Reporter
from sidecar.engine.state import Reach
from sidecar.engine.state.spool import Entry, Spool
from sidecar.errors import ConfigError, Mistake, UpstreamError
from sidecar.panel import VerifierPanel
from sidecar.prices import PriceSource
from sidecar.proxy.listener import Listener
from sidecar.proxy.passage import Way
from sidecar.proxy.reflection import reflect
from sidecar.proxy.room import Room, RoomLimits
from sidecar.proxy.upstream import Upstream
from sidecar.spec_files import SpecSource
from sidecar.stores.memory import open_memory
from sidecar.system import RandomIds, SystemClock
from sidecar.telemetry.breaker_gauge import BreakerGauge
from sidecar.telemetry.duplicate_metrics import DuplicateMetrics
from sidecar.telemetry.log_reporter import LogReporter
from sidecar.telemetry.loop_metrics import LoopMetrics
from sidecar.telemetry.methods import KnownMethods
from sidecar.telemetry.metrics import MetricsReporter
from sidecar.telemetry.metrics_server import MetricsServer
from sidecar.telemetry.money_metrics import MoneyMetrics
from sidecar.telemetry.panel_metrics import PanelMetrics
from sidecar.telemetry.pressure_metrics import PressureMetrics
from sidecar.telemetry.sampling import build_sampler
from sidecar.telemetry.span_record import limits_of
from sidecar.telemetry.spans import SpanReporter
from sidecar.telemetry.store_metrics import StoreMetrics
from sidecar.telemetry.task_metrics import TaskMetrics
from sidecar.telemetry.tracing import build_exporter, resolve, resource_of
from sidecar.telemetry.version_metrics import VersionMetrics
from sidecar.wiring import (
    COMPRESSIONS,
    budgets_of,
    idempotency_settings,
    lineage_settings,
    listen_settings,
    loop_ladder,
    open_spool,
    open_store,
    own_prices,
    pressure_settings,
    reach_of,
    series_limit,
    server_of,
    tracing_settings,
    upstream_settings,
    verifier_settings,
)

log = logging.getLogger(__name__)

FLUSH_LIMIT_S = 5.0
"""How long the last spans may take to leave."""

REFLECTION_LIMIT_S = 10.0
REFLECTION_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class ServedRoute:
    """One route at work."""

    config: Route
    listener: Listener
    upstream: Upstream
    descriptors: Descriptors


class App:
    """One sidecar process. Raises ConfigError, with every mistake, before it binds anything."""

    def __init__(
        self,
        config: Config,
        *,
        environ: Mapping[str, str],
        clock: Clock | None = None,
        reporters: Sequence[Reporter] = (),
        checks: Sequence[Check] = (),
    ) -> None:
        """`checks` are further ones, asked after ours; `reporters` watch beside ours."""
        self.config = config
        self.is_ready = False
        """Whether calls are served: false while starting and draining. Read from the metrics server's thread too."""
        clock = clock or SystemClock()
        self.descriptors = descriptors_by_route(config)
        self._methods = KnownMethods(self._is_described)
        self.metrics = MetricsReporter(clock=clock, methods=self._methods, series_limit=series_limit(config))
        verifiers = [verifier.name for verifier in config.verifiers]
        self._specs = SpecSource(config.specs, on_reload=self._specs_reloaded, verifiers=verifiers)
        self._spans = self._span_reporter(environ)
        self._logs = LogReporter(clock=clock, exchanges=config.log.exchanges)
        self._breakers = BreakerGauge(self.metrics.registry)
        self._panel_metrics = PanelMetrics(self.metrics.registry, verifiers, series_limit(config), self._breakers)
        self._panel = VerifierPanel(verifier_settings(config), clock=clock, reporter=self._panel_metrics)
        self.quarantine = QuarantineCheck(
            clock, cooldown_s=config.quarantine.cooldown_s, fail_open=self.metrics.fail_open
        )
        self.metrics.watch_quarantine("edge", lambda: self.quarantine.count)
        self._prices = PriceSource(config.prices.file, own_prices(config), on_reload=self._prices_reloaded)
        self._store = open_store(config, clock, StoreMetrics(self.metrics.registry, series_limit(config)))
        self._guards = Guards()
        self._task_metrics = TaskMetrics(self.metrics.registry, series_limit(config))
        self._sweep = self._task_sweep(clock)
        self._budgets = budgets_of(config)
        names = [budget.name for budget in self._budgets]
        self._money = MoneyMetrics(self.metrics.registry, names, series_limit(config))
        self._spool_file = open_spool(config, clock)
        self._spool = Spool(self._store.ledger, clock, self._spool_file, merged=self._merged)
        lineage = LineageKeeper(
            clock=clock,
            ids=RandomIds(),
            sampler=build_sampler(environ),
            store=self._store.conversations,
            settings=lineage_settings(config, environ),
        )
        self._engine = Engine(
            clock=clock,
            lineage=lineage,
            specs=self._specs,
            checks=[*self._checks_in_order(clock), *checks],
            guards=self._guards,
            reporters=[self.metrics, self._spans, self._logs, *reporters],
        )
        self._metrics_server: MetricsServer | None = None
        self.metrics_address = ""
        self.routes: list[ServedRoute] = []
        self._stopping = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []

    def describe_specs(self) -> list[str]:
        """A line for each spec in force, with what of it is not served yet."""
        return self._specs.describe()

    async def start(self) -> None:
        """Bind, then serve. Needs a running event loop."""
        try:
            self.routes = [self._route(route) for route in self.config.routes]
            for served in self.routes:
                served.listener.bind()
            self._start_metrics()
        except ConfigError:
            await self._close()
            raise
        await self._store.start()
        await self._start_money()
        self._spans.start()
        for served in self.routes:
            await served.listener.start()
        self._watch()
        self.is_ready = True

    async def drain(self) -> None:
        """Stop listening at once, let open calls finish within the limit, send the last spans."""
        self.is_ready = False
        limit_s = self.config.drain.timeout_s
        deadline_s = asyncio.get_running_loop().time() + limit_s
        await asyncio.gather(*(served.listener.drain(limit_s) for served in self.routes))
        await self._panel.drain(max(deadline_s - asyncio.get_running_loop().time(), 0.0))
        await self._close()

    async def _close(self) -> None:
        self._stopping.set()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(*(served.upstream.close() for served in self.routes))
        await self._spool.close()
        await self._store.close()
        if self._spool_file is not None:
            await self._spool_file.close()
        await asyncio.to_thread(self._spans.shutdown, FLUSH_LIMIT_S)
        if self._metrics_server is not None:
            await asyncio.to_thread(self._metrics_server.stop)
        self._logs.close()

    def _route(self, route: Route) -> ServedRoute:
        upstream = Upstream(upstream_settings(route))
        limits = RoomLimits(route.limits.streams, route.limits.buffered_total_bytes)
        way = Way(
            route=self.config.engine_route(route),
            engine=self._engine,
            upstream=upstream,
            room=Room(limits),
            default_deadline_s=route.deadline_s,
            wants_identity=route.listen_tls is not None and route.listen_tls.client_ca is not None,
            compression=COMPRESSIONS[route.compression.downstream],
        )
        descriptors = self.descriptors[route.name]
        return ServedRoute(route, Listener(listen_settings(route), way, descriptors), upstream, descriptors)

    def _start_metrics(self) -> None:
        if self.config.metrics is None:
            return
        address = str(self.config.metrics.listen)
        server = MetricsServer(self.metrics.registry, address, lambda: self.is_ready)
        try:
            self.metrics_address = server.start()
        except OSError as error:
            mistake = Mistake("metrics.listen", f"{address} ({error.strerror})", "an address that can be bound")
            raise ConfigError([mistake]) from error
        self._metrics_server = server

    def _watch(self) -> None:
        """What goes on beside the calls: the look for stuck tasks, spec files that change, reflection."""
        work: list[Coroutine[Any, Any, None]] = [self._sweep.run()]
        if self.config.specs:
            work.append(self._specs.watch(self._stopping))
        if self._budgets:
            work.append(Standing(self._store.ledger, self._budgets, self._money).watch(self._stopping))
        if self.config.prices.file is not None:
            work.append(self._prices.watch(self._stopping))
        if uses_reflection(self.config):
            work += [self._reflect(served) for served in self.routes]
        self._background = [asyncio.create_task(each) for each in work]

    async def _reflect(self, served: ServedRoute) -> None:
        """Ask the upstream for its types until it answers; until then its methods pass as unknown ones."""
        source = f"reflection of {served.config.upstream}"
        while True:
            try:
                connection = await served.upstream.connection(None)
                files = await reflect(connection.channel, limit_s=REFLECTION_LIMIT_S)
                served.descriptors.add_protos(files, source)
            except UpstreamError as error:
                log.warning("%s failed, will ask again: %s", source, error)
                await asyncio.sleep(REFLECTION_RETRY_S)
            except Exception as error:
                # Nothing that an upstream says of itself may stop the calls; its methods go on as unknown ones.
                log.error("%s cannot be used: %s", source, error)
                return
            else:
                log.info("%s: %d files", source, len(files))
                return

    def _is_described(self, method: str) -> bool:
        return any(descriptors.method(method) is not None for descriptors in self.descriptors.values())

    def _specs_reloaded(self, outcome: str, detail: str) -> None:
        self.metrics.specs_reloaded(outcome)
        log.log(logging.INFO if outcome == "loaded" else logging.ERROR, "specs %s: %s", outcome, detail)

    async def _start_money(self) -> None:
        """Bring in what an earlier process could not, and load prices before the first call waits for them."""
        self._store.on_return(self._spool.merge_soon)
        await self._spool.start()
        if self._budgets or self._counts_all_usage or any(spec.cost for spec in self._specs.table.specs):
            await asyncio.to_thread(self._prices.warm)
        if self._budgets and self._store.kind == "redis" and self._spool_file is None:
            log.warning(
                "charges made while redis is away are kept in memory alone: a crash before it is back would lose "
                "them; set `spool` to a file to keep them"
            )

    @property
    def _counts_all_usage(self) -> bool:
        return "prices" in self.config.model_fields_set

    def _merged(self, entry: Entry) -> None:
        for draw in entry.draws:
            self._money.budget_event(draw.purse.budget, "merged")

    def _prices_reloaded(self, outcome: str, detail: str) -> None:
        self._money.prices_reloaded(outcome)
        log.log(logging.INFO if outcome == "loaded" else logging.ERROR, "prices %s: %s", outcome, detail)

    def _budget_check(self) -> BudgetCheck:
        till = Till(
            self._store.ledger, self._spool, told=lambda: self.metrics.fail_open(BudgetCheck.name, "store_away")
        )
        terms = Terms(self._budgets, is_shared=self._store.kind == "redis", meters_all=self._counts_all_usage)
        return BudgetCheck(till, self._prices, self._money, terms)

    def _checks_in_order(self, clock: Clock) -> list[Check]:
        """Every check, in the order in which they are asked. The first enforced finding decides what a caller is told.

        Quarantine comes first: an edge that is held back needs no other check to say so. Then the contract: what breaks
        it is malformed, and no later check should judge, claim or charge for it; the order of a stream's messages is
        part of it.
        Duplicates are told next: what is answered from the record must not be counted, charged or judged again.
        Loops come after the contract, so that what is malformed is no visit, and before whatever reserves or charges.
        Pressure comes once it is known that a call has to be made, and before anything is paid for it: money is held
        for what nothing cheaper has refused.
        What a task does, and what version of a resource an answer tells, is kept of answers that keep their contract.
        Verifiers come last, because asking them costs the most.
        """
        verification = VerificationCheck(
            self._panel,
            answers_once=self._answers_once,
            tell=self._tell_late,
            fail_open=self.metrics.fail_open,
            engines_compared=self._panel_metrics.engines_compared,
            quarantine=self.quarantine,
        )
        return [
            self.quarantine,
            SpecCheck(),
            StreamCheck(answers_once=self._answers_once),
            self._idempotency(clock),
            *self._loop_check(clock),
            self._task_check(clock),
            self._consistency_check(clock),
            self._pressure(clock),
            self._budget_check(),
            verification,
        ]

    def _loop_check(self, clock: Clock) -> list[Check]:
        ladder = loop_ladder(self.config)
        if ladder is None:
            return []
        visits = reach_of(self._store, clock, lambda store: store.visits, self._fail_open(LoopCheck.name))
        reporter = LoopMetrics(self.metrics.registry, series_limit(self.config))
        return [LoopCheck(visits, ladder=ladder, clock=clock, reporter=reporter)]

    def _idempotency(self, clock: Clock) -> IdempotencyCheck:
        return IdempotencyCheck(
            reach_of(self._store, clock, lambda store: store.claims, self._fail_open("idempotency")),
            clock=clock,
            answers_once=self._answers_once,
            reporter=DuplicateMetrics(self.metrics.registry, series_limit(self.config)),
            settings=idempotency_settings(self.config),
        )

    def _fail_open(self, check: str) -> Callable[[], None]:
        return lambda: self.metrics.fail_open(check, "store_away")

    def _pressure(self, clock: Clock) -> PressureCheck:
        """What a sidecar counts for itself, and what stands in for the fleet's counts, is in this process's memory."""
        settings, local = pressure_settings(self.config), open_memory(clock).pressure
        callees = {route.callee for route in self.config.routes} if settings.breaker else set[str]()
        return PressureCheck(
            settings,
            clock=clock,
            shared=Reach(
                self._store.pressure, local, told=lambda: self.metrics.fail_open(PressureCheck.name, "store_away")
            ),
            local=local,
            reporter=PressureMetrics(self._breakers, callees),
        )

    def _task_check(self, clock: Clock) -> TaskCheck:
        tasks = reach_of(self._store, clock, lambda store: store.tasks, self._fail_open(TaskCheck.name))
        return TaskCheck(tasks, clock=clock, reporter=self._task_metrics)

    def _consistency_check(self, clock: Clock) -> ConsistencyCheck:
        versions = reach_of(self._store, clock, lambda store: store.versions, self._fail_open(ConsistencyCheck.name))
        reporter = VersionMetrics(self.metrics.registry, series_limit(self.config))
        return ConsistencyCheck(versions, clock=clock, reporter=reporter)

    def _task_sweep(self, clock: Clock) -> TaskSweep:
        routes = [self.config.engine_route(route) for route in self.config.routes]
        return TaskSweep(
            self._store.tasks,
            clock=clock,
            reporter=self._task_metrics,
            stuck_after_s=self.config.tasks.stuck_after_s,
            routes=lambda: filter(self._guards.are_here, routes),
            tell=self._tell_late,
        )

    def _answers_once(self, exchange: Exchange) -> bool:
        method = self.descriptors[exchange.route.name].method(exchange.method)
        return method is not None and not method.server_streaming

    def _tell_late(self, exchange: Exchange, finding: Finding) -> None:
        """A verdict that came after its message had moved on, or a task that nothing comes of."""
        for reporter in (self.metrics, self._logs):
            reporter.finding_made(exchange, finding, Action.OBSERVED)

    def _span_reporter(self, environ: Mapping[str, str]) -> SpanReporter:
        settings = tracing_settings(self.config)
        return SpanReporter(
            build_exporter(settings, environ),
            resource=resource_of(self.config.agent, environ),
            tracing=resolve(settings, environ),
            count=self.metrics.spans,
            methods=self._methods,
            servers={route.name: server_of(route) for route in self.config.routes},
            limits=limits_of(environ),
        )


def uses_reflection(config: Config) -> bool:
    return any(descriptor.kind is DescriptorKind.REFLECTION for descriptor in config.descriptors)


def descriptors_by_route(config: Config) -> dict[str, Descriptors]:
    """One registry for all, unless upstreams describe themselves: two may have different versions of one file."""
    shared = load_descriptors(config)
    if not uses_reflection(config):
        return dict.fromkeys((route.name for route in config.routes), shared)
    return {route.name: load_descriptors(config) for route in config.routes}


def load_descriptors(config: Config) -> Descriptors:
    """Types from modules and files. Reflection comes later, when the upstream answers."""
    descriptors, mistakes = Descriptors(), []
    for index, descriptor in enumerate(config.descriptors):
        try:
            if descriptor.kind is DescriptorKind.MODULE:
                descriptors.add_module(descriptor.module)
            elif descriptor.kind is DescriptorKind.FILE:
                descriptors.add_file(descriptor.path)
        except ValueError as error:
            mistakes.append(Mistake(f"descriptors[{index}]", str(error), "a module or file that can be loaded"))
    if mistakes:
        raise ConfigError(mistakes)
    return descriptors
