"""The source of specs: those in force, and those that the files say next."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Literal

from sidecar.engine.specs import Spec, SpecTable
from sidecar.errors import ConfigError
from sidecar.spec_files.changes import changes, watched
from sidecar.spec_files.describing import described
from sidecar.spec_files.files import fingerprint
from sidecar.spec_files.loading import Loading

Outcome = Literal["loaded", "refused"]

OnReload = Callable[[Outcome, str], None]
"""Told of every reload: what became of it, and how many specs or which mistakes."""


def load(paths: Iterable[Path | str]) -> SpecTable:
    """The specs in files and folders. Raises ConfigError with all mistakes but unknown verifiers."""
    return SpecSource(paths).table


class SpecSource:
    """The specs in force, kept up to date with their files. Raises ConfigError where the first load fails."""

    def __init__(
        self,
        paths: Iterable[Path | str],
        *,
        on_reload: OnReload | None = None,
        verifiers: Collection[str] | None = None,
    ) -> None:
        """A spec that requires a verifier which is none of `verifiers` is a mistake; None allows all."""
        self._paths = tuple(Path(os.path.abspath(path)) for path in paths)  # noqa: PTH100  # Path.resolve would follow links.
        self._on_reload = on_reload
        self._verifiers = verifiers
        loading = self._load()
        if loading.mistakes:
            raise ConfigError(loading.mistakes)
        self.table = loading.table
        self._seen = loading.seen

    def match(self, caller: str, callee: str, method: str) -> Spec | None:
        return self.table.match(caller, callee, method)

    def describe(self) -> list[str]:
        """A line for each spec, and below it what it promises, for `check` and `run` to print."""
        return [line for spec in self.table.specs for line in described(spec)]

    def reload(self) -> bool:
        """Put what the files say now in force if all of it loads. Returns whether it did."""
        return self._take(self._load())

    async def watch(self, stop: asyncio.Event) -> None:
        """Reload when the content of the files changes, until `stop` is set. A failure to watch is never an end."""
        while not stop.is_set():
            folders = watched(self._paths, self._seen)
            await self._refresh()  # what changed before the folders were watched
            async with aclosing(changes(folders, stop)) as events:
                async for _ in events:
                    await self._refresh()
                    if watched(self._paths, self._seen) != folders:
                        break

    def _load(self) -> Loading:
        return Loading(self._paths, self._verifiers)

    async def _refresh(self) -> None:
        if await asyncio.to_thread(fingerprint, self._paths, self._seen) != self._seen:
            self._take(await asyncio.to_thread(self._load))

    def _take(self, loading: Loading) -> bool:
        self._seen = loading.seen
        if loading.mistakes:
            self._tell("refused", str(ConfigError(loading.mistakes)))
            return False
        self.table = loading.table
        self._tell("loaded", f"{len(self.table.specs)} in force")
        return True

    def _tell(self, outcome: Outcome, detail: str) -> None:
        if self._on_reload is not None:
            self._on_reload(outcome, detail)
