"""From the configuration's words to the journal: its sinks, what is masked in it, and how it is read back."""

from __future__ import annotations

import sqlite3
from functools import partial

from sidecar.config import Config
from sidecar.config.journal import Journal as Section
from sidecar.config.state_url import StateUrl
from sidecar.engine.hybrid_clock import HybridClock
from sidecar.engine.ports import Clock
from sidecar.engine.redaction import Redactor
from sidecar.errors import ConfigError, Mistake
from sidecar.telemetry.journal import Journal, JournalSettings, SinkSettings, SqliteReader, SqliteSink
from sidecar.telemetry.journal.sink import Sink
from sidecar.telemetry.journal_metrics import JournalMetrics
from sidecar.telemetry.metrics import MetricsReporter
from sidecar.wiring import series_limit


def redactor_of(config: Config) -> Redactor:
    redaction = config.redaction
    return Redactor(paths=redaction.paths, keys=redaction.all_keys, detectors=redaction.detectors)


def open_journal(
    config: Config,
    *,
    clock: Clock,
    hybrid: HybridClock,
    redactor: Redactor,
    metrics: MetricsReporter,
) -> Journal:
    """The journal of this process; one without sinks still feeds whoever looks on.

    Raises ConfigError for a file that will never do. A place that is away for now is tried again.
    """
    section = config.journal
    sinks = [] if section is None else [open_sink(section, target, clock, hybrid) for target in section.to]
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


def open_sink(section: Section, target: StateUrl, clock: Clock, hybrid: HybridClock) -> Sink:
    assert target.path is not None
    try:
        return SqliteSink(
            target.path,
            clock=clock,
            max_age_s=section.max_age_s,
            max_size_bytes=section.max_size_bytes,
            heard=hybrid.heard,
        )
    except sqlite3.DatabaseError as error:
        allowed = "a file that is a journal, or that is not there yet"
        raise ConfigError([Mistake("journal", f"{target.path} ({error})", allowed)]) from error
