"""A Redis of this run's own, on a free port, that keeps nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import Process, free_port


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Its URL. Raises SystemExit where the program is not installed."""
    if shutil.which("redis-server") is None:
        raise SystemExit("--redis needs redis-server; `make tools-test` installs it")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = Process("redis", ["redis-server", *options], port, folder / "redis.log")
    try:
        process.wait_until_it_listens()
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.stop()
