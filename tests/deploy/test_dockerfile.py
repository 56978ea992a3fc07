"""The Dockerfile, read by hadolint and by what the rest of the files need of it."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.deploy.compose import ROOT, compose_file, dockerfile_stages, instructions

HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"
TARGETS = sorted({service["build"]["target"] for service in compose_file()["services"].values() if "build" in service})


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HADOLINT, "--no-color", path], capture_output=True, text=True, check=False)


def test_hadolint_has_nothing_to_say():
    """Its parser is Docker's grammar; its rules are the usual ones, none switched off."""
    done = lint(ROOT / "Dockerfile")
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_notice(tmp_path: Path):
    """A linter that says nothing to anything would have passed as well."""
    broken = tmp_path / "Dockerfile"
    broken.write_text("FROM python\nRUN cd /tmp && sudo pip install x\n")
    assert lint(broken).returncode != 0


@pytest.mark.parametrize("target", TARGETS)
def test_each_image_runs_as_nobody_in_particular(target: str):
    """By number, so that Kubernetes can see that it is not root."""
    assert dockerfile_stages()[target].user == "10001:10001"


@pytest.mark.parametrize("target", TARGETS)
def test_each_image_checks_its_own_health(target: str):
    """Also where somebody runs it without the compose file."""
    name = ""
    checked = set()
    for instruction, rest in instructions((ROOT / "Dockerfile").read_text()):
        name = rest.split()[-1] if instruction == "FROM" else name
        checked |= {name} if instruction == "HEALTHCHECK" else set()
    assert target in checked


def test_what_is_copied_is_in_the_build_context():
    """.dockerignore leaves out everything that it does not name."""
    named = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for instruction, rest in instructions((ROOT / "Dockerfile").read_text())
        if instruction == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert copied == named
    assert all((ROOT / source).exists() for source in named)


def test_the_image_has_the_version_of_the_product():
    """The tags in docker-compose.yml and in the Kubernetes files say which one it is."""
    from sidecar import __version__

    texts = [ROOT / "docker-compose.yml", *(ROOT / "deploy" / "kubernetes").rglob("*.yaml")]
    tags = {tag for path in texts for tag in re.findall(r"agent-sidecar/(?:sidecar|demo):([\w.]+)", path.read_text())}
    assert tags == {__version__}
