"""The names that a user meets in Prometheus and in traces, from the one table of them.

`python -m dashboards.vocabulary > docs/telemetry.md`
"""

from __future__ import annotations

from sidecar.telemetry.names import ATTRIBUTES, LABELS, METRICS, Attribute, Metric

HEAD = """# Telemetry: what each name means

Generated from `sidecar/telemetry/names.py`. Metrics are served at `metrics.listen`, spans go where `tracing` says
([configuration](configuration.md#metrics-traces-logs)); [dashboards](../dashboards/README.md) has a query for each
metric. A call may pass two sidecars, and each counts it: where a metric has `side`, sum one side only. A metric that
nothing has happened to yet, or that no part of this version fills, has no series.

## Metrics

| metric | type | labels | meaning |
|---|---|---|---|
"""

LABEL_HEAD = """
## Labels

Ids are never labels. What exceeds `metrics.max_series` label sets of one metric is counted under `_other` in every
label.

| label | value |
|---|---|
"""

ATTRIBUTE_HEAD = """
## Spans

Each exchange is one span, SERVER on an inbound route and CLIENT on an outbound one. Findings are its events, named
`sidecar.finding`. Payload content is in none of them.

| attribute | type | meaning |
|---|---|---|
"""


def page() -> str:
    """The Markdown of `docs/telemetry.md`."""
    labels = [f"| `{label}` | {meaning} |\n" for label, meaning in LABELS.items()]
    rows = [*map(metric_row, METRICS), LABEL_HEAD, *labels, ATTRIBUTE_HEAD, *map(attribute_row, ATTRIBUTES)]
    return HEAD + "".join(rows)


def metric_row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n"


def attribute_row(attribute: Attribute) -> str:
    return f"| `{attribute.name}` | {attribute.type} | {attribute.help} |\n"


if __name__ == "__main__":
    print(page(), end="")
