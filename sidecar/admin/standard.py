"""What every gRPC tool expects beside the service: grpc.health.v1 and server reflection, through the same gate.

A probe brings no credential, and health says no more than whether we serve, so it is anybody's. Reflection asks for
the role of whoever looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from sidecar.admin.access import Role
from sidecar.admin.gate import Asked, Method
from sidecar.admin.problem import not_found

HEALTH: Final = "grpc.health.v1.Health"


class Health:
    """Serving, until it is told that it leaves."""

    def __init__(self, *services: str) -> None:
        self._services = {"", HEALTH, *services}
        self._leaves = asyncio.Event()

    def leave(self) -> None:
        """From now on nothing is served, and whoever watches hears of it."""
        self._leaves.set()

    async def check(self, asked: Asked) -> health_pb2.HealthCheckResponse:
        if asked.request.service not in self._services:
            raise not_found("service", "no such service here")
        return self._now()

    async def list(self, asked: Asked) -> health_pb2.HealthListResponse:  # noqa: ARG002 - there is nothing to ask for
        return health_pb2.HealthListResponse(statuses=dict.fromkeys(self._services, self._now()))

    async def watch(self, asked: Asked) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        if asked.request.service not in self._services:
            yield health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
            await self._leaves.wait()
            return
        yield self._now()
        if not self._leaves.is_set():
            await self._leaves.wait()
            yield self._now()

    def _now(self) -> health_pb2.HealthCheckResponse:
        response = health_pb2.HealthCheckResponse
        return response(status=response.NOT_SERVING if self._leaves.is_set() else response.SERVING)


def standard_methods(health: Health, services: tuple[str, ...]) -> dict[str, Method]:
    """By their full names."""
    servicer = reflection.aio.ReflectionServicer((*services, HEALTH, reflection.SERVICE_NAME))

    def reflect(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        answers: AsyncIterator[Any] = servicer.ServerReflectionInfo(requests, None)
        return answers

    request = health_pb2.HealthCheckRequest.FromString
    reflected = reflection_pb2.ServerReflectionRequest.FromString
    return {
        f"/{HEALTH}/Check": Method("Check", Role.NONE, request, unary=health.check),
        f"/{HEALTH}/List": Method("List", Role.NONE, health_pb2.HealthListRequest.FromString, unary=health.list),
        f"/{HEALTH}/Watch": Method("Watch", Role.NONE, request, streaming=health.watch),
        f"/{reflection.SERVICE_NAME}/ServerReflectionInfo": Method(
            "ServerReflectionInfo", Role.READ, reflected, dialogue=reflect
        ),
    }
