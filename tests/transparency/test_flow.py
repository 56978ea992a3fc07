"""Flow: sizes, compression, half-close and early answers."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tests.transparency.caller import Caller, answer_of, values_of
from tests.transparency.line import Line
from tests.transparency.protocol import STREAM_STREAM, STREAM_UNARY, UNARY_STREAM, UNARY_UNARY, pack
from tests.transparency.upstream import EOF, MESSAGE_BYTES, Call
from tests.transparency.wire import Wire, frame

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHUNK = b"\x5a" * (64 << 10)
STILL_S = 0.4
"""What has not come by now is not under way."""


@pytest.mark.parametrize("size_bytes", [4 << 20, (4 << 20) + 1])
async def test_messages_over_grpcs_default_limit_are_carried(caller: Caller, method: str, size_bytes: int) -> None:
    """4 MiB is what grpc allows by itself; a sidecar must not bring that limit back."""
    payload = b"\x7f" * size_bytes
    answer = await caller.ask(method, [payload])
    assert answer.code is grpc.StatusCode.OK
    assert answer.messages == (payload,)


@pytest.mark.parametrize("shape", [UNARY_UNARY, STREAM_STREAM])
async def test_messages_of_64_mib_are_carried(caller: Caller, shape: str) -> None:
    """The largest message that both sides allow, both ways: the limit itself is allowed."""
    seen: list[int] = []

    async def callee(call: Call) -> None:
        (payload,) = await call.swallow()
        seen.append(len(payload))
        await call.write_payload(payload)

    payload = b"\x7f" * MESSAGE_BYTES
    answer = await caller.send(shape, payload, callee)
    assert (answer.code, answer.details, seen) == (grpc.StatusCode.OK, "", [MESSAGE_BYTES])
    assert answer.messages == (payload,)


@pytest.mark.parametrize("shape", [UNARY_UNARY, STREAM_STREAM])
async def test_request_over_the_limit_is_resource_exhausted(caller: Caller, shape: str) -> None:
    """One byte more is refused with the code that grpc has for it, and no request reaches the callee."""
    seen: list[bytes] = []

    async def callee(call: Call) -> None:
        seen.extend(await call.swallow())

    answer = await caller.send(shape, b"\x7f" * (MESSAGE_BYTES + 1), callee)
    assert (answer.code, seen) == (grpc.StatusCode.RESOURCE_EXHAUSTED, [])
    assert (await caller.ask(UNARY_UNARY)).messages == (b"a",)


@pytest.mark.parametrize("shape", [UNARY_UNARY, UNARY_STREAM])
async def test_response_over_the_limit_is_resource_exhausted(line: Line, shape: str) -> None:
    """The same on the way back: whoever has the limit says so."""
    async with line.dial(options=[("grpc.max_receive_message_length", MESSAGE_BYTES)]) as caller:

        async def callee(call: Call) -> None:
            await call.read_all()
            await call.write_payload(b"\x7f" * (MESSAGE_BYTES + 1))

        answer = await caller.send(shape, b"", callee)
    assert (answer.code, answer.messages) == (grpc.StatusCode.RESOURCE_EXHAUSTED, ())


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate], ids=lambda kind: kind.name)
async def test_compressed_requests_are_understood(caller: Caller, method: str, compression: grpc.Compression) -> None:
    """What the callee reads is what the caller wrote; the coding on the wire is the hop's own."""
    payload = b"compressible " * 5_000
    answer = await caller.ask(method, [payload], compression=compression)
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (payload,))


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate], ids=lambda kind: kind.name)
async def test_compressed_responses_are_understood(caller: Caller, method: str, compression: grpc.Compression) -> None:
    """The same on the way back."""
    payload = b"compressible " * 5_000

    async def callee(call: Call) -> None:
        call.context.set_compression(compression)
        await call.write(b"".join(await call.read_all()))

    answer = await caller.ask(method, [payload], callee)
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (payload,))
    assert not values_of(answer.headers, "grpc-encoding")


@pytest.mark.parametrize("shape", [STREAM_UNARY, STREAM_STREAM])
async def test_request_stream_ends_only_when_the_caller_ends_it(caller: Caller, shape: str) -> None:
    """The callee sees the end after `done_writing` and not before, however long the caller pauses."""
    heard: asyncio.Queue[object] = asyncio.Queue()

    async def callee(call: Call) -> None:
        while (data := await call.read()) is not EOF:
            heard.put_nowait(data)
        heard.put_nowait(EOF)
        await call.write(b"done")

    call = caller.open(shape, callee)
    await call.write(b"one")
    assert await heard.get() == b"one"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(heard.get(), STILL_S)
    await call.done_writing()
    async with asyncio.timeout(5):
        assert await heard.get() is EOF
        assert (await answer_of(call)).messages == (b"done",)


async def test_responses_go_on_after_the_caller_has_finished(caller: Caller) -> None:
    """Half-close closes one half."""
    may_go_on = asyncio.Event()

    async def callee(call: Call) -> None:
        await call.read_all()
        await may_go_on.wait()
        for number in range(3):
            await call.write(b"%d" % number)

    call = caller.stream_stream(callee=callee)
    await call.done_writing()
    may_go_on.set()
    assert [await call.read() for _ in range(4)] == [b"0", b"1", b"2", EOF]


async def test_response_stream_may_end_while_requests_are_still_coming(caller: Caller) -> None:
    """A callee that has said everything ends the call, though the caller was not done: OK, and nobody hangs."""

    async def callee(call: Call) -> None:
        await call.write(b"enough of " + await call.read())

    call = caller.stream_stream(callee=callee)
    await call.write(b"one")
    async with asyncio.timeout(5):
        assert await call.read() == b"enough of one"
        assert await call.read() is EOF
        assert await call.code() is grpc.StatusCode.OK


async def test_early_answer_to_a_long_upload_reaches_the_caller(caller: Caller) -> None:
    """The callee answers after the first of many messages; the caller has its answer without finishing the upload."""

    async def callee(call: Call) -> None:
        await call.read()
        await call.write(b"already known")

    call = caller.stream_unary(callee=callee)
    await call.write(CHUNK)
    async with asyncio.timeout(5):
        assert await call == b"already known"
        assert await call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("shape", [STREAM_UNARY, STREAM_STREAM])
async def test_early_error_to_a_long_upload_reaches_the_caller(line: Line, shape: str) -> None:
    """The same for an error, while the caller is stuck in the middle of a message.

    On the wire, because grpc.aio's client overwrites the status with INTERNAL where it comes during a write.
    """

    async def callee(call: Call) -> None:
        await call.read()
        await call.abort(grpc.StatusCode.OUT_OF_RANGE, "too long for me")

    async with Wire.connected(line.address) as wire:
        stream = await wire.request(shape, line.upstream.plays(callee))
        await wire.send(stream, frame(pack(b"one")) + frame(CHUNK * 2)[: len(CHUNK)])
        answer = await wire.answer(stream)
    assert (answer.status, dict(answer.trailers or answer.headers)["grpc-message"]) == (11, "too long for me")


async def test_message_in_many_small_pieces_is_one_message(line: Line) -> None:
    """How bytes are cut into DATA frames means nothing: one byte a frame makes the same message."""
    async with Wire.connected(line.address) as wire:
        stream = await wire.request(UNARY_UNARY)
        for byte in frame(pack(b"piecemeal")):
            await wire.send(stream, bytes([byte]))
        await wire.send(stream, b"", end=True)
        answer = await wire.answer(stream)
    assert (answer.status, answer.messages) == (0, [pack(b"piecemeal")])


async def test_several_messages_in_one_piece_are_several(line: Line) -> None:
    """And three messages in one DATA frame are three."""
    async with Wire.connected(line.address) as wire:
        answer = await wire.call(STREAM_STREAM, body=b"".join(frame(pack(b"%d" % number)) for number in range(3)))
    assert (answer.status, answer.messages) == (0, [pack(b"0"), pack(b"1"), pack(b"2")])
