"""Detached: work of a call that goes on without its caller.

That is the end of an exchange, which must be told whole even where the caller leaves in the middle of it, and a call
whose answer others wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from grpc import aio

from sidecar.engine.eager import Done, begun

Result = TypeVar("Result")

ALONE_MAX_S: Final = 600.0
"""How long a call goes on at most after its caller has left."""

LOOK_EVERY_S: Final = 1.0
"""How often such a call looks whether anybody still waits for it."""


END_LIMIT_S: Final = 5.0
"""How long the ends of exchanges may take when the route is drained. Stores answer or give up much sooner."""


class Detached:
    """What goes on beside the handlers of one route."""

    def __init__(self) -> None:
        self._calls: set[asyncio.Task[Any]] = set()
        self._ends: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Part of a call: ended by the drain, if need be."""
        return kept(work, self._calls)

    async def whole(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Its result. Where whoever waits is cancelled, the work goes on to its end all the same.

        It becomes a task where it has to wait: most ends have not.
        """
        rest = begun(work)
        return rest.value if isinstance(rest, Done) else await asyncio.shield(kept(rest, self._ends))

    async def drain(self, limit_s: float) -> None:
        """Calls may end within the limit, then they are ended; what must be whole is waited for."""
        if self._calls:
            await asyncio.wait(set(self._calls), timeout=limit_s)
        for task in list(self._calls):
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        if self._ends:
            await asyncio.wait(set(self._ends), timeout=END_LIMIT_S)


def kept(work: Coroutine[Any, Any, Result], tasks: set[asyncio.Task[Any]]) -> asyncio.Task[Result]:
    """A task that somebody holds until it is done: the loop itself would not."""
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


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
