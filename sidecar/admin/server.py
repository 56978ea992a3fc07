"""The server: where the admin service listens, and what it needs before it does."""

from __future__ import annotations

import logging
import os
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google.protobuf import message_factory
from grpc import aio

from sidecar.admin.access import Access, Role
from sidecar.admin.audit import Audit
from sidecar.admin.changing import Changing
from sidecar.admin.feed import Feed
from sidecar.admin.gate import Gate, GateLimits, IdentityOf, Method
from sidecar.admin.looking import Looking
from sidecar.admin.ports import World
from sidecar.admin.recent import Recent
from sidecar.admin.scorecards import Scorecards
from sidecar.admin.standard import Health, standard_methods
from sidecar.errors import ConfigError, Mistake
from sidecar.tls import ServerTls, bound_port, with_port
from sidecar.v1 import admin_pb2

log = logging.getLogger(__name__)

SERVICE: Final = "sidecar.v1.Admin"
REQUEST_BYTES_MAX: Final = 256 << 10
"""Largest request: a spec of 128 KiB, and room for its JSON-like escapes."""
METADATA_BYTES_MAX: Final = 8 << 10
IDLE_S: Final = 300
"""A connection without calls is closed after this long."""


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """Where and how it listens."""

    address: str
    """What grpc binds: `host:port`, `unix:/path`, `unix-abstract:name`."""
    socket: Path | None = None
    """The file of a unix socket."""
    tls: ServerTls | None = None
    limits: GateLimits = field(default_factory=GateLimits)


class AdminServer:
    """Serves one sidecar's admin service, with health and reflection beside it."""

    def __init__(
        self,
        settings: AdminSettings,
        world: World,
        access: Access,
        *,
        recent: Recent,
        scorecards: Scorecards,
        feed: Feed,
        identity_of: IdentityOf,
    ) -> None:
        self.settings = settings
        self.address = settings.address
        """Where it really listens, once bound."""
        self.access = access
        self._tls = settings.tls
        audit = Audit(world.clock, world.record, feed.changed)
        looking = Looking(world, recent, scorecards, feed)
        methods = methods_of(looking, Changing(world, looking))
        self._health = Health(SERVICE)
        self._server = aio.server(options=OPTIONS)
        every = methods | standard_methods(self._health, (SERVICE,))
        gate = Gate(every, access, audit, identity_of=identity_of, clock=world.clock, limits=settings.limits)
        self._server.add_generic_rpc_handlers((gate,))

    def bind(self) -> str:
        """Take the address. Raises ConfigError where it cannot be had, or others could reach the socket."""
        if self.settings.socket is not None:
            guard_folder(self.settings.socket)
        before = os.umask(0o177)  # the socket is made by grpc: nobody else may open it, not even for a moment
        try:
            port = bound_port(self._server, self.settings.address, lambda: self._tls)
        finally:
            os.umask(before)
        if port == 0:
            allowed = "an address that is free and of this machine"
            raise ConfigError([Mistake("admin.listen", self.settings.address, allowed)])
        self.address = with_port(self.settings.address, port)
        return self.address

    def renew(self, tls: ServerTls | None) -> None:
        """Show this certificate from the next handshake on."""
        self._tls = tls

    async def start(self) -> None:
        await self._server.start()

    async def stop(self, grace_s: float = 0.5) -> None:
        """Tails end at once, answers under way may be finished."""
        self._health.leave()
        await self._server.stop(grace_s)


def methods_of(looking: Looking, changing: Changing) -> dict[str, Method]:
    """Every method of the service, with the role that its declaration asks for. One without a role is not served."""
    return {
        f"/{SERVICE}/{declared.name}": method_of(declared, looking, changing)
        for declared in admin_pb2.DESCRIPTOR.services_by_name["Admin"].methods
    }


def method_of(declared: Any, looking: Looking, changing: Changing) -> Method:
    role = Role(declared.GetOptions().Extensions[admin_pb2.required_role])
    if role is Role.NONE:
        raise TypeError(f"{declared.name} asks for no role")
    handler = getattr(looking if hasattr(looking, declared.name) else changing, declared.name)
    parse = message_factory.GetMessageClass(declared.input_type).FromString
    if declared.server_streaming:
        return Method(declared.name, role, parse, streaming=handler)
    return Method(declared.name, role, parse, unary=handler)


def guard_folder(path: Path) -> None:
    """Whoever can reach the socket may change everything, so its folder is ours and nobody else's.

    To connect takes the right to search the folder and to write to the socket (unix(7), "Pathname socket ownership and
    permissions"). With mode 0700 on the folder and 0600 on the socket, both of our own user, that is our user and root.
    """
    folder = path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise ConfigError([Mistake("admin.listen", f"{folder}: {error.strerror}", "a folder of our own")]) from error
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        mode = f"{folder} of user {found.st_uid} with mode {stat.S_IMODE(found.st_mode):04o}"
        allowed = f"a folder of user {os.geteuid()} that nobody else can enter: chmod 700"
        raise ConfigError([Mistake("admin.listen", mode, allowed)])
    if path.is_socket() and is_answered(path):
        raise ConfigError([Mistake("admin.listen", f"{path}, on which another process listens", "one of our own")])


def is_answered(path: Path) -> bool:
    """Whether somebody listens. grpc takes the place of a socket without asking."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES_MAX),
    ("grpc.max_concurrent_streams", 64),
    ("grpc.so_reuseport", 0),
    ("grpc.max_connection_idle_ms", IDLE_S * 1000),
    # A peer that is gone without a word is found within a minute or so.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 30_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
]
