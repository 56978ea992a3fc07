"""Work that begins at once and becomes a task only if it has to wait."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.engine.eager import Done, begun


async def plain(value: int) -> int:
    return value


async def waiting(future: asyncio.Future[int], log: list[str]) -> int:
    log.append("begun")
    try:
        return await future + 1
    except asyncio.CancelledError:
        log.append("cancelled")
        raise
    finally:
        log.append("over")


async def test_work_that_never_waits_is_done_when_it_was_begun():
    """No task is made for it."""
    before = asyncio.all_tasks()
    assert begun(plain(7)) == Done(7)
    assert asyncio.all_tasks() == before


async def test_work_that_raises_before_it_waits_raises_where_it_is_begun():
    """As if it had been called."""

    async def failing() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        begun(failing())


async def test_the_rest_of_work_that_waits_is_a_coroutine():
    """It was begun already, waits for the same future, and gives its own result."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    log: list[str] = []
    rest = begun(waiting(future, log))
    assert not isinstance(rest, Done)
    assert log == ["begun"]
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    future.set_result(1)
    assert await task == 2
    assert log == ["begun", "over"]


async def test_an_error_of_what_is_waited_for_reaches_the_work():
    """It may handle it, and wait again."""
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def handling() -> str:
        try:
            await future
        except OSError as error:
            await asyncio.sleep(0)
            return str(error)
        return "none"

    rest = begun(handling())
    assert not isinstance(rest, Done)
    future.set_exception(OSError("away"))
    assert await rest == "away"


async def test_a_task_of_the_rest_can_be_cancelled():
    """The work hears of it where it waits."""
    log: list[str] = []
    rest = begun(waiting(asyncio.get_running_loop().create_future(), log))
    assert not isinstance(rest, Done)
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["begun", "cancelled", "over"]


async def test_waits_of_many_turns_go_on_in_the_task():
    """Each wait is handed to the loop, a bare turn as well."""

    async def turning() -> int:
        for _ in range(5):
            await asyncio.sleep(0)
        return 5

    rest = begun(turning())
    assert not isinstance(rest, Done)
    assert await rest == 5
