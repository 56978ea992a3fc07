"""What a whole fleet does to one sidecar stays within the bounds of docs/metrics.md. `bench.series` takes times."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.series import AGENTS, Fleet, bounds, counted, scraped, too_many
from sidecar.telemetry.metrics_server import MetricsServer
from sidecar.telemetry.names import METRICS


@pytest.mark.parametrize("max_series", [40, 2000])
async def test_series_stay_within_their_bounds(max_series: int):
    """50 agents on 2,500 edges, 200 verifiers, 500 strangers. What is too much is under `_other`; nothing is lost."""
    fleet = Fleet(max_series)
    calls = await fleet.round()
    server = MetricsServer(fleet.registry, "127.0.0.1:0")
    page, _ = scraped(server.start())
    server.stop()
    found = counted(page)
    assert too_many(found, max_series) == []
    assert found["sidecar_exchanges_total"] == max_series + 1
    assert found["sidecar_breaker_open"] == 200 + len(AGENTS)
    lines = [line for line in page.splitlines() if line.startswith("sidecar_exchanges_total{")]
    assert sum(float(line.partition("} ")[2].split()[0]) for line in lines) == calls
    assert [name for name, count in found.items() if not count] == []


def test_a_metric_with_too_many_would_be_noticed():
    """One more than it may."""
    limits = bounds(2000)
    assert set(limits) == {metric.name for metric in METRICS}
    assert too_many(Counter(limits), 2000) == []
    for name in limits:
        assert too_many(Counter({name: limits[name] + 1}), 2000) == [
            f"{name}: {limits[name] + 1} series, {limits[name]} allowed"
        ]
