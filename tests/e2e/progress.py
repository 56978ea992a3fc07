"""What a person sees while it runs: a line for each step, with the seconds since the start."""

from __future__ import annotations

import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The source checkout."""


class Progress:
    """Call it with a line."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._began_s:5.0f} s  {line}", flush=True)
