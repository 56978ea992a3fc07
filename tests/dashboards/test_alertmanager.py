"""Alertmanager's configuration: who hears of what, and who is spared. Asked of Alertmanager itself."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.rules import alerts
from dashboards.rules.runbooks import FOLDER, by_name, file_of

PATH = Path(__file__).parent.parent.parent / "dashboards" / "alertmanager" / "alertmanager.yml"
CONFIG = yaml.safe_load(PATH.read_text(encoding="utf-8"))
RULES = [rule for group in alerts() for rule in group["rules"]]
RECEIVERS = {"critical": "pager", "warning": "tickets", "info": "log"}
PATIENCE_S = 30.0

Labels = dict[str, str]


def amtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["amtool", *arguments], capture_output=True, text=True)


def test_alertmanager_takes_the_file():
    """Its own tool reads it whole."""
    done = amtool("check-config", str(PATH))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_broken_file_would_be_noticed(tmp_path: Path):
    """A check that accepts anything would prove nothing."""
    path = tmp_path / "alertmanager.yml"
    path.write_text(PATH.read_text(encoding="utf-8").replace("receiver: pager", "receiver: nobody"))
    assert amtool("check-config", str(path)).returncode != 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: "-".join([rule["alert"], *list(rule["labels"].values())[1:]]))
def test_an_alert_goes_to_who_its_severity_is_for(rule: dict[str, Any]):
    """critical wakes somebody, warning is a ticket, info is kept."""
    labels = [f"{name}={value}" for name, value in {"alertname": rule["alert"], **rule["labels"]}.items()]
    done = amtool("config", "routes", "test", f"--config.file={PATH}", *labels)
    assert done.stdout.split() == [RECEIVERS[rule["labels"]["severity"]]], done.stderr


def test_what_is_not_ours_is_a_ticket():
    """An alert without a severity is not lost, and wakes nobody."""
    done = amtool("config", "routes", "test", f"--config.file={PATH}", "alertname=Disk")
    assert done.stdout.split() == ["tickets"]


def test_inhibitions_name_alerts_that_exist():
    """An alert that was renamed would be spared by nothing."""
    said = [matcher for rule in CONFIG["inhibit_rules"] for side in rule.values() for matcher in side]
    names = {found[1] for matcher in said if (found := re.match(r'alertname!?="(.+)"', matcher))}
    assert names
    assert names <= {rule["alert"] for rule in RULES}


# --- Alertmanager itself ---------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked(address: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address}{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read() or b"null")


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One with the shipped configuration. Nothing listens at its receivers."""
    folder, address = tmp_path_factory.mktemp("alertmanager"), f"127.0.0.1:{free_port()}"
    arguments = [
        f"--config.file={PATH}",
        f"--storage.path={folder}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["prometheus-alertmanager", *arguments], stdout=log, stderr=log)
    try:
        until(lambda: asked(address, "/api/v2/status"), "it answers", folder / "log")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def until(found: Any, what: str, log: Path | None = None) -> Any:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            if answer := found():
                return answer
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)
    pytest.fail(f"not within {PATIENCE_S} s: {what}; {log.read_text() if log else ''}")


def is_spared(address: str, job: str, sent: list[Labels]) -> list[bool] | None:
    """Of alerts that fire together, which are inhibited; None until all are there."""
    there = [each for each in asked(address, "/api/v2/alerts") if each["labels"]["job"] == job]
    found = {json.dumps(each["labels"], sort_keys=True): bool(each["status"]["inhibitedBy"]) for each in there}
    return (
        [found[key] for key in (json.dumps(each, sort_keys=True) for each in sent)] if len(found) == len(sent) else None
    )


DOWN = {"alertname": "SidecarDown", "severity": "critical", "instance": "planner:9464"}
AWAY = {"alertname": "SidecarStoreAway", "severity": "critical", "store": "redis"}


def open_(reason: str) -> Labels:
    return {"alertname": "SidecarFailOpen", "severity": "warning", "check": "loop", "reason": reason}


def lost(instance: str) -> Labels:
    return {"alertname": "SidecarSpansLost", "severity": "warning", "instance": instance}


def burn(severity: str, long: str, agent: str = "writer") -> Labels:
    return {"alertname": "SidecarCostBurnRate", "severity": severity, "long": long, "agent": agent}


def loop(name: str, severity: str, **more: str) -> Labels:
    edge = {"kind": "repeat", "caller": "planner", "callee": "researcher"}
    return {"alertname": name, "severity": severity, **edge, **more}


@pytest.mark.parametrize(
    ("every", "are_spared"),
    [
        ([DOWN, lost("planner:9464"), lost("writer:9464")], [False, True, False]),
        ([burn("critical", "1h"), burn("warning", "3d"), burn("warning", "3d", "planner")], [False, True, False]),
        ([AWAY, open_("store_away"), open_("store-away"), open_("crashed")], [False, True, True, False]),
        (
            [
                loop("SidecarRunawayLoop", "critical"),
                loop("SidecarLoopDetected", "warning", action="rejected"),
                loop("SidecarLoopDetected", "warning", action="rejected", caller="writer"),
            ],
            [False, True, False],
        ),
        (
            [
                {"alertname": "SidecarAbsent", "severity": "critical"},
                DOWN,
                {"alertname": "Disk", "severity": "critical"},
            ],
            [False, True, False],
        ),
    ],
    ids=["down", "burn rates", "store", "loop", "absent"],
)
def test_who_is_spared_what(
    alertmanager: str, request: pytest.FixtureRequest, every: list[Labels], are_spared: list[bool]
):
    """The cause is told and what follows from it is not; the same trouble elsewhere is."""
    job = request.node.callspec.id  # of its own, so that no case spares another's
    sent = [{"job": job, **labels} for labels in every]
    asked(alertmanager, "/api/v2/alerts", [{"labels": labels, "annotations": {}} for labels in sent])
    until(lambda: is_spared(alertmanager, job, sent) == are_spared, f"{are_spared} are spared")


@pytest.mark.parametrize("name", by_name())
def test_the_command_of_a_runbook_silences_its_alert_and_no_other(alertmanager: str, name: str):
    """As it stands on the page, sent to a real Alertmanager; labels are those that the alert has."""
    page = (FOLDER / file_of(name)).read_text(encoding="utf-8")
    command = next(line for line in page.splitlines() if line.startswith("amtool silence add "))
    done = subprocess.run(shlex.split(command.replace("127.0.0.1:9093", alertmanager)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    silence = asked(alertmanager, f"/api/v2/silence/{done.stdout.strip()}")
    try:
        matchers = {each["name"]: each["value"] for each in silence["matchers"]}
        assert matchers.pop("alertname") == name
        said = " ".join(rule["expr"] + rule["annotations"]["description"] for rule in by_name()[name])
        assert [label for label in matchers if label not in said] == []
    finally:
        amtool("silence", "expire", f"--alertmanager.url=http://{alertmanager}", silence["id"])
