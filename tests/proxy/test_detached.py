"""What goes on without its caller, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.proxy.detached import Detached, Nobody


async def test_what_must_be_whole_goes_on_when_whoever_waits_is_cancelled():
    """The end of an exchange is told to everyone, whenever its caller leaves."""
    detached, door, told = Detached(), asyncio.Event(), asyncio.Event()

    async def end() -> None:
        await door.wait()
        told.set()

    waiting = asyncio.create_task(detached.whole(end()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    door.set()
    await detached.drain(0)
    assert told.is_set()


async def test_the_drain_ends_calls_at_its_limit_and_lets_them_say_how():
    """A call that is ended still tells its end, whole."""
    detached, told = Detached(), []

    async def end() -> None:
        await asyncio.sleep(0.01)
        told.append("ended")

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await detached.whole(end())
            raise

    task = detached.begin(call())
    await asyncio.sleep(0)
    await detached.drain(0.01)
    assert task.cancelled()
    assert told == ["ended"]


async def test_the_drain_of_a_route_without_such_calls_takes_no_time():
    """The common case."""
    async with asyncio.timeout(0.1):
        await Detached().drain(60)


async def test_a_result_and_a_failure_come_through():
    """Whoever waits hears either."""
    detached = Detached()

    async def works() -> int:
        return 7

    async def fails() -> None:
        raise ValueError("no")

    assert await detached.whole(works()) == 7
    with pytest.raises(ValueError, match="no"):
        await detached.whole(fails())


async def test_nobody_takes_everything_and_says_nothing():
    """So that the stations of a call need not know that its caller has left."""
    nobody = Nobody()
    await nobody.write(b"x")
    await nobody.send_initial_metadata(())
    await nobody.abort("code", "details", ())
    nobody.set_trailing_metadata(())
    nobody.set_details("")
    assert nobody.time_remaining() is None
