"""The shipped rules at another factor: which alerts there are, and what they say of themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.e2e.monitoring import seconds_in


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One alerting rule. Several may have one name, told apart by their labels."""

    name: str
    labels: Mapping[str, str]
    """Those that the rule sets itself."""
    for_s: float


def generated(root: Path, factor: float, folder: Path) -> list[Path]:
    """The rule files at `factor`, made by the command that makes the shipped ones. Raises CalledProcessError."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "dashboards.rules", "--factor", f"{factor:g}", "--out", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return sorted(folder.glob("*.y*ml"))


def alerts_in(files: list[Path]) -> list[AlertRule]:
    groups = [group for path in files for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return [alert_rule(rule) for group in groups for rule in group["rules"] if "alert" in rule]


def alert_rule(rule: Mapping[str, object]) -> AlertRule:
    labels = rule.get("labels", {})
    assert isinstance(labels, dict)
    return AlertRule(str(rule["alert"]), labels, seconds_in(str(rule.get("for", "0s"))))
