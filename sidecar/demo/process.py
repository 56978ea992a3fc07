"""One child process: started, watched, and ended whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

STOP_LIMIT_S = 5.0
"""From SIGTERM to SIGKILL."""

TAIL_LINES = 8
"""Lines of a log that are shown when a process would not start."""

NOT_INHERITED = ("OTEL_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "GRPC_PROXY", "PEER_")
"""The performance must not depend on what the person's own shell exports to other programs."""


class Process:
    """A program, its log file, and whether it runs."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path, root: Path) -> None:
        self.name = name
        self.log = log
        self._arguments = arguments
        self._root = root
        self._process: asyncio.subprocess.Process | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Of the process that was started last. AssertionError where none was."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    async def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches us alone and we end it in good order."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                cwd=self._root,
                env=environment(os.environ, self._root),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL where that was not enough."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._gone()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL, as a machine that runs out of memory would."""
        self._signal(signal.SIGKILL)
        await self._gone()

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:])

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.is_running:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _gone(self) -> None:
        if self._process is not None:
            await self._process.wait()


def environment(inherited: Mapping[str, str], root: Path) -> dict[str, str]:
    kept = {key: value for key, value in inherited.items() if not key.upper().startswith(NOT_INHERITED)}
    return kept | {"PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
