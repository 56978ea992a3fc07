"""From the configuration's words to the settings of each part: translations, and nothing that runs."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import grpc

from sidecar.checks.budget import Budget, Scope
from sidecar.checks.idempotency import IdempotencySettings
from sidecar.checks.loop import Ladder, Limits
from sidecar.checks.pressure import BreakerTerms, DeadlockTerms, Limit, PressureSettings, RetryTerms
from sidecar.config import Config, Metrics, Route
from sidecar.config import Limit as ConfiguredLimit
from sidecar.config import tls as config_tls
from sidecar.engine.exchange import Mode, Side
from sidecar.engine.lineage import JoinMode, LineageSettings
from sidecar.engine.ports import Clock, StoreReporter
from sidecar.engine.state import Reach, Store
from sidecar.engine.state.pressure import Rate, RetryBudget
from sidecar.engine.state.window import Window
from sidecar.panel import VerifierSettings
from sidecar.prices import OwnPrice
from sidecar.proxy.listener import ListenSettings
from sidecar.proxy.upstream import UpstreamSettings
from sidecar.stores.memory import open_memory
from sidecar.stores.redis import LinkTls, open_redis
from sidecar.stores.sqlite import SqliteSpool, open_sqlite
from sidecar.telemetry.metrics_server import Locks
from sidecar.telemetry.span_record import Server
from sidecar.telemetry.tracing import TracingSettings
from sidecar.tls import ClientTls, ServerTls

Domain = TypeVar("Domain")

COMPRESSIONS = {
    "identity": None,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}


def lineage_settings(config: Config, environ: Mapping[str, str]) -> LineageSettings:
    return LineageSettings(
        keys=config.lineage.read_keys(environ),
        expires_s=config.lineage.expires_s,
        max_hops=config.lineage.max_hops,
        join=JoinMode(config.join.mode),
        window_s=config.join.window_s,
        max_exchanges=config.join.max_exchanges,
        unattached_routes=frozenset(route.name for route in config.routes if not route.lineage.attach),
    )


def shared_stores(config: Config) -> tuple[str, ...]:
    """The kind of the store, where it can be away."""
    return () if config.store.scheme in ("memory", "sqlite") else ("redis",)


def open_store(config: Config, clock: Clock, reporter: StoreReporter) -> Store:
    """Where shared state lives. Raises ConfigError for a file that cannot be used; a Redis may be away for now."""
    where = config.store
    if where.scheme == "sqlite":
        assert where.path is not None
        return open_sqlite(where.path, clock, reporter)
    if where.scheme == "memory":
        return open_memory(clock)
    return open_redis(where.url, reporter, link_tls(config.store_tls))


def link_tls(tls: config_tls.ClientTls | None) -> LinkTls | None:
    return LinkTls(tls.ca, tls.cert, tls.key) if tls else None


def reach_of(store: Store, clock: Clock, pick: Callable[[Store], Domain], told: Callable[[], None]) -> Reach[Domain]:
    """One domain of the store, with this process's own memory standing in where the store can be away."""
    stand_in = None if store.kind == "memory" else pick(open_memory(clock))
    return Reach(pick(store), stand_in, told=told)


def idempotency_settings(config: Config) -> IdempotencySettings:
    return IdempotencySettings(config.idempotency.record_bytes, config.idempotency.wait_s)


def loop_ladder(config: Config) -> Ladder | None:
    """What an operator decides about loops; None where they are not looked for."""
    loops = config.loops
    if loops is None:
        return None
    reentry = None if loops.reentry == "allow" else Mode(loops.reentry)
    return Ladder(
        limits=Limits(loops.repeats, loops.drifts, loops.cycles, loops.hops, loops.reads),
        window_s=loops.window_s,
        cooldown_s=loops.cooldown_s,
        slow_s=loops.slow_s,
        reentry=reentry,
        mode=loops.mode,
    )


def open_spool(config: Config, clock: Clock) -> SqliteSpool | None:
    """Where charges wait while the shared store is away; None keeps them in memory. Raises ConfigError."""
    return SqliteSpool(config.spool.path, clock) if config.spool.path is not None else None


def budgets_of(config: Config) -> tuple[Budget, ...]:
    return tuple(
        Budget(
            name=budget.name,
            scope=Scope(budget.scope),
            limit_micro_usd=budget.limit_micro_usd,
            window=Window(budget.window),
            warn_at=budget.warn_at,
            hold_micro_usd=budget.hold_micro_usd,
            mode=budget.mode,
        )
        for budget in config.budgets
    )


def own_prices(config: Config) -> dict[str, OwnPrice]:
    return {
        price.name: OwnPrice(
            price.input_usd_per_mtok,
            price.output_usd_per_mtok,
            price.cache_read_usd_per_mtok,
            price.cache_write_usd_per_mtok,
        )
        for price in config.prices.models
    }


def listen_settings(route: Route) -> ListenSettings:
    tls = route.listen_tls
    return ListenSettings(
        address=route.listen.target,
        message_bytes=route.limits.message_bytes,
        metadata_bytes=route.limits.metadata_bytes,
        tls=listen_tls(tls) if tls else None,
    )


def listen_tls(tls: config_tls.ListenTls) -> ServerTls:
    """The files as they are now."""
    return ServerTls(tls.cert.read_bytes(), tls.key.read_bytes(), pem(tls.client_ca))


def upstream_settings(route: Route) -> UpstreamSettings:
    tls = route.upstream_tls
    return UpstreamSettings(
        target=route.upstream.target,
        connections=route.channels,
        connect_timeout_s=route.connect_timeout_s,
        message_bytes=route.limits.message_bytes,
        metadata_bytes=route.limits.metadata_bytes,
        compression=COMPRESSIONS[route.compression.upstream] or grpc.Compression.NoCompression,
        authority=route.authority,
        tls=client_tls(tls) if tls else None,
    )


def client_tls(tls: config_tls.UpstreamTls) -> ClientTls:
    """The files as they are now."""
    return ClientTls(pem(tls.ca), pem(tls.cert), pem(tls.key), tls.server_name)


def metrics_locks(metrics: Metrics, environ: Mapping[str, str]) -> Locks:
    """The files as they are now. Raises ConfigError for a token that cannot be used."""
    token = metrics.token.secret(environ, "metrics.token") if metrics.token else None
    if metrics.tls is None:
        return Locks(token=token)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=metrics.tls.client_ca)
    context.load_cert_chain(metrics.tls.cert, metrics.tls.key)
    if metrics.tls.client_ca is not None:
        context.verify_mode = ssl.CERT_OPTIONAL  # a kubelet that asks /healthz has none
    return Locks(context, metrics.tls.client_ca is not None, token)


def pem(path: Path | None) -> bytes | None:
    return path.read_bytes() if path is not None else None


def server_of(route: Route) -> Server:
    """Where the callee is reached, as its caller sees it: an inbound route stands in the callee's place."""
    address = route.listen if route.side is Side.INBOUND else route.upstream
    return Server(address.host or address.path, address.port or None)


def series_limit(config: Config) -> int:
    return config.metrics.max_series if config.metrics is not None else 0


def tracing_settings(config: Config) -> TracingSettings:
    tracing = config.tracing
    return TracingSettings(
        exporter=tracing.exporter,
        protocol=tracing.protocol,
        endpoint=tracing.endpoint,
        queue=tracing.queue,
        batch=tracing.batch,
        schedule_delay_s=tracing.schedule_delay_s,
        export_timeout_s=tracing.export_timeout_s,
    )


def verifier_settings(config: Config) -> list[VerifierSettings]:
    return [
        VerifierSettings(
            name=verifier.name,
            target=verifier.address.target,
            mode=verifier.mode,
            timeout_s=verifier.timeout_s,
            fail=verifier.fail,
            breaker_failures=verifier.breaker.failures,
            breaker_cooldown_s=verifier.breaker.cooldown_s,
            tls=client_tls(verifier.tls) if verifier.tls else None,
        )
        for verifier in config.verifiers
    ]


def pressure_settings(config: Config) -> PressureSettings:
    pressure = config.pressure
    retries, breaker = pressure.retries, pressure.breaker
    return PressureSettings(
        limits=tuple(limit_of(limit) for limit in pressure.limits),
        retries=RetryTerms(
            RetryBudget(retries.per_call, retries.minimum, retries.window_s), retries.scope, retries.mode
        )
        if retries
        else None,
        breaker=BreakerTerms(
            breaker.failures,
            breaker.share,
            breaker.window_s,
            breaker.cooldown_s,
            frozenset(breaker.codes),
            breaker.mode,
        )
        if breaker
        else None,
        deadlocks=DeadlockTerms(
            {agent.name: agent.serves for agent in pressure.deadlocks.agents}, pressure.deadlocks.mode
        ),
        lease_s=pressure.lease_s,
    )


def limit_of(limit: ConfiguredLimit) -> Limit:
    rate = Rate(limit.rate_per_s, limit.burst_or_default) if limit.rate_per_s is not None else None
    return Limit(limit.caller, limit.callee, limit.method, limit.concurrency, rate, limit.scope, limit.mode)
