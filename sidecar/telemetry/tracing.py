"""From settings and OTEL_* variables to an exporter, a resource and limits.

What the configuration file says wins; what it leaves out comes from the environment, then from the defaults below.
OTEL_SDK_DISABLED=true always turns export off. Stamping and joining go on whatever is chosen here. Headers,
compression, certificates and `_INSECURE` are read from the process's environment by the SDK's exporter classes.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.version import __version__ as sdk_version

import sidecar
from sidecar.telemetry import names
from sidecar.telemetry.environ import Environ
from sidecar.telemetry.otlp import GrpcExporter, HttpExporter

log = logging.getLogger(__name__)

EXPORTERS = ("otlp", "console", "none")
GRPC = "grpc"
HTTP = "http/protobuf"
OTLP_GRPC_PORT = 4317
"""The port registered for OTLP over gRPC. Saying it without a protocol can only mean gRPC."""
DEFAULT_ENDPOINTS = {GRPC: "http://localhost:4317", HTTP: "http://localhost:4318/v1/traces"}
EXPORT_TIMEOUT_S = 10.0
"""OTEL_EXPORTER_OTLP_TIMEOUT's default."""
SCHEDULE_DELAY_S = 1.0
"""OTEL_BSP_SCHEDULE_DELAY's default is 5 s; a sidecar that is killed should take less with it."""
QUEUE = 2048
BATCH = 512
SUSPICIOUS_TIMEOUT_S = 0.1
"""Python's own SDK reads the time-out as seconds. One this short was probably meant so."""


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """What the configuration says about export; None leaves it to the environment."""

    exporter: str | None = None
    """otlp, console or none."""
    protocol: str | None = None
    """grpc or http/protobuf. Left out everywhere: gRPC for port 4317, else http/protobuf."""
    endpoint: str | None = None
    """URL of the receiver. Over HTTP, one without a path gets /v1/traces."""
    queue: int | None = None
    """Spans that may wait; what comes on top is dropped and counted."""
    batch: int | None = None
    """Spans sent at once, never more than `queue`."""
    schedule_delay_s: float | None = None
    """Longest wait, in seconds, before an incomplete batch is sent."""
    export_timeout_s: float | None = None
    """Longest time, in seconds, that one batch may take, retries included."""


@dataclass(frozen=True, slots=True)
class Tracing:
    """The settings with nothing left open."""

    exporter: str
    protocol: str
    endpoint: str
    queue: int
    batch: int
    schedule_delay_s: float
    export_timeout_s: float


def resolve(settings: TracingSettings, environ: Mapping[str, str]) -> Tracing:
    """Settle what is used. ConfigError with every variable that makes no sense."""
    variables = Environ(environ)
    exporter = settings.exporter or variables.one_of(EXPORTERS, "OTEL_TRACES_EXPORTER") or "otlp"
    if variables.is_true("OTEL_SDK_DISABLED"):
        exporter = "none"
    protocol, endpoint = destination(settings, variables)
    queue = settings.queue or variables.whole(1, "OTEL_BSP_MAX_QUEUE_SIZE") or QUEUE
    batch = settings.batch or variables.whole(1, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE") or BATCH
    delay_s = settings.schedule_delay_s or variables.seconds("OTEL_BSP_SCHEDULE_DELAY") or SCHEDULE_DELAY_S
    timeout_s = settings.export_timeout_s or shortest_timeout_s(variables)
    variables.refuse_mistakes()
    return Tracing(exporter, protocol, endpoint, queue, min(batch, queue), delay_s, timeout_s)


def destination(settings: TracingSettings, variables: Environ) -> tuple[str, str]:
    """Protocol and URL. The traces variable names the whole URL; the general one is a base in HTTP."""
    said = settings.protocol or variables.one_of(
        (GRPC, HTTP), "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    general = variables.text("OTEL_EXPORTER_OTLP_ENDPOINT")
    exact = variables.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    endpoint = settings.endpoint or exact or general
    protocol = said or (GRPC if port_of(endpoint) == OTLP_GRPC_PORT else HTTP)
    if not endpoint:
        return protocol, DEFAULT_ENDPOINTS[protocol]
    if protocol == GRPC:
        return protocol, endpoint
    if urlsplit(endpoint).scheme not in ("http", "https"):
        variables.mistake("the OTLP endpoint", repr(endpoint), "a URL that begins with http:// or https://")
    is_base = not (settings.endpoint or exact) or (settings.endpoint and urlsplit(endpoint).path in ("", "/"))
    return protocol, f"{endpoint.rstrip('/')}/v1/traces" if is_base else endpoint


def port_of(endpoint: str) -> int | None:
    try:
        return urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").port
    except ValueError:
        return None


def shortest_timeout_s(variables: Environ) -> float:
    otlp_s = variables.seconds("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT") or EXPORT_TIMEOUT_S
    if otlp_s < SUSPICIOUS_TIMEOUT_S:
        log.warning("OTEL_EXPORTER_OTLP_TIMEOUT is in milliseconds: each export may take %g s only", otlp_s)
    return min(otlp_s, variables.seconds("OTEL_BSP_EXPORT_TIMEOUT") or otlp_s)


def build_exporter(settings: TracingSettings, environ: Mapping[str, str]) -> SpanExporter | None:
    """The exporter that settings and environment ask for; None where nothing is exported. ConfigError as `resolve`."""
    tracing = resolve(settings, environ)
    if tracing.exporter == "none":
        return None
    if tracing.exporter == "console":
        return ConsoleSpanExporter(formatter=lambda span: f"{span.to_json(indent=None)}\n")
    if tracing.protocol == GRPC:
        return GrpcExporter(endpoint=tracing.endpoint, timeout=tracing.export_timeout_s)
    return HttpExporter(endpoint=tracing.endpoint, timeout=tracing.export_timeout_s)


def resource_of(agent: str, environ: Mapping[str, str]) -> Resource:
    """Who makes these spans: the sidecar, not the agent, for the agent may trace itself under its own name.

    OTEL_SERVICE_NAME wins, then OTEL_RESOURCE_ATTRIBUTES, then `sidecar-<agent>`. `sidecar.agent` says whose it is.
    """
    variables = Environ(environ)
    attributes = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": sdk_version,
        names.SERVICE_NAME: f"sidecar-{agent}" if agent else "sidecar",
        names.SERVICE_VERSION: sidecar.__version__,
        names.SERVICE_INSTANCE: str(uuid.uuid4()),
        names.SIDECAR_AGENT: agent,
        **resource_attributes(variables),
    }
    variables.refuse_mistakes()
    if name := variables.text("OTEL_SERVICE_NAME"):
        attributes[names.SERVICE_NAME] = name
    return Resource(attributes)


def resource_attributes(variables: Environ) -> dict[str, str]:
    """`key=value,key=value`, values percent-encoded (Resource SDK specification: W3C Baggage without properties)."""
    found: dict[str, str] = {}
    for pair in filter(None, variables.text("OTEL_RESOURCE_ATTRIBUTES").split(",")):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            variables.mistake("OTEL_RESOURCE_ATTRIBUTES", repr(pair), "key=value, separated by commas")
        found[key.strip()] = unquote(value.strip())
    return found
