"""A line: the way from caller to callee, direct or through a sidecar. What every promise is tried on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from tests.transparency.caller import Caller, dialled
from tests.transparency.certs import TlsFiles
from tests.transparency.protocol import write_descriptor_set
from tests.transparency.upstream import Stage, Upstream, running_upstream

DIRECT, SIDECAR, DESCRIBED = "direct", "sidecar", "sidecar-described"
WAYS = (DIRECT, SIDECAR, DESCRIBED)
"""No sidecar; one that knows nothing of the service; one that has its descriptors and may take cheaper paths."""

ROOM = {"limits": {"streams": 4000}}


@dataclass(frozen=True, slots=True)
class Line:
    way: str
    upstream: Upstream
    address: str
    """Where callers connect."""
    sidecar: Any = None
    """The running sidecar, where there is one."""

    @property
    def is_direct(self) -> bool:
        return self.way == DIRECT

    def dial(
        self, credentials: grpc.ChannelCredentials | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Caller]:
        """Another caller, on a connection of its own."""
        return dialled(self.address, self.upstream, credentials, **options)


@asynccontextmanager
async def open_line(
    way: str,
    folder: Path,
    *,
    listen: str = "127.0.0.1:0",
    upstream_listen: str = "127.0.0.1:0",
    tls: TlsFiles | None = None,
    wants_client: bool = False,
    **sidecar_options: Any,
) -> AsyncIterator[Line]:
    """The callee, and the sidecar before it if the way has one.

    With `tls`, each hop is encrypted; with `wants_client`, each hop also asks for the client's certificate.
    """
    credentials = tls.server_credentials(wants_client=wants_client) if tls else None
    if way == DIRECT:
        async with running_upstream(listen, credentials) as upstream:
            yield Line(way, upstream, upstream.address)
        return
    async with running_upstream(upstream_listen, credentials) as upstream:
        options = tls_options(tls, wants_client=wants_client) | descriptor_options(way, folder) | sidecar_options
        async with started_sidecar(upstream, listen, options) as sidecar:
            yield Line(way, upstream, sidecar.address, sidecar)


def started_sidecar(upstream: Stage, listen: str, options: dict[str, Any]) -> AbstractAsyncContextManager[Any]:
    from sidecar.testing import running_sidecar

    options = {"route": ROOM, **options}
    started: AbstractAsyncContextManager[Any] = running_sidecar(upstream.address, listen=listen, **options)
    return started


def descriptor_options(way: str, folder: Path) -> dict[str, Sequence[str]]:
    return {"descriptors": (str(write_descriptor_set(folder)),)} if way == DESCRIBED else {}


def tls_options(tls: TlsFiles | None, *, wants_client: bool) -> dict[str, dict[str, str]]:
    if tls is None:
        return {}
    return {
        "listen_tls": tls.listen_options(wants_client=wants_client),
        "upstream_tls": tls.upstream_options(wants_client=wants_client),
    }
