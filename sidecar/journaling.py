"""From the configuration's words to the journal: its sinks, what is masked in it, and how it is read back."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sidecar.config import Config
from sidecar.config.journal import Journal as Section
from sidecar.config.state_url import StateUrl
from sidecar.engine.hybrid_clock import HybridClock
from sidecar.engine.ports import Clock
from sidecar.engine.redaction import Redactor
from sidecar.errors import ConfigError, Mistake
from sidecar.telemetry.journal import Journal, JournalSettings, LinesSink, SinkSettings, SqliteReader, SqliteSink
from sidecar.telemetry.journal.otlp_sink import OtlpSink, build_log_exporter
from sidecar.telemetry.journal.redis_sink import RedisSink
from sidecar.telemetry.journal.sink import Sink
from sidecar.telemetry.journal_metrics import JournalMetrics
from sidecar.telemetry.metrics import MetricsReporter
from sidecar.telemetry.tracing import resource_of
from sidecar.wiring import link_tls, series_limit


def redactor_of(config: Config) -> Redactor:
    redaction = config.redaction
    return Redactor(paths=redaction.paths, keys=redaction.all_keys, detectors=redaction.detectors)


def open_journal(
    config: Config,
    environ: Mapping[str, str],
    *,
    clock: Clock,
    hybrid: HybridClock,
    redactor: Redactor,
    metrics: MetricsReporter,
) -> Journal:
    """The journal of this process, without sinks where none is configured.

    Raises ConfigError for a file that will never do. A place that is away for now is tried again.
    """
    section = config.journal
    found = [
        open_sink(config, target, environ, clock, hybrid) for target in (section.to if section is not None else ())
    ]
    sinks = [sink for sink in found if sink is not None]
    counted = JournalMetrics(metrics.registry, [sink.name for sink in sinks], series_limit(config))
    file = section.sqlite if section is not None else None
    return Journal(
        sinks,
        clock=clock,
        hybrid=hybrid,
        redactor=redactor,
        count=counted.count,
        settings=settings_of(section),
        open_reader=partial(SqliteReader, file.path) if file is not None and file.path is not None else None,
    )


def settings_of(section: Section | None) -> JournalSettings:
    if section is None:
        return JournalSettings()
    return JournalSettings(SinkSettings(section.flush_s, section.queue), section.content_bytes)


def open_sink(
    config: Config, target: StateUrl, environ: Mapping[str, str], clock: Clock, hybrid: HybridClock
) -> Sink | None:
    """None where the environment turns it off."""
    section = config.journal
    assert section is not None
    if target.scheme == "otlp":
        exporter = build_log_exporter(environ)
        return None if exporter is None else OtlpSink(exporter, resource_of(config.agent, environ))
    if target.path is None:
        tls = link_tls(config.store_tls)
        return RedisSink(
            target.url,
            stream=section.stream,
            length=section.stream_length,
            instance=f"{config.agent}@{socket.gethostname()}:{os.getpid()}",
            options=tls.options if tls is not None and target.scheme == "rediss" else None,
        )
    if target.scheme == "jsonl":
        return LinesSink(target.path, clock=clock, max_size_bytes=section.max_size_bytes, heard=hybrid.heard)
    return sqlite_sink(section, target.path, clock, hybrid)


def sqlite_sink(section: Section, path: Path, clock: Clock, hybrid: HybridClock) -> Sink:
    try:
        return SqliteSink(
            path,
            clock=clock,
            max_age_s=section.max_age_s,
            max_size_bytes=section.max_size_bytes,
            heard=hybrid.heard,
        )
    except sqlite3.DatabaseError as error:
        allowed = "a file that is a journal, or that is not there yet"
        raise ConfigError([Mistake("journal", f"{path} ({error})", allowed)]) from error
