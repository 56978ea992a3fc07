"""A real Prometheus that scrapes one page for a few seconds, and a page on which every metric of ours moves."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector

from sidecar.telemetry.families import CounterFamily, Exemplar, HistogramFamily, ScrapedGauge
from sidecar.telemetry.metrics_server import MetricsServer
from sidecar.telemetry.names import METRICS, Metric
from tests.stores.places import free_port

START_LIMIT_S = 20.0
SCRAPES_LIMIT_S = 60.0
VALUES = {
    "caller": ("planner",),
    "callee": ("writer", "planner"),
    "agent": ("writer", "planner", "verifier:rules"),
    "verifier": ("rules",),
    "target": ("verifier:rules",),
    "code": ("OK", "UNAVAILABLE"),
    "decision": ("forward", "reject"),
    "side": ("inbound", "outbound"),
    "check": ("spec", "verification"),
    "severity": ("error",),
    "action": ("rejected", "observed"),
    "verdict": ("pass", "fail", "inconclusive"),
    "reason": ("store_away",),
    "outcome": ("exported", "dropped"),
}
"""Of each label that boards select by; any other has one value."""


class Page:
    """Every metric of the table but those `without`, each with every label value that boards ask for."""

    def __init__(self, without: frozenset[str]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._moving: list[tuple[CounterFamily | HistogramFamily, tuple[str, ...]]] = []
        for metric in METRICS:
            if metric.name not in without:
                self._add(metric)

    def move(self) -> None:
        """Something happened once more, everywhere."""
        for family, labels in self._moving:
            exemplar = Exemplar("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", time.time())
            if isinstance(family, CounterFamily):
                family.series(*labels).add(1, exemplar)
            else:
                family.series(*labels).observe(family.metric.buckets[1], exemplar)

    def _add(self, metric: Metric) -> None:
        every = list(itertools.product(*(VALUES.get(label, (f"a-{label}",)) for label in metric.labels)))
        if metric.kind in ("gauge", "info"):
            values = dict.fromkeys(every, 0.5)
            self.registry.register(ScrapedGauge(metric, lambda: values))
            return
        family = CounterFamily(metric) if metric.kind == "counter" else HistogramFamily(metric)
        self.registry.register(family)
        self._moving += [(family, labels) for labels in every]


@contextmanager
def prometheus_of(folder: Path, *, without: frozenset[str]) -> Iterator[str]:
    """The URL of a Prometheus that has seen such a page often enough for a rate."""
    page = Page(without)
    page.move()
    server = MetricsServer(page.registry, "127.0.0.1:0")
    address, stop = server.start(), threading.Event()

    def go_on() -> None:
        while not stop.wait(0.2):
            page.move()

    moving = threading.Thread(target=go_on, daemon=True)
    moving.start()
    try:
        with scraping(folder, address) as url:
            wait_for_scrapes(url)
            yield url
    finally:
        stop.set()
        moving.join()
        server.stop()


@contextmanager
def scraping(folder: Path, address: str) -> Iterator[str]:
    """Prometheus, scraping that address every two seconds, with an alert that always fires."""
    config = folder / "prometheus.yml"
    rules = folder / "rules.yml"
    rules.write_text("groups: [{name: any, rules: [{alert: SidecarAny, expr: up, labels: {severity: info}}]}]\n")
    config.write_text(
        f"rule_files: [{rules}]\n"
        "global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}\n"
        f"scrape_configs: [{{job_name: sidecar, static_configs: [{{targets: ['{address}']}}]}}]\n"
    )
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--enable-feature=exemplar-storage",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def wait_for_scrapes(url: str) -> None:
    """Until the page was read three times; a busy machine takes its time."""
    deadline_s = time.monotonic() + SCRAPES_LIMIT_S
    query = urllib.parse.urlencode({"query": "count_over_time(sidecar_build_info[1m]) >= 3"})
    while True:
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=5) as answer:
            if json.load(answer)["data"]["result"]:
                return
        assert time.monotonic() < deadline_s, "Prometheus does not scrape"
        time.sleep(0.2)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + START_LIMIT_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/-/ready", timeout=2).close()
        except OSError:
            assert process.poll() is None, "Prometheus ended"
            assert time.monotonic() < deadline_s, "Prometheus is not ready"
            time.sleep(0.1)
        else:
            return
