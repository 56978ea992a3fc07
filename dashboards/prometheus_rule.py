"""Writes the shipped rules as a PrometheusRule for the Prometheus operator: `python -m dashboards.prometheus_rule`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "dashboards" / "rules"
TARGET = ROOT / "deploy" / "kubernetes" / "base" / "prometheus-rule.yaml"

HEAD = """\
# Written by `python -m dashboards.prometheus_rule` from dashboards/rules/*.yml. Not edited by hand.
"""


def rendered() -> str:
    """The file's text. Groups keep their order and their names."""
    groups: list[Any] = []
    for path in sorted(RULES.glob("*.yml"), reverse=True):  # recording.yml first, alerts ask what it records
        groups += yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        # The label is what the operator's ruleSelector looks for; yours may differ.
        "metadata": {"name": "agent-sidecar", "labels": {"release": "kube-prometheus-stack"}},
        "spec": {"groups": groups},
    }
    return HEAD + yaml.safe_dump(resource, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    TARGET.write_text(rendered(), encoding="utf-8")
    print(f"wrote {TARGET.relative_to(ROOT)}")
