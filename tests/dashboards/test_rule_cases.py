"""Each alert is silent first and then fires with its exact text, as Prometheus' own tool sees it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.rules import Settings, alerts, recordings
from dashboards.rules.files import rendered

FOLDER = Path(__file__).parent.parent.parent / "dashboards" / "rules" / "tests"
FILES = sorted(FOLDER.glob("*.yml"))
RULES = [rule for group in alerts() for rule in group["rules"]]


def promtool(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True)


def checks(path: Path) -> list[tuple[str, list[dict[str, Any]]]]:
    """What a file expects: alert, and the alerts that are there."""
    tests = yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    return [(each["alertname"], each["exp_alerts"]) for test in tests for each in test["alert_rule_test"]]


CHECKS = [each for path in FILES for each in checks(path)]


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[Path, Future[subprocess.CompletedProcess[str]]]]:
    """Every file, as many at once as there are cores: each takes seconds, for it plays hours."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {path: pool.submit(promtool, path) for path in FILES}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_is_expected_happens(runs: dict[Path, Future[subprocess.CompletedProcess[str]]], path: Path):
    """Whole instances with labels and annotations, and no others."""
    done = runs[path].result()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: "-".join([rule["alert"], *list(rule["labels"].values())[1:]]))
def test_every_rule_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(rule: dict[str, Any]):
    """A rule that was never seen to fire may never fire, and one that was never seen silent may never stop."""
    expected = [found for name, found in CHECKS if name == rule["alert"]]
    assert [] in expected
    assert any(rule["labels"].items() <= each["exp_labels"].items() for found in expected for each in found)


def test_a_file_says_nothing_of_alerts_that_do_not_exist():
    """A case for a name that was changed would be silent for ever."""
    assert {name for name, _ in CHECKS} == {rule["alert"] for rule in RULES}


@pytest.mark.timeout(600)
def test_a_case_notices_a_rule_that_has_changed(tmp_path: Path):
    """A check that accepts anything would prove nothing."""
    deafer = Settings(fail_opens_min=500)
    (tmp_path / "recording.yml").write_text(rendered(recordings()))
    (tmp_path / "alerts.yml").write_text(rendered(alerts(1, deafer)))
    (tmp_path / "tests").mkdir()
    path = tmp_path / "tests" / "unjudged.yml"
    path.write_text((FOLDER / path.name).read_text(encoding="utf-8"), encoding="utf-8")
    done = promtool(path)
    assert done.returncode != 0
    assert "SidecarFailOpen" in done.stdout + done.stderr
