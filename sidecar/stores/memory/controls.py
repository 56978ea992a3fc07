"""Controls, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from sidecar.engine.ports import Clock
from sidecar.engine.state.controls import Control, Kind, Name, State, full
from sidecar.errors import StoreFull


class MemoryControls:
    """The Controls port in one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._controls: dict[Name, Control] = {}
        self._revision = 0
        self._news = asyncio.Event()

    async def put(self, control: Control, for_s: float | None = None) -> int:
        self._forget_ended()
        held = self._controls.get(control.name)
        if held is None and self._count(control.name.kind) >= control.name.kind.most:
            raise StoreFull(full(control.name.kind))
        if held is None or held.is_automatic or not control.is_automatic:
            until_ms = 0 if for_s is None else self._now_ms() + int(for_s * 1000)
            self._controls[control.name] = replace(control, until_ms=until_ms)
            self._changed()
        return self._revision

    async def remove(self, name: Name) -> int:
        if self._controls.pop(name, None) is not None:
            self._changed()
        return self._revision

    async def read(self, known_revision: int) -> State | None:
        if known_revision == self._revision:
            return None
        self._forget_ended()
        return State(self._revision, tuple(self._controls.values()), self._now_ms())

    async def changed(self, within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):  # `wait_for` may forget a cancellation that comes with the news
                await self._news.wait()

    async def restore(self, known_revision: int, controls: Sequence[tuple[Control, float | None]]) -> None:
        if self._revision >= known_revision:
            return
        for control, for_s in controls:
            await self.put(control, for_s)
        self._revision = max(self._revision, known_revision + 1)

    def _changed(self) -> None:
        self._revision += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _count(self, kind: Kind) -> int:
        return sum(name.kind is kind for name in self._controls)

    def _forget_ended(self) -> None:
        now_ms = self._now_ms()
        ended = [name for name, control in self._controls.items() if 0 < control.until_ms <= now_ms]
        for name in ended:
            del self._controls[name]

    def _now_ms(self) -> int:
        return self._clock.unix_ns() // 1_000_000
