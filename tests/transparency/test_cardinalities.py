"""Messages arrive as they were sent: how many, in which order, and when."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tests.transparency.caller import Caller
from tests.transparency.protocol import STREAM_STREAM, STREAM_UNARY, UNARY_STREAM, UNARY_UNARY
from tests.transparency.upstream import EOF, Call, echo

DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_unary_call_carries_one_message_each_way(caller: Caller) -> None:
    """One request in, one response out."""
    answer = await caller.ask(UNARY_UNARY, [b"question"])
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (b"question",))


async def test_server_stream_carries_one_request_and_every_response(caller: Caller) -> None:
    """One request in, several responses out, in order."""

    async def callee(call: Call) -> None:
        assert await call.read() == b"count"
        for number in range(5):
            await call.write(b"%d" % number)

    answer = await caller.ask(UNARY_STREAM, [b"count"], callee)
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (b"0", b"1", b"2", b"3", b"4"))


async def test_client_stream_carries_every_request_and_one_response(caller: Caller) -> None:
    """Several requests in, one response out."""
    answer = await caller.ask(STREAM_UNARY, [b"a", b"b", b"c"])
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (b"abc",))


async def test_bidirectional_stream_carries_messages_both_ways(caller: Caller) -> None:
    """Several requests in, as many responses out, in order."""
    answer = await caller.ask(STREAM_STREAM, [b"a", b"b", b"c"])
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (b"a", b"b", b"c"))


async def test_empty_messages_are_messages(caller: Caller, method: str) -> None:
    """A message of no bytes is counted and carried like any other."""
    seen: list[bytes] = []

    async def callee(call: Call) -> None:
        seen.extend(await call.read_all())
        await call.write(b"")

    answer = await caller.ask(method, [b""], callee)
    assert (answer.code, answer.messages, seen) == (grpc.StatusCode.OK, (b"",), [b""])


async def test_payload_bytes_are_not_touched(caller: Caller, method: str) -> None:
    """Not even an encoding that no serializer would choose (fields backwards, an unknown one) is put in order."""
    payload = bytes.fromhex("2001 fa3e03616263 0a0178 0a00")
    seen: list[bytes] = []

    async def callee(call: Call) -> None:
        seen.extend(await call.swallow())
        await call.write_payload(payload)

    answer = await caller.send(method, payload, callee)
    assert (answer.code, answer.messages, seen) == (grpc.StatusCode.OK, (payload,), [payload])


@pytest.mark.parametrize("shape", [STREAM_UNARY, STREAM_STREAM])
async def test_request_stream_may_be_empty(caller: Caller, shape: str) -> None:
    """No request at all is not one empty request."""
    seen: list[bytes] = []

    async def callee(call: Call) -> None:
        seen.extend(await call.read_all())
        await call.write(b"done")

    answer = await caller.ask(shape, [], callee)
    assert (answer.code, answer.messages, seen) == (grpc.StatusCode.OK, (b"done",), [])


@pytest.mark.parametrize("shape", [UNARY_STREAM, STREAM_STREAM])
async def test_response_stream_may_be_empty(caller: Caller, shape: str) -> None:
    """A stream of no responses ends OK."""

    async def callee(call: Call) -> None:
        await call.read_all()

    answer = await caller.ask(shape, [b"a"], callee)
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, ())


async def test_bidirectional_stream_may_be_empty_both_ways(caller: Caller) -> None:
    """Neither side says anything, and all is well."""
    answer = await caller.ask(STREAM_STREAM, [])
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, ())


async def test_ten_thousand_messages_arrive_in_order(caller: Caller) -> None:
    """A long stream loses, doubles and swaps nothing."""

    async def callee(call: Call) -> None:
        await call.read()
        for number in range(10_000):
            await call.write(b"%d" % number)

    answer = await caller.ask(UNARY_STREAM, [b"go"], callee)
    assert answer.messages == tuple(b"%d" % number for number in range(10_000))


async def test_long_request_stream_arrives_in_order(caller: Caller) -> None:
    """The same the other way."""
    seen: list[bytes] = []

    async def callee(call: Call) -> None:
        seen.extend(await call.read_all())
        await call.write(b"done")

    sent = [b"%d" % number for number in range(1_000)]
    assert (await caller.ask(STREAM_UNARY, sent, callee)).code is grpc.StatusCode.OK
    assert seen == sent


async def test_concurrent_conversations_do_not_mix(caller: Caller) -> None:
    """Five streams play ping-pong on one connection; each hears only its own."""

    async def conversation(name: int) -> list[bytes]:
        call, heard = caller.stream_stream(), []
        for turn in range(20):
            await call.write(b"%d/%d" % (name, turn))
            heard.append(await call.read())
        await call.done_writing()
        assert await call.read() is EOF
        return heard

    every = await asyncio.gather(*(conversation(name) for name in range(5)))
    assert every == [[b"%d/%d" % (name, turn) for turn in range(20)] for name in range(5)]


async def test_interleaved_calls_of_every_shape_are_independent(caller: Caller) -> None:
    """A failing, a waiting and a streaming neighbour on the same connection change nothing for a call."""

    async def failing(call: Call) -> None:
        await call.abort(grpc.StatusCode.ABORTED, "mine alone")

    waiting = caller.stream_stream()
    await waiting.write(b"still here")
    answers = await asyncio.gather(
        *(caller.ask(shape, [b"x"], failing) for shape in (UNARY_UNARY, UNARY_STREAM, STREAM_UNARY)),
        *(caller.ask(shape, [b"x"], echo) for shape in (UNARY_UNARY, UNARY_STREAM, STREAM_UNARY)),
    )
    assert [answer.code.name for answer in answers] == ["ABORTED"] * 3 + ["OK"] * 3
    assert await waiting.read() == b"still here"
    await waiting.done_writing()
    assert await waiting.code() is grpc.StatusCode.OK


async def test_callee_may_speak_first(caller: Caller) -> None:
    """In a bidirectional stream the first message may come from the callee, before the caller has said a word."""

    async def callee(call: Call) -> None:
        await call.write(b"welcome")
        await call.write(b"you said " + await call.read())

    call = caller.stream_stream(callee=callee)
    assert await call.read() == b"welcome"
    await call.write(b"hello")
    assert await call.read() == b"you said hello"
    assert await call.read() is EOF


async def test_each_message_moves_on_at_once(caller: Caller) -> None:
    """A response is not held back until the next one, or the end, pushes it out."""
    go_on = asyncio.Event()

    async def callee(call: Call) -> None:
        await call.read()
        await call.write(b"first")
        await go_on.wait()
        await call.write(b"second")

    call = caller.unary_stream(b"go", callee)
    assert await call.read() == b"first"
    go_on.set()
    assert await call.read() == b"second"
    assert await call.read() is EOF


async def test_thousand_streams_are_open_at_once(caller: Caller) -> None:
    """All are answered while all are open, and each is answered by its own callee."""
    size = 1_000
    calls = [caller.stream_stream(timeout=60) for _ in range(size)]
    await asyncio.gather(*(call.write(b"%d" % number) for number, call in enumerate(calls)))
    heard = await asyncio.gather(*(call.read() for call in calls))
    assert heard == [b"%d" % number for number in range(size)]
    await asyncio.gather(*(call.done_writing() for call in calls))
    codes = await asyncio.gather(*(call.code() for call in calls))
    assert set(codes) == {grpc.StatusCode.OK}


async def test_second_response_on_a_unary_method_is_no_success(caller: Caller) -> None:
    """A callee that breaks its own cardinality gets its caller an error, within the deadline.

    grpc's own client waits for the status behind the second response and never reads that far, so direct it is the
    deadline that ends the call.
    """

    async def callee(call: Call) -> None:
        await call.swallow()
        await call.write(b"one")
        await call.write(b"two")

    answer = await caller.ask(UNARY_UNARY, [b"x"], callee, raw=True, timeout=0.5)
    assert answer.code in (DEADLINE_EXCEEDED, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL)
    assert answer.messages == ()


async def test_missing_response_on_a_unary_method_is_not_made_up(caller: Caller) -> None:
    """Where the callee said nothing, the caller gets nothing: grpc's own client returns None with OK."""

    async def callee(call: Call) -> None:
        await call.swallow()

    answer = await caller.send(UNARY_UNARY, b"", callee, raw=True)
    assert answer.messages in ((), (None,))
