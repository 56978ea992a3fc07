"""Log lines: what is said, what is kept back, and that nobody waits for it."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from sidecar.engine.exchange import Origin
from sidecar.engine.finding import Action, Severity
from sidecar.engine.message import Direction
from sidecar.telemetry.log_reporter import RULES_LIMIT, LogReporter
from sidecar.telemetry.logs import Logging, TextLine, setup_logging
from tests.telemetry import story

log = logging.getLogger("sidecar.test")


class SlowStream(io.StringIO):
    """Blocks its writer until `gate` is open, as a full pipe does."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.gate.wait(10)
        return super().write(text)


class Written:
    """Logging to a text buffer; reading it stops the writer first, so that all lines are there."""

    def __init__(self, level: str = "info", **options: Any) -> None:
        self.stream = options.pop("stream", None) or io.StringIO()
        self.logging: Logging = setup_logging(level, options.pop("format", "json"), self.stream, **options)

    def text(self) -> str:
        self.logging.stop()
        return str(self.stream.getvalue())

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def written() -> Iterator[Written]:
    written = Written()
    yield written
    written.logging.stop()


@pytest.fixture
def clock() -> story.Clock:
    return story.Clock()


# --- lines -------------------------------------------------------------------------------------------------------


def test_a_line_is_one_json_object(written: Written) -> None:
    """Time in UTC, fields beside the fixed keys, which come first and cannot be replaced."""
    log.warning("call %s", "refused", extra={"fields": {"callee": "writer", "level": "fake"}})
    (line,) = written.lines()
    assert list(line)[:4] == ["ts", "level", "logger", "event"]
    assert line["ts"].endswith("Z")
    assert datetime.fromisoformat(line.pop("ts")).tzinfo is not None
    assert line == {"level": "warning", "logger": "sidecar.test", "event": "call refused", "callee": "writer"}


def test_a_message_is_settled_when_it_is_logged(written: Written) -> None:
    """Its arguments may change before the writer comes to it."""
    seen = ["first"]
    log.info("saw %s", seen)
    seen.append("later")
    assert written.lines()[0]["event"] == "saw ['first']"


def test_an_exception_is_a_field(written: Written) -> None:
    """One line, traceback included."""
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("it failed")
    (line,) = written.lines()
    assert "ValueError: broken" in line["exception"]


def test_lines_below_the_level_are_not_written() -> None:
    """Level names as an operator writes them."""
    written = Written("warning")
    log.info("no")
    log.warning("yes")
    assert [line["event"] for line in written.lines()] == ["yes"]


def test_text_is_for_people_and_stays_on_one_line() -> None:
    """A method name with a line feed or an escape forges neither a line nor a colour."""
    written = Written(format="text")
    log.warning("call refused", extra={"fields": {"method": "a\nb\x1b[31m", "callee": "writer"}})
    text = written.text()
    assert text.count("\n") == 1
    assert text.endswith("WARNING sidecar.test  call refused  method=a\\nb\\x1b[31m callee=writer\n")


def test_what_utf8_cannot_hold_is_escaped_and_written(written: Written) -> None:
    """A lone surrogate in an id must not cost the line."""
    log.info("seen", extra={"fields": {"id": "\ud800"}})
    assert written.lines()[0]["id"] == "\\ud800"


def test_text_without_fields_has_no_trailing_blanks() -> None:
    """Formatters are called by hand in terminals too."""
    record = logging.LogRecord("sidecar", logging.INFO, __file__, 1, "ready", None, None)
    assert TextLine().format(record).endswith("INFO    sidecar  ready")


@pytest.mark.parametrize(("more", "dropped"), [(0, 0), (1, 0), (3, 0), (4, 1), (6, 3)])
def test_a_slow_stream_drops_lines_and_says_how_many(more: int, dropped: int) -> None:
    """Three may wait behind the one being written; nobody waits with them."""
    stream = SlowStream()
    written = Written(stream=stream, lines_limit=3)
    log.info("held")
    assert stream.entered.wait(5)
    for _ in range(more):
        log.info("waiting")
    assert written.logging.dropped == dropped
    stream.gate.set()
    lines = written.lines()
    assert sum(line["event"] == "waiting" for line in lines) == more - dropped
    assert [line["count"] for line in lines if line["event"] == "log lines dropped"] == [dropped] * (dropped > 0)


def test_the_sdks_exporters_say_each_thing_once_a_minute(written: Written) -> None:
    """They log every failed attempt; our own loggers are not throttled."""
    for _ in range(3):
        logging.getLogger("opentelemetry.exporter.otlp").error("no connection")
        log.error("ours")
    assert [line["event"] for line in written.lines()] == ["no connection", "ours", "ours", "ours"]


def test_stopping_puts_the_root_logger_back() -> None:
    """Tests and embedders get it as it was."""
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    Written("debug").logging.stop()
    assert (root.level, list(root.handlers)) == before


# --- the reporter ------------------------------------------------------------------------------------------------


def test_a_refusal_is_one_line_with_reason_and_ids(written: Written, clock: story.Clock) -> None:
    """What happened, to whom, why, and where to find the trace."""
    reporter = LogReporter(clock=clock)
    exchange = story.exchange()
    outcome = story.refused(exchange)
    reporter.finding_made(exchange, exchange.findings[0], Action.REJECTED)
    reporter.exchange_ended(outcome)
    (line,) = written.lines()
    assert line.pop("ts")
    assert line == {
        "level": "warning",
        "logger": "sidecar.telemetry.log_reporter",
        "event": "call refused",
        "trace_id": story.TRACE_ID,
        "span_id": story.SPAN_ID,
        "exchange_id": "exchange-1",
        "conversation": "conversation-1",
        "route": "inbound",
        "caller": "planner",
        "callee": "researcher",
        "method": "lf.a2a.v1.A2AService/SendMessage",
        "code": "INVALID_ARGUMENT",
        "origin": "sidecar",
        "duration_ms": 250.0,
        "reason": "REQUEST_SPEC_VIOLATION",
        "check": "spec",
        "rule": "query-not-blank",
        "severity": "error",
        "detail": "a query needs text",
        "pointer": "/message/parts/0",
    }


@pytest.mark.parametrize(
    ("severity", "level"),
    [(Severity.INFO, None), (Severity.WARNING, "warning"), (Severity.ERROR, "warning"), (Severity.INTERNAL, "error")],
)
def test_observed_findings_are_told_from_warning_up(
    written: Written, clock: story.Clock, severity: Severity, level: str | None
) -> None:
    """Our own crash is an error of ours; a broken promise is somebody else's."""
    LogReporter(clock=clock).finding_made(story.exchange(), story.finding(severity=severity), Action.OBSERVED)
    assert [line["level"] for line in written.lines()] == ([level] if level else [])


def test_a_failure_of_our_making_is_an_error_and_the_callees_is_not_told(written: Written, clock: story.Clock) -> None:
    """The upstream's own status is data."""
    reporter = LogReporter(clock=clock)
    reporter.exchange_ended(story.ended(story.exchange(), "INTERNAL", "theirs"))
    reporter.exchange_ended(story.ended(story.exchange(), "UNAVAILABLE", "no connection", Origin.SIDECAR))
    (line,) = written.lines()
    assert (line["level"], line["event"], line["code"], line["detail"]) == (
        "error",
        "call failed",
        "UNAVAILABLE",
        "no connection",
    )


@pytest.mark.parametrize(("exchanges", "count"), [(False, 0), (True, 1)])
def test_every_exchange_is_told_on_demand(written: Written, clock: story.Clock, exchanges: bool, count: int) -> None:
    """Off by default: metrics and spans have them all."""
    LogReporter(clock=clock, exchanges=exchanges).exchange_ended(story.ended(story.exchange()))
    assert [line["event"] for line in written.lines()] == ["call ended"] * count


@pytest.mark.parametrize(("made", "told", "more"), [(0, 0, []), (1, 1, []), (3, 3, []), (4, 3, [1]), (9, 3, [6])])
def test_a_rule_broken_often_is_told_a_few_times_and_then_counted(
    written: Written, clock: story.Clock, made: int, told: int, more: list[int]
) -> None:
    """Three a second here; when the second has passed, the next call brings the sum."""
    reporter = LogReporter(clock=clock, lines_per_s=3)
    for _ in range(made):
        reporter.finding_made(story.exchange(), story.finding(), Action.OBSERVED)
    clock.advance(1)
    reporter.exchange_ended(story.ended(story.exchange()))
    lines = written.lines()
    assert sum(line["event"] == "finding" for line in lines) == told
    assert [line["count"] for line in lines if line["event"] == "more findings of this rule"] == more


def test_one_rule_does_not_silence_another(written: Written, clock: story.Clock) -> None:
    """Each has its own allowance, and a new one each second."""
    reporter = LogReporter(clock=clock, lines_per_s=1)
    for rule in ("one", "one", "two"):
        reporter.finding_made(story.exchange(), story.finding(rule), Action.OBSERVED)
    clock.advance(1)
    reporter.finding_made(story.exchange(), story.finding("one"), Action.OBSERVED)
    assert [line["rule"] for line in written.lines() if line["event"] == "finding"] == ["one", "two", "one"]


def test_rules_counted_apart_are_bounded(written: Written, clock: story.Clock) -> None:
    """A rule name per call cannot grow a table; past the limit they share one allowance."""
    reporter = LogReporter(clock=clock, lines_per_s=1)
    for number in range(RULES_LIMIT + 5):
        reporter.finding_made(story.exchange(), story.finding(f"rule-{number}"), Action.OBSERVED)
    reporter.close()
    lines = written.lines()
    assert sum(line["event"] == "finding" for line in lines) == RULES_LIMIT + 1
    assert [(line["rule"], line["count"]) for line in lines if "count" in line] == [("_other", 4)]


def test_what_was_kept_back_is_told_at_the_end(written: Written, clock: story.Clock) -> None:
    """Without another call there would be nobody to bring the sum."""
    reporter = LogReporter(clock=clock, lines_per_s=1)
    for _ in range(5):
        reporter.finding_made(story.exchange(), story.finding(), Action.OBSERVED)
    reporter.close()
    assert written.lines()[-1]["count"] == 4


def test_payloads_never_appear(clock: story.Clock) -> None:
    """Not the messages, and not a callee's status text, which may quote them."""
    written = Written("debug")
    reporter = LogReporter(clock=clock, exchanges=True)
    exchange = story.exchange()
    exchange.last_request = story.message(Direction.REQUEST, b"secret words")
    reporter.finding_made(exchange, story.finding(evidence={"sha": "abc"}), Action.OBSERVED)
    reporter.exchange_ended(story.ended(exchange, "INTERNAL", "cannot parse secret words"))
    text = written.text()
    assert text.count("\n") == 2
    assert "secret" not in text
