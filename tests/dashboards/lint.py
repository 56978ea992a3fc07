"""The rules of Grafana's dashboard-linter that can be told from a file, and a few of ours. Each says what it found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sidecar.telemetry.names import METRICS

Board = dict[str, Any]
UID = {"type": "prometheus", "uid": "$datasource"}
NEUTRAL = {"text", "row"}
COUNTERS = [metric.name for metric in METRICS if metric.kind == "counter"]


def lint(board: Board) -> list[str]:
    return [*variables(board), *panels(board), *whole(board)]


def variables(board: Board) -> Iterator[str]:
    found = {each["name"]: each for each in board["templating"]["list"]}
    source = found.get("datasource", {})
    if (source.get("type"), source.get("query"), source.get("label")) != ("datasource", "prometheus", "Data source"):
        yield "template-datasource: no variable `datasource` of type prometheus, with the label Data source"
    for name in ("job", "instance"):
        each = found.get(name, {})
        if not (each.get("multi") and each.get("allValue") == ".+" and each.get("includeAll")):
            yield f"template-{name}: ${name} is not multi with allValue .+"
    for each in found.values():
        if each["type"] != "query":
            continue
        if each["datasource"] != UID:
            yield f"template-datasource: ${each['name']} does not ask $datasource"
        if each["refresh"] != 2:
            yield f"template-on-time-change-reload: ${each['name']} is not refreshed with the time range"
        if not re.fullmatch(r"label_values\(sidecar_\w+(\{.*\})?, \w+\)", each["definition"]):
            yield f"template-label-promql: ${each['name']} asks {each['definition']}"


def panels(board: Board) -> Iterator[str]:
    for panel in board["panels"]:
        if panel["type"] in NEUTRAL:
            continue
        title = panel.get("title", "")
        if not (title and panel.get("description")):
            yield f"panel-title-description: {title or panel['id']}"
        if panel.get("datasource") != UID:
            yield f"panel-datasource: {title}"
        if not panel["fieldConfig"]["defaults"].get("unit"):
            yield f"panel-units: {title}"
        if not panel.get("targets"):
            yield f"panel-no-targets: {title}"
        for target in panel.get("targets", ()):
            yield from (f"{finding}: {title}: {target['expr']}" for finding in queries(target))


def queries(target: dict[str, Any]) -> Iterator[str]:
    """`promql` itself is held by Prometheus' own tool."""
    expr = target["expr"]
    if target.get("datasource") != UID:
        yield "target-datasource"
    for name, selector in re.findall(r"\b(\w+)\{([^}]*)\}", expr):
        if name == "ALERTS":  # a rule's series has the labels of the rule
            continue
        for label in ("job", "instance"):
            if f'{label}=~"${label}"' not in selector:
                yield f"target-{label}"
    for function, window in re.findall(r"\b(\w+)\s*\([^()]*\[([^\]]+)\]", expr):
        if function == "rate" and window not in ("$__rate_interval", "$__range"):
            yield "target-rate-interval"
        if function not in ("rate", "increase") and "ALERTS" not in expr:
            yield "target-rate"
    for name in COUNTERS:
        raw = re.findall(rf"(\w*)\s*\(?\s*{name}\{{[^}}]*\}}(\[?)", expr)
        if any(function not in ("rate", "increase") or not window for function, window in raw):
            yield "target-counter-agg"
    if "histogram_quantile" in expr and "le)" not in expr:
        yield "histogram_quantile over something else than le"


def whole(board: Board) -> Iterator[str]:
    if board["editable"]:
        yield "uneditable: what is generated would be lost when it is edited"
    ids = [panel["id"] for panel in board["panels"]]
    if len(set(ids)) < len(ids):
        yield "panels have no ids of their own"
    for panel in board["panels"]:
        letters = [target["refId"] for target in panel.get("targets", ())]
        if len(set(letters)) < len(letters):
            yield f"refIds of {panel['title']}"
    boxes = [panel["gridPos"] for panel in board["panels"]]
    for number, one in enumerate(boxes):
        if one["x"] + one["w"] > 24:
            yield f"wider than the board: {board['panels'][number]['title']}"
        if any(overlap(one, other) for other in boxes[:number]):
            yield f"lies on another panel: {board['panels'][number]['title']}"


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    apart = (
        one["x"] + one["w"] <= other["x"]
        or other["x"] + other["w"] <= one["x"]
        or one["y"] + one["h"] <= other["y"]
        or other["y"] + other["h"] <= one["y"]
    )
    return not apart
