"""Eager: work begins at once, where it is asked for, and becomes a task only if it has to wait for something.

Whatever must not be broken off in its middle runs in a task of its own, which costs more than most such work: a store
in this process answers without waiting. From Python 3.12 on tasks can begin so by themselves; this is for 3.11.
What begins so must not ask for its task (`asyncio.timeout`) before its first wait: until then that is its caller's.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """The work never waited."""

    value: Result


def begun(work: Coroutine[Any, Any, Result]) -> Done[Result] | Coroutine[Any, Any, Result]:
    """The work up to its first wait: its result, or what is left of it. Raises what it raised so far."""
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        return Done(end.value)
    return rest_of(work, waits_for)


async def rest_of(work: Coroutine[Any, Any, Result], waits_for: Any) -> Result:
    return await steps(work, waits_for)


@types.coroutine
def steps(work: Coroutine[Any, Any, Result], waits_for: Any) -> Generator[Any, Any, Result]:
    """Hand to the loop what the work waits for, and to the work what the loop says, until it ends.

    What has come meanwhile is not waited for: it costs no turn of the loop.
    """
    try:
        while True:
            if isinstance(waits_for, asyncio.Future) and waits_for.done():
                waits_for = work.send(None)
                continue
            try:
                said = yield waits_for
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:
                waits_for = work.throw(error)
            else:
                waits_for = work.send(said)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def together(works: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """The results, in order. All are begun in this turn of the loop, so that what they ask for goes out together.

    As `asyncio.gather`, without its tasks: all come to their end, then the first failure is raised.
    """
    begun_ones = [begun_or_failed(work) for work in works]
    results: list[Result | Exception] = []
    try:
        for each in begun_ones:
            result = await ended(each)
            results.append(result)
    finally:
        for each in begun_ones[len(results) :]:
            if isinstance(each, Coroutine):
                each.close()  # whoever waits was cancelled
    if (failure := next((each for each in results if isinstance(each, Exception)), None)) is not None:
        raise failure
    return results  # type: ignore[return-value]


def begun_or_failed(work: Coroutine[Any, Any, Result]) -> Done[Result] | Coroutine[Any, Any, Result] | Exception:
    try:
        return begun(work)
    except Exception as error:
        return error


async def ended(rest: Done[Result] | Coroutine[Any, Any, Result] | Exception) -> Result | Exception:
    """What came of it."""
    if isinstance(rest, Done):
        return rest.value
    if isinstance(rest, Exception):
        return rest
    try:
        return await rest
    except Exception as error:
        return error
