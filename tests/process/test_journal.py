"""A sidecar that is killed in the middle of its calls: its journal opens, holds, and says what is missing.

`make bench-journal` does the same for longer, and under load.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.journal import killed

KILLS = 3
SLOW_S = 10.0
"""A machine with other work to do may write late; that most is there holds all the same. The bench is stricter."""


def test_a_journal_survives_kill_9(tmp_path: Path):
    """Whole after each, with all that was answered longer ago than a flush; the next start says what happened."""
    assert killed(tmp_path, KILLS, seconds=1.5, rate=200.0, lost_within_s=SLOW_S) == []


def test_verify_tells_what_the_kills_left(tmp_path: Path):
    assert killed(tmp_path, 1, seconds=1.0, rate=100.0, lost_within_s=SLOW_S) == []
    command = [sys.executable, "-m", "sidecar", "journal", "verify", str(tmp_path / "killed.db")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stdout
    assert "it was opened and had not been closed" in found.stdout
