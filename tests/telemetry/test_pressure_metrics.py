"""Breakers, as a scrape shows them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from sidecar.telemetry.breaker_gauge import BreakerGauge
from sidecar.telemetry.panel_metrics import PanelMetrics
from sidecar.telemetry.pressure_metrics import PressureMetrics


def test_a_verifier_and_an_agent_of_one_name_have_two_breakers() -> None:
    """In one family, which both write; each is there, closed, from the start."""
    registry = CollectorRegistry()
    breakers = BreakerGauge(registry)
    panel = PanelMetrics(registry, ["writer"], breakers=breakers)
    pressure = PressureMetrics(breakers, ["writer"])

    def is_open(target: str) -> float | None:
        return registry.get_sample_value("sidecar_breaker_open", {"target": target})

    assert (is_open("verifier:writer"), is_open("agent:writer")) == (0, 0)
    pressure.breaker_changed("writer", True)
    assert (is_open("verifier:writer"), is_open("agent:writer")) == (0, 1)
    panel.breaker_changed("writer", True)
    pressure.breaker_changed("writer", False)
    assert (is_open("verifier:writer"), is_open("agent:writer")) == (1, 0)
