"""Wire, start, drain: where listeners, the engine, the line-up of checks and the reporters meet.

What can be wrong in configuration, specs, descriptors and secrets is found before the first socket is bound. Then, in
this order: listeners bind, metrics are served, calls are served, files are watched. Draining goes the other way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sidecar.admin import RouteFacts
from sidecar.administration import Administration
from sidecar.config import Config, DescriptorKind, ListenTls, Route, UpstreamTls
from sidecar.engine.descriptors import Descriptors
from sidecar.engine.exchange import Exchange
from sidecar.engine.finding import Action, Finding
from sidecar.engine.guarding import Guards
from sidecar.engine.hybrid_clock import HybridClock
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.modes import Modes
from sidecar.engine.pipeline import Engine
from sidecar.engine.ports import Check, Clock, Reporter, Witnesses
from sidecar.engine.redaction import Redactor
from sidecar.errors import ConfigError, Mistake, UpstreamError
from sidecar.following import Following
from sidecar.journaling import open_journal, redactor_of
from sidecar.line_up import LineUp
from sidecar.proxy.listener import Listener
from sidecar.proxy.passage import Way
from sidecar.proxy.reflection import reflect
from sidecar.proxy.room import Room, RoomLimits
from sidecar.proxy.upstream import Upstream
from sidecar.renewal import Renewal
from sidecar.replaying import Replaying
from sidecar.spec_files import SpecSource
from sidecar.system import RandomIds, SystemClock
from sidecar.telemetry.log_reporter import LogReporter
from sidecar.telemetry.methods import KnownMethods
from sidecar.telemetry.metrics import MetricsReporter
from sidecar.telemetry.metrics_server import MetricsServer
from sidecar.telemetry.sampling import build_sampler
from sidecar.telemetry.span_record import limits_of
from sidecar.telemetry.spans import SpanReporter
from sidecar.telemetry.tracing import build_exporter, resolve, resource_of
from sidecar.wiring import (
    COMPRESSIONS,
    client_tls,
    lineage_settings,
    listen_settings,
    listen_tls,
    metrics_locks,
    series_limit,
    server_of,
    tracing_settings,
    upstream_settings,
)

log = logging.getLogger(__name__)

FLUSH_LIMIT_S = 5.0
"""How long the last spans may take to leave."""

REFLECTION_LIMIT_S = 10.0
REFLECTION_RETRY_S = 5.0


Files = TypeVar("Files", ListenTls, UpstreamTls)
Pems = TypeVar("Pems")


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
        self._environ = environ
        self.descriptors = descriptors_by_route(config)
        self._methods = KnownMethods(self._is_described)
        self.metrics = MetricsReporter(clock=clock, methods=self._methods, series_limit=series_limit(config))
        verifiers = [verifier.name for verifier in config.verifiers]
        self._specs = SpecSource(config.specs, on_reload=self._specs_reloaded, verifiers=verifiers)
        redactor = redactor_of(config)
        self._spans = self._span_reporter(environ, redactor)
        self._logs = LogReporter(clock=clock, exchanges=config.log.exchanges)
        guards = Guards()
        hybrid = HybridClock(clock)
        self.journal = open_journal(
            config, environ, clock=clock, hybrid=hybrid, redactor=redactor, metrics=self.metrics
        )
        self._mask = redactor.text
        modes = Modes(config.mode, {route.name: route.mode for route in config.routes})
        self.administration = Administration(config, environ, clock, redactor) if config.admin else None
        shown = [self.administration.recent, self.administration.feed] if self.administration else []
        self.line_up = LineUp(
            config,
            clock=clock,
            descriptors=self.descriptors,
            guards=guards,
            metrics=self.metrics,
            tell_late=self._tell_late,
            witness=Witnesses(self.journal, *shown),
            redactor=redactor,
            panel_reporters=[self.administration.scorecards] if self.administration else [],
        )
        self.quarantine = self.line_up.quarantine
        self._modes = modes
        self._following = Following(config.agent, self.line_up.board, modes, self.line_up.panel, self._specs)
        self._renewal = Renewal(self.metrics.secrets_reloaded)
        self._watch_keys()
        self._lineage = LineageKeeper(
            clock=clock,
            ids=RandomIds(),
            sampler=build_sampler(environ),
            store=self.line_up.store.conversations,
            settings=lineage_settings(config, environ),
            hybrid=hybrid,
        )
        self._engine = Engine(
            clock=clock,
            lineage=self._lineage,
            specs=self._specs,
            checks=[*self.line_up.checks, *checks],
            guards=guards,
            is_worth_asking_ahead=self.line_up.store.is_worth_asking_ahead,
            modes=modes,
            reporters=[self.metrics, self._spans, self._logs, self.journal, *shown, *reporters],
        )
        self._metrics_server: MetricsServer | None = None
        self.metrics_address = ""
        self.routes: list[ServedRoute] = []
        self._stopping = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []

    def describe_specs(self) -> list[str]:
        """A line for each spec in force, and its promises below it."""
        return self._specs.describe()

    async def start(self) -> None:
        """Bind, then serve. Needs a running event loop. Whatever fails or cancels it, nothing goes on afterwards."""
        try:
            self._bind()
            await self._serve()
        except BaseException:
            await asyncio.gather(*(served.listener.drain(0.0) for served in self.routes))
            await self._close()
            raise
        self.is_ready = True

    def _bind(self) -> None:
        self.routes = [self._route(route) for route in self.config.routes]
        for served in self.routes:
            served.listener.bind()
        self._start_metrics()
        self._bind_admin()
        self._watch_certificates()

    async def _serve(self) -> None:
        await self.line_up.start(self._specs.table.specs)
        await self._following.start()
        self._spans.start()
        self.journal.start()
        for served in self.routes:
            await served.listener.start()
        self._watch()
        if self.administration is not None:
            await self.administration.start()

    async def drain(self) -> None:
        """Stop listening at once, let open calls finish within the limit, send the last spans."""
        self.is_ready = False
        limit_s = self.config.drain.timeout_s
        deadline_s = asyncio.get_running_loop().time() + limit_s
        await asyncio.gather(*(served.listener.drain(limit_s) for served in self.routes))
        await self.line_up.drain(max(deadline_s - asyncio.get_running_loop().time(), 0.0))
        await self._close()

    async def _close(self) -> None:
        self._stopping.set()
        if self.administration is not None:
            await self.administration.stop()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(*(served.upstream.close() for served in self.routes))
        await self.line_up.close()
        await asyncio.to_thread(self._spans.shutdown, FLUSH_LIMIT_S)
        await asyncio.to_thread(self.journal.stop, FLUSH_LIMIT_S)
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
            identities=self.config.identities,
            compression=COMPRESSIONS[route.compression.downstream],
        )
        descriptors = self.descriptors[route.name]
        return ServedRoute(route, Listener(listen_settings(route), way, descriptors), upstream, descriptors)

    def _start_metrics(self) -> None:
        if self.config.metrics is None:
            return
        address = str(self.config.metrics.listen)
        locks = metrics_locks(self.config.metrics, self._environ)
        server = MetricsServer(self.metrics.registry, address, lambda: self.is_ready, locks)
        try:
            self.metrics_address = server.start()
        except OSError as error:
            mistake = Mistake("metrics.listen", f"{address} ({error.strerror})", "an address that can be bound")
            raise ConfigError([mistake]) from error
        self._metrics_server = server

    @property
    def admin_address(self) -> str:
        """Where the admin service listens; empty where it is not served."""
        return self.administration.address if self.administration is not None else ""

    def _bind_admin(self) -> None:
        """At the default address it is a convenience, which another sidecar on this machine may have first."""
        if self.administration is None:
            return
        try:
            self.administration.bind(
                self.line_up,
                self._modes,
                self._following,
                routes=self._route_facts,
                is_ready=lambda: self.is_ready,
                record_admin=self.journal.record_admin,
                replays=self._replays(),
            )
        except ConfigError as error:
            if "admin" in self.config.model_fields_set:
                raise
            log.warning("the admin service is not served, for nothing says where: %s", error)

    def _replays(self) -> Replaying | None:
        """None where no journal is kept that can be read back."""
        if self.journal.open_reader is None:
            return None
        descriptors = partial(load_descriptors, self.config)
        return Replaying(self.config, self.journal.open_reader, descriptors, self._mask)

    def _route_facts(self) -> list[RouteFacts]:
        return [
            RouteFacts(
                name=served.config.name,
                listen=served.listener.address,
                upstream=str(served.config.upstream),
                caller=served.config.caller,
                callee=served.config.callee,
                side=served.config.side.value,
            )
            for served in self.routes
        ]

    def _watch(self) -> None:
        """What goes on beside the calls: what the checks ask for, files that change, reflection."""
        work = [
            *self.line_up.watch(self._stopping),
            self._following.watch(),
            self._renewal.run(self._stopping),
        ]
        if self.config.specs:
            work.append(self._specs.watch(self._stopping))
        if uses_reflection(self.config):
            work += [self._reflect(served) for served in self.routes]
        self._background = [asyncio.create_task(each) for each in work]
        for task in self._background:
            task.add_done_callback(tell_of_end)

    def _watch_keys(self) -> None:
        lineage = self.config.lineage
        renew = lambda: self._lineage.renew(lineage.read_keys(self._environ))  # noqa: E731 - not there yet
        self._renewal.watch("lineage_keys", "lineage", lineage.files, renew)

    def _watch_certificates(self) -> None:
        """Each is checked as at the start before it takes the place of the one in force."""
        for index, served in enumerate(self.routes):
            where = f"routes[{index}]"
            if (tls := served.config.listen_tls) is not None:
                renew = partial(renewed, tls, listen_tls, served.listener.renew)
                self._renewal.watch("listen_tls", f"{where}.listen_tls", tls.files, renew)
            if (towards := served.config.upstream_tls) is not None:
                renew = partial(renewed, towards, client_tls, served.upstream.renew)
                self._renewal.watch("upstream_tls", f"{where}.upstream_tls", towards.files, renew)
        for index, verifier in enumerate(self.config.verifiers):
            if verifier.tls is not None:
                renew = partial(renewed, verifier.tls, client_tls, partial(self.line_up.renew_verifier, verifier.name))
                self._renewal.watch("verifier_tls", f"verifiers[{index}].tls", verifier.tls.files, renew)
        if (administration := self.administration) is not None:
            self._renewal.watch("admin", "admin", administration.files, administration.renew)
        if (metrics := self.config.metrics) is not None:
            self._renewal.watch("metrics", "metrics", metrics.files, self._renew_metrics)

    def _renew_metrics(self) -> None:
        assert self.config.metrics is not None
        assert self._metrics_server is not None
        self._metrics_server.locks = metrics_locks(self.config.metrics, self._environ)

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

    def _tell_late(self, exchange: Exchange, finding: Finding) -> None:
        """A verdict that came after its message had moved on, or a task that nothing comes of."""
        for reporter in (self.metrics, self._logs):
            reporter.finding_made(exchange, finding, Action.OBSERVED)
        if self.administration is not None:
            self.administration.recent.finding_made(exchange, finding, Action.OBSERVED)
            self.administration.feed.finding_made(exchange, finding, Action.OBSERVED)
        self.journal.found_late(exchange, finding)

    def _span_reporter(self, environ: Mapping[str, str], redactor: Redactor) -> SpanReporter:
        settings = tracing_settings(self.config)
        return SpanReporter(
            build_exporter(settings, environ),
            resource=resource_of(self.config.agent, environ),
            tracing=resolve(settings, environ),
            count=self.metrics.spans,
            methods=self._methods,
            servers={route.name: server_of(route) for route in self.config.routes},
            limits=limits_of(environ),
            redactor=redactor,
        )


def tell_of_end(task: asyncio.Task[None]) -> None:
    """Calls go on without what has failed beside them, so the log is where that is heard of."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("what goes on beside the calls has failed: %s", task.get_coro(), exc_info=error)


def renewed(tls: Files, read: Callable[[Files], Pems], put: Callable[[Pems], None]) -> None:
    """Raises BadValue or OSError, and changes nothing, where the files cannot be used."""
    tls.check()
    put(read(tls))


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
