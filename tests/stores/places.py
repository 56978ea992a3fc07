"""Every place where state can live, behind one interface, so that one suite holds for all of them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from sidecar.engine.state import Store
from sidecar.stores.memory import open_memory
from sidecar.stores.redis import RedisLink, redis_store
from sidecar.stores.sqlite import open_sqlite
from sidecar.testing import ManualClock


@dataclass(frozen=True, slots=True)
class Place:
    """One store under test, and the time that it measures by."""

    store: Store
    advance: Callable[[float], None]
    """Let seconds pass, for this store's own clock."""
    again: Callable[[], Store] | None = None
    """The same state opened anew, as a restarted or second process would; None where it is gone with the process."""


def in_memory() -> Place:
    clock = ManualClock()
    return Place(open_memory(clock), clock.advance)


def in_file(path: Path) -> Place:
    clock = ManualClock()
    return Place(open_sqlite(path, clock), clock.advance, lambda: open_sqlite(path, clock))


def in_redis(url: str) -> Place:
    links = [RedisLink(url)]

    def advance(seconds: float) -> None:
        for link in links:
            link.skew_ms += int(seconds * 1000)

    def again() -> Store:
        link = RedisLink(url)
        link.skew_ms = links[0].skew_ms
        links.append(link)
        return redis_store(link)

    return Place(redis_store(links[0]), advance, again)


class RedisServer:
    """A real Redis of our own, in a folder of its own. `options` are redis-server's."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Run it, and wait until it takes connections."""
        program = shutil.which("redis-server")
        assert program, "redis-server is missing: `make test` installs it"
        where = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder))
        quiet = ("--loglevel", "warning", "--logfile", str(self.folder / "redis.log"))
        self._process = subprocess.Popen([program, *where, *quiet, *(self.options or ("--save", ""))])
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return self
        raise AssertionError("redis-server did not start")

    def flush(self) -> None:
        """Empty it."""
        with Redis.from_url(self.url) as client:
            client.flushall()

    def kill(self) -> None:
        """As a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
