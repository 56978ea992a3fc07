"""The bench: where evidence is judged, so many at once, each for so long. Whatever a judge does, a verdict comes of it.

A plain function runs in a thread, so that a slow one does not hold up health checks; a coroutine function runs on the
event loop. A thread cannot be stopped: one that passes its time keeps its place at the bench until it returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

from verifiers.base.evidence import Evidence
from verifiers.base.settings import Limits
from verifiers.base.verdict import Verdict, flaw_of, unknown

log = logging.getLogger(__name__)

Judge: TypeAlias = Callable[[Evidence], Verdict | Awaitable[Verdict]]
Read: TypeAlias = Callable[[], Evidence]
"""Gives the evidence; raises what the caller of `Bench.verdict` is to see."""


class Busy(Exception):
    """All places are taken, and so is the room to wait in."""


class Bench:
    """Runs one judge."""

    def __init__(self, judge: Judge, limits: Limits) -> None:
        self._judge = judge
        self._limits = limits
        self._is_plain = not is_coroutine_function(judge)
        self._places = asyncio.Semaphore(limits.concurrency)
        self._free = limits.concurrency
        self._present = 0
        self._threads = ThreadPoolExecutor(limits.concurrency, thread_name_prefix="judge")

    @property
    def is_idle(self) -> bool:
        """Nobody is being judged, not even one whose caller has gone."""
        return self._free == self._limits.concurrency

    async def verdict(self, read: Read) -> Verdict:
        """A verdict within the limit, whatever the judge does. Raises `Busy`, and what `read` raises."""
        if self._present >= self._limits.concurrency + self._limits.waiting:
            raise Busy
        self._present += 1
        turn = asyncio.create_task(self._in_turn(read))
        try:
            await asyncio.wait([turn], timeout=self._limits.verdict_ms / 1000)
            return turn.result() if turn.done() else self._too_late()
        finally:
            self._present -= 1
            turn.cancel()

    def close(self) -> None:
        """Takes nothing more. Does not wait for threads that still judge."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _too_late(self) -> Verdict:
        return unknown("too-slow", f"There was no verdict within {self._limits.verdict_ms} ms.")

    async def _in_turn(self, read: Read) -> Verdict:
        await self._places.acquire()
        self._free -= 1
        if self._is_plain:
            return await self._on_a_thread(read)
        try:
            return await self._settled(await self._read(read))
        finally:
            self._leave()

    def _leave(self) -> None:
        self._free += 1
        self._places.release()

    async def _read(self, read: Read) -> Evidence:
        """Parsing megabytes takes tens of milliseconds, which the event loop has not."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)

    async def _on_a_thread(self, read: Read) -> Verdict:
        work = self._threads.submit(self._called, read)
        try:
            answer = await asyncio.wrap_future(work)
            return await self._settled_answer(answer) if inspect.isawaitable(answer) else checked(answer)
        finally:
            self._leave_after(work)

    def _leave_after(self, work: Future[Any]) -> None:
        """At once, or when the thread returns of which nobody wants to know any more."""
        if work.done():
            self._leave()
            return
        loop = asyncio.get_running_loop()

        def leave(_: Future[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone: a thread has outlived its server
                loop.call_soon_threadsafe(self._leave)

        work.add_done_callback(leave)

    def _called(self, read: Read) -> Any:
        """On a thread no error is meant for anybody else, whatever its class."""
        evidence = read()
        try:
            return self._judge(evidence)
        except BaseException as error:
            return crashed(error)

    async def _settled(self, evidence: Evidence) -> Verdict:
        try:
            answer = self._judge(evidence)
        except (Exception, SystemExit) as error:
            return crashed(error)
        return await self._settled_answer(answer) if inspect.isawaitable(answer) else checked(answer)

    async def _settled_answer(self, answer: Awaitable[Any]) -> Verdict:
        try:
            return checked(await answer)
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            return crashed(error)
        except (Exception, SystemExit) as error:
            return crashed(error)


def checked(answer: Any) -> Verdict:
    """The judge's verdict, or why it is none."""
    flaw = flaw_of(answer)
    if flaw:
        log.error("the judge's answer is not usable: %s", flaw)
        return unknown("unusable-verdict", flaw)
    verdict: Verdict = answer
    return verdict


def crashed(error: BaseException) -> Verdict:
    """The error's own words stay out of verdict and log: they may quote the payload. Its place does not."""
    places = "".join(traceback.format_tb(error.__traceback__))
    log.error("the judge crashed with %s\n%s", type(error).__name__, places)
    return unknown("crashed", f"The verifier crashed: {type(error).__name__}.")


def is_coroutine_function(judge: Judge) -> bool:
    """Also where the judge is an object with an `async def __call__`."""
    return inspect.iscoroutinefunction(judge) or inspect.iscoroutinefunction(getattr(judge, "__call__", None))  # noqa: B004 its type is asked for


def is_cancelled() -> bool:
    """Whether somebody cancelled us, or the judge has only raised the same error."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
