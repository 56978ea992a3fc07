"""The look at a running Prometheus: it finds everything where everything is, and says what is missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboards.check import FOLDER, Prometheus, PrometheusRefused, Result, Window, check, main, table
from tests.dashboards.prometheus import prometheus_of

MISSING = frozenset({"sidecar_engine_disagreements_total", "sidecar_overhead_seconds"})
RANGE_S, RATE_S = 60.0, 30.0
LOOK = ("--range", str(RANGE_S), "--rate", str(RATE_S))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus_of(tmp_path_factory.mktemp("prometheus"), without=MISSING) as found:
        yield found


@pytest.fixture(scope="module")
def results(url: str) -> list[Result]:
    return check(url, window=Window(time.time(), range_s=RANGE_S, rate_s=RATE_S))


def test_everything_that_is_there_is_found(results: list[Result]):
    """Each panel, variable and exemplar of all boards, but for what asks for the metrics that were kept away."""
    empty = [each for each in results if not each.has_data]
    assert [each for each in empty if not any(name in each.query for name in MISSING)] == []


def test_what_is_missing_is_told(results: list[Result]):
    """All that asks for it, panel and exemplars alike."""
    asked = [each for each in results if any(name in each.query for name in MISSING)]
    assert len(asked) > 8
    assert not any(each.has_data for each in asked)


def test_every_board_has_variables_panels_and_values(results: list[Result]):
    """A row of the result has what was asked, with nothing of Grafana's left in it."""
    boards = {each.board for each in results}
    assert len(boards) == len(list(FOLDER.glob("*.json")))
    for board in boards:
        assert {"$job", "$instance"} <= {each.panel for each in results if each.board == board}
    assert not any("$" in each.query.replace("$1", "") for each in results)
    assert any(each.panel == "exemplars of Time of a call" and each.has_data for each in results)


def test_a_variable_can_be_chosen(url: str):
    """An agent that nobody called has no data."""
    window = Window(time.time(), range_s=RANGE_S, rate_s=RATE_S)
    found = check(url, window=window, boards=[FOLDER / "agent.json"], variables={"agent": "nobody"})
    panels = [each for each in found if not each.panel.startswith("$")]
    assert panels and not any(each.has_data for each in panels)


def test_a_query_that_prometheus_refuses_is_told_with_its_words(url: str):
    with pytest.raises(PrometheusRefused, match="parse error"):
        Prometheus(url).get("query", query="sum by (")


def test_the_command_ends_with_one_where_data_is_missing(url: str, capsys: pytest.CaptureFixture[str]):
    """And prints a row for each query, those without data marked."""
    assert main(["--prometheus", url, *LOOK]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["board", "panel", "series", "last", "query"]
    marked = [line for line in lines if line.startswith("!")]
    assert marked
    assert lines[-1].endswith(f"queries, {len(marked)} without data")
    assert all(any(name in line for name in MISSING) for line in marked)


def test_the_command_ends_with_zero_where_nothing_is_missing(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Here: of the one board that has nothing to do with what was kept away."""
    monkeypatch.setattr("dashboards.check.FOLDER", tmp_path)
    (tmp_path / "fleet.json").write_bytes((FOLDER / "fleet.json").read_bytes())
    assert main(["--prometheus", url, *LOOK]) == 0


def test_no_prometheus_is_no_success(capsys: pytest.CaptureFixture[str]):
    """Nothing listens there."""
    assert main(["--prometheus", "http://127.0.0.1:1"]) == 2
    assert "no answer of a Prometheus at http://127.0.0.1:1" in capsys.readouterr().err


def test_no_boards_are_no_success(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """An empty folder is a mistake, not a board without faults."""
    monkeypatch.setattr("dashboards.check.FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError):
        check(url)


def test_a_row_without_data_is_marked():
    """So that one can look for it."""
    rows = table([Result("A", "calls", "up", 1, "1"), Result("A", "$job", "x", 0, error="no such")]).splitlines()
    assert [row[0] for row in rows] == [" ", " ", "!"]
    assert rows[2].endswith("no such")
