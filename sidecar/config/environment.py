"""The environment: OpenTelemetry's variables speak for the keys that the file leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sidecar.config.reporting import Tracing
from sidecar.config.values import LOOPBACK
from sidecar.units import is_number
from sidecar.yaml_source import Keys, Source

ENVIRONMENT: tuple[tuple[Keys, tuple[str, ...], str], ...] = (
    (("tracing", "exporter"), ("OTEL_TRACES_EXPORTER",), "word"),
    (("tracing", "protocol"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"), "word"),
    (("tracing", "queue"), ("OTEL_BSP_MAX_QUEUE_SIZE",), "whole"),
    (("tracing", "batch"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE",), "whole"),
    (("tracing", "schedule_delay"), ("OTEL_BSP_SCHEDULE_DELAY",), "milliseconds"),
    (("log", "level"), ("OTEL_LOG_LEVEL",), "level"),
)
"""OpenTelemetry's variables for keys that the file leaves out, the stronger variable first, and what they hold."""

PROMETHEUS_HOST = "OTEL_EXPORTER_PROMETHEUS_HOST"
PROMETHEUS_PORT = "OTEL_EXPORTER_PROMETHEUS_PORT"


def with_environment(source: Source, environ: Mapping[str, str]) -> Source:
    """The source with what the environment says in place of keys that are left out. The file always wins."""
    if not isinstance(source.data, Mapping):
        return source
    data, origins, templates = dict(source.data), dict(source.origins), dict(source.templates)
    for keys, value, variable in said_by(environ):
        section = data.get(str(keys[0]), {})
        if isinstance(section, Mapping) and keys[1] not in section:
            data[str(keys[0])] = {**section, keys[1]: value}
            origins[keys], templates[keys] = f"environment {variable}", environ[variable]
    if ("tracing", "batch") in origins:
        data["tracing"] = with_fitting_batch(data["tracing"])
    return replace(source, data=data, origins=origins, templates=templates)


def with_fitting_batch(tracing: Mapping[str, Any]) -> Mapping[str, Any]:
    """A batch from the environment shrinks to the queue: the two variables may come from different hands."""
    batch, queue = tracing["batch"], tracing.get("queue", Tracing.model_fields["queue"].default)
    return {**tracing, "batch": min(batch, queue)} if is_number(batch) and is_number(queue) else tracing


def said_by(environ: Mapping[str, str]) -> Iterator[tuple[Keys, Any, str]]:
    """Keys, values and variables. An empty variable is as good as unset (OpenTelemetry specification)."""
    for keys, variables, kind in ENVIRONMENT:
        if variable := next((name for name in variables if environ.get(name, "").strip()), None):
            yield keys, converted(environ[variable].strip(), kind), variable
    host, port = (environ.get(name, "").strip() for name in (PROMETHEUS_HOST, PROMETHEUS_PORT))
    if host or port:
        bracketed = f"[{host}]" if ":" in host else host
        yield (
            ("metrics", "listen"),
            f"{bracketed or LOOPBACK}:{port or 9464}",
            PROMETHEUS_PORT if port else PROMETHEUS_HOST,
        )


def converted(text: str, kind: str) -> Any:
    """The variable's text as the file would say it; what does not fit stays text and is a mistake later."""
    if kind == "milliseconds":
        return f"{text}ms"
    if kind == "whole":
        return int(text) if re.fullmatch("[0-9]{1,18}", text) else text
    word = text.lower()
    return "warning" if (kind, word) == ("level", "warn") else word
