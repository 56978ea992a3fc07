"""What the sidecar tells, and where: metrics, the admin service, spans and its own log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from sidecar.config.secret import SecretPlace
from sidecar.config.section import Section
from sidecar.config.tls import ListenTls
from sidecar.config.values import LOOPBACK, Flag, LocalListenAddress, read_url
from sidecar.units import BadValue, count, is_number, parse_address, seconds


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


class Admin(Section):
    """The service behind status, tail and top."""

    listen: LocalListenAddress = parse_address(":9465", default_host=LOOPBACK)
    """Where it is served. `:port` is 127.0.0.1."""


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
