"""The side that we call: several connections to one address, and an honest answer when there is none.

A call is dispatched only on a connection that is ready, so `UpstreamUnreachable` always means *never dispatched*.
Channels are never shared between upstreams: in grpc, one bad header can spoil a connection for every later call on it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import grpc
from grpc import aio

from sidecar.errors import UpstreamUnreachable
from sidecar.proxy.window import FIXED_WINDOW
from sidecar.tls import ClientTls

log = logging.getLogger(__name__)

READY = grpc.ChannelConnectivity.READY
FAILED = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)

SPOILED_MARKS = ("Error parsing '", "compression algorithm")
"""Words in the error of a connection whose header table holds a value that grpc cannot parse."""

CONNECT_SHARE = 0.8
DIAGNOSIS_SHARE = 0.1
"""Parts of the caller's remaining time that connecting, and finding out why it failed, may take."""

DIAGNOSIS_LIMIT_S = 0.5

RETIRE_GRACE_S = 60.0
"""How long calls that are still open on a replaced connection may go on."""


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    target: str
    """What grpc dials: `host:port` or `unix:/path`."""
    connections: int = 2
    connect_timeout_s: float = 5.0
    message_bytes: int = 64 << 20
    metadata_bytes: int = 16 << 10
    compression: grpc.Compression = grpc.Compression.NoCompression
    authority: str | None = None
    tls: ClientTls | None = None


class Connection:
    """One channel and its callables, made once per method."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self.channel = open_channel(settings)
        self._connect_timeout_s = settings.connect_timeout_s
        self._connecting: asyncio.Task[bool] | None = None
        self._unary_unary: dict[str, Any] = {}
        self._unary_stream: dict[str, Any] = {}

    def unary_unary(self, method: str) -> Any:
        return self._unary_unary.get(method) or remember(self._unary_unary, method, self.channel.unary_unary)

    def unary_stream(self, method: str) -> Any:
        return self._unary_stream.get(method) or remember(self._unary_stream, method, self.channel.unary_stream)

    def stream_stream(self, method: str) -> Any:
        # Anyone may name any method here, so nothing is remembered.
        return self.channel.stream_stream(method)

    @property
    def is_ready(self) -> bool:
        return bool(self.channel.get_state() is READY)

    async def connect(self, limit_s: float | None) -> bool:
        """Whether the channel became ready in time. All calls that wait share one attempt."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._attempt())
        try:
            return await asyncio.wait_for(asyncio.shield(self._connecting), limit_s)
        except TimeoutError:
            return False

    async def _attempt(self) -> bool:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                state = self.channel.get_state(try_to_connect=True)
                while state is not READY and state not in FAILED:
                    await self.channel.wait_for_state_change(state)
                    state = self.channel.get_state(try_to_connect=True)
                return bool(state is READY)
        except TimeoutError:
            return False

    async def close(self, grace_s: float | None = None) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        await self.channel.close(grace_s)


class Upstream:
    """A pool of connections to one address. Calls take turns on them."""

    def __init__(self, settings: UpstreamSettings) -> None:
        self.settings = settings
        self._connections = [Connection(settings) for _ in range(settings.connections)]
        self._turns = itertools.cycle(range(settings.connections))
        self._retiring: set[asyncio.Task[None]] = set()

    async def connection(self, remaining_s: float | None) -> Connection:
        """A ready connection, or UpstreamUnreachable while the caller still listens; then nothing was dispatched."""
        connection = self._connections[next(self._turns)]
        if connection.is_ready or await connection.connect(share(remaining_s, CONNECT_SHARE)):
            return connection
        why = await diagnosis(self.settings.target, share(remaining_s, DIAGNOSIS_SHARE))
        raise UpstreamUnreachable(f"no connection to {self.settings.target}: {why}")

    def inspect(self, connection: Connection, error: aio.AioRpcError) -> None:
        """Replace a connection that an upstream's header has spoiled: every later call on it would fail."""
        if error.code() is grpc.StatusCode.INTERNAL and any(mark in (error.details() or "") for mark in SPOILED_MARKS):
            log.warning("replacing a spoiled connection to %s", self.settings.target)
            self._replace(connection)

    def renew(self, tls: ClientTls) -> None:
        """Connect with these certificates from now on. Calls that are open on the old connections may finish there."""
        self.settings = replace(self.settings, tls=tls)
        for connection in list(self._connections):
            self._replace(connection)

    def _replace(self, connection: Connection) -> None:
        if connection not in self._connections:
            return
        self._connections[self._connections.index(connection)] = Connection(self.settings)
        retiring = asyncio.create_task(connection.close(RETIRE_GRACE_S))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(connection.close() for connection in self._connections))


def remember(cache: dict[str, Any], method: str, make: Callable[[str], Any]) -> Any:
    """Only methods that descriptors know come here, so the cache is as bounded as they are."""
    cache[method] = made = make(method)
    return made


def open_channel(settings: UpstreamSettings) -> aio.Channel:
    options = channel_options(settings)
    if settings.tls is None:
        return aio.insecure_channel(settings.target, options=options, compression=settings.compression)
    credentials = settings.tls.credentials
    return aio.secure_channel(settings.target, credentials, options=options, compression=settings.compression)


def channel_options(settings: UpstreamSettings) -> Sequence[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", settings.message_bytes),
        ("grpc.max_metadata_size", settings.metadata_bytes),
        ("grpc.absolute_max_metadata_size", 2 * settings.metadata_bytes),
        *FIXED_WINDOW,
        # Without an own pool, channels to one address would share one connection behind our back.
        ("grpc.use_local_subchannel_pool", 1),
        # The neighbour may be restarted at any time; a caller should not wait out grpc's default of two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", int(settings.connect_timeout_s * 1000)),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # The upstream's address is what the operator wrote, not what a proxy variable or a TXT record says.
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config_disable_resolution", 1),
    ]
    if authority := settings.authority:
        options.append(("grpc.default_authority", authority))
    return [*options, *settings.tls.options] if settings.tls is not None else options


def share(remaining_s: float | None, part: float) -> float | None:
    return None if remaining_s is None else remaining_s * part


async def diagnosis(target: str, limit_s: float | None) -> str:
    """One sentence on why an address cannot be used, for the person who reads the error."""
    try:
        async with asyncio.timeout(min(limit_s or DIAGNOSIS_LIMIT_S, DIAGNOSIS_LIMIT_S)):
            _, writer = await dial(target)
            writer.close()
            await writer.wait_closed()
    except TimeoutError:
        return "nobody answers"
    except OSError as error:
        return error.strerror or str(error)
    return "it accepts connections, but no HTTP/2 (or TLS) session came up"


async def dial(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if target.startswith("unix:"):
        return await asyncio.open_unix_connection(target.removeprefix("unix:"))
    host, _, port = target.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port))
