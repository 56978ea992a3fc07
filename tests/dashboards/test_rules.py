"""Recording and alert rules: what ships is the template, and no rule asks for what no sidecar says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import promql_parser as promql
import pytest
import yaml

from dashboards.rules import Settings, alerts, recordings, rules
from dashboards.rules.__main__ import main
from dashboards.rules.files import rendered
from dashboards.rules.promql import Time, milliseconds
from sidecar.checks.budget.budgets import Scope
from sidecar.checks.consistency import ConsistencyCheck
from sidecar.checks.consistency.check import LOST
from sidecar.checks.idempotency import IdempotencyCheck
from sidecar.checks.idempotency.duplicate import fenced
from sidecar.checks.loop.detector import Kind
from sidecar.checks.pressure import PressureCheck
from sidecar.checks.spec import SpecCheck
from sidecar.checks.stream import StreamCheck
from sidecar.checks.task import TaskCheck
from sidecar.engine.costs import BudgetEvent
from sidecar.engine.exchange import Side
from sidecar.engine.finding import Action
from sidecar.engine.verdict import Failure, Value
from sidecar.telemetry.metrics import JOINS, SPAN_OUTCOMES
from sidecar.telemetry.names import METRICS

SHIPPED = Path(__file__).parent.parent.parent / "dashboards" / "rules"
TARGET = {"job", "instance"}
"""Labels that Prometheus puts on every series."""

SCRAPE_S = 60
"""The slowest scrape that the rules should work with is Prometheus' own default."""

Rule = dict[str, Any]


def every(groups: list[dict[str, Any]]) -> list[Rule]:
    return [rule for group in groups for rule in group["rules"]]


RECORDINGS, ALERTS = every(recordings()), every(alerts())
ALL = [*RECORDINGS, *ALERTS]


def name_of(rule: Rule) -> str:
    return rule.get("record") or "-".join([rule["alert"], *list(rule["labels"].values())[1:]])


of_each_rule = pytest.mark.parametrize("rule", ALL, ids=name_of)
of_each_alert = pytest.mark.parametrize("rule", ALERTS, ids=name_of)


# --- Reading expressions ---------------------------------------------------------------------------------------------


def nodes(node: Any) -> Iterator[Any]:
    """An expression and all that it is made of."""
    yield node
    for part in ("lhs", "rhs", "expr", "vector_selector"):
        if (below := getattr(node, part, None)) is not None:
            yield from nodes(below)
    for argument in getattr(node, "args", ()):
        yield from nodes(argument)


def selectors(expression: str) -> list[promql.VectorSelector]:
    return [node for node in nodes(promql.parse(expression)) if isinstance(node, promql.VectorSelector)]


def calls(expression: str) -> list[promql.Call]:
    return [node for node in nodes(promql.parse(expression)) if isinstance(node, promql.Call)]


def labels_of_series() -> dict[str, set[str]]:
    """By the name of a series that a sidecar shows: its labels."""
    found = {"up": set(TARGET), "process_start_time_seconds": set(TARGET)}
    for metric in METRICS:
        suffixes = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        for suffix in suffixes:
            found[f"{metric.name}{suffix}"] = TARGET | set(metric.labels)
    return found


def labels_of_recordings() -> dict[str, set[str]]:
    """A recording keeps the labels that its name begins with."""
    known = sorted({label for labels in labels_of_series().values() for label in labels}, key=len, reverse=True)
    return {rule["record"]: set(re.findall("|".join(known), rule["record"].partition(":")[0])) for rule in RECORDINGS}


SERIES = labels_of_series() | labels_of_recordings()

COUNTERS = {metric.name for metric in METRICS if metric.kind == "counter"} | {
    f"{metric.name}{suffix}"
    for metric in METRICS
    if metric.kind == "histogram"
    for suffix in ("_bucket", "_sum", "_count")
}

ANY_SPEC: Any = SimpleNamespace(name="any/v1", mode=None)

VALUES: dict[str, set[str]] = {
    "action": {each.value for each in Action},
    "side": {each.value for each in Side},
    "how": set(JOINS),
    "scope": {each.value for each in Scope},
    "event": set(get_args(BudgetEvent)),
    "verdict": {each.label for each in Value},
    "kind": {each.value for each in Kind},
    "reason": {each.value for each in Failure} | {"inconclusive", "observer_dropped"},
    "check": {
        check.name for check in (SpecCheck, StreamCheck, TaskCheck, IdempotencyCheck, ConsistencyCheck, PressureCheck)
    },
    "rule": {"duplicate", fenced(ANY_SPEC).rule, LOST, "herd"},
    "outcome": {*SPAN_OUTCOMES, "observed"},
    "target": {"verifier:.+"},
    "job": {Settings().job},
}
"""What the product says in these labels, from the code that says it."""


# --- The template ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "groups"), [("recording", recordings()), ("alerts", alerts())])
def test_the_shipped_file_is_the_template_at_factor_one(name: str, groups: list[dict[str, Any]]):
    """Generated and committed; `python -m dashboards.rules` mends a difference."""
    assert (SHIPPED / f"{name}.yml").read_text(encoding="utf-8") == rendered(groups)


def lengths(groups: list[dict[str, Any]]) -> list[int]:
    """Every length of time in rules, in milliseconds and in order."""
    found = []
    for group in groups:
        found.append(milliseconds(group["interval"]))
        for rule in group["rules"]:
            found.append(milliseconds(rule.get("for", "0s")))
            for windows in re.findall(r"\[([^]]+)\]|offset (\w+)", rule["expr"]):
                found += [milliseconds(each) for each in "".join(windows).split(":")]
    return found


@pytest.mark.parametrize("factor", [1, 10, 60, 12.5])
def test_a_factor_divides_every_length_of_time(factor: float):
    """And nothing else: with the lengths taken out, all that is left is thresholds in seconds."""
    plain, quick = lengths(rules()), lengths(rules(factor))
    assert quick == [round(each / factor) for each in plain]
    assert len(plain) > 200


def test_thresholds_that_are_lengths_of_time_are_divided_too():
    """The age of a call, and the age of a process."""
    quick = {name_of(rule): rule["expr"] for rule in every(rules(60))}
    assert quick["SidecarOldestCall"].endswith("> 10")
    assert 'process_start_time_seconds{job="sidecar"} < 12\n' in quick["job_instance:sidecar_known:during10m"]


def test_amounts_do_not_change_with_the_factor():
    """Two percent of a month's money stay as much when the month is shorter."""
    for plain, quick in zip(ALERTS, every(alerts(60)), strict=True):
        if plain["alert"] in ("SidecarCostBurnRate", "SidecarSpecViolations"):
            assert plain["expr"] == quick["expr"]


@pytest.mark.parametrize("factor", [1, 7.3, 60])
def test_prometheus_takes_the_rules_without_complaint(tmp_path: Path, factor: float):
    """Its own tool, with every lint fatal."""
    main(["--factor", str(factor), "--out", str(tmp_path)])
    for name in ("recording", "alerts"):
        done = subprocess.run(
            ["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / f"{name}.yml")],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def test_a_limit_can_be_set(tmp_path: Path):
    """Each is a name of `Settings`."""
    main(
        ["--out", str(tmp_path), "--set", "monthly_usd=3000", "--set", "job=agents", "--set", "grafana=http://grafana"]
    )
    made = {name_of(rule): rule for rule in every(yaml.safe_load((tmp_path / "alerts.yml").read_text())["groups"])}
    assert "increase1h > 60\n" in made["SidecarCostBurnRate-1h-5m"]["expr"]
    assert made["SidecarDown"]["expr"] == 'up{job="agents"} == 0'
    assert made["SidecarDown"]["annotations"]["dashboard_url"] == "http://grafana/d/sidecar-sidecar"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--factor", "0"], "found 0; a number above 0 is allowed"),
        (["--set", "montly_usd=1"], "found 'montly_usd=1'; NAME=VALUE is allowed, NAME one of job,"),
        (["--set", "slo=high"], "slo: found 'high'; a float is allowed"),
    ],
)
def test_a_wrong_command_line_is_answered_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
):
    """What was found, and what is allowed."""
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path / "out"), *arguments])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- Every rule ------------------------------------------------------------------------------------------------------


@of_each_rule
def test_every_series_that_a_rule_reads_exists(rule: Rule):
    """A name of the table, a recording of ours, or what Prometheus and the client library add."""
    for selector in selectors(rule["expr"]):
        assert selector.name in SERIES, selector.name
        unknown = {matcher.name for matcher in selector.matchers.matchers} - SERIES[selector.name]
        assert not unknown, f"{selector.name} has no {unknown}"


@of_each_rule
def test_every_value_that_a_rule_asks_for_is_one_that_sidecars_say(rule: Rule):
    """A word that no code says would select nothing, for ever."""
    for selector in selectors(rule["expr"]):
        for matcher in selector.matchers.matchers:
            said = VALUES[matcher.name]
            parts = {matcher.value} if matcher.value in said else set(matcher.value.split("|"))
            assert parts <= said, f"{matcher.name}: {parts - said}"


@of_each_rule
def test_labels_that_are_kept_are_there(rule: Rule):
    """`sum by` a label that a series lacks would give one sum for all."""
    for node in nodes(promql.parse(rule["expr"])):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            made = {"verifier"} if "label_replace" in rule["expr"] else set[str]()
            joined = {"scope"} if "group_left (scope)" in rule["expr"] else set[str]()
            have = {label for each in selectors(node.expr.prettify()) for label in SERIES[each.name]} | made | joined
            assert set(node.modifier.labels) <= have


@of_each_rule
def test_rates_are_taken_of_counters_over_at_least_two_scrapes(rule: Rule):
    """`increase` of a gauge means nothing, and a window with one sample has no increase."""
    for call in calls(rule["expr"]):
        if call.func.name in ("increase", "rate", "irate", "resets"):
            matrix = call.args[0]
            assert isinstance(matrix, promql.MatrixSelector)
            assert matrix.vector_selector.name in COUNTERS
            assert matrix.range.total_seconds() >= 2 * SCRAPE_S


@of_each_rule
def test_counters_are_not_read_raw_except_where_their_first_event_is_looked_for(rule: Rule):
    """The value of a counter says since when a process runs. `unless ... offset` makes it an increase."""
    taken = {call.args[0].vector_selector.prettify() for call in calls(rule["expr"]) if call.func.name == "increase"}
    for selector in selectors(rule["expr"]):
        plain = re.sub(r" offset \w+$", "", selector.prettify())
        if selector.name in COUNTERS and plain not in taken:
            pytest.fail(f"{selector.name} is read raw")


def test_no_two_rules_are_the_same():
    """A recording twice, or an alert twice with the same labels, would be written by both."""
    keys = [(rule.get("record") or rule["alert"], str(rule.get("labels"))) for rule in ALL]
    assert len(keys) == len(set(keys))


def test_every_recording_is_of_use():
    """To an alert, or to a recording that is."""
    used = {selector.name for rule in ALL for selector in selectors(rule["expr"])}
    assert {rule["record"] for rule in RECORDINGS} <= used


@pytest.mark.parametrize("rule", RECORDINGS, ids=name_of)
def test_recordings_are_named_by_level_noun_and_operation(rule: Rule):
    """As Prometheus recommends; the level is the labels that are kept."""
    level, noun, operation = rule["record"].split(":")
    assert level.startswith("job_")
    assert noun.startswith("sidecar_") and not noun.endswith("_total")
    assert re.fullmatch(r"(increase|during|ratio|mean)\d+[mhd]|max", operation)


# --- Every alert -----------------------------------------------------------------------------------------------------


@of_each_alert
def test_an_alert_has_what_its_reader_needs(rule: Rule):
    """Severity, a sentence, what happened where, and where to read on."""
    assert re.fullmatch(r"Sidecar([A-Z][a-z]+)+", rule["alert"])
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert re.fullmatch(r"[A-Z][^{}]*\.", notes["summary"])
    assert "{{" in notes["description"] and notes["description"].endswith(".")
    assert notes["runbook_url"] == f"{Settings().runbooks}/{rule['alert'].lower()}.md"


@of_each_alert
def test_no_value_is_in_a_label(rule: Rule):
    """It would make a new alert of every evaluation."""
    assert not any("{{" in value for value in rule["labels"].values())


@of_each_alert
def test_an_alert_compares(rule: Rule):
    """A bare selector fires on any value, 0 included."""
    compared = [node for node in nodes(promql.parse(rule["expr"])) if isinstance(node, promql.BinaryExpr)]
    assert "absent(" in rule["expr"] or any(str(node.op) in (">", ">=", "==", "<", "<=") for node in compared)


@of_each_alert
def test_no_alert_depends_on_who_is_first(rule: Rule):
    """`topk` and its like change their answer with every other series."""
    assert not re.search(r"\b(topk|bottomk|count_values|quantile)\b", rule["expr"])


def test_rules_of_one_alert_say_the_same_summary():
    """They are grouped under it."""
    summaries = {(rule["alert"], rule["annotations"]["summary"]) for rule in ALERTS}
    assert len(summaries) == len({rule["alert"] for rule in ALERTS})


@pytest.mark.parametrize("name", ["SidecarCostBurnRate", "SidecarSpecViolations"])
def test_burn_rates_follow_the_table(name: str):
    """SRE Workbook, chapter 5: 2, 5, 10 and 10 % of a month's budget."""
    rows = [
        (rule["labels"]["long"], rule["labels"]["short"], rule["labels"]["severity"], rule["for"])
        for rule in ALERTS
        if rule["alert"] == name
    ]
    assert rows == [
        ("1h", "5m", "critical", "2m"),
        ("6h", "30m", "critical", "15m"),
        ("1d", "2h", "warning", "1h"),
        ("3d", "6h", "warning", "3h"),
    ]


# --- Time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "factor", "shorter"),
    [
        ("10m", 1, "10m"),
        ("10m", 60, "10s"),
        ("5m", 7, "42857ms"),
        ("3d", 1, "3d"),
        ("90m", 1, "90m"),
        ("1s", 5000, "1ms"),
    ],
)
def test_a_length_of_time_is_written_as_prometheus_reads_it(length: str, factor: float, shorter: str):
    """In whole units, and never zero: a window of nothing is no window."""
    assert Time(factor)(length) == shorter
