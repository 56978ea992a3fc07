"""Queries that are right after a restart and count a call once, written with the metrics of the one table of names.

Counters are looked at by `rate` and `increase` alone, and summed after that. Where a metric has `side`, a query names
one: a call that passes two sidecars is counted by both. Gauges about a callee are told by each sidecar that sees it,
so the largest counts.
"""

from __future__ import annotations

import re

from sidecar.telemetry.names import Metric

HERE = 'job=~"$job", instance=~"$instance"'
"""What every query is narrowed to."""

RATE_RANGE = "$__rate_interval"
"""At least four scrapes and at least one pixel (Grafana)."""

WHOLE_RANGE = "$__range"
"""What is looked at as a whole."""

MATCHER = re.compile(r"^([a-z_]+)(=~|!~|=|!=)\"")


def selector(metric: Metric, *matchers: str, suffix: str = "") -> str:
    """The metric's series here. Each matcher is one of PromQL, `callee=~"$agent"`, on a label that the metric has."""
    labels = [label_of(matcher) for matcher in matchers]
    unknown = set(labels) - set(metric.labels)
    if unknown:
        raise ValueError(f"{metric.name} has no label {', '.join(sorted(unknown))}")
    if "side" in metric.labels and "side" not in labels:
        raise ValueError(f"{metric.name} is counted on two sides: name one")
    return f"{metric.name}{suffix}{{{', '.join((HERE, *matchers))}}}"


def rate(metric: Metric, by: str, *matchers: str, over: str = RATE_RANGE) -> str:
    """Per second. `by` is a list of labels, comma between them, or empty for one sum of all."""
    return f"{total(metric, by)} (rate({selector(metric, *matchers)}[{over}]))"


def rate_of_count(metric: Metric, by: str, *matchers: str, over: str = RATE_RANGE) -> str:
    """Observations of a histogram per second."""
    return f"{total(metric, by)} (rate({selector(metric, *matchers, suffix='_count')}[{over}]))"


def increase(metric: Metric, by: str, *matchers: str, over: str = WHOLE_RANGE) -> str:
    """How much came on top in that time."""
    return f"{total(metric, by)} (increase({selector(metric, *matchers)}[{over}]))"


def quantile(share: float, metric: Metric, by: str, *matchers: str, over: str = RATE_RANGE) -> str:
    """The value that `share` of all observations stay under, as far as the buckets tell."""
    inside = f"rate({selector(metric, *matchers, suffix='_bucket')}[{over}])"
    return f"histogram_quantile({share}, {total(metric, ', '.join(filter(None, (by, 'le'))), 'le')} ({inside}))"


def most(metric: Metric, by: str, *matchers: str) -> str:
    """A gauge, as the sidecar that sees most tells it."""
    return f"{total(metric, by, verb='max')} ({selector(metric, *matchers)})"


def share(part: str, whole: str) -> str:
    """Between 0 and 1, and 0 where there is nothing of the part; without a value where there is nothing at all."""
    return f"({part} or 0 * {whole}) / {whole}"


def total(metric: Metric, by: str, *more: str, verb: str = "sum") -> str:
    if not by:
        return verb
    unknown = {label.strip() for label in by.split(",")} - {*metric.labels, *more, "job", "instance"}
    if unknown:
        raise ValueError(f"{metric.name} has no label {', '.join(sorted(unknown))}")
    return f"{verb} by ({by})"


def label_of(matcher: str) -> str:
    found = MATCHER.match(matcher)
    if found is None:
        raise ValueError(f"{matcher} is no matcher")
    return found[1]
