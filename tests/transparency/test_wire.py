"""The caller's side on the wire: what grpc's own client would not send or would hide.

Each test has a connection of its own. Whatever becomes of it, callers on other connections notice nothing.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from tests.transparency.caller import Caller, values_of
from tests.transparency.line import Line
from tests.transparency.protocol import SERVICE, STREAM_STREAM, UNARY_UNARY, pack
from tests.transparency.upstream import Call, Entry
from tests.transparency.wire import LIMIT_S, Header, Wire, WireAnswer, dial, frame, grpc_headers

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = frame(pack(b"x"))
TRACE_A = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_B = "00-1bf7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"

UNIMPLEMENTED, INTERNAL, RESOURCE_EXHAUSTED = 12, 13, 8


@pytest_asyncio.fixture(loop_scope="module")
async def wire(line: Line) -> AsyncIterator[Wire]:
    """A raw connection beside one in good use, which is still in good use afterwards."""
    async with line.dial() as neighbour:
        waiting = neighbour.stream_stream()
        await waiting.write(b"before")
        assert await waiting.read() == b"before"
        async with Wire.connected(line.address) as connected:
            yield connected
        await assert_undisturbed(neighbour, waiting)


async def assert_undisturbed(neighbour: Caller, waiting: grpc.aio.StreamStreamCall) -> None:
    await waiting.write(b"after")
    assert await waiting.read() == b"after"
    waiting.cancel()
    assert (await neighbour.ask(UNARY_UNARY)).messages == (b"a",)


def replaced(name: str, value: str | None) -> list[Header]:
    """The headers of a good call with one of them changed, or left out."""
    kept: list[Header] = [(key, value if key == name else old) for key, old in grpc_headers(UNARY_UNARY)]  # type: ignore[misc]
    return [header for header in kept if header[1] is not None]


async def sent(wire: Wire, headers: list[Header], body: bytes = BODY) -> WireAnswer:
    stream = await wire.open(headers, end=not body)
    if body:
        await wire.send(stream, body, end=True)
    return await wire.answer(stream)


async def test_answer_has_the_shape_that_grpc_prescribes(wire: Wire, method: str) -> None:
    """HTTP 200, grpc's content type, one message, and the status in trailers of its own."""
    answer = await wire.call(method, body=BODY)
    assert (answer.http_status, answer.header("content-type")) == (200, "application/grpc")
    assert (answer.messages, answer.status, answer.is_trailers_only) == ([pack(b"x")], 0, False)


async def test_headers_of_the_answer_are_said_once(wire: Wire, line: Line, method: str) -> None:
    """Nothing that a hop makes afresh is there twice, and nothing of the inner hop leaks out."""

    async def callee(call: Call) -> None:
        await call.send_headers(("x-h", "1"))
        await call.read_all()
        call.set_trailers(("x-t", "1"))
        await call.write(b"")

    answer = await wire.call(method, line.upstream.plays(callee), body=BODY)
    assert sorted(key for key, _ in answer.headers) == [":status", "content-type", "grpc-accept-encoding", "x-h"]
    assert sorted(key for key, _ in answer.trailers) == ["grpc-message", "grpc-status", "x-t"]


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc+json"])
async def test_content_types_of_grpc_are_accepted(wire: Wire, content_type: str) -> None:
    """The subtype is the caller's and the callee's affair."""
    answer = await sent(wire, replaced("content-type", content_type))
    assert (answer.http_status, answer.status, answer.messages) == (200, 0, [pack(b"x")])


@pytest.mark.parametrize("content_type", ["application/json", "text/html", None])
async def test_other_content_types_do_no_harm(wire: Wire, content_type: str | None) -> None:
    """They are answered one way or another. (grpc serves them; HTTP 415 or a reset would be as good.)"""
    answer = await sent(wire, replaced("content-type", content_type))
    assert answer.has_ended.is_set()
    assert not answer.is_lost


async def test_immediate_error_is_trailers_only(wire: Wire, line: Line, method: str) -> None:
    """An error before anything else is one block of headers that ends the stream, as the callee sent it."""

    async def callee(call: Call) -> None:
        await call.abort(grpc.StatusCode.NOT_FOUND, "größe %", ("x-t", "1"))

    answer = await wire.call(method, line.upstream.plays(callee), body=BODY)
    assert answer.is_trailers_only
    assert (answer.http_status, answer.status, bytes(answer.body)) == (200, 5, b"")
    assert answer.header("grpc-message") == "gr%C3%B6%C3%9Fe %25"
    assert answer.header("x-t") == "1"


@pytest.mark.parametrize("path", [f"/{SERVICE}/Nothing", "/test.v1.Nobody/Nothing"])
async def test_unimplemented_is_http_200_and_status_12(wire: Wire, path: str) -> None:
    """Node and Go callers read the status from the wire, not from grpc's own library."""
    answer = await wire.call(path, body=BODY)
    assert (answer.http_status, answer.status, answer.header("content-type")) == (
        200,
        UNIMPLEMENTED,
        "application/grpc",
    )
    assert answer.is_trailers_only


@pytest.mark.parametrize("upper", ["X-Upper", "Traceparent"])
async def test_upper_case_keys_are_refused(line: Line, wire: Wire, upper: str) -> None:
    """HTTP/2 forbids them (RFC 9113, 8.2.1): that call fails, and the next connection is served."""
    stream = await wire.request(UNARY_UNARY, (upper, "1"))
    await wire.send(stream, BODY, end=True)
    answer = await wire.answer(stream)
    assert answer.status == INTERNAL or answer.reset is not None or answer.is_lost
    async with Wire.connected(line.address) as another:
        assert (await another.call(UNARY_UNARY, body=BODY)).status == 0


async def test_two_traceparents_do_no_harm(wire: Wire, line: Line) -> None:
    """grpc shows its handlers only the last. Whichever trace is continued, it is one, and the call passes."""
    seen: list[tuple[Entry, ...]] = []

    async def callee(call: Call) -> None:
        seen.append(call.metadata)
        await call.write(await call.read())

    script = line.upstream.plays(callee)
    answer = await wire.call(UNARY_UNARY, script, ("traceparent", TRACE_A), ("traceparent", TRACE_B), body=BODY)
    (arrived,) = values_of(seen[0], "traceparent")
    assert (answer.status, answer.messages) == (0, [pack(b"x")])
    assert str(arrived).split("-")[1] in TRACE_A + TRACE_B


@pytest.mark.parametrize("value", ["größe".encode(), b"a\tb", b"\x80\xff"], ids=["utf-8", "tab", "no-text"])
async def test_values_that_grpc_cannot_send_do_not_fail_the_call(wire: Wire, line: Line, value: bytes) -> None:
    """grpc receives them, though it would not send them: the call passes, and its other metadata arrives."""
    seen: list[tuple[Entry, ...]] = []

    async def callee(call: Call) -> None:
        seen.append(call.metadata)
        await call.write(await call.read())

    answer = await wire.call(UNARY_UNARY, line.upstream.plays(callee), ("x-odd", value), ("x-even", "2"), body=BODY)
    assert (answer.status, answer.messages) == (0, [pack(b"x")])
    assert values_of(seen[0], "x-even") == ["2"]


async def test_binary_metadata_that_is_not_base64_is_refused(wire: Wire) -> None:
    """That call fails alone; the connection stays good for the next."""
    answer = await wire.call(UNARY_UNARY, ("x-raw-bin", "!!! not base64"), body=BODY)
    assert answer.status == INTERNAL
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0


async def test_binary_metadata_may_be_padded_or_not(wire: Wire, line: Line) -> None:
    """Both forms of base64 are legal (gRPC over HTTP/2, Binary-Header)."""
    seen: list[tuple[Entry, ...]] = []

    async def callee(call: Call) -> None:
        seen.append(call.metadata)
        await call.write(await call.read())

    extra = (("x-a-bin", "AAEC"), ("x-b-bin", "/w=="), ("x-c-bin", "/w"))
    assert (await wire.call(UNARY_UNARY, line.upstream.plays(callee), *extra, body=BODY)).status == 0
    assert [values_of(seen[0], key) for key in ("x-a-bin", "x-b-bin", "x-c-bin")] == [[b"\0\1\2"], [b"\xff"], [b"\xff"]]


async def test_gzip_on_the_wire_is_understood(wire: Wire, method: str) -> None:
    """A caller that compresses is understood, and is not answered in a coding that it did not offer."""
    body = frame(gzip.compress(pack(b"x" * 500)), compressed=True)
    answer = await wire.call(method, ("grpc-encoding", "gzip"), body=body)
    assert (answer.status, answer.messages) == (0, [pack(b"x" * 500)])
    assert answer.header("grpc-encoding") in (None, "identity")


async def test_unknown_compression_fails_that_call_only(line: Line, wire: Wire) -> None:
    """The protocol asks for UNIMPLEMENTED; grpc 1.85 says INTERNAL, and may spoil its connection. Others go on."""
    answer = await wire.call(UNARY_UNARY, ("grpc-encoding", "snappy"), body=frame(b"zzz", compressed=True))
    assert answer.status in (UNIMPLEMENTED, INTERNAL)
    async with Wire.connected(line.address) as another:
        assert (await another.call(UNARY_UNARY, ("grpc-encoding", "gzip"), body=BODY)).status == 0


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (frame(b"not gzip", compressed=True), (("grpc-encoding", "gzip"),)),
        (frame(b"no coding named", compressed=True), ()),
    ],
    ids=["bad-gzip", "no-coding"],
)
async def test_messages_that_cannot_be_decompressed_are_refused(
    wire: Wire, body: bytes, headers: tuple[Header, ...]
) -> None:
    """INTERNAL for that call; the connection stays good for the next."""
    assert (await wire.call(UNARY_UNARY, *headers, body=body)).status == INTERNAL
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0


async def test_announced_size_over_the_limit_is_refused_at_once(wire: Wire, method: str) -> None:
    """Four gigabytes are refused by their announcement; nobody waits for them."""
    answer = await wire.call(method, body=b"\0\xff\xff\xff\xff" + b"x" * 10)
    assert answer.status == RESOURCE_EXHAUSTED
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0


@pytest.mark.parametrize("size_bytes", [1, 4, 5, 6])
async def test_truncated_message_is_never_delivered(wire: Wire, line: Line, size_bytes: int) -> None:
    """A stream that ends inside a message has not said that message."""
    heard: list[bytes] = []
    asked = asyncio.Event()

    async def callee(call: Call) -> None:
        asked.set()
        heard.extend(await call.swallow())

    stream = await wire.request(STREAM_STREAM, line.upstream.plays(callee))
    await wire.send(stream, BODY[:size_bytes], end=True)
    async with asyncio.timeout(LIMIT_S):
        await asked.wait()
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0
    await wire.reset_if_open(stream)
    assert heard == []


@pytest.mark.parametrize("body", [b"", BODY[:-1]], ids=["nothing", "truncated"])
async def test_unary_call_without_a_request_is_no_success(wire: Wire, body: bytes) -> None:
    """grpc.aio never answers one. Whoever does may not say OK, and the connection stays good for the next call."""
    stream = await wire.request(UNARY_UNARY, end=not body)
    if body:
        await wire.send(stream, body, end=True)
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0
    assert wire.so_far(stream).status != 0
    await wire.reset_if_open(stream)
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0


async def test_second_request_on_a_unary_call_is_not_answered_twice(wire: Wire) -> None:
    """grpc takes the first and ignores the rest; an error would do as well, two answers would not."""
    answer = await wire.call(UNARY_UNARY, body=frame(pack(b"one")) + frame(pack(b"two")))
    assert (answer.status, answer.messages) == (0, [pack(b"one")]) or answer.status in (UNIMPLEMENTED, INTERNAL)
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0


@pytest.mark.parametrize("timeout", ["soon", "-1S"])
async def test_malformed_timeouts_fail_that_call_only(wire: Wire, timeout: str) -> None:
    """A deadline that nobody can read is the caller's mistake; the connection stays good for the next call."""
    answer = await wire.call(UNARY_UNARY, ("grpc-timeout", timeout), body=BODY)
    assert answer.status == INTERNAL or answer.reset is not None
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0


async def test_reset_in_the_middle_of_a_message_is_a_cancellation(wire: Wire, line: Line) -> None:
    """The callee is told, and the half message is dropped."""
    started, ended = asyncio.Event(), asyncio.Event()
    heard: list[object] = []

    async def callee(call: Call) -> None:
        try:
            heard.append(await call.read())
            started.set()
            await call.read()
        finally:
            ended.set()

    stream = await wire.request(STREAM_STREAM, line.upstream.plays(callee))
    await wire.send(stream, BODY + BODY[:-1])
    async with asyncio.timeout(LIMIT_S):
        await started.wait()
        await wire.reset(stream)
        await ended.wait()
    assert heard == [b"x"]
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0


@pytest.mark.parametrize("verb", ["GET", "OPTIONS"])
async def test_requests_that_are_no_grpc_are_turned_away(wire: Wire, verb: str) -> None:
    """A browser or a health prober is told no, and the connection stays good for the next call."""
    answer = await sent(wire, replaced(":method", verb), b"")
    assert answer.reset is not None or answer.http_status >= 400 or answer.status not in (None, 0)
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0


@pytest.mark.parametrize("name", [":path", "te"])
async def test_missing_headers_are_turned_away(wire: Wire, name: str) -> None:
    """A call without what every call has gets no success, and the connection stays good for the next call."""
    answer = await sent(wire, replaced(name, None))
    assert answer.reset is not None or answer.status not in (None, 0)
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0


@pytest.mark.parametrize(
    "junk", [b"\x00" * 64, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0"]
)
async def test_connections_that_speak_something_else_are_dropped(line: Line, caller: Caller, junk: bytes) -> None:
    """HTTP/1, TLS and noise end their own connection and no other."""
    reader, writer = await dial(line.address)
    writer.write(junk)
    writer.write_eof()
    async with asyncio.timeout(LIMIT_S):
        await reader.read()
    writer.close()
    assert (await caller.ask(UNARY_UNARY)).messages == (b"a",)


async def test_noise_after_a_good_start_ends_that_connection_only(wire: Wire, line: Line) -> None:
    """A frame of an impossible size is a connection error; calls of others go on."""
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0
    stream = await wire.request(STREAM_STREAM)
    await wire.write_raw(b"\xff" * 64)
    answer = await wire.answer(stream)
    assert answer.is_lost or answer.reset is not None or answer.status not in (None, 0)


async def test_stream_limit_is_not_lower_than_a_thousand(wire: Wire) -> None:
    """A caller may open a thousand streams on one connection: that is what the other side announces."""
    assert (await wire.call(UNARY_UNARY, body=BODY)).status == 0
    assert wire.max_streams >= 1_000
