"""The boards as files: they are what Grafana reads, keep the linter's rules, and ask for what there is."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.__main__ import BOARDS, ROOT
from dashboards.parts import shown_openly
from dashboards.promql import selector, total
from dashboards.rules.settings import Settings
from sidecar.telemetry import names
from sidecar.telemetry.names import METRICS
from tests.dashboards.lint import lint
from tests.dashboards.test_generated import checked

FOLDER = ROOT / "dashboards" / "boards"
ALL = {board.name: json.loads((FOLDER / f"{board.name}.json").read_text("utf-8")) for board in BOARDS}
OTHERS = {
    "up",
    "ALERTS",
    "scrape_samples_scraped",
    "scrape_duration_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_start_time_seconds",
}
"""Metrics of Prometheus and of its client, which are not in our table."""
OURS = {metric.name: metric for metric in METRICS} | {
    f"{metric.name}_{part}": metric
    for metric in METRICS
    if metric.kind == "histogram"
    for part in ("bucket", "count", "sum")
}
TARGET_LABELS = {"job", "instance"}
ALERT_LABELS = {"alertname", "severity", "alertstate"}
each_board = pytest.mark.parametrize("name", ALL)


def expressions(board: dict[str, Any]) -> list[str]:
    """Every query of panels, variables and annotations."""
    panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    variables = [
        each["definition"].removeprefix("label_values(")
        for each in board["templating"]["list"]
        if each["type"] == "query"
    ]
    return [*panels, *variables, *(each["expr"] for each in board["annotations"]["list"])]


@each_board
def test_a_board_keeps_the_rules_of_the_linter(name: str):
    """Grafana's dashboard-linter, as far as a file can tell."""
    assert lint(ALL[name]) == []


@each_board
def test_a_board_is_what_the_model_of_grafana_knows(name: str):
    """The model of the schema reads it and writes the same: no field is misspelt or of another place."""
    read = json.loads(json.dumps(Dashboard.from_json(ALL[name]), default=lambda each: each.to_json()))
    assert shown_openly(read) == ALL[name]
    assert ALL[name]["schemaVersion"] in (41, 42)


@each_board
def test_a_board_asks_only_for_metrics_and_labels_that_there_are(name: str):
    """What the table of names does not have would be an empty panel for ever."""
    for expression in expressions(ALL[name]):
        for metric, selected in re.findall(r"\b([a-zA-Z_:]\w*)\s*(?:\{([^}]*)\})", expression):
            assert metric in OURS or metric in OTHERS, expression
            if metric in OURS:
                labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selected))
                assert labels <= {*OURS[metric].labels, *TARGET_LABELS, "le"}, expression
        for metric in re.findall(r"\bsidecar_\w+", expression):
            assert metric in OURS, expression


@each_board
def test_a_board_groups_by_labels_that_its_metrics_have(name: str):
    """Prometheus takes any label; a group by a misspelt one is one sum of all."""
    for expression in expressions(ALL[name]):
        known = {label for metric in re.findall(r"\bsidecar_\w+", expression) for label in OURS[metric].labels}
        known |= ALERT_LABELS if "ALERTS" in expression else set()
        for by in re.findall(r"\bby \(([^)]*)\)", expression):
            assert {label.strip() for label in by.split(",")} <= known | TARGET_LABELS | {"le"}, expression


@each_board
def test_prometheus_can_read_every_query(tmp_path: Path, name: str):
    """Prometheus' own tool parses each of them, with Grafana's own variables filled in."""
    panels = [target["expr"] for panel in ALL[name]["panels"] for target in panel.get("targets", ())]
    queries = [*panels, *(each["expr"] for each in ALL[name]["annotations"]["list"])]
    found = checked(tmp_path, [re.sub(r"\$__\w+", "5m", query) for query in queries])
    assert found.returncode == 0, found.stderr
    assert f"{len(queries)} rules found" in found.stdout


@each_board
def test_a_call_that_passes_two_sidecars_counts_once(name: str):
    """Where a metric has `side`, a query names one; sizes of messages alone do not add up calls."""
    for expression in expressions(ALL[name]):
        for metric, selected in re.findall(r"\b(sidecar_\w+)\{([^}]*)\}", expression):
            if "side" in OURS[metric].labels and expression not in variables_of(ALL[name]):
                is_one_side = re.search(r'side="(\$side|inbound|outbound)"', selected)
                is_each_alone = re.search(r"\bby \([^)]*\bside\b", expression)
                assert is_one_side or is_each_alone or metric == "sidecar_message_bytes_bucket", expression


def variables_of(board: dict[str, Any]) -> set[str]:
    return {
        each["definition"].removeprefix("label_values(") for each in board["templating"]["list"] if "definition" in each
    }


def test_every_metric_is_on_a_board():
    """Whoever wants to see one need not begin with a query."""
    shown = {
        OURS[found].name
        for board in ALL.values()
        for found in re.findall(r"\bsidecar_\w+", json.dumps(board))
        if found in OURS
    }
    assert {metric.name for metric in METRICS} - shown == {"sidecar_budget_spent_usd"}  # shown as what is left


def test_times_lead_to_traces():
    """Each panel of call times asks for exemplars."""
    for board in ALL.values():
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                is_time = re.search(r"sidecar_(exchange_duration|overhead)_seconds_bucket", target["expr"])
                if is_time and panel["type"] == "timeseries":
                    assert target["exemplar"], panel["title"]


def test_boards_have_addresses_of_their_own_and_lead_to_each_other():
    """Uids are stable: people keep links to them."""
    assert {board["uid"] for board in ALL.values()} == {f"sidecar-{name}" for name in ALL}
    links = re.findall(r"/d/(sidecar-[\w-]+)", json.dumps(list(ALL.values())))
    assert links and set(links) <= {board["uid"] for board in ALL.values()}
    assert all(board["links"][0]["tags"] == board["tags"] == ["sidecar"] for board in ALL.values())


def test_every_alert_has_a_panel_that_leads_to_its_runbook():
    """Whoever sees the line climb finds what to do; and no link leads to a page that is not there."""
    pages = {path.name for path in (ROOT / "docs" / "runbooks").glob("sidecar*.md")}
    links = [link["url"] for board in ALL.values() for panel in board["panels"] for link in panel.get("links", ())]
    assert {link.rpartition("/")[2] for link in links} == pages
    assert {link.rpartition("/")[0] for link in links} == {Settings().runbooks}
    assert all(board["links"][1]["url"] == f"{Settings().runbooks}/README.md" for board in ALL.values())


BREAK: dict[str, Callable[[dict[str, Any], dict[str, Any]], object]] = {
    "template-datasource": lambda board, panel: board["templating"]["list"][0].update(label="Source"),
    "template-job": lambda board, panel: board["templating"]["list"][1].update(multi=False),
    "template-instance": lambda board, panel: board["templating"]["list"][2].update(allValue=".*"),
    "template-on-time-change-reload": lambda board, panel: board["templating"]["list"][1].update(refresh=1),
    "template-label-promql": lambda board, panel: board["templating"]["list"][1].update(definition="label_values(job)"),
    "panel-title-description": lambda board, panel: panel.update(description=""),
    "panel-datasource": lambda board, panel: panel.update(datasource={"type": "prometheus", "uid": "prometheus"}),
    "panel-units": lambda board, panel: panel["fieldConfig"]["defaults"].pop("unit"),
    "panel-no-targets": lambda board, panel: panel.update(targets=[]),
    "target-job": lambda board, panel: panel["targets"][0].update(
        expr='rate(sidecar_spans_total{instance=~"$instance"}[$__range])'
    ),
    "target-instance": lambda board, panel: panel["targets"][0].update(expr='up{job=~"$job"}'),
    "target-rate-interval": lambda board, panel: panel["targets"][0].update(
        expr='rate(sidecar_spans_total{job=~"$job", instance=~"$instance"}[5m])'
    ),
    "target-counter-agg": lambda board, panel: panel["targets"][0].update(
        expr='sum (sidecar_spans_total{job=~"$job", instance=~"$instance"})'
    ),
    "uneditable": lambda board, panel: board.update(editable=True),
    "lies on another panel": lambda board, panel: board["panels"][2]["gridPos"].update(board["panels"][1]["gridPos"]),
}


@pytest.mark.parametrize("rule", BREAK)
def test_a_rule_that_is_broken_is_noticed(rule: str):
    """A linter that accepts anything would prove nothing."""
    board = copy.deepcopy(ALL["fleet"])
    BREAK[rule](board, next(panel for panel in board["panels"] if panel["type"] == "stat"))
    assert any(finding.startswith(rule) for finding in lint(board))


def test_a_query_on_a_label_that_its_metric_lacks_is_no_query():
    """It is refused while the board is built."""
    with pytest.raises(ValueError, match="sidecar_loops_total has no label agent"):
        selector(names.LOOPS, 'agent="planner"')
    with pytest.raises(ValueError, match="has no label caller"):
        total(names.SHED, "caller")
    with pytest.raises(ValueError, match="counted on two sides"):
        selector(names.EXCHANGES, 'callee="planner"')
    with pytest.raises(ValueError, match="no matcher"):
        selector(names.LOOPS, "kind")
