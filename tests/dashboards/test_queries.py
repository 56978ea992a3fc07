"""The queries that people are told to begin with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from dashboards.queries import page
from sidecar.telemetry.names import METRICS

README = Path(__file__).parent.parent.parent / "dashboards" / "README.md"


def test_the_page_is_what_the_table_of_names_says():
    """Generated and committed; `python -m dashboards.queries > dashboards/README.md` mends a difference."""
    assert README.read_text(encoding="utf-8") == page()


def checked(folder: Path, queries: list[str]) -> subprocess.CompletedProcess[str]:
    rules = [{"record": f"query:number:{number}", "expr": query} for number, query in enumerate(queries)]
    path = folder / "rules.json"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    return subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True)


def test_prometheus_can_read_every_query(tmp_path: Path):
    """Prometheus' own tool parses each of them."""
    found = checked(tmp_path, [metric.query for metric in METRICS])
    assert found.returncode == 0, found.stderr
    assert f"{len(METRICS)} rules found" in found.stdout


@pytest.mark.parametrize("broken", ["sum by (", "rate(sidecar_exchanges_total)", "("])
def test_a_broken_query_would_be_noticed(tmp_path: Path, broken: str):
    """A check that accepts anything would prove nothing."""
    assert checked(tmp_path, [broken]).returncode != 0
