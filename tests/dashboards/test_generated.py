"""What is generated from code is committed as it is generated, and nobody looks in vain for a metric."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from dashboards.__main__ import BOARDS, ROOT, files
from dashboards.metrics_page import bound
from sidecar.telemetry.names import METRICS
from sidecar.testing import running_sidecar

FILES = files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_what_the_code_makes(path: Path):
    """Generated and committed; `make dashboards` mends a difference."""
    assert path.read_text(encoding="utf-8") == FILES[path]


def test_no_board_is_left_over():
    """Grafana would go on to show a file that no code makes any more."""
    there = {path.name for path in (ROOT / "dashboards" / "boards").iterdir()}
    assert there == {f"{board.name}.json" for board in BOARDS}


def test_the_page_of_boards_names_each():
    """With its title and its file."""
    page = (ROOT / "dashboards" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| `boards/([^|]+)\.json` \|", page, flags=re.MULTILINE)
    assert rows == [(board.title, board.name) for board in BOARDS]


def test_every_metric_is_documented_with_its_labels_and_its_bound():
    """A row with name, type, unit, labels and series, and one with the meaning and a query."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for metric in METRICS:
        row, meaning = (line for line in page.splitlines() if line.startswith(f"| `{metric.name}` |"))
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        assert row == f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {bound(metric)} |"
        assert metric.help in meaning and metric.query.replace("|", "\\|") in meaning


async def test_what_a_sidecar_has_is_what_the_page_tells():
    """Every family that a real one registers, also those that have no series yet, and none that nothing could fill."""
    async with running_sidecar("127.0.0.1:1", agent="writer") as sidecar:
        parts = sidecar.app.metrics.registry.collectors
        described = [each for part in parts for each in getattr(part, "describe", part.collect)()]
    ours = {(each.name, each.type) for each in described if each.name.startswith("sidecar")}
    assert ours == {(metric.family, metric.kind) for metric in METRICS}
    assert {each.name.partition("_")[0] for each in described} == {"sidecar", "process", "python"}


def test_gauges_that_are_read_at_the_scrape_say_what_bounds_them():
    """`metrics.max_series` does not reach them."""
    assert [each.name for each in METRICS if each.kind in ("gauge", "info") and not each.bound] == []
    assert [each.name for each in METRICS if each.kind in ("counter", "histogram") and each.bound] == []


def checked(folder: Path, queries: list[str]) -> subprocess.CompletedProcess[str]:
    rules = [{"record": f"query:number:{number}", "expr": query} for number, query in enumerate(queries)]
    path = folder / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    return subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True)


def test_prometheus_can_read_every_example(tmp_path: Path):
    """Prometheus' own tool parses each of them."""
    found = checked(tmp_path, [metric.query for metric in METRICS])
    assert found.returncode == 0, found.stderr
    assert f"{len(METRICS)} rules found" in found.stdout


@pytest.mark.parametrize("broken", ["sum by (", "rate(sidecar_exchanges_total)", "("])
def test_a_broken_query_would_be_noticed(tmp_path: Path, broken: str):
    """A check that accepts anything would prove nothing."""
    assert checked(tmp_path, [broken]).returncode != 0
