"""Metrics of tasks and resources: what a scrape shows of what the checks told."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from sidecar.engine.state.tasks import Census
from sidecar.telemetry.task_metrics import STATES_MAX, TaskMetrics
from sidecar.telemetry.version_metrics import VersionMetrics


def test_a_state_that_nothing_is_in_any_more_goes_on_at_zero():
    """A series that vanishes hides that it went down."""
    registry = CollectorRegistry()
    metrics = TaskMetrics(registry, 100)
    metrics.tasks_counted("writer", Census({"open": 2, "sent": 1}, 1))
    metrics.tasks_counted("writer", Census({"sent": 3}, 0))
    metrics.tasks_counted("shop", Census({"open": 7}, 4))
    shown = {
        (sample.name, *sample.labels.values()): sample.value for each in registry.collect() for sample in each.samples
    }
    assert shown == {
        ("sidecar_tasks", "writer", "open"): 0,
        ("sidecar_tasks", "writer", "sent"): 3,
        ("sidecar_tasks", "shop", "open"): 7,
        ("sidecar_stuck_tasks", "writer"): 0,
        ("sidecar_stuck_tasks", "shop"): 4,
    }


@pytest.mark.parametrize("count", [0, 1, STATES_MAX, STATES_MAX + 1, STATES_MAX + 9])
def test_states_past_the_limit_are_summed(count: int):
    """A store may remember states of machines that no spec has any more."""
    registry = CollectorRegistry()
    metrics = TaskMetrics(registry, 100)
    for _ in range(2):
        metrics.tasks_counted("writer", Census({f"state-{number}": 1 for number in range(count)}, 0))
    rest = registry.get_sample_value("sidecar_tasks", {"callee": "writer", "state": "_other"})
    assert rest == (count - STATES_MAX if count > STATES_MAX else None)


def test_steps_stale_reads_and_lost_updates_are_counted():
    """Each by its labels."""
    registry = CollectorRegistry()
    tasks, versions = TaskMetrics(registry, 100), VersionMetrics(registry, 100)
    tasks.task_moved("writer", "open", "sent", is_legal=False)
    for _ in range(2):
        versions.read_was_stale("account")
    versions.update_was_lost("account")
    labels = {"callee": "writer", "from": "open", "to": "sent", "legal": "false"}
    assert registry.get_sample_value("sidecar_task_transitions_total", labels) == 1
    assert registry.get_sample_value("sidecar_stale_reads_total", {"resource": "account"}) == 2
    assert registry.get_sample_value("sidecar_lost_updates_total", {"resource": "account"}) == 1
