"""The prices in force: loaded when first asked for, and again when their file changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.engine.usage import Usage
from sidecar.errors import ConfigError, Mistake
from sidecar.prices.book import PriceBook
from sidecar.prices.own import OwnPrice

log = logging.getLogger(__name__)

POLL_S: Final = 5.0
"""How often the file is compared. A price list changes a few times a month."""

OnReload = Callable[[str, str], None]
"""Hears `loaded` or `refused`, and a sentence."""


def log_reload(outcome: str, detail: str) -> None:
    log.log(logging.INFO if outcome == "loaded" else logging.ERROR, "prices %s: %s", outcome, detail)


class PriceSource:
    """The Prices port, kept up to date with a file. Raises ConfigError where its first load fails."""

    def __init__(
        self,
        path: Path | None = None,
        own: Mapping[str, OwnPrice] | None = None,
        *,
        on_reload: OnReload = log_reload,
    ) -> None:
        self._path = path
        self._own = own or {}
        self._on_reload = on_reload
        self._book: PriceBook | None = None
        self._stamp = stamp_of(path)
        if path is not None:
            try:
                self._book = PriceBook.from_file(path, self._own)
            except (ValueError, OSError) as error:
                found = f"{path.name} ({first_line(error)})"
                raise ConfigError([Mistake("prices.file", found, "the list as genai-prices publishes it")]) from error

    def price(self, usage: Usage) -> int | None:
        if self._book is None:
            self._book = PriceBook.bundled(self._own)
        return self._book.price(usage)

    def warm(self) -> None:
        """Load what would be loaded at the first call."""
        self.price(Usage(model=""))

    async def watch(self, stop: asyncio.Event) -> None:
        """Read the file again whenever it changes, until `stop` is set."""
        while not stop.is_set():
            await self.refresh()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL_S)

    async def refresh(self) -> None:
        """A file that cannot be used never replaces one that could."""
        if self._path is None:
            return
        stamp = await asyncio.to_thread(stamp_of, self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._book = await asyncio.to_thread(PriceBook.from_file, self._path, self._own)
        except (ValueError, OSError) as error:
            self._on_reload("refused", first_line(error))
        else:
            self._on_reload("loaded", self._path.name)


def stamp_of(path: Path | None) -> tuple[int, int, int] | None:
    """What changes with the file; None where there is none."""
    if path is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
