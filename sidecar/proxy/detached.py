"""Detached: work of a call that goes on without its caller.

That is the end of an exchange, which must be told whole even where the caller leaves in the middle of it, and a call
whose answer others wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from grpc import aio

Result = TypeVar("Result")

ALONE_MAX_S: Final = 600.0
"""How long a call goes on at most after its caller has left."""

LOOK_EVERY_S: Final = 1.0
"""How often such a call looks whether anybody still waits for it."""


class Detached:
    """What goes on beside the handlers of one route."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def whole(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Its result. Where the waiting task is cancelled, the work goes on to its end all the same."""
        return await asyncio.shield(self.begin(work))

    async def drain(self, limit_s: float) -> None:
        """Let it end within the limit, then end it."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=limit_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Nobody:
    """Stands where a caller was that has left: takes everything, and says nothing."""

    async def read(self) -> Any:
        return aio.EOF

    async def write(self, payload: bytes) -> None: ...

    async def send_initial_metadata(self, metadata: Any) -> None: ...

    def set_trailing_metadata(self, metadata: Any) -> None: ...

    def set_details(self, details: str) -> None: ...

    async def abort(self, *said: Any) -> None: ...

    def time_remaining(self) -> float | None:
        return None
