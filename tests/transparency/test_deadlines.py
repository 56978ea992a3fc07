"""A deadline is the caller's to set: it travels on, never grows, and holds whether or not the callee looks at it."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from tests.transparency.caller import Caller
from tests.transparency.line import Line
from tests.transparency.protocol import STREAM_STREAM, UNARY_STREAM, UNARY_UNARY, pack
from tests.transparency.upstream import Call, Watch
from tests.transparency.wire import Wire, frame

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRANSIT_S = 1.5
"""How much of a deadline the way may cost on a busy machine."""

UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
"""The units of `grpc-timeout` (gRPC over HTTP/2, Requests)."""


async def test_callee_sees_what_is_left_of_the_callers_deadline(caller: Caller, method: str) -> None:
    """Not more than the caller gave (grpc itself rounds up by as much as one percent), not much less."""
    seen: list[float | None] = []

    async def callee(call: Call) -> None:
        seen.append(call.context.time_remaining())
        await call.read_all()
        await call.write(b"")

    for given_s in (2.0, 7.77, 45.6):
        assert (await caller.ask(method, [b"x"], callee, timeout=given_s)).code is grpc.StatusCode.OK
        left_s = seen.pop()
        assert left_s is not None
        assert given_s - TRANSIT_S < left_s <= given_s * 1.01


@pytest.mark.parametrize(
    "timeout", ["1H", "2M", "5S", "2000m", "1234m", "9999m", "2500000u", "99999999u", "3S", "61S", "12345m", "777S"]
)
async def test_deadline_on_the_wire_does_not_grow(line: Line, method: str, timeout: str) -> None:
    """Whatever unit it comes in, the callee's moment is not after the caller's."""
    moments: list[float] = []

    async def callee(call: Call) -> None:
        moments.append(time.monotonic() + call.context.time_remaining())
        await call.read_all()
        await call.write(b"")

    async with Wire.connected(line.address) as wire:
        given_s = int(timeout[:-1]) * UNITS_S[timeout[-1]]
        stream = await wire.request(method, line.upstream.plays(callee), ("grpc-timeout", timeout))
        sent_s = time.monotonic()
        await wire.send(stream, frame(pack(b"x")), end=True)
        answer = await wire.answer(stream)
    assert answer.status == 0
    # The clock is read a little after the headers were received, so "now + remaining" may lie microseconds late.
    transit_s = time.monotonic() - sent_s
    assert moments[0] <= sent_s + given_s + transit_s
    assert moments[0] > sent_s + given_s * 0.98 - TRANSIT_S


async def test_no_deadline_stays_no_deadline(caller: Caller, method: str) -> None:
    """None is made up on the way: observe changes nothing."""
    seen: list[float | None] = []

    async def callee(call: Call) -> None:
        seen.append(call.context.time_remaining())
        await call.read_all()
        await call.write(b"")

    answer = await caller.ask(method, [b"x"], callee, timeout=None)
    assert (answer.code, seen) == (grpc.StatusCode.OK, [None])


async def test_deadline_ends_the_call_on_both_sides(caller: Caller, method: str) -> None:
    """The caller hears DEADLINE_EXCEEDED in time, and the callee is stopped."""
    watch = Watch()
    started_s = time.monotonic()
    answer = await caller.ask(method, [b"x"], watch, timeout=0.3)
    assert answer.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.29 <= time.monotonic() - started_s < 0.3 + TRANSIT_S
    async with asyncio.timeout(TRANSIT_S):
        await watch.cancelled.wait()


async def test_deadline_in_mid_stream_keeps_what_came_before(caller: Caller) -> None:
    """Messages that arrived in time stay arrived."""

    async def callee(call: Call) -> None:
        await call.write(b"in time")
        await asyncio.Event().wait()

    answer = await caller.ask(UNARY_STREAM, [b"x"], callee, timeout=0.5)
    assert (answer.code, answer.messages) == (grpc.StatusCode.DEADLINE_EXCEEDED, (b"in time",))


async def test_expired_deadline_fails_at_once(line: Line, method: str) -> None:
    """A call that has no time left when it arrives fails, and does not hang.

    On the wire, because grpc's own client would not send it. Its server may say so or just reset the stream.
    """
    watch = Watch()
    async with Wire.connected(line.address) as wire, asyncio.timeout(TRANSIT_S):
        answer = await wire.call(method, line.upstream.plays(watch), ("grpc-timeout", "1n"))
    assert answer.status == 4 or answer.reset is not None


async def test_callee_may_answer_deadline_exceeded_itself(caller: Caller, method: str) -> None:
    """The code from the callee is data, with its own message, though no deadline of the caller's has passed."""

    async def callee(call: Call) -> None:
        await call.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "my own callee was slow")

    answer = await caller.ask(method, [b"x"], callee)
    assert (answer.code, answer.details) == (grpc.StatusCode.DEADLINE_EXCEEDED, "my own callee was slow")


async def test_long_silence_is_not_a_deadline(caller: Caller) -> None:
    """Headers, then nothing for a while, then the answer: nobody loses patience in between."""

    async def callee(call: Call) -> None:
        await call.send_headers(("x-working", "yes"))
        await asyncio.sleep(1.0)  # The silence is the thing tested.
        await call.write(b"at last")

    shapes = (UNARY_UNARY, UNARY_STREAM, STREAM_STREAM)
    answers = await asyncio.gather(*(caller.ask(shape, [b"x"], callee, timeout=None) for shape in shapes))
    assert [answer.messages for answer in answers] == [(b"at last",)] * 3
