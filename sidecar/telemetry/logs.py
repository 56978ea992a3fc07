"""Log lines for machines (one JSON object each) or people, written by a thread so that a slow stderr stops no call.

The standard library's logging carries them. Named values go in `extra={"fields": {...}}` and become keys.
"""

from __future__ import annotations

import copy
import logging
import queue
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from typing import Literal, TextIO

import orjson

from sidecar.engine.redaction import Redactor

LINES_LIMIT = 10_000
"""Lines that may wait for the writer; what comes on top is dropped, counted and said."""

STOP_S = 2.0
"""How long the last lines may take."""

SDK_LOGGERS = "opentelemetry"
SDK_PERIOD_S = 60.0
"""The SDK's exporters log each failed attempt; one line of each kind in this time says as much."""

Format = Literal["json", "text"]

Lines = queue.Queue[logging.LogRecord | None]
"""Lines on their way to the writer; None is the last."""


class LogQueue(QueueHandler):
    """Takes lines on any thread, formats nothing but the message, and never waits."""

    def __init__(self, waiting: Lines) -> None:
        super().__init__(waiting)
        self._waiting = waiting
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Settle the text now, for its arguments may change; keep the exception for the writer to format."""
        settled = copy.copy(record)
        settled.msg, settled.args = record.getMessage(), None
        return settled

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class LogWriter(QueueListener):
    """The thread that writes. It says how many lines were dropped as soon as it has room to."""

    def __init__(self, waiting: Lines, intake: LogQueue, handler: logging.Handler) -> None:
        super().__init__(waiting, handler)
        self._waiting = waiting
        self._intake = intake
        self._handler = handler
        self._said = 0

    def handle(self, record: logging.LogRecord) -> None:
        super().handle(record)
        if (dropped := self._intake.dropped) != self._said:
            self._handler.handle(dropped_line(dropped - self._said))
            self._said = dropped

    def stop(self) -> None:
        """Wait for the last line, but not for a stream that nobody reads any more."""
        try:
            self._waiting.put(None, timeout=STOP_S)
        except queue.Full:
            return
        if self._thread is not None:
            self._thread.join(STOP_S)
            self._thread = None


def dropped_line(count: int) -> logging.LogRecord:
    line = logging.LogRecord(__name__, logging.WARNING, __file__, 0, "log lines dropped", None, None)
    line.fields = {"count": count}
    return line


class Logging:
    """Logging as set up. `stop` writes what waits and puts the root logger back."""

    def __init__(self, intake: LogQueue, writer: LogWriter, previous_level: int) -> None:
        self._intake = intake
        self._writer = writer
        self._previous_level = previous_level

    @property
    def dropped(self) -> int:
        """Lines dropped since the start, because the stream was too slow."""
        return self._intake.dropped

    def stop(self) -> None:
        root = logging.getLogger()
        root.removeHandler(self._intake)
        root.setLevel(self._previous_level)
        self._writer.stop()


def setup_logging(
    level: str = "info",
    format: Format = "json",  # noqa: A002 - the word an operator uses
    stream: TextIO | None = None,
    *,
    lines_limit: int = LINES_LIMIT,
    redactor: Redactor | None = None,
) -> Logging:
    """Send every logger's lines of `level` and above to `stream` (stderr if None). Call `stop` at the very end.

    `redactor` masks what the texts of a line hold; None masks nothing.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLine(redactor) if format == "json" else TextLine(redactor))
    handler.addFilter(SdkThrottle())
    waiting: Lines = queue.Queue(lines_limit)
    intake = LogQueue(waiting)
    writer = LogWriter(waiting, intake, handler)
    root = logging.getLogger()
    previous_level = root.level
    root.addHandler(intake)
    root.setLevel(level.upper())
    writer.start()
    return Logging(intake, writer, previous_level)


class SdkThrottle(logging.Filter):
    """Lets one line of each kind through a minute, for OpenTelemetry's own loggers only."""

    def __init__(self) -> None:
        super().__init__()
        self._due_s: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(SDK_LOGGERS):
            return True
        now_s, kind = time.monotonic(), (record.pathname, record.lineno)
        if now_s < self._due_s.get(kind, 0.0):
            return False
        self._due_s[kind] = now_s + SDK_PERIOD_S
        return True


class MaskedLine(logging.Formatter):
    """Masks the texts of a line, on the writing thread."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._redactor = redactor

    def text(self, text: str) -> str:
        return text if self._redactor is None else self._redactor.text(text)

    def fields(self, record: logging.LogRecord) -> Mapping[str, object]:
        fields = fields_of(record)
        if self._redactor is None:
            return fields
        return {key: self._redactor.document(value) for key, value in fields.items()}


class JsonLine(MaskedLine):
    """`{"ts", "level", "logger", "event", ...fields, "exception"}`; ts is RFC 3339 in UTC, to the millisecond."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            **self.fields(record),
            "ts": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self.text(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = self.text(self.formatException(record.exc_info))
        ordered = {key: line[key] for key in ("ts", "level", "logger", "event")} | line
        return as_json(ordered)


class TextLine(MaskedLine):
    """`12:00:00.123 WARNING sidecar.proxy  call refused  reason=LOOP_DETECTED callee=writer`, local time."""

    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        fields = " ".join(f"{key}={printable(value)}" for key, value in self.fields(record).items())
        event = printable(self.text(record.getMessage()))
        line = f"{clock} {record.levelname:<7} {record.name}  {event}  {fields}".rstrip()
        return f"{line}\n{self.text(self.formatException(record.exc_info))}" if record.exc_info else line


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, Mapping) else {}


def timestamp(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_json(line: Mapping[str, object]) -> str:
    """Orjson refuses lone surrogates, which a caller can send: such a line is written with them escaped."""
    try:
        return orjson.dumps(line, default=str).decode()
    except orjson.JSONEncodeError:
        plain = {key: printable(value) for key, value in line.items()}
        return orjson.dumps(plain).decode()


def printable(value: object) -> str:
    """On one line whatever a caller put in: nobody forges a second line, or colours, with a method name."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
