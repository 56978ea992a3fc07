"""TLS of what speaks gRPC here: what servers show, which may change while they serve, and what clients show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM bytes. With `client_ca`, callers must present a certificate that it signed."""

    cert: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None = None


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM bytes. No certificate of our own means plain TLS; `server_name` is what the server's certificate must say."""

    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    server_name: str | None = None

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca, self.key, self.cert)

    @property
    def options(self) -> list[tuple[str, Any]]:
        """Of the channel."""
        return [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []


class Presented:
    """What grpc asks at each handshake, on a thread of its own: the certificates, where they have changed."""

    def __init__(self, current: Callable[[], ServerTls | None]) -> None:
        self._current = current
        self._given = current()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        current = self._current()
        if current is self._given or current is None:
            return None
        self._given = current
        return certificates_of(current)


def bound_port(server: Any, address: str, current: Callable[[], ServerTls | None]) -> int:
    """Bind the server; 0 where the address cannot be had. Of a unix socket grpc says some other number.

    `current` is asked now, and again at each handshake; None now means that there is no TLS.
    """
    tls = current()
    try:
        if tls is None:
            return int(server.add_insecure_port(address))
        needs_certificate = tls.client_ca is not None
        credentials = grpc.dynamic_ssl_server_credentials(certificates_of(tls), Presented(current), needs_certificate)
        return int(server.add_secure_port(address, credentials))
    except RuntimeError:
        return 0


def certificates_of(tls: ServerTls) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(tls.key, tls.cert)], tls.client_ca)


def with_port(address: str, port: int) -> str:
    """The address with the port that was really bound."""
    if address.startswith(("unix:", "unix-abstract:")):
        return address
    return f"{address.rpartition(':')[0]}:{port}"
