"""docs/metrics.md: every metric, its labels, its bound and a query to begin with, from the one table of names."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.telemetry.families import SERIES_LIMIT
from sidecar.telemetry.names import LABELS, METRICS, Metric

HEAD = f"""# Metrics

Generated from `sidecar/telemetry/names.py` by `python -m dashboards`. Served at `metrics.listen`
([configuration](configuration.md#metrics-traces-logs)), as text 0.0.4 or, for a scraper that asks for it, OpenMetrics
with exemplars: on `sidecar_exchanges_total`, `sidecar_exchange_duration_seconds` and `sidecar_overhead_seconds`, of
sampled calls. [Boards](../dashboards/README.md) show all of them; [spans](telemetry.md) tell of single calls.

A call may pass two sidecars, and each counts it: where a metric has `side`, sum one side only. A metric that nothing
has happened to yet has no series, but where its label values are known beforehand: these begin at 0. Beside these
metrics there are `process_*` and `python_*`, of the Prometheus client.

## How many series

A metric takes `metrics.max_series` sets of labels ({SERIES_LIMIT:,}), and what is over that is counted under `_other`
in every label: one set more. Ids are never labels. A histogram has several series for each set: one a bucket, and a
sum and a count. Gauges that are counted at the scrape have as many sets as the configuration gives them. The column
*series* says both.

"""

TABLE_HEAD = """| metric | type | unit | labels | series |
|---|---|---|---|---|
"""

LABEL_HEAD = """
## Labels

| label | value |
|---|---|
"""

MEANING_HEAD = """
## Meaning, and a query to begin with

| metric | meaning | query |
|---|---|---|
"""


def page() -> str:
    """The Markdown of `docs/metrics.md`."""
    return "".join([HEAD, *table(), LABEL_HEAD, *labels(), MEANING_HEAD, *meanings()])


def table() -> Iterator[str]:
    yield TABLE_HEAD
    for metric in METRICS:
        cells = (f"`{metric.name}`", metric.kind, metric.unit, ", ".join(f"`{each}`" for each in metric.labels))
        yield f"| {' | '.join(cells)} | {bound(metric)} |\n"


def bound(metric: Metric) -> str:
    """How many series it can have, in words."""
    if metric.bound:
        return metric.bound
    samples = "" if metric.samples_each == 1 else f"{metric.samples_each} x "
    return f"{samples}(`max_series` + 1)"


def labels() -> Iterator[str]:
    for label, meaning in LABELS.items():
        yield f"| `{label}` | {meaning} |\n"


def meanings() -> Iterator[str]:
    for metric in METRICS:
        query = metric.query.replace("|", "\\|")
        yield f"| `{metric.name}` | {metric.help} | `{query}` |\n"
