"""What the sidecar tells, and where: metrics, the admin service, spans and its own log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sidecar.config.clashes import refuse_repeated
from sidecar.config.secret import SecretPlace
from sidecar.config.section import Section
from sidecar.config.tls import ListenTls
from sidecar.config.values import LOOPBACK, Flag, LocalListenAddress, PlainName, entries, read_admin_listen, read_url
from sidecar.units import Address, BadValue, count, is_number, matching, parse_address, seconds

AdminRole = Literal["read", "operate"]

CertificateName = Annotated[str, matching(r"[!-~]([ -~]{0,2046}[!-~])?", "1 to 2048 printable ASCII characters")]


class BearerToken(SecretPlace):
    """What a scraper must present: `Authorization: Bearer TOKEN`."""


class Metrics(Section):
    """What Prometheus scrapes."""

    listen: LocalListenAddress = parse_address(":9464", default_host=LOOPBACK)
    """Where /metrics, /healthz and /readyz are served. `:port` is 127.0.0.1."""
    tls: ListenTls | None = None
    """TLS towards scrapers; with `client_ca` each must show a certificate. Left out: plain text."""
    token: BearerToken | None = None
    """What a scraper of /metrics must present. Left out: nothing. /healthz and /readyz never ask for it."""
    max_series: Annotated[int, count(1, 1_000_000)] = 2000
    """Label sets kept per metric. What comes on top is counted under `_other`."""

    @property
    def files(self) -> tuple[Path | None, ...]:
        """What its locks are read from."""
        return (*(self.tls.files if self.tls else ()), self.token.secret_file if self.token else None)


class AdminToken(SecretPlace):
    """A secret by which somebody proves who they are to the admin service: `authorization: Bearer TOKEN`."""

    name: PlainName
    """How the audit names whoever shows it."""
    role: AdminRole = "read"
    """read looks; operate looks and changes."""


class AdminClient(Section):
    """What one client certificate is good for."""

    identity: CertificateName
    """Its SPIFFE URI, else its first alternative name, else its common name."""
    role: AdminRole = "read"
    """read looks; operate looks and changes."""


class Admin(Section):
    """The service behind status, tail and top."""

    listen: Annotated[Address, BeforeValidator(read_admin_listen)] = parse_address(":9465", default_host=LOOPBACK)
    """Where it is served. `:port` is 127.0.0.1; `unix:/path` is a socket that only our own user and root can reach."""
    tls: ListenTls | None = None
    """TLS towards operators; with `client_ca` each must show a certificate. Left out: this machine only."""
    tokens: Annotated[tuple[AdminToken, ...], entries()] = ()
    """Secrets that prove who somebody is. Files are read again when they change."""
    clients: Annotated[tuple[AdminClient, ...], entries()] = ()
    """What certificates are good for. Left out: whoever has one that `tls.client_ca` signed may change everything."""
    without: Literal["read", "none"] = "read"
    """What somebody without a credential may do on a loopback address, which our agent can reach as well."""

    @field_validator("tokens")
    @classmethod
    def _unique_tokens(cls, tokens: tuple[AdminToken, ...]) -> tuple[AdminToken, ...]:
        refuse_repeated([token.name for token in tokens], "name")
        return tokens

    @field_validator("clients")
    @classmethod
    def _unique_clients(cls, clients: tuple[AdminClient, ...]) -> tuple[AdminClient, ...]:
        refuse_repeated([client.identity for client in clients], "identity")
        return clients

    @model_validator(mode="after")
    def _is_locked(self) -> Admin:
        """Beyond this machine nobody may come in without TLS and a credential."""
        has_authority = self.tls is not None and self.tls.client_ca is not None
        if self.clients and not has_authority:
            raise BadValue("no clients, or tls with client_ca, which says whose certificates count", "clients alone")
        if self.listen.is_loopback:
            return self
        if self.tls is None:
            raise BadValue("tls, or a loopback address, or unix:/path", f"{self.listen} without tls")
        if not self.tokens and not has_authority:
            raise BadValue("tokens, or tls.client_ca, or a loopback address", f"{self.listen} without a credential")
        return self

    @property
    def files(self) -> tuple[Path | None, ...]:
        """What its locks are read from."""
        return (*(self.tls.files if self.tls else ()), *(token.secret_file for token in self.tokens))


class Tracing(Section):
    """Where spans go. Trace headers are stamped and calls joined whatever is said here."""

    exporter: Literal["otlp", "console", "none"] = "otlp"
    """otlp sends to a collector, console writes JSON lines to standard output, none exports nothing."""
    protocol: Literal["grpc", "http/protobuf"] | None = None
    """OTLP's transport. Left out: gRPC where the endpoint's port is 4317, else http/protobuf."""
    endpoint: Annotated[str, BeforeValidator(read_url)] | None = None
    """The collector's URL. Left out: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and its kin, else localhost."""
    queue: Annotated[int, count(1, 1_000_000)] = 8192
    """Spans that may wait for export. What comes on top is dropped and counted."""
    batch: Annotated[int, count(1, 100_000)] = 512
    """Spans sent at once, never more than `queue`."""
    schedule_delay_s: Annotated[float, seconds("10ms", "5m")] = Field(default=1.0, alias="schedule_delay")
    """Longest wait in seconds before an incomplete batch is sent."""
    export_timeout_s: Annotated[float, seconds("10ms", "5m")] | None = Field(default=None, alias="export_timeout")
    """Longest time in seconds that one batch may take, retries included. Left out: OTEL_*'s, else 10s."""

    @model_validator(mode="before")
    @classmethod
    def _batch_fits(cls, data: Any) -> Any:
        """A default batch shrinks with the queue; one that was said must fit."""
        if isinstance(data, Mapping) and "batch" not in data and is_number(queue := data.get("queue")) and queue >= 1:
            return {**data, "batch": int(min(512, queue))}
        return data

    @model_validator(mode="after")
    def _queue_holds_a_batch(self) -> Tracing:
        if self.batch > self.queue:
            raise BadValue(f"a batch no larger than the queue ({self.queue})", f"a batch of {self.batch}")
        return self


class Log(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important line that is still written."""
    format: Literal["json", "text"] = "json"
    """json: one object a line, for machines. text: for people."""
    exchanges: Flag = False
    """Whether every call gets a line. Refusals and our own failures always do."""
