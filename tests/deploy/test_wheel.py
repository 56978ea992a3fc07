"""What `pip install` brings: the product, the verifiers, and the pack of specs for A2A."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from sidecar.cli import main
from sidecar.commands.spec import shipped_folder
from sidecar.spec_files import load
from tests.deploy.compose import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    zipfile.ZipFile(next(folder.glob("*.whl"))).extractall(folder / "site")
    return folder / "site"


def test_it_carries_the_whole_pack(installed: Path):
    """Byte for byte what stands in specs/."""
    packed = {path.relative_to(ROOT / "specs"): path for path in (ROOT / "specs").rglob("*") if path.is_file()}
    packed = {name: path for name, path in packed.items() if "__pycache__" not in name.parts}
    shipped = installed / "sidecar" / "shipped"
    assert {path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file()} == set(packed)
    assert all((shipped / name).read_bytes() == path.read_bytes() for name, path in packed.items())


def test_the_installed_command_finds_it(installed: Path):
    """No checkout anywhere near."""
    command = [sys.executable, "-m", "sidecar", "spec", "shipped"]
    environ = {"PYTHONPATH": str(installed), "PATH": ""}
    done = subprocess.run(command, cwd=installed.parent, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(installed / "sidecar" / "shipped")


def test_the_pack_that_it_names_loads():
    """The folder that the command prints is one that `specs:` takes."""
    printed = CliRunner().invoke(main, ["spec", "shipped"]).output.strip()
    assert printed == str(shipped_folder())
    assert load([Path(printed) / "a2a"]).specs
