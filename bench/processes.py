"""Processes under measurement: their CPU time and memory, from /proc."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A child that listens on a port of this machine."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        log: Path,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self._log = log.open("wb")
        self._child = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, env={**os.environ, **(env or {})}, cwd=cwd
        )

    def wait_until_it_listens(self, limit_s: float = 30.0) -> None:
        deadline_s = time.monotonic() + limit_s
        while time.monotonic() < deadline_s:
            if self._child.poll() is not None:
                said = Path(self._log.name).read_text(errors="replace")[-2_000:]
                raise SystemExit(f"{self.name} ended with code {self._child.returncode}: {said}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit(f"{self.name} did not listen within {limit_s} s; see {self._log.name}")

    def cpu_s(self) -> float:
        """User and system time of all its threads so far, in seconds."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def rss_mib(self) -> float:
        return int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1]) * PAGE_BYTES / 2**20

    def kill(self) -> None:
        """At once, as a crash would."""
        self._child.kill()
        self._child.wait()

    def stop(self) -> None:
        self._child.terminate()
        try:
            self._child.wait(15)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._log.close()
