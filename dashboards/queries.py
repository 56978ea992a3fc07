"""The queries to begin with, from the one table of names: `python -m dashboards.queries > dashboards/README.md`."""

from __future__ import annotations

from sidecar.telemetry.names import METRICS, Metric

HEAD = """# Dashboards

Boards are not shipped yet. Until they are, these are the queries to begin with in Grafana's Explore or in Prometheus:
one for each metric in the vocabulary. A metric that no part of this version fills has no series.

| question | query |
|---|---|
"""


def page() -> str:
    """The Markdown of `dashboards/README.md`."""
    return HEAD + "".join(row(metric) for metric in METRICS)


def row(metric: Metric) -> str:
    query = metric.query.replace("|", "\\\\|")
    return f"| {metric.help} | `{query}` |\n"


if __name__ == "__main__":
    print(page(), end="")
