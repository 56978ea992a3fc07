"""The callee's side on the wire: resets, lost connections and answers that are no grpc, and what the caller is told.

The callees wait for the last request: where a status comes during a write, grpc.aio's client makes INTERNAL of it.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from grpc import StatusCode
from h2.errors import ErrorCodes

from tests.transparency.callee_wire import RawCall, RawUpstream, answer_well, running_raw_upstream
from tests.transparency.caller import Caller, answer_of, dialled
from tests.transparency.line import DIRECT, descriptor_options, started_sidecar
from tests.transparency.protocol import ANSWERS_MANY, STREAM_STREAM, UNARY_STREAM, UNARY_UNARY
from tests.transparency.upstream import Script
from tests.transparency.wire import Header, frame

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT_S = 3.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def raw_upstream() -> AsyncIterator[RawUpstream]:
    async with running_raw_upstream() as upstream:
        yield upstream


@asynccontextmanager
async def raw_line(way: str, folder: Path, upstream: RawUpstream) -> AsyncIterator[str]:
    """Where callers of the raw callee connect. No connection to it has been used before."""
    if way == DIRECT:
        yield upstream.address
        return
    async with started_sidecar(upstream, "127.0.0.1:0", dict(descriptor_options(way, folder))) as sidecar:
        yield sidecar.address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def raw_address(way: str, folder: Path, raw_upstream: RawUpstream) -> AsyncIterator[str]:
    async with raw_line(way, folder, raw_upstream) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="module")
async def caller(raw_address: str, raw_upstream: RawUpstream) -> AsyncIterator[Caller]:
    """A caller of the raw callee. It never retries, so that what it sees is what was said."""
    async with dialled(raw_address, raw_upstream, options=[("grpc.enable_retries", 0)]) as connected:
        yield connected


async def test_plain_answer_of_a_raw_callee_is_understood(caller: Caller, method: str) -> None:
    """The raw callee can do it right, so that its mistakes below are on purpose."""
    answer = await caller.ask(method, [b"x"], answer_well)
    assert (answer.code, answer.messages) == (StatusCode.OK, (b"",))


@pytest.mark.parametrize(
    ("reset", "code"),
    [
        (ErrorCodes.CANCEL, StatusCode.CANCELLED),
        (ErrorCodes.INTERNAL_ERROR, StatusCode.INTERNAL),
        (ErrorCodes.ENHANCE_YOUR_CALM, StatusCode.RESOURCE_EXHAUSTED),
        (ErrorCodes.INADEQUATE_SECURITY, StatusCode.PERMISSION_DENIED),
        (ErrorCodes.REFUSED_STREAM, StatusCode.UNAVAILABLE),
    ],
    ids=lambda value: value.name,
)
async def test_resets_arrive_as_the_status_that_grpc_gives_them(
    caller: Caller, method: str, reset: ErrorCodes, code: StatusCode
) -> None:
    """RST_STREAM from the callee has one meaning in grpc, with or without somebody in between."""

    async def callee(call: RawCall) -> None:
        await call.has_all_requests.wait()
        await call.send_headers()
        await call.reset(reset)

    async with asyncio.timeout(PROMPT_S):
        assert (await caller.ask(method, [b"x"], callee)).code is code


@pytest.mark.parametrize("shape", sorted(ANSWERS_MANY))
async def test_reset_in_mid_stream_keeps_what_came_before(caller: Caller, shape: str) -> None:
    """Two messages, then a reset: two messages, then its status."""

    async def callee(call: RawCall) -> None:
        await call.has_all_requests.wait()
        await call.send_headers()
        await call.write(b"")
        await call.write(b"")
        await call.reset(ErrorCodes.INTERNAL_ERROR)

    first = caller.start(shape, [b"x"], callee)
    async with asyncio.timeout(PROMPT_S):
        answer = await answer_of(first)
    # grpc's core may drop a message that it received just before the reset, direct as well; it never invents one.
    assert answer.code is StatusCode.INTERNAL
    assert answer.messages in ((), (b"",), (b"", b""))


async def test_killed_callee_is_unavailable_at_once(caller: Caller, method: str) -> None:
    """A connection that breaks is not waited out until the deadline, and the next connection serves again."""

    async def callee(call: RawCall) -> None:
        await call.has_all_requests.wait()
        await call.send_headers()
        call.vanish()

    async with asyncio.timeout(PROMPT_S):
        assert (await caller.ask(method, [b"x"], callee)).code is StatusCode.UNAVAILABLE
        # A call that was already on its way to the broken connection is UNAVAILABLE as well.
        while (answer := await caller.ask(UNARY_UNARY, [b"x"], answer_well)).code is not StatusCode.OK:
            assert answer.code is StatusCode.UNAVAILABLE


async def test_killed_callee_in_mid_stream_is_unavailable_at_once(caller: Caller) -> None:
    """What was read stays read, and the rest is UNAVAILABLE."""
    may_vanish = asyncio.Event()

    async def callee(call: RawCall) -> None:
        await call.send_headers()
        await call.write(b"")
        await may_vanish.wait()
        call.vanish()

    call = caller.stream_stream(callee=callee)
    async with asyncio.timeout(PROMPT_S):
        assert await call.read() == b""
        may_vanish.set()
        assert await call.code() is StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("http", "code"),
    [
        ("400", StatusCode.INTERNAL),
        ("401", StatusCode.UNAUTHENTICATED),
        ("403", StatusCode.PERMISSION_DENIED),
        ("404", StatusCode.UNIMPLEMENTED),
        ("429", StatusCode.UNAVAILABLE),
        ("503", StatusCode.UNAVAILABLE),
        ("500", StatusCode.UNKNOWN),
    ],
)
async def test_http_errors_arrive_as_the_status_that_grpc_gives_them(
    caller: Caller, http: str, code: StatusCode
) -> None:
    """A web server in the callee's place is translated once, by grpc's table (HTTP to gRPC Status Code Mapping)."""

    async def callee(call: RawCall) -> None:
        await call.has_all_requests.wait()
        await call.send_headers(status=http, end=True)

    for shape in (UNARY_UNARY, UNARY_STREAM, STREAM_STREAM):
        assert (await caller.ask(shape, [b"x"], callee)).code is code, shape


async def test_end_without_a_status_is_not_success(caller: Caller, method: str) -> None:
    """A stream that ends with no grpc-status was cut off, whatever it said before."""

    async def callee(call: RawCall) -> None:
        await call.has_all_requests.wait()
        await call.send_headers()
        await call.write(b"")
        await call.send(b"", end=True)

    assert (await caller.ask(method, [b"x"], callee)).code is StatusCode.UNKNOWN


@pytest.mark.parametrize("status", ["17", "42"])
async def test_undefined_status_codes_are_unknown(caller: Caller, method: str, status: str) -> None:
    """Codes that nobody defined arrive as UNKNOWN."""
    assert (await caller.ask(method, [b"x"], ending_with(status))).code is StatusCode.UNKNOWN


def ending_with(status: str) -> Script:
    async def callee(call: RawCall) -> None:
        await call.has_all_requests.wait()
        await call.send_headers()
        await call.send_trailers(("grpc-status", status))

    return callee


async def test_truncated_response_is_not_delivered(caller: Caller, method: str) -> None:
    """A message that was cut off was not said, even where the status claims success."""

    async def callee(call: RawCall) -> None:
        await call.has_all_requests.wait()
        await call.send_headers()
        await call.send(frame(b"\x0a\x05hello")[:-2])
        await call.send_trailers(("grpc-status", "0"))

    answer = await caller.ask(method, [b"x"], callee)
    assert b"hello" not in answer.messages
    assert b"hel" not in answer.messages


async def gzipping(call: RawCall) -> None:
    await call.has_all_requests.wait()
    await call.send_headers(("grpc-encoding", "gzip"))
    await call.send(frame(gzip.compress(b"\x0a\x05hello"), compressed=True))
    await call.send_trailers(("grpc-status", "0"))


async def test_gzip_on_the_wire_is_understood(caller: Caller, method: str) -> None:
    """A callee that compresses is understood by a caller that offered to read it."""
    answer = await caller.ask(method, [b"x"], gzipping)
    assert (answer.code, answer.messages) == (StatusCode.OK, (b"hello",))


@pytest.mark.parametrize(
    ("headers", "trailers"),
    [
        ([("grpc-encoding", "snappy")], [("grpc-status", "0")]),
        ([], [("grpc-status", "okay")]),
        ([], [("grpc-status", "-1")]),
        ([("x-raw-bin", "!!! not base64")], [("grpc-status", "0")]),
    ],
    ids=["encoding", "status-word", "status-negative", "base64"],
)
async def test_headers_that_grpc_cannot_read_fail_that_call_only(
    way: str, folder: Path, raw_upstream: RawUpstream, headers: list[Header], trailers: list[Header]
) -> None:
    """They may spoil their own connection (grpc 1.85). Another caller, with another connection, notices nothing."""

    async def callee(call: RawCall) -> None:
        await call.has_all_requests.wait()
        await call.send_headers(*headers)
        await call.write(b"")
        await call.send_trailers(*trailers)

    async with (
        raw_line(way, folder, raw_upstream) as address,
        dialled(address, raw_upstream) as caller,
        dialled(address, raw_upstream) as another,
    ):
        for _ in range(3):
            answer = await caller.ask(UNARY_UNARY, [b"x"], callee)
            assert answer.code in (StatusCode.INTERNAL, StatusCode.UNIMPLEMENTED, StatusCode.UNKNOWN)
            answers = [await another.ask(UNARY_UNARY, [b"x"], gzipping) for _ in range(4)]
            assert [answer.messages for answer in answers] == [(b"hello",)] * 4


async def test_goodbye_of_the_callee_lets_open_calls_finish(raw_address: str, raw_upstream: RawUpstream) -> None:
    """GOAWAY ends a connection for new calls, which go elsewhere, and for none that is open."""
    said_goodbye, may_finish = asyncio.Event(), asyncio.Event()

    async def callee(call: RawCall) -> None:
        await call.has_all_requests.wait()
        await call.send_headers()
        await call.say_goodbye()
        said_goodbye.set()
        await may_finish.wait()
        await call.write(b"")
        await call.send_trailers(("grpc-status", "0"))

    async with dialled(raw_address, raw_upstream) as caller, asyncio.timeout(PROMPT_S):
        call = caller.unary_stream(b"x", callee)
        await said_goodbye.wait()
        for _ in range(4):
            assert (await caller.ask(UNARY_UNARY, [b"x"], answer_well)).code is StatusCode.OK
        may_finish.set()
        answer = await answer_of(call)
    assert (answer.code, answer.messages) == (StatusCode.OK, (b"",))
