"""Who leaves is known to the other side at once, whichever side it is and however it leaves."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from grpc import aio

from tests.transparency.caller import Caller
from tests.transparency.line import Line
from tests.transparency.protocol import ANSWERS_MANY, STREAM_STREAM, UNARY_STREAM, UNARY_UNARY, pack
from tests.transparency.upstream import EOF, Call, Watch
from tests.transparency.wire import Wire, frame

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT_S = 2.0
"""Far more than it takes on a busy machine, far less than any timeout that could end the call instead."""


async def test_cancel_reaches_a_callee_at_work(caller: Caller, method: str) -> None:
    """The caller gives up while it waits for the first answer."""
    watch = Watch()
    call = caller.start(method, [b"x"], watch)
    async with asyncio.timeout(PROMPT_S):
        await watch.started.wait()
        assert call.cancel()
        await watch.cancelled.wait()
        assert await call.code() is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize("shape", [UNARY_STREAM, STREAM_STREAM])
async def test_cancel_reaches_a_callee_in_mid_stream(caller: Caller, shape: str) -> None:
    """The caller gives up after it has read some answers."""
    watch = Watch()

    async def callee(call: Call) -> None:
        await call.write(b"one")
        await watch.wait(call)

    call = caller.start(shape, [b"x"], callee)
    assert await call.read() == b"one"
    async with asyncio.timeout(PROMPT_S):
        await watch.started.wait()
        call.cancel()
        await watch.cancelled.wait()


async def test_cancel_reaches_a_callee_that_waits_for_requests(caller: Caller) -> None:
    """The caller gives up an upload halfway: its end must not look like a finished one."""
    heard: list[object] = []
    started, ended = asyncio.Event(), asyncio.Event()

    async def callee(call: Call) -> None:
        try:
            heard.append(await call.read())
            started.set()
            heard.append(await call.read())
        finally:
            ended.set()

    call = caller.stream_unary(callee=callee)
    await call.write(b"half")
    async with asyncio.timeout(PROMPT_S):
        await started.wait()
        call.cancel()
        await ended.wait()
    # grpc.aio gives a read on a cancelled call EOF or cancels it, whichever comes first; it never gives data.
    assert heard[0] == b"half"
    assert heard[1:] in ([], [EOF])


async def test_cancel_of_one_call_leaves_its_neighbours_alone(caller: Caller) -> None:
    """Two calls on one connection; only one is given up."""
    leaving, staying = Watch(), Watch()
    first, second = caller.unary_unary(b"x", leaving), caller.unary_unary(b"x", staying)
    async with asyncio.timeout(PROMPT_S):
        await asyncio.gather(leaving.started.wait(), staying.started.wait())
        first.cancel()
        await leaving.cancelled.wait()
        assert (await caller.ask(UNARY_UNARY)).code is grpc.StatusCode.OK
    assert not staying.cancelled.is_set()
    second.cancel()


async def test_callee_may_cancel(caller: Caller, method: str) -> None:
    """CANCELLED from the callee is a status like any other."""

    async def callee(call: Call) -> None:
        await call.abort(grpc.StatusCode.CANCELLED, "I changed my mind")

    answer = await caller.ask(method, [b"x"], callee)
    assert (answer.code, answer.details) == (grpc.StatusCode.CANCELLED, "I changed my mind")


async def test_closing_the_channel_cancels_its_calls(line: Line) -> None:
    """A caller that shuts down in good order leaves no callee at work."""
    watch = Watch()
    async with line.dial() as leaving:
        call = leaving.unary_unary(b"x", watch)
        async with asyncio.timeout(PROMPT_S):
            await watch.started.wait()
    async with asyncio.timeout(PROMPT_S):
        await watch.cancelled.wait()
    assert call.cancelled()


async def test_lost_connection_cancels_its_calls(line: Line, method: str) -> None:
    """A caller that vanishes (killed, say) leaves no callee at work, even one that had finished its request."""
    watch = Watch()
    async with Wire.connected(line.address) as wire:
        stream = await wire.request(method, line.upstream.plays(watch))
        await wire.send(stream, frame(pack(b"x")), end=True)
        async with asyncio.timeout(PROMPT_S):
            await watch.started.wait()
            wire.abort()
            await watch.cancelled.wait()


async def test_lost_connection_ends_an_open_request_stream(line: Line) -> None:
    """The same while requests are still being sent: the callee must not wait for the rest for ever."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def callee(call: Call) -> None:
        try:
            await call.read()
            started.set()
            await call.read()
        finally:
            ended.set()

    async with Wire.connected(line.address) as wire:
        stream = await wire.request(STREAM_STREAM, line.upstream.plays(callee))
        await wire.send(stream, frame(pack(b"x")))
        async with asyncio.timeout(PROMPT_S):
            await started.wait()
            wire.abort()
            await ended.wait()


@pytest.mark.parametrize("shape", sorted(ANSWERS_MANY))
async def test_lost_connection_stops_a_callee_that_writes(line: Line, shape: str) -> None:
    """A callee that keeps on writing to nobody is stopped."""
    stopped = asyncio.Event()

    async def callee(call: Call) -> None:
        try:
            while True:
                await call.write(b"x" * 1024)
        finally:
            stopped.set()

    async with Wire.connected(line.address) as wire:
        stream = await wire.request(shape, line.upstream.plays(callee))
        await wire.send(stream, frame(pack(b"x")), end=True)
        await wire.headers(stream)
        wire.abort()
        async with asyncio.timeout(PROMPT_S):
            await stopped.wait()


async def test_reset_by_the_caller_reaches_the_callee(line: Line, method: str) -> None:
    """RST_STREAM on the wire is a cancellation."""
    watch = Watch()
    async with Wire.connected(line.address) as wire:
        stream = await wire.request(method, line.upstream.plays(watch))
        await wire.send(stream, frame(pack(b"x")), end=True)
        async with asyncio.timeout(PROMPT_S):
            await watch.started.wait()
            await wire.reset(stream)
            await watch.cancelled.wait()


async def test_abandoned_iteration_reaches_the_callee(caller: Caller) -> None:
    """A caller that breaks out of its loop and drops the call has cancelled it."""
    watch = Watch()

    async def callee(call: Call) -> None:
        await call.write(b"one")
        await watch.wait(call)

    reader = asyncio.create_task(first_of(caller.unary_stream(b"x", callee)))
    async with asyncio.timeout(PROMPT_S):
        assert await reader == b"one"
        await watch.cancelled.wait()


async def first_of(call: aio.UnaryStreamCall) -> bytes:
    async for message in call:
        call.cancel()
        return bytes(message)
    raise AssertionError("the stream was empty")
