"""The sidecars' own HTTP pages, read as Prometheus and Kubernetes would read them."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.error import URLError

from prometheus_client.parser import text_string_to_metric_families

PAGE_LIMIT_S = 5.0

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Loopback pages are never behind a proxy, whatever the environment says."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a /metrics page."""

    name: str
    labels: Mapping[str, str]
    value: float


class Metrics:
    """One sidecar's /metrics at one moment."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._samples = [
            Sample(sample.name, sample.labels, sample.value) for family in families for sample in family.samples
        ]

    def total(self, name: str, *, scale: int = 1, **labels: str) -> int:
        """The sum of the series that carry these labels, in units of 1/`scale`; 0 where there is none."""
        values = (sample.value for sample in self._samples if sample.name == name and is_like(sample, labels))
        return round(sum(values) * scale)


def is_like(sample: Sample, labels: Mapping[str, str]) -> bool:
    return all(sample.labels.get(name) == value for name, value in labels.items())


async def metrics(address: str) -> Metrics:
    return Metrics((await asyncio.to_thread(fetch, f"http://{address}/metrics")).decode())


async def is_ready(address: str) -> bool:
    """What /readyz says; False where nobody answers yet."""
    try:
        await asyncio.to_thread(fetch, f"http://{address}/readyz")
    except (URLError, OSError):
        return False
    return True


def fetch(url: str) -> bytes:
    with DIRECT.open(url, timeout=PAGE_LIMIT_S) as response:
        return bytes(response.read())
