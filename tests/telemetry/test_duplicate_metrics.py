"""Duplicates and retries, as a scrape shows them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from sidecar.checks.idempotency.duplicate import Origin, Outcome
from sidecar.telemetry.duplicate_metrics import DuplicateMetrics


def test_duplicates_are_counted_by_what_became_of_them():
    """And by callee, never by key or id."""
    registry = CollectorRegistry()
    metrics = DuplicateMetrics(registry)
    for outcome in (Outcome.REPLAYED, Outcome.REPLAYED, Outcome.CONFLICT):
        metrics.duplicate_found("shop", outcome)
    assert registry.get_sample_value("sidecar_duplicates_total", {"callee": "shop", "outcome": "replayed"}) == 2
    assert registry.get_sample_value("sidecar_duplicates_total", {"callee": "shop", "outcome": "conflict"}) == 1


def test_retries_are_counted_by_where_they_came_from():
    """And whether a deadline had to do with it."""
    registry = CollectorRegistry()
    DuplicateMetrics(registry).retry_seen("shop", Origin.ABOVE, is_near_deadline=True)
    labels = {"callee": "shop", "origin": "above", "near_deadline": "true"}
    assert registry.get_sample_value("sidecar_retry_origins_total", labels) == 1
