"""Back-pressure: a slow reader slows its writer, so that nobody in between has to hold the stream.

A module of its own, because grpc widens the windows of a connection that has carried large messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.transparency.caller import Caller, answer_of
from tests.transparency.line import Line, open_line
from tests.transparency.protocol import STREAM_STREAM, STREAM_UNARY, UNARY_STREAM, UNARY_UNARY
from tests.transparency.upstream import Call

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHUNK = b"\x5a" * (64 << 10)
STREAM_BYTES = 256 << 20
"""What a writer has to say when nobody reads."""

IN_TRANSIT_BYTES = 32 << 20
"""What grpc's windows and buffers may hold on the way. Seen: 5 to 6 MiB direct, 8 to 10 MiB with a sidecar."""

STILL_S = 0.4
"""A count that has not moved for this long has stopped."""


async def stopped(count: Callable[[], int], limit_s: float = 15.0) -> int:
    """Wait until a count stands still; what it stands at."""
    async with asyncio.timeout(limit_s):
        before = -1
        while count() != before:
            before = count()
            await asyncio.sleep(STILL_S)  # Standing still has no event.
    return before


@pytest.mark.parametrize("shape", [UNARY_STREAM, STREAM_STREAM])
async def test_slow_caller_slows_the_callee(caller: Caller, shape: str) -> None:
    """A caller that stops reading stops the callee's writing, so that nobody in between has to hold the stream."""
    written_bytes = 0

    async def callee(call: Call) -> None:
        nonlocal written_bytes
        while written_bytes < STREAM_BYTES:
            await call.write(CHUNK)
            written_bytes += len(CHUNK)

    call = caller.start(shape, [b"go"], callee, timeout=60)
    assert await call.read() == CHUNK
    held_bytes = await stopped(lambda: written_bytes)
    assert held_bytes < IN_TRANSIT_BYTES
    for _ in range(IN_TRANSIT_BYTES // len(CHUNK)):
        assert await call.read() == CHUNK
    assert written_bytes > held_bytes
    call.cancel()


async def test_large_messages_do_not_loosen_back_pressure(way: str, folder: Path) -> None:
    """grpc widens a connection's windows for large messages. A slow reader after them is as slow for the callee."""
    large = b"\x7f" * (48 << 20)
    async with open_line(way, folder) as line:
        async with line.dial() as caller:
            answers = [await caller.ask(UNARY_UNARY, [large]) for _ in range(2)]
            assert [answer.messages == (large,) for answer in answers] == [True] * 2
        async with line.dial() as caller:
            await test_slow_caller_slows_the_callee(caller, UNARY_STREAM)


@pytest.mark.parametrize("shape", [STREAM_UNARY, STREAM_STREAM])
async def test_slow_callee_slows_the_caller(caller: Caller, shape: str) -> None:
    """A callee that stops reading stops the caller's writing, and lets it go on when it reads again."""
    written_bytes = 0
    may_read = asyncio.Event()

    async def callee(call: Call) -> None:
        await call.read()
        await may_read.wait()
        await call.read_all()
        await call.write(b"all read")

    call = caller.open(shape, callee, timeout=60)

    async def upload() -> None:
        nonlocal written_bytes
        while written_bytes < IN_TRANSIT_BYTES * 2:
            await call.write(CHUNK)
            written_bytes += len(CHUNK)
        await call.done_writing()

    uploading = asyncio.create_task(upload())
    assert await stopped(lambda: written_bytes) < IN_TRANSIT_BYTES
    may_read.set()
    await uploading
    assert (await answer_of(call)).messages == (b"all read",)
    assert written_bytes == IN_TRANSIT_BYTES * 2


async def test_slow_stream_does_not_stop_its_neighbours(line: Line, caller: Caller) -> None:
    """One stream that nobody reads leaves the connection usable for others."""

    async def callee(call: Call) -> None:
        while True:
            await call.write(CHUNK)

    stuck = caller.unary_stream(b"go", callee)
    assert await stuck.read() == CHUNK
    answers = await asyncio.gather(*(caller.ask(UNARY_UNARY, [b"%d" % number], timeout=5) for number in range(20)))
    assert [answer.messages for answer in answers] == [(b"%d" % number,) for number in range(20)]
    stuck.cancel()


async def test_departure_from_a_full_stream_is_a_departure(line: Line, caller: Caller) -> None:
    """A caller that leaves while its callee is being held back has left: nobody failed, and the callee is told."""
    ended = asyncio.Event()

    async def callee(call: Call) -> None:
        try:
            while True:
                await call.write(CHUNK)
        finally:
            ended.set()

    call = caller.unary_stream(b"go", callee)
    assert await call.read() == CHUNK
    await asyncio.sleep(STILL_S)  # Time for every buffer to fill up; no event tells it.
    before = 0 if line.is_direct else len(line.sidecar.outcomes)
    call.cancel()
    async with asyncio.timeout(5):
        await ended.wait()
        if line.is_direct:
            return
        while len(line.sidecar.outcomes) == before:
            await asyncio.sleep(0.01)
    outcome = line.sidecar.outcomes[before]
    assert (outcome.status.code, outcome.status.origin, outcome.exchange.findings) == ("CANCELLED", "downstream", [])
