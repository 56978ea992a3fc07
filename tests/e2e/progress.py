"""What a person sees while it runs: a line for each step, with the seconds since the start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from sidecar.demo.play import on_signal

ROOT = Path(__file__).resolve().parents[2]
"""The source checkout."""

Outcome = TypeVar("Outcome")


def run_to_the_end(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run it; Ctrl-C and SIGTERM cancel it, so that all it has started is taken down. Raises CancelledError then."""

    async def interruptible() -> Outcome:
        task = asyncio.current_task()
        assert task is not None
        on_signal(task.cancel)
        return await work

    return asyncio.run(interruptible())


class Progress:
    """Call it with a line."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._began_s:5.0f} s  {line}", flush=True)
