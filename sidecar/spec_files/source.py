"""The source of specs: those in force, and those that the files say next."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Literal

from sidecar.engine.exchange import Mode
from sidecar.engine.specs import Spec, SpecTable
from sidecar.errors import ConfigError, Mistake
from sidecar.spec_files.changes import changes, watched
from sidecar.spec_files.describing import described
from sidecar.spec_files.files import fingerprint
from sidecar.spec_files.loading import Loading
from sidecar.yaml_source import read_text

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
        self._puts: Mapping[str, str] = {}
        self._modes: Mapping[str, Mode] = {}
        self._turn = asyncio.Lock()
        loading = self._load()
        if loading.mistakes:
            raise ConfigError(loading.mistakes)
        self.table = loading.table
        self.from_files = loading.from_files
        """Specs that files hold, also those in whose place another one was put."""
        self.problems: tuple[Mistake, ...] = ()
        """What keeps the newest word of files and operators from being in force."""
        self._said = loading.table
        self._seen = loading.seen

    def match(self, caller: str, callee: str, method: str) -> Spec | None:
        return self.table.match(caller, callee, method)

    def describe(self) -> list[str]:
        """A line for each spec, and below it what it promises, for `check` and `run` to print."""
        return [line for spec in self.table.specs for line in described(spec)]

    async def follow(self, puts: Mapping[str, str], modes: Mapping[str, Mode]) -> None:
        """Put specs in force beside those of the files, and modes in the place of their own: all of both, by name.

        One that cannot be used is left out, and told in `problems`.
        """
        async with self._turn:
            is_same, self._puts, self._modes = puts == self._puts, dict(puts), dict(modes)
            if is_same:
                self._compose()
            else:
                self._take(await asyncio.to_thread(self._load))

    async def mistakes_in(self, name: str, text: str) -> tuple[Mistake, ...]:
        """Every mistake that there would be if this text were put under its name."""
        async with self._turn:
            puts = {**self._puts, name: text}
            loading = await asyncio.to_thread(Loading, self._paths, self._verifiers, puts)
        return tuple(loading.mistakes) if name in loading.bad_puts else ()

    def text_of(self, spec: Spec) -> str:
        """What a spec's file says now; empty where there is none that can be read."""
        try:
            return read_text(Path(spec.source))
        except ConfigError:
            return ""

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
        """Once more without those that were put and cannot be used: one must not keep the others out of force."""
        puts, problems = dict(self._puts), list[Mistake]()
        while True:
            loading = Loading(self._paths, self._verifiers, puts)
            bad = loading.bad_puts & puts.keys()
            if not bad:
                loading.problems = (*problems, *loading.mistakes)
                return loading
            problems += loading.mistakes
            for name in bad:
                del puts[name]

    async def _refresh(self) -> None:
        async with self._turn:
            if await asyncio.to_thread(fingerprint, self._paths, self._seen) != self._seen:
                self._take(await asyncio.to_thread(self._load))

    def _take(self, loading: Loading) -> bool:
        self._seen = loading.seen
        self.problems = loading.problems
        if loading.mistakes:
            self._tell("refused", str(ConfigError(loading.mistakes)))
            return False
        self._said, self.from_files = loading.table, loading.from_files
        self._compose()
        if loading.problems:
            self._tell("refused", str(ConfigError(loading.problems)))
        self._tell("loaded", f"{len(self.table.specs)} in force")
        return True

    def _compose(self) -> None:
        """The specs as they are said, in the modes that an operator chose."""
        modes = self._modes
        specs = (replace(spec, mode=modes[spec.name]) if spec.name in modes else spec for spec in self._said.specs)
        self.table = SpecTable(specs) if modes else self._said

    def _tell(self, outcome: Outcome, detail: str) -> None:
        if self._on_reload is not None:
            self._on_reload(outcome, detail)
