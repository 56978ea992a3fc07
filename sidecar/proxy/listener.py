"""The side that calls us: one listening address, and which way each call takes through."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from grpc import aio

from sidecar.engine.descriptors import Descriptors, Method
from sidecar.errors import ConfigError, Mistake
from sidecar.proxy import forward
from sidecar.proxy.passage import MethodView, Way
from sidecar.proxy.window import FIXED_WINDOW
from sidecar.tls import ServerTls, bound_port, with_port

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ListenSettings:
    address: str
    """What grpc binds: `host:port`, `unix:/path`. Port 0 asks for a free one."""
    message_bytes: int = 64 << 20
    metadata_bytes: int = 16 << 10
    tls: ServerTls | None = None


class Listener:
    """Serves one route."""

    def __init__(self, settings: ListenSettings, way: Way, descriptors: Descriptors) -> None:
        self.settings = settings
        self.way = way
        self.address = settings.address
        """Where it really listens, once started."""
        self._tls = settings.tls
        self._server = aio.server(options=server_options(settings))
        self._server.add_generic_rpc_handlers((Switch(way, descriptors),))

    def bind(self) -> str:
        """Take the address. Raises ConfigError where it cannot be had."""
        port = bound_port(self._server, self.settings.address, lambda: self._tls)
        if port == 0:
            where = f"route {self.way.route.name} listen"
            raise ConfigError([Mistake(where, self.settings.address, "an address that is free and of this machine")])
        self.address = with_port(self.settings.address, port)
        return self.address

    def renew(self, tls: ServerTls) -> None:
        """Show this certificate from the next handshake on; connections that stand keep theirs."""
        self._tls = tls

    async def start(self) -> None:
        await self._server.start()

    async def drain(self, limit_s: float) -> None:
        """Stop listening at once; open calls may finish within the limit, then they are cancelled."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + limit_s
        await self._server.stop(limit_s)
        await self.way.detached.drain(max(until_s - loop.time(), 0.0))


class Switch(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Chooses a call's way by what the descriptors say of its method."""

    def __init__(self, way: Way, descriptors: Descriptors) -> None:
        self._way = way
        self._descriptors = descriptors
        self._known: dict[str, tuple[Method, grpc.RpcMethodHandler]] = {}

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler:
        name = handler_call_details.method
        method = self._descriptors.method(name)
        if method is None:
            return stream_handler(self._way, MethodView(name))
        known = self._known.get(name)
        if known is None or known[0] is not method:
            self._known[name] = known = (method, handler_for(self._way, method))
        return known[1]


def handler_for(way: Way, method: Method) -> grpc.RpcMethodHandler:
    is_unary = not (method.client_streaming or method.server_streaming)
    view = MethodView(method.name, method.request, method.response, is_unary)
    if method.client_streaming:
        return stream_handler(way, view)
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(bound(forward.unary_stream, way, view))
    return grpc.unary_unary_rpc_method_handler(bound(forward.unary_unary, way, view))


def stream_handler(way: Way, view: MethodView) -> grpc.RpcMethodHandler:
    async def handle(_requests: Any, context: Any) -> None:
        await forward.stream_stream(way, view, context)

    return grpc.stream_stream_rpc_method_handler(handle)


def bound(carry: Callable[[Way, MethodView, bytes, Any], Awaitable[Any]], way: Way, view: MethodView) -> Any:
    async def handle(payload: bytes, context: Any) -> Any:
        return await carry(way, view, payload, context)

    return handle


def server_options(settings: ListenSettings) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", settings.message_bytes),
        ("grpc.max_metadata_size", settings.metadata_bytes),
        ("grpc.absolute_max_metadata_size", 2 * settings.metadata_bytes),
        *FIXED_WINDOW,
        # Two sidecars on one port would each get half of the calls; the second must fail to start instead.
        ("grpc.so_reuseport", 0),
        # Keepalive is between the caller and its callee: we never punish a ping.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 0),
    ]
