"""The demo, played by real processes: it claims only what it saw, and a change for the worse makes it fail."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sidecar.demo.play import play

ROOT = Path(__file__).parent.parent


def test_every_claim_of_the_demo_is_observed(capsys: pytest.CaptureFixture[str]):
    """Exit code 0 means that every scene went as told."""
    assert play(ROOT, keep=False) == 0
    assert "claims were observed" in capsys.readouterr().out


def test_a_fleet_that_only_observes_fails_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The same play where nothing is enforced: a demo that still succeeded would prove nothing."""
    for folder in ("examples", "specs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for config in (tmp_path / "examples" / "demo" / "sidecars").glob("*.yaml"):
        text = config.read_text()
        assert "mode: enforce" in text
        config.write_text(text.replace("mode: enforce", "mode: observe"))
    assert play(tmp_path, keep=False) == 1
    assert "REQUEST_SPEC_VIOLATION" in capsys.readouterr().out
