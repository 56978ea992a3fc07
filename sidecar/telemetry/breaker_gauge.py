"""Which circuit breakers are open: one gauge for verifiers and callees, since a registry knows a name once."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from sidecar.telemetry import names
from sidecar.telemetry.families import ScrapedGauge


class BreakerGauge:
    """Written on the event loop, read by a scrape. Targets are the configuration's, so there are few."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._open: dict[tuple[str, ...], float] = {}
        registry.register(ScrapedGauge(names.BREAKER_OPEN, self._open.copy))

    def set(self, target: str, is_open: bool) -> None:
        """`verifier:NAME` or `agent:NAME`: an agent may be called like a verifier."""
        self._open[target,] = float(is_open)
