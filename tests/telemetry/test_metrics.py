"""Metrics: what an engine tells goes in, what a scraper reads comes out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from sidecar.engine.finding import Action, Severity
from sidecar.engine.lineage import JoinSource, Rejected
from sidecar.engine.message import Direction
from sidecar.errors import Reason
from sidecar.telemetry import names
from sidecar.telemetry.families import CounterFamily, HistogramFamily
from sidecar.telemetry.methods import KnownMethods
from sidecar.telemetry.metrics import MetricsReporter
from tests.telemetry import story

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def knowing(*methods: str) -> KnownMethods:
    known = KnownMethods()
    known.configure(methods)
    return known


@pytest.fixture
def clock() -> story.Clock:
    return story.Clock()


@pytest.fixture
def reporter(clock: story.Clock) -> MetricsReporter:
    return MetricsReporter(clock=clock, methods=knowing(story.SEND), version="1.2.3")


def scrape(reporter: MetricsReporter, accept: str = "") -> str:
    encode, _ = choose_encoder(accept)
    return encode(reporter.registry).decode()


def value(reporter: MetricsReporter, name: str, **labels: str) -> float | None:
    return reporter.registry.get_sample_value(f"sidecar_{name}", labels)


def call(reporter: MetricsReporter, **about: Any) -> None:
    """One unary call from start to end, with one message each way."""
    exchange = story.exchange(**about)
    reporter.exchange_started(exchange)
    reporter.message_seen(exchange, story.message(Direction.REQUEST))
    reporter.message_seen(exchange, story.message(Direction.RESPONSE, b"y" * 5000))
    exchange.held_ns = 300_000
    reporter.exchange_ended(story.ended(exchange))


EDGE = {"caller": "planner", "callee": "researcher", "method": "lf.a2a.v1.A2AService/SendMessage", "side": "inbound"}


def test_an_exchange_is_counted_with_its_code_and_decision(reporter: MetricsReporter) -> None:
    """Two calls on one edge make one series of two."""
    call(reporter)
    call(reporter)
    assert value(reporter, "exchanges_total", **EDGE, code="OK", decision="forward") == 2


def test_a_refused_exchange_says_so(reporter: MetricsReporter) -> None:
    """The decision is a label, so refusals by us can be told from refusals by the callee."""
    exchange = story.exchange()
    reporter.exchange_started(exchange)
    reporter.exchange_ended(story.refused(exchange))
    assert value(reporter, "exchanges_total", **EDGE, code="INVALID_ARGUMENT", decision="reject") == 1


def test_duration_and_overhead_are_in_seconds(reporter: MetricsReporter) -> None:
    """A quarter of a second falls into the bucket that ends there, for `le` includes its bound."""
    call(reporter)
    assert value(reporter, "exchange_duration_seconds_sum", **EDGE) == 0.25
    assert value(reporter, "exchange_duration_seconds_bucket", **EDGE, le="0.25") == 1
    assert value(reporter, "exchange_duration_seconds_bucket", **EDGE, le="0.1") == 0
    assert value(reporter, "overhead_seconds_sum", method=EDGE["method"]) == pytest.approx(0.0003)


def test_what_was_waited_on_purpose_is_told_from_the_rest(reporter: MetricsReporter) -> None:
    """A verifier that takes its time does not make the sidecar slow; a call that waited for nobody adds nothing."""
    call(reporter)
    exchange = story.exchange()
    exchange.held_ns, exchange.waited_ns = 700_000_000, 600_000_000
    reporter.exchange_started(exchange)
    reporter.exchange_ended(story.ended(exchange))
    assert value(reporter, "waited_seconds_total", method=EDGE["method"]) == pytest.approx(0.6)
    assert value(reporter, "overhead_seconds_sum", method=EDGE["method"]) == pytest.approx(0.7003)


def test_an_exchange_with_errors_is_counted_once_for_each_check(reporter: MetricsReporter) -> None:
    """Two broken rules of one spec are one bad exchange: what an objective counts. A warning breaks nothing."""
    exchange = story.exchange()
    broken, late = story.finding("request.schema"), replace(story.finding("drift"), check="loop")
    exchange.findings += [broken, replace(broken, rule="no-query"), replace(late, severity=Severity.WARNING)]
    reporter.exchange_started(exchange)
    reporter.exchange_ended(story.ended(exchange))
    edge = {label: EDGE[label] for label in ("caller", "callee", "side")}
    assert value(reporter, "violations_total", **edge, check=broken.check) == 1
    assert value(reporter, "violations_total", **edge, check="loop") is None


def test_messages_and_their_bytes_are_counted_each_way(reporter: MetricsReporter) -> None:
    """100 bytes up, 5,000 down."""
    call(reporter)
    assert value(reporter, "messages_total", **EDGE, direction="request") == 1
    assert value(reporter, "message_bytes_sum", direction="request", side="inbound") == 100
    assert value(reporter, "message_bytes_sum", direction="response", side="inbound") == 5000


def test_exchanges_under_way_are_counted_and_the_oldest_has_an_age(
    reporter: MetricsReporter, clock: story.Clock
) -> None:
    """Age is computed at the scrape: a call that hangs tells nobody anything."""
    hanging, ending = story.exchange(), story.exchange()
    reporter.exchange_started(hanging)
    reporter.exchange_started(ending)
    reporter.exchange_ended(story.ended(ending))
    clock.advance(3)
    assert value(reporter, "inflight_exchanges", callee="researcher") == 1
    assert value(reporter, "oldest_inflight_seconds", callee="researcher") == 7.0


def test_an_idle_callee_shows_zero(reporter: MetricsReporter) -> None:
    """A gauge that vanishes with the last call would hide that there was one."""
    call(reporter)
    assert value(reporter, "inflight_exchanges", callee="researcher") == 0
    assert value(reporter, "oldest_inflight_seconds", callee="researcher") == 0


def test_a_finding_is_counted_with_what_became_of_it(reporter: MetricsReporter) -> None:
    """Observed and rejected are two series."""
    reporter.finding_made(story.exchange(), story.finding(), Action.OBSERVED)
    labels = {"check": "spec", "rule": "query-not-blank", "severity": "error", "caller": "planner"}
    assert value(reporter, "findings_total", **labels, callee="researcher", action="observed") == 1


def test_a_call_that_was_sent_before_is_counted_once(reporter: MetricsReporter) -> None:
    """However many checks found that out; by edge, and at its end."""
    exchange = story.exchange()
    exchange.is_retry = True
    reporter.exchange_ended(story.ended(exchange))
    reporter.exchange_ended(story.ended(story.exchange()))
    assert value(reporter, "retries_total", caller=exchange.caller, callee=exchange.callee) == 1


def test_a_crashed_check_that_lets_the_call_pass_is_a_fail_open(reporter: MetricsReporter) -> None:
    """Severity internal means that the check could not judge."""
    reporter.finding_made(story.exchange(), story.finding("crashed", Severity.INTERNAL), Action.OBSERVED)
    assert value(reporter, "fail_open_total", check="spec", reason="crashed") == 1


def test_a_crashed_check_that_stops_the_call_is_no_fail_open(reporter: MetricsReporter) -> None:
    """Failing closed is the opposite."""
    exchange = story.exchange()
    story.refused(exchange)
    reporter.finding_made(exchange, story.finding("crashed", Severity.INTERNAL), Action.REJECTED)
    assert value(reporter, "fail_open_total", check="spec", reason="crashed") is None


def test_a_refusal_for_want_of_room_is_shed(reporter: MetricsReporter) -> None:
    """Only where it was refused: in observe nothing is shed."""
    complaint = story.finding("streams", reason=Reason.OVERLOADED)
    reporter.finding_made(story.exchange(), complaint, Action.OBSERVED)
    reporter.finding_made(story.exchange(), complaint, Action.REJECTED)
    assert value(reporter, "shed_total", callee="researcher", reason="streams") == 1


def test_a_call_that_a_breaker_refused_is_shed_too(reporter: MetricsReporter) -> None:
    """Its reason says that the callee cannot be reached; a refusal for that alone is not pressure."""
    for check, rule in (("pressure", "breaker"), ("proxy", "connect")):
        complaint = replace(story.finding(rule, reason=Reason.UPSTREAM_UNREACHABLE), check=check)
        reporter.finding_made(story.exchange(), complaint, Action.REJECTED)
    assert value(reporter, "shed_total", callee="researcher", reason="breaker") == 1
    assert value(reporter, "shed_total", callee="researcher", reason="connect") is None


def test_every_exchange_says_how_it_was_joined(reporter: MetricsReporter) -> None:
    """All ways exist from the start, so that an alert sees the first ambiguous one."""
    assert value(reporter, "trace_joins_total", how="ambiguous", side="outbound") == 0
    reporter.exchange_started(story.exchange(source=JoinSource.IDS))
    assert value(reporter, "trace_joins_total", how="ids", side="inbound") == 1


def test_a_lineage_entry_that_was_not_trusted_is_counted(reporter: MetricsReporter) -> None:
    """The reason is the keeper's word for it."""
    reporter.exchange_started(story.exchange(rejected=Rejected.EXPIRED))
    assert value(reporter, "lineage_rejected_total", reason="expired") == 1


def test_outcomes_told_by_other_parts_are_counted(reporter: MetricsReporter) -> None:
    """Spans and reloads have no exchange."""
    reporter.spans("dropped", 7)
    reporter.specs_reloaded("refused")
    assert value(reporter, "spans_total", outcome="dropped") == 7
    assert value(reporter, "spec_reloads_total", outcome="refused") == 1
    assert value(reporter, "spec_reloads_total", outcome="loaded") == 0


# --- methods ---------------------------------------------------------------------------------------------------------


def test_an_unknown_method_is_other_until_it_succeeds(reporter: MetricsReporter) -> None:
    """A name that only failed may be an invention of the caller's."""
    method = "/made.Up/Name"
    exchange = story.exchange(method=method)
    reporter.exchange_started(exchange)
    reporter.exchange_ended(story.ended(exchange, "UNIMPLEMENTED"))
    call(reporter, method=method)
    labels = {"caller": "planner", "callee": "researcher", "side": "inbound", "decision": "forward"}
    assert value(reporter, "exchanges_total", **labels, method="_OTHER", code="UNIMPLEMENTED") == 1
    assert value(reporter, "exchanges_total", **labels, method="made.Up/Name", code="OK") == 1


def test_a_described_method_is_known_at_once() -> None:
    """Descriptors may arrive later by reflection, so they are asked each time."""
    described: set[str] = set()
    methods = KnownMethods(described.__contains__)
    assert methods.name("/a.B/C") == "_OTHER"
    described.add("/a.B/C")
    assert methods.name("/a.B/C") == "a.B/C"


@pytest.mark.parametrize(("limit", "known"), [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_methods_learnt_are_bounded(limit: int, known: int) -> None:
    """A callee that answers everything with OK teaches us no more than the limit."""
    methods = KnownMethods(limit=limit)
    methods.succeeded("/a.B/One")
    methods.succeeded("/a.B/Two")
    methods.succeeded("/a.B/Two")
    assert sum(methods.name(name) != "_OTHER" for name in ("/a.B/One", "/a.B/Two")) == known


# --- limits ----------------------------------------------------------------------------------------------------------


def series_of(family: CounterFamily | HistogramFamily) -> dict[tuple[str, ...], float]:
    counted = (names.SHED.name, f"{names.OVERHEAD_DURATION.name}_count")
    samples = [sample for metric in family.collect() for sample in metric.samples if sample.name in counted]
    return {tuple(sample.labels.values()): sample.value for sample in samples}


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (0, {}),
        (1, {("a0", "r"): 1}),
        (3, {("a0", "r"): 1, ("a1", "r"): 1, ("a2", "r"): 1}),
        (4, {("a0", "r"): 1, ("a1", "r"): 1, ("a2", "r"): 1, ("_other", "_other"): 1}),
        (6, {("a0", "r"): 1, ("a1", "r"): 1, ("a2", "r"): 1, ("_other", "_other"): 3}),
    ],
)
def test_series_past_the_limit_go_to_other_in_every_label(used: int, expected: dict[tuple[str, ...], float]) -> None:
    """The limit is what is kept apart; the first one past it starts the rest."""
    family = CounterFamily(names.SHED, limit=3)
    for number in range(used):
        family.series(f"a{number}", "r").add()
    assert series_of(family) == expected


def test_with_a_limit_of_none_everything_is_other() -> None:
    """Zero is a limit like any other."""
    family = CounterFamily(names.SHED, limit=0)
    family.series("a", "r").add()
    assert series_of(family) == {("_other", "_other"): 1}


def test_a_label_that_is_called_other_is_the_same_series() -> None:
    """Two series of one name and one set of labels would break the scrape."""
    family = HistogramFamily(names.OVERHEAD_DURATION, limit=1)
    for method in ("_other", "a", "b"):
        family.series(method).observe(0.001)
    assert series_of(family) == {("a",): 1, ("_other",): 2}


@pytest.mark.parametrize(("callers", "apart"), [(0, 0), (1, 1), (3, 3), (4, 3)])
def test_edges_past_the_limit_lose_no_calls(clock: story.Clock, callers: int, apart: int) -> None:
    """A caller per call is an attack on the metrics; the total stays right."""
    reporter = MetricsReporter(clock=clock, methods=knowing(story.SEND), series_limit=3)
    for number in range(callers):
        call(reporter, caller=f"caller-{number}")
    kept = [value(reporter, "exchange_duration_seconds_count", **EDGE | {"caller": f"caller-{n}"}) for n in range(4)]
    other = value(reporter, "exchange_duration_seconds_count", **dict.fromkeys(EDGE, "_other"))
    assert kept.count(1) == apart
    assert (other or 0) == callers - apart


# --- exposition ------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy(reporter: MetricsReporter) -> MetricsReporter:
    """Every family of ours has at least one series."""
    call(reporter, rejected=Rejected.EXPIRED)
    call(reporter, method="/un.Known/Method", is_sampled=False)
    reporter.finding_made(story.exchange(), story.finding("crashed", Severity.INTERNAL), Action.OBSERVED)
    reporter.shed("researcher", "streams")
    return reporter


def test_sampled_exchanges_leave_exemplars(busy: MetricsReporter) -> None:
    """trace_id is the label that Grafana's link to a trace keys on."""
    families = {family.name: family for family in parse_openmetrics(scrape(busy, OPENMETRICS))}
    samples = families["sidecar_exchanges"].samples + families["sidecar_exchange_duration_seconds"].samples
    exemplars = [sample.exemplar for sample in samples if sample.exemplar]
    assert {exemplar.labels["trace_id"] for exemplar in exemplars} == {story.TRACE_ID}
    assert {exemplar.labels["span_id"] for exemplar in exemplars} == {story.SPAN_ID}
    assert [exemplar.value for exemplar in exemplars] == [1.0, 0.25]


def test_exchanges_that_are_not_sampled_leave_none(reporter: MetricsReporter) -> None:
    """A link to a trace that nobody kept leads nowhere."""
    call(reporter, is_sampled=False)
    assert story.TRACE_ID not in scrape(reporter, OPENMETRICS)


def test_text_has_no_exemplars(busy: MetricsReporter) -> None:
    """Version 0.0.4 has no syntax for them."""
    assert story.TRACE_ID not in scrape(busy)


def test_metrics_that_nobody_fills_are_not_shown(busy: MetricsReporter) -> None:
    """The names of later parts are reserved; an empty series would look like a healthy zero."""
    shown = set(re.findall(r"^# TYPE (sidecar_\w+)", scrape(busy), re.MULTILINE))
    known = {metric.name for metric in names.METRICS}
    assert "sidecar_exchanges_total" in shown
    assert shown < known
    assert "sidecar_cost_usd_total" not in shown


def test_process_and_build_are_shown(busy: MetricsReporter) -> None:
    """The version is a label of a constant one."""
    text = scrape(busy)
    assert 'sidecar_build_info{python="' in text
    assert 'version="1.2.3"' in text
    assert "process_cpu_seconds_total" in text


def promtool(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, timeout=30, check=False)


@needs_promtool
def test_promtool_finds_nothing_to_complain_about(busy: MetricsReporter) -> None:
    """Names, suffixes, units and help texts are what Prometheus recommends."""
    checked = promtool("check", "metrics", text=scrape(busy))
    assert (checked.returncode, checked.stderr, checked.stdout) == (0, "", "")


@needs_promtool
def test_promtool_would_complain_about_a_bad_name(busy: MetricsReporter) -> None:
    """So that the silence above means something."""
    spoiled = scrape(busy).replace("sidecar_exchanges_total", "sidecar_exchanges_ms")
    assert promtool("check", "metrics", text=spoiled).returncode == 3


def with_timestamps(openmetrics: str) -> str:
    """promtool reads OpenMetrics only to backfill, and then wants a time in each line."""
    return re.sub(r"^([^#\n].*?[}\w]) (\S+)($| # )", r"\1 \2 1700000000\3", openmetrics, flags=re.MULTILINE)


@needs_promtool
@pytest.mark.parametrize(("spoil", "code"), [(("", ""), 0), (("# EOF", ""), 1), ((" # {", " # {{"), 1)])
def test_prometheus_reads_the_openmetrics_form(
    busy: MetricsReporter, tmp_path: Path, spoil: tuple[str, str], code: int
) -> None:
    """Prometheus' own parser takes it, exemplars included, and refuses it once spoiled."""
    source = tmp_path / "metrics.txt"
    source.write_text(with_timestamps(scrape(busy, OPENMETRICS)).replace(*spoil))
    read = promtool("tsdb", "create-blocks-from", "openmetrics", str(source), str(tmp_path / "blocks"))
    assert read.returncode == code, read.stderr


@needs_promtool
def test_each_example_query_is_promql_about_its_metric(tmp_path: Path) -> None:
    """The docs print these, so they must parse."""
    assert_promql([metric.query for metric in names.METRICS], tmp_path)
    assert all(metric.name in metric.query for metric in names.METRICS)


@needs_promtool
def test_a_broken_query_would_be_noticed(tmp_path: Path) -> None:
    """So that the test above means something."""
    with pytest.raises(AssertionError):
        assert_promql(["sum(rate("], tmp_path)


def assert_promql(queries: list[str], folder: Path) -> None:
    rules = folder / "rules.json"
    recorded = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    rules.write_text(json.dumps({"groups": [{"name": "examples", "rules": recorded}]}))
    checked = promtool("check", "rules", str(rules))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_metric_uses_labels_that_are_explained() -> None:
    """One meaning a word, here as well; and ids are never labels."""
    used = {label for metric in names.METRICS for label in metric.labels}
    assert used <= set(names.LABELS)
    assert not {label for label in used if label.endswith("_id")}


def test_no_name_is_given_twice() -> None:
    """The table is the vocabulary."""
    for words in ([metric.name for metric in names.METRICS], [attribute.name for attribute in names.ATTRIBUTES]):
        assert len(words) == len(set(words))
