"""What `docker compose up` starts, started for real without Docker. `make compose-check` runs this; it needs root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.compose import ROOT, services
from tests.e2e.compose.play import ABSENT, STOOD_IN_FOR

PROGRAMS = ("unshare", "nsenter", "setpriv", "ip", "wget", "redis-server", "prometheus", "prometheus-alertmanager")
LIMIT_S = 480.0
"""For the play, on a machine that is busy with something else. It takes about 40 s on two idle cores."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(LIMIT_S + 30.0)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Dockerfile puts below /opt: the wheel, unpacked, and the examples."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    site = folder / "opt" / "sidecar" / "site"
    zipfile.ZipFile(next(folder.glob("*.whl"))).extractall(site)
    (folder / "opt" / "sidecar" / "specs").symlink_to("site/sidecar/shipped")
    script(folder / "opt" / "sidecar" / "bin" / "python", "")
    script(folder / "opt" / "sidecar" / "bin" / "sidecar", "-m sidecar")
    shutil.copytree(ROOT / "examples", folder / "opt" / "demo" / "examples")
    (folder / "opt" / "stand-in").mkdir()
    shutil.copy(Path(__file__).with_name("span_receiver.py"), folder / "opt" / "stand-in")
    return folder / "opt"


def script(path: Path, words: str) -> None:
    """The wheel comes first on the path, so that it is the wheel that is shown to work."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\nPYTHONPATH=/opt/sidecar/site exec {sys.executable} {words} "$@"\n')
    path.chmod(0o755)


@pytest.fixture(scope="module")
def report(image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if os.geteuid() != 0:
        pytest.skip("namespaces of one's own need root")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    assert not missing, f"not installed: {missing}; `make compose-check` installs what Debian has"
    folder = tmp_path_factory.mktemp("play")
    folder.chmod(0o755)
    words = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    play = [sys.executable, "-m", "tests.e2e.compose.play", str(folder), str(image)]
    with (folder / "play.log").open("wb") as log:
        subprocess.run(
            [*words, *play], cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, timeout=LIMIT_S, check=False
        )
    assert (folder / "report.json").exists(), (folder / "play.log").read_text()[-3000:]
    seen: dict[str, Any] = json.loads((folder / "report.json").read_text())
    sys.stdout.write(
        json.dumps({key: value for key, value in seen.items() if key not in {"logs", "rules"}}, indent=1) + "\n"
    )
    assert "trouble" not in seen, f"{seen['trouble']}\n{json.dumps(seen['logs'], indent=1)}"
    return seen


def test_every_service_becomes_healthy(report: dict[str, Any]):
    """By the health checks as they are written, as the user they name, on a read-only root, without a capability."""
    expected = {
        name: "completed" if name == "lineage-key" else "healthy"
        for name in services()
        if name not in ABSENT | STOOD_IN_FOR
    }
    assert report["ready"] == expected


def test_a_question_passes_through_the_whole_fleet(report: dict[str, Any]):
    """The words of docs/deploy.md: `docker compose exec traffic python -m examples.agents.ask ...`."""
    assert report["answer"]["exit"] == 0, report["answer"]
    assert "Apollo 11" in report["answer"]["said"]


def test_a_trace_of_it_leaves_from_three_sidecars(report: dict[str, Any]):
    """One trace, told by the sidecars of planner, researcher and writer: the fleet's key signs their lineage."""
    assert ["sidecar-planner", "sidecar-researcher", "sidecar-writer"] in report["traces"]


def test_an_agent_reaches_nobody_but_its_own_sidecar(report: dict[str, Any]):
    """Neither by name nor by address: their networks do not meet."""
    own, *others = report["bypass"].values()
    assert own == 0 and all(code != 0 for code in others), report["bypass"]


def test_prometheus_scrapes_every_sidecar_and_verifier(report: dict[str, Any]):
    """With the names and ports of deploy/prometheus/prometheus.yml."""
    wanted = [one for one in report["targets"] if one["job"] not in {"collector", "tempo", "grafana"}]
    assert len(wanted) == 9
    assert [one for one in wanted if one["health"] != "up"] == []


def test_calls_are_counted_and_have_exemplars(report: dict[str, Any]):
    """The traffic generator alone makes the boards live."""
    assert set(report["exchanges"]) >= {"planner", "researcher", "writer"}
    assert report["exemplars"] > 0


def test_prometheus_knows_its_alertmanager_and_its_rules(report: dict[str, Any]):
    """An alert that fires has somewhere to go."""
    assert [one["url"] for one in report["alertmanagers"]] == ["http://alertmanager:9093/api/v2/alerts"]
    assert all(rule["health"] != "err" for rule in report["rules"]), report["rules"]


def test_memory_and_threads_stay_within_the_limits_of_the_file(report: dict[str, Any]):
    """Less than half of what each may have, after a minute of work."""
    for name, mib in report["memory_mib"].items():
        raw = services()[name].raw
        limit_mib = int(str(raw["mem_limit"])[:-1]) * (1024 if str(raw["mem_limit"]).endswith("g") else 1)
        assert mib < limit_mib * 0.75, (name, mib)
        assert report["threads"][name] < raw["pids_limit"], name


def test_everything_stops_when_told(report: dict[str, Any]):
    """Within stop_grace_period, and with 0: a drain is no failure."""
    ours = {name: code for name, code in report["exits"].items() if "build" in services()[name].raw}
    assert set(ours.values()) == {0}, report["exits"]
