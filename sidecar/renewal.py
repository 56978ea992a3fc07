"""Certificates, keys and secrets that change under a running process.

They are compared by what the file system says of them, and not awaited as events: a mounted Secret changes by moving a
symbolic link, of which a watch on the file hears nothing. What is broken never replaces what works.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sidecar.errors import ConfigError

log = logging.getLogger(__name__)

POLL_S = 2.0
"""How often the files are looked at. A handful of stat calls, which cost nothing that could be seen."""

TRIES_UNTOLD = 1
"""Failures that pass without a word, because the rest of the files may be on its way."""

Stamp = tuple[tuple[int, int, int] | None, ...]
"""Of each file: when it was written, how long it is and which one it is; None for one that is not there."""


@dataclass(slots=True)
class Watched:
    """Files that are put in force together."""

    what: str
    """The kind of files, for the metric: `listen_tls`."""
    where: str
    """The key of the configuration that names them: `routes[0].listen_tls`."""
    files: tuple[Path, ...]
    renew: Callable[[], None]
    """Reads them and puts them in force. Raises OSError, ConfigError or a ValueError, and then has changed nothing."""
    seen: Stamp
    """What is in force."""
    refused: Stamp | None = None
    """What was tried last and could not be used."""
    tries: int = 0
    """How often that was tried."""


class Renewal:
    """Looks after files, one group at a time."""

    def __init__(self, count: Callable[[str, str], None] = lambda *_: None) -> None:
        """`count` hears of (what, `loaded` or `refused`)."""
        self._count = count
        self._watched: list[Watched] = []

    def watch(self, what: str, where: str, files: Iterable[Path | None], renew: Callable[[], None]) -> None:
        """To be called right after the files were read for the first time."""
        named = tuple(file for file in files if file is not None)
        if named:
            self._watched.append(Watched(what, where, named, renew, stamp_of(named)))

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        while self._watched and not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL_S)
                return
            self.look()

    def look(self) -> None:
        """One look at all of them."""
        for watched in self._watched:
            self._look_at(watched)

    def _look_at(self, watched: Watched) -> None:
        now = stamp_of(watched.files)
        if now == watched.seen:
            return
        try:
            watched.renew()
        except (OSError, ConfigError, ValueError) as error:
            self._keep(watched, now, error)
            return
        watched.seen, watched.refused, watched.tries = now, None, 0
        self._count(watched.what, "loaded")
        log.info("%s: renewed from %s", watched.where, ", ".join(map(str, watched.files)))

    def _keep(self, watched: Watched, now: Stamp, error: Exception) -> None:
        """A certificate and its key are seldom written in one instant: a mismatch is worth a word only if it lasts."""
        watched.tries = watched.tries + 1 if now == watched.refused else 1
        watched.refused = now
        if watched.tries == TRIES_UNTOLD + 1:
            self._count(watched.what, "refused")
            log.error("%s: the new files cannot be used, so the last good ones stay: %s", watched.where, error)


def stamp_of(files: Iterable[Path]) -> Stamp:
    return tuple(mark(file) for file in files)


def mark(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
