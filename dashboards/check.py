"""Does every board have data? Asks a Prometheus for what Grafana would: each panel, each variable, each exemplar.

`python -m dashboards.check --prometheus http://127.0.0.1:9090` prints a row for each query and ends with 1 when one
has no data. It reads the committed boards alone, so it needs neither Grafana nor the package that generates them.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "boards"
ANSWER_LIMIT_S = 30.0
POINTS = 60
"""Steps of a range query: as many as a narrow panel has."""

VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)")
LABEL_VALUES = re.compile(r"label_values\((.+),\s*(\w+)\)")
Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Window:
    """What is looked at: the last `range_s` seconds before `end_unix_s`. `rate_s` stands for $__rate_interval."""

    end_unix_s: float
    range_s: float = 900.0
    rate_s: float = 60.0

    @property
    def step_s(self) -> float:
        return max(self.range_s / POINTS, 1.0)

    @property
    def builtins(self) -> Labels:
        """What Grafana fills in by itself."""
        whole, rate, step = (f"{round(seconds)}s" for seconds in (self.range_s, self.rate_s, self.step_s))
        return {"__range": whole, "__rate_interval": rate, "__interval": step}

    @property
    def bounds(self) -> Labels:
        return {"start": f"{self.end_unix_s - self.range_s:.3f}", "end": f"{self.end_unix_s:.3f}"}


@dataclass(frozen=True, slots=True)
class Result:
    """What one query of a board found."""

    board: str
    panel: str
    """Its title; of a variable `$name`; `exemplars of` a panel."""
    query: str
    """As it was asked."""
    series: int
    """Those with at least one number. Of a variable its values, of exemplars those found."""
    last: str = ""
    """The last value of the first series."""
    error: str = ""
    """What Prometheus said, where it refused."""

    @property
    def has_data(self) -> bool:
        return self.series > 0


class Prometheus:
    """The HTTP API, as far as boards use it. `url` is its root, without `/api`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer. Raises PrometheusRefused with what it said."""
        address = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=ANSWER_LIMIT_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise PrometheusRefused(said(error)) from error
        except (OSError, ValueError, KeyError) as error:
            raise PrometheusRefused(f"no answer of a Prometheus at {self._url}: {error}") from error


class PrometheusRefused(Exception):
    """A query that it cannot read, or no Prometheus at all."""


def said(error: urllib.error.HTTPError) -> str:
    body = error.read().decode(errors="replace")
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {body[:200]}"


def check(
    prometheus_url: str,
    *,
    window: Window | None = None,
    boards: Sequence[Path] | None = None,
    variables: Mapping[str, str] | None = None,
) -> list[Result]:
    """Every query of every board, asked once. `window` ends now by default; `variables` are chosen values, by name.

    A variable that takes several values stands at All, one that takes a single value at the first that it offers.
    Nothing is raised for a query that fails: its result says so.
    """
    paths = sorted(FOLDER.glob("*.json")) if boards is None else boards
    if not paths:
        raise FileNotFoundError(f"no boards in {FOLDER}")
    prometheus, now = Prometheus(prometheus_url), window or Window(time.time())
    return [
        result
        for path in paths
        for result in BoardCheck(json.loads(path.read_text("utf-8")), prometheus, now, variables or {}).run()
    ]


class BoardCheck:
    """The queries of one board, with its variables filled in from the first to the last."""

    def __init__(
        self, board: dict[str, Any], prometheus: Prometheus, window: Window, variables: Mapping[str, str]
    ) -> None:
        self._board = board
        self._title = board["title"]
        self._prometheus = prometheus
        self._window = window
        self._chosen = variables
        self._values: Labels = window.builtins

    def run(self) -> Iterator[Result]:
        for variable in self._board["templating"]["list"]:
            yield from self._variable(variable)
        for panel in self._board["panels"]:
            for target in panel.get("targets", ()):
                yield self._panel(panel["title"], target)
                if target.get("exemplar"):
                    yield self._exemplars(panel["title"], target)

    def _variable(self, variable: dict[str, Any]) -> Iterator[Result]:
        name, kind = variable["name"], variable["type"]
        if kind == "datasource":
            return
        if kind != "query":
            self._values[name] = self._chosen.get(name, variable["query"].split(",")[0])
            return
        query = self._filled(variable["definition"])
        found, error = self._label_values(query)
        first = found[0] if found else ""
        self._values[name] = self._chosen.get(name, variable["allValue"] if variable.get("includeAll") else first)
        yield Result(self._title, f"${name}", query, len(found), first, error)

    def _label_values(self, query: str) -> tuple[list[str], str]:
        matched = LABEL_VALUES.fullmatch(query)
        if matched is None:
            return [], "is no label_values(series, label)"
        try:
            path = f"label/{matched[2]}/values"
            return self._prometheus.get(path, **{"match[]": matched[1]}, **self._window.bounds), ""
        except PrometheusRefused as error:
            return [], str(error)

    def _panel(self, title: str, target: dict[str, Any]) -> Result:
        query = self._filled(target["expr"])
        try:
            if target.get("instant"):
                data = self._prometheus.get("query", query=query, time=self._window.bounds["end"])
            else:
                step = f"{self._window.step_s:.3f}"
                data = self._prometheus.get("query_range", query=query, step=step, **self._window.bounds)
        except PrometheusRefused as error:
            return Result(self._title, title, query, 0, error=str(error))
        lasts = [last for series in data["result"] if (last := last_number(series))]
        return Result(self._title, title, query, len(lasts), lasts[0] if lasts else "")

    def _exemplars(self, title: str, target: dict[str, Any]) -> Result:
        query, title = self._filled(target["expr"]), f"exemplars of {title}"
        try:
            data = self._prometheus.get("query_exemplars", query=query, **self._window.bounds)
        except PrometheusRefused as error:
            return Result(self._title, title, query, 0, error=str(error))
        traces = [each["labels"].get("trace_id", "") for series in data for each in series["exemplars"]]
        traces = [trace for trace in traces if trace]
        return Result(self._title, title, query, len(traces), traces[0] if traces else "")

    def _filled(self, text: str) -> str:
        """With each variable replaced. One that is not known stays, so that Prometheus refuses the query."""
        return VARIABLE.sub(lambda found: self._values.get(found[1] or found[2], found[0]), text)


def last_number(series: dict[str, Any]) -> str:
    """The last value that is a number: a quantile of nothing is NaN, which a panel shows as nothing."""
    points = series.get("values") or [series["value"]]
    numbers = [value for _, value in points if not math.isnan(float(value))]
    return numbers[-1] if numbers else ""


def table(results: Sequence[Result]) -> str:
    """A row for each result: board, panel, series, last value, query; those without data are marked."""
    rows = [("", "board", "panel", "series", "last", "query")]
    rows += [
        (
            "" if each.has_data else "!",
            each.board,
            each.panel,
            str(each.series),
            each.last[:12],
            each.error or each.query,
        )
        for each in results
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]) for row in rows
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every query has data, 1 when one has none, 2 when no Prometheus answers."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.check", description=__doc__)
    parser.add_argument("--prometheus", required=True, metavar="URL", help="its root: http://127.0.0.1:9090")
    parser.add_argument("--range", type=float, default=900.0, metavar="S", help="seconds looked at (%(default)s)")
    parser.add_argument("--rate", type=float, default=60.0, metavar="S", help="$__rate_interval (%(default)s)")
    parser.add_argument(
        "--variable", action="append", default=[], metavar="NAME=VALUE", help="a value chosen: --variable agent=writer"
    )
    given = parser.parse_args(arguments)
    variables = dict(each.split("=", 1) for each in given.variable)
    try:
        Prometheus(given.prometheus).get("query", query="1")
    except PrometheusRefused as error:
        print(error, file=sys.stderr)
        return 2
    results = check(given.prometheus, window=Window(time.time(), given.range, given.rate), variables=variables)
    missing = [each for each in results if not each.has_data]
    print(table(results))
    print(f"\n{len(results)} queries, {len(missing)} without data")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
