"""What a sidecar counted of a measurement, from its own metrics."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counted:
    ok_calls: int
    findings: int
    tasks: int
    """Tasks that were seen for the first time."""
    cost_usd: float


def counted(port: int) -> Counted:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    return Counted(
        ok_calls=int(total(lines, "sidecar_exchanges_total", 'code="OK"', 'decision="forward"')),
        findings=int(total(lines, "sidecar_findings_total")),
        tasks=int(total(lines, "sidecar_task_transitions_total", 'legal="true"')),
        cost_usd=total(lines, "sidecar_cost_usd_total"),
    )


def total(lines: list[str], metric: str, *labels: str) -> float:
    found = (line for line in lines if line.startswith(metric + "{") and all(label in line for label in labels))
    return sum(float(line.rpartition(" ")[2]) for line in found)
