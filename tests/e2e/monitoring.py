"""Prometheus and Alertmanager as users run them, on the shipped rules and routes, every time divided by one factor."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sidecar.demo.pages import fetch
from sidecar.demo.process import Process

SCRAPE_S = 1
"""Between two scrapes, and between two evaluations of the rules."""

JOB = "sidecar"

SHIPPED_ROUTES = Path("dashboards/alertmanager/alertmanager.yml")

ROUTE_TIMES = ("group_wait", "group_interval", "repeat_interval")

SHORTEST_S = 1.0
"""What a time of Alertmanager's is at least, divided or not: it works in whole seconds' order, and so do we."""

LONGEST_REPEAT = "1h"
"""An alert is told once when it fires and once when it ends. A reminder in between would only blur the count."""

UNITS_S: Mapping[str, float] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


Key = tuple[str, tuple[tuple[str, str], ...]]
"""One alert: its name, and its other labels in order."""


def key_of(labels: Mapping[str, str]) -> Key:
    rest = {name: value for name, value in labels.items() if name != "alertname"}
    return labels["alertname"], tuple(sorted(rest.items()))


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """One alert as Prometheus holds it now."""

    name: str
    state: str
    """`pending` or `firing`."""
    labels: Mapping[str, str]
    """Without `alertname`."""
    annotations: Mapping[str, str]
    active_at: str

    @property
    def key(self) -> Key:
        return self.name, tuple(sorted(self.labels.items()))


class Prometheus:
    """One server, its folder, and its HTTP API."""

    def __init__(self, folder: Path, address: str, targets: Path, rules: Sequence[Path], manager: str) -> None:
        self.address = address
        self.url = f"http://{address}"
        self._folder = folder
        self._config = config_of(targets, rules, manager)
        self.process = Process(
            "prometheus",
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.data}",
                f"--web.listen-address={address}",
                "--enable-feature=exemplar-storage",
                "--storage.tsdb.retention.time=30d",
                "--log.level=warn",
            ],
            folder / "prometheus.log",
            folder,
        )

    @property
    def data(self) -> Path:
        """Its database: blocks that were made elsewhere may be laid here before it starts."""
        return self._folder / "prometheus"

    async def start(self) -> None:
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(self._config, sort_keys=False), encoding="utf-8")
        self.data.mkdir(exist_ok=True)
        await self.process.start()

    async def is_ready(self) -> bool:
        return await answers(f"{self.url}/-/ready")

    async def alerts(self) -> list[ActiveAlert]:
        """What is pending or firing at the last evaluation."""
        found = await self.get("/api/v1/alerts")
        return [active(alert) for alert in found["alerts"]]

    async def rules(self) -> list[dict[str, Any]]:
        """Every rule that is loaded, with its health and its last error."""
        found = await self.get("/api/v1/rules")
        return [rule for group in found["groups"] for rule in group["rules"]]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query: `metric` and `value` (time, text)."""
        return list((await self.get("/api/v1/query", query=expression))["result"])

    async def history(self, selector: str, from_s: float, to_s: float) -> list[Mapping[str, str]]:
        """The label sets of all series that had a sample in between, however short that was."""
        everything = f"{selector}[{round((to_s - from_s) * 1000)}ms]"
        found = await self.get("/api/v1/query", query=everything, time=to_s)
        return [series["metric"] for series in found["result"]]

    async def get(self, path: str, **parameters: Any) -> Any:
        query = urllib.parse.urlencode(parameters)
        answer = json.loads(await asyncio.to_thread(fetch, f"{self.url}{path}?{query}"))
        return answer["data"]


def active(alert: Mapping[str, Any]) -> ActiveAlert:
    labels = dict(alert["labels"])
    return ActiveAlert(labels.pop("alertname"), alert["state"], labels, alert["annotations"], alert["activeAt"])


def config_of(targets: Path, rules: Sequence[Path], manager: str) -> dict[str, Any]:
    discovery = {"files": [str(targets)], "refresh_interval": "1s"}
    return {
        "global": {
            "scrape_interval": f"{SCRAPE_S}s",
            "scrape_timeout": f"{SCRAPE_S}s",
            "evaluation_interval": f"{SCRAPE_S}s",
        },
        "rule_files": [str(path) for path in rules],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
        "scrape_configs": [{"job_name": JOB, "file_sd_configs": [discovery]}],
    }


class Alertmanager:
    """One server that tells our receiver whatever the shipped routes would have told somebody."""

    def __init__(self, folder: Path, address: str, routes: Mapping[str, Any]) -> None:
        self.address = address
        self._file = folder / "alertmanager.yml"
        self._routes = routes
        self.process = Process(
            "alertmanager",
            [
                "prometheus-alertmanager",
                f"--config.file={self._file}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={address}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            folder / "alertmanager.log",
            folder,
        )

    async def start(self) -> None:
        self._file.write_text(yaml.safe_dump(dict(self._routes), sort_keys=False), encoding="utf-8")
        await self.process.start()

    async def is_ready(self) -> bool:
        return await answers(f"http://{self.address}/-/ready")

    async def held_back(self) -> list[Key]:
        """Alerts that nobody is told of because of another one that says more."""
        found = json.loads(await asyncio.to_thread(fetch, f"http://{self.address}/api/v2/alerts?active=false"))
        return [key_of(alert["labels"]) for alert in found if alert["status"]["inhibitedBy"]]


def quick_routes(shipped: Mapping[str, Any], factor: float, webhook: str) -> dict[str, Any]:
    """The shipped configuration with its waits divided by `factor`, and every receiver replaced by `webhook`.

    What inhibits what stays as it is. Every receiver hears when an alert is over, also one that ships without that.
    """
    receivers = [{"name": receiver["name"], "webhook_configs": [told(webhook)]} for receiver in shipped["receivers"]]
    return {**shipped, "route": quick_route(shipped["route"], factor), "receivers": receivers}


def told(webhook: str) -> dict[str, Any]:
    return {"url": webhook, "send_resolved": True}


def quick_route(route: Mapping[str, Any], factor: float) -> dict[str, Any]:
    quick = dict(route)
    for key in ROUTE_TIMES:
        if key in quick:
            quick[key] = LONGEST_REPEAT if key == "repeat_interval" else divided(quick[key], factor)
    if "routes" in quick:
        quick["routes"] = [quick_route(child, factor) for child in quick["routes"]]
    return quick


def divided(duration: str, factor: float) -> str:
    return f"{round(max(seconds_in(duration) / factor, SHORTEST_S) * 1000)}ms"


def seconds_in(duration: str) -> float:
    """`1h30m` in seconds, as Prometheus writes durations."""
    return sum(float(number) * UNITS_S[unit] for number, unit in pairs_in(duration))


def pairs_in(duration: str) -> Iterator[tuple[str, str]]:
    number = unit = ""
    for sign in duration:
        if sign.isdigit() and unit:
            yield number, unit
            number, unit = sign, ""
        elif sign.isdigit():
            number += sign
        else:
            unit += sign
    yield number, unit


async def answers(url: str) -> bool:
    try:
        await asyncio.to_thread(fetch, url)
    except OSError:
        return False
    return True
