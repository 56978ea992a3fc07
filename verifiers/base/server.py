"""A verifier's server: one address, with health and reflection beside the verifier, and its metrics on another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server

from sidecar.v1 import verifier_pb2, verifier_pb2_grpc
from verifiers.base.bench import Bench, Judge
from verifiers.base.description import Description
from verifiers.base.scorecard import Scorecard
from verifiers.base.service import Service
from verifiers.base.settings import STANDARD, Settings, Tls

SERVICE = verifier_pb2.DESCRIPTOR.services_by_name["Verifier"].full_name
UNSAID_EVIDENCE_BYTES = 4 << 20
"""What a verifier takes that does not say what it takes."""
HEADROOM_BYTES = 1 << 20
"""gRPC itself refuses what is larger than the limit by this much; up to there the words are ours."""
MAX_STREAMS = 256
"""Calls open on one connection; the next waits at its caller."""


class CannotListen(Exception):
    """An address is taken, not ours, or not to be bound. The message says which."""


class Server:
    """Serves one judge. `start` it, and `drain` it when it is enough."""

    def __init__(
        self,
        description: Description,
        judge: Judge,
        settings: Settings = STANDARD,
        scores: Mapping[str, float] | None = None,
    ) -> None:
        self._settings = settings
        self._bench = Bench(judge, settings.limits)
        self._scorecard = Scorecard(description, scores or {})
        self._limit_bytes = description.max_evidence_bytes or UNSAID_EVIDENCE_BYTES
        self._service = Service(description, self._bench, self._scorecard, self._limit_bytes)
        self._health = health.aio.HealthServicer()
        self._server: Any = None
        self._metrics: Any = None
        self.address = ""
        """Where it listens, as a caller dials it."""
        self.metrics_address: str | None = None

    @property
    def is_idle(self) -> bool:
        """False after draining means that a thread still judges and cannot be stopped."""
        return self._bench.is_idle

    async def start(self) -> None:
        """Raises `CannotListen`."""
        self._server = aio.server(options=self._options())
        self._add_services()
        self.address = self._bind()
        self._serve_metrics()
        await self._health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()

    async def drain(self) -> None:
        """Health turns to NOT_SERVING, open calls may finish within the limit, then all is closed."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self._settings.limits.drain_ms / 1000)
        self._bench.close()
        if self._metrics is not None:
            await asyncio.to_thread(self._metrics.shutdown)
            self._metrics.server_close()

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self._limit_bytes + HEADROOM_BYTES),
            ("grpc.max_concurrent_streams", MAX_STREAMS),
            # Two verifiers on one port would answer in turn, and nobody would know which one has judged.
            ("grpc.so_reuseport", 0),
        ]

    def _add_services(self) -> None:
        verifier_pb2_grpc.add_VerifierServicer_to_server(self._service, self._server)  # type: ignore[no-untyped-call]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    def _bind(self) -> str:
        listen, tls = self._settings.listen, self._settings.tls
        try:
            if tls is None:
                port = self._server.add_insecure_port(listen)
            else:
                port = self._server.add_secure_port(listen, credentials(tls))
        except (RuntimeError, OSError) as error:
            raise CannotListen(f"cannot listen on {listen}") from error
        return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"

    def _serve_metrics(self) -> None:
        if self._settings.metrics is None:
            return
        host, _, port = self._settings.metrics.rpartition(":")
        try:
            self._metrics, _ = start_http_server(int(port), host.strip("[]"), self._scorecard.registry)
        except OSError as error:
            raise CannotListen(f"cannot serve metrics on {self._settings.metrics}") from error
        self.metrics_address = f"{host}:{self._metrics.server_port}"


def credentials(tls: Tls) -> grpc.ServerCredentials:
    pair = (tls.key.read_bytes(), tls.cert.read_bytes())
    if tls.client_ca is None:
        return grpc.ssl_server_credentials([pair])
    return grpc.ssl_server_credentials([pair], tls.client_ca.read_bytes(), require_client_auth=True)


@asynccontextmanager
async def serving(
    description: Description,
    judge: Judge,
    settings: Settings = STANDARD,
    scores: Mapping[str, float] | None = None,
) -> AsyncIterator[Server]:
    """A verifier served in this process, for tests and for programs that bring their own event loop."""
    server = Server(description, judge, settings, scores)
    await server.start()
    try:
        yield server
    finally:
        await server.drain()
