"""TLS on either side. Files are opened and pairs are matched here, so that a handshake is not the first to find out."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from sidecar.config.section import Section
from sidecar.config.values import HostName, ReadableFile
from sidecar.units import BadValue


def read_certificates(path: Path) -> Path:
    """PEM certificates of authorities."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError) as error:
        raise BadValue(f"PEM certificates ({why_tls(error)})") from error
    return path


def check_pair(cert: Path, key: Path) -> None:
    """The certificate and key must be PEM, not encrypted, and belong together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # how strong a key must be is for the peers to say
    try:
        context.load_cert_chain(cert, key, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise BadValue(f"a PEM certificate and its key, not encrypted ({why_tls(error)})", "this pair") from error


def why_tls(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "not PEM"
    return str(reason).lower().replace("_", " ")


Certificates = Annotated[ReadableFile, AfterValidator(read_certificates)]


class ListenTls(Section):
    """TLS towards those who call us."""

    cert: ReadableFile
    """Our certificate chain, PEM."""
    key: ReadableFile
    """Its private key, PEM, not encrypted."""
    client_ca: Certificates | None = None
    """Authorities of client certificates, PEM. With it every caller must show one (mTLS), and it names the caller."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        check_pair(self.cert, self.key)
        return self

    @property
    def files(self) -> tuple[Path | None, ...]:
        return self.cert, self.key, self.client_ca

    def check(self) -> None:
        """Whether the files are good as they are now. Raises BadValue."""
        check_pair(self.cert, self.key)
        if self.client_ca is not None:
            read_certificates(self.client_ca)


class ClientTls(Section):
    """TLS towards whom we connect to. An empty section trusts the public authorities."""

    ca: Certificates | None = None
    """Authorities that the other side's certificate may come from, PEM. Left out: the public ones."""
    cert: ReadableFile | None = None
    """Our client certificate chain, PEM, for mTLS. Goes with `key`."""
    key: ReadableFile | None = None
    """Its private key, PEM, not encrypted."""

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise BadValue("both cert and key, or neither", "only one of cert and key")
        self._check_pair()
        return self

    @property
    def files(self) -> tuple[Path | None, ...]:
        return self.ca, self.cert, self.key

    def check(self) -> None:
        """Whether the files are good as they are now. Raises BadValue."""
        self._check_pair()
        if self.ca is not None:
            read_certificates(self.ca)

    def _check_pair(self) -> None:
        if self.cert is not None and self.key is not None:
            check_pair(self.cert, self.key)


class UpstreamTls(ClientTls):
    """TLS towards whom we call. `upstream_tls: {}` trusts the public authorities that grpc brings along."""

    server_name: HostName | None = None
    """The name that the upstream's certificate must bear. Left out: the host of the upstream's address."""
