"""The backlog: questions asked beside the call. Bounded in number and bytes; what finds no room is told so at once."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from sidecar.engine.ports import TellVerdict
from sidecar.engine.verdict import PanelVerdict

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BacklogLimits:
    """Past these, questions are dropped: an observed call must cost neither time nor memory without end."""

    running: int = 16
    """Panels asked at once."""
    waiting: int = 256
    waiting_bytes: int = 64 << 20
    """Payload bytes of all that wait or are being asked about."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One panel to be asked, and who wants to hear of it."""

    work: Callable[[], Awaitable[PanelVerdict]]
    tell: TellVerdict
    size_bytes: int


class Backlog:
    """Runs jobs, a few at a time, oldest first. Each job's `tell` is called exactly once."""

    def __init__(self, limits: BacklogLimits = BacklogLimits()) -> None:
        self._limits = limits
        self._waiting: deque[Job] = deque()
        self._running: set[asyncio.Task[PanelVerdict | None]] = set()
        self._held_bytes = 0
        self._is_closed = False

    def offer(self, job: Job) -> None:
        if not self._has_room(job):
            job.tell(None)
            return
        self._held_bytes += job.size_bytes
        self._waiting.append(job)
        self._start()

    async def drain(self, limit_s: float) -> None:
        """Take nothing more, let what is there finish within the limit, and drop the rest."""
        self._is_closed = True
        try:
            async with asyncio.timeout(limit_s):
                while self._running:
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            await self._drop_all()

    async def _drop_all(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            self._finish(job, None)
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _has_room(self, job: Job) -> bool:
        """One job has room at any size: a large answer must not be one that is never judged."""
        is_idle = not self._running and not self._waiting
        fits = self._held_bytes + job.size_bytes <= self._limits.waiting_bytes
        has_place = len(self._waiting) < self._limits.waiting or len(self._running) < self._limits.running
        return not self._is_closed and has_place and (fits or is_idle)

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._limits.running:
            job = self._waiting.popleft()
            task = asyncio.create_task(self._run(job))
            self._running.add(task)
            task.add_done_callback(partial(self._ended, job))

    def _ended(self, job: Job, task: asyncio.Task[PanelVerdict | None]) -> None:
        self._running.discard(task)
        self._finish(job, None if task.cancelled() else task.result())
        self._start()

    async def _run(self, job: Job) -> PanelVerdict | None:
        try:
            return await job.work()
        except Exception:
            log.exception("a panel could not be asked")
            return None

    def _finish(self, job: Job, verdict: PanelVerdict | None) -> None:
        self._held_bytes -= job.size_bytes
        job.tell(verdict)
