"""Eager: work begins at once, where it is asked for, and becomes a task only if it has to wait for something.

Whatever must not be broken off in its middle runs in a task of its own, which costs more than most such work: a store
in this process answers without waiting. From Python 3.12 on tasks can begin so by themselves; this is for 3.11.
What begins so must not ask for its task (`asyncio.timeout`) before its first wait: until then that is its caller's.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
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
    """Hand to the loop what the work waits for, and to the work what the loop says, until it ends."""
    try:
        while True:
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
