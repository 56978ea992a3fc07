"""The status belongs to the callee: its code, message, details and trailers arrive as it gave them."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from tests.transparency.caller import LIMIT_S, Caller, answer_of
from tests.transparency.protocol import SERVICE, STREAM_STREAM, STREAM_UNARY, UNARY_STREAM, UNARY_UNARY
from tests.transparency.upstream import Call

pytestmark = pytest.mark.asyncio(loop_scope="module")

ERRORS = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
DETAILS_KEY = "grpc-status-details-bin"


@pytest.mark.parametrize("code", ERRORS, ids=lambda code: code.name)
async def test_every_error_code_is_carried_with_its_message(caller: Caller, code: grpc.StatusCode) -> None:
    """Codes 1 to 16, as errors without headers or messages, on every shape of call."""

    async def callee(call: Call) -> None:
        await call.abort(code, f"because of {code.name}", ("x-why", "tested"))

    for shape in (UNARY_UNARY, UNARY_STREAM, STREAM_UNARY, STREAM_STREAM):
        answer = await caller.ask(shape, [b"x"], callee)
        assert (answer.code, answer.details) == (code, f"because of {code.name}"), shape
        assert (answer.messages, answer.trailer("x-why")) == ((), ["tested"]), shape


async def test_explicit_ok_is_ok(caller: Caller, method: str) -> None:
    """A callee that names code 0 itself has not failed. (The message beside it never leaves grpc.aio's server.)"""

    async def callee(call: Call) -> None:
        await call.read_all()
        await call.write(b"")
        call.end(grpc.StatusCode.OK, "all is well")

    answer = await caller.ask(method, [b"x"], callee)
    assert (answer.code, answer.details) == (grpc.StatusCode.OK, "")


async def test_unicode_message_is_carried(caller: Caller, method: str) -> None:
    """Status messages are text in any script; percent signs and line breaks are no exception."""
    message = "größer als 100 % \n 太长了 🦜 %41"

    async def callee(call: Call) -> None:
        await call.abort(grpc.StatusCode.INVALID_ARGUMENT, message)

    answer = await caller.ask(method, [b"x"], callee)
    assert (answer.code, answer.details) == (grpc.StatusCode.INVALID_ARGUMENT, message)


async def test_empty_message_stays_empty(caller: Caller, method: str) -> None:
    """No sentence of ours is put where the callee said nothing."""

    async def callee(call: Call) -> None:
        await call.abort(grpc.StatusCode.FAILED_PRECONDITION)

    answer = await caller.ask(method, [b"x"], callee)
    assert (answer.code, answer.details) == (grpc.StatusCode.FAILED_PRECONDITION, "")


async def test_long_message_is_carried_whole(caller: Caller, method: str) -> None:
    """4 KiB of explanation are not cut."""

    async def callee(call: Call) -> None:
        await call.abort(grpc.StatusCode.INTERNAL, "x" * 4096)

    assert (await caller.ask(method, [b"x"], callee)).details == "x" * 4096


async def test_rich_error_details_are_carried(caller: Caller, method: str) -> None:
    """google.rpc.Status with its details arrives byte for byte, and once."""
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason="QUOTA", domain="callee", metadata={"left": "0"}))
    status = status_pb2.Status(code=8, message="later", details=[info]).SerializeToString()

    async def callee(call: Call) -> None:
        await call.read_all()
        await call.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "later", (DETAILS_KEY, status))

    answer = await caller.ask(method, [b"x"], callee)
    assert (answer.code, answer.details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "later")
    assert answer.trailer(DETAILS_KEY) == [status]


@pytest.mark.parametrize("shape", [UNARY_STREAM, STREAM_STREAM])
async def test_error_after_messages_keeps_the_messages(caller: Caller, shape: str) -> None:
    """What came before the error is delivered before the error."""

    async def callee(call: Call) -> None:
        for number in range(3):
            await call.write(b"%d" % number)
        await call.abort(grpc.StatusCode.DATA_LOSS, "the rest is gone", ("x-at", "3"))

    answer = await caller.ask(shape, [b"x"], callee)
    assert answer.messages == (b"0", b"1", b"2")
    assert (answer.code, answer.details) == (grpc.StatusCode.DATA_LOSS, "the rest is gone")
    assert answer.trailer("x-at") == ["3"]


async def test_trailers_come_with_success(caller: Caller, method: str) -> None:
    """Trailers are not only for errors."""

    async def callee(call: Call) -> None:
        await call.read_all()
        call.set_trailers(("x-cost", "0.02"), ("x-proof-bin", b"\x00\xff"))
        await call.write(b"")

    answer = await caller.ask(method, [b"x"], callee)
    assert answer.code is grpc.StatusCode.OK
    assert (answer.trailer("x-cost"), answer.trailer("x-proof-bin")) == (["0.02"], [b"\x00\xff"])


async def test_error_before_any_request_was_read_is_carried(caller: Caller, method: str) -> None:
    """A callee may refuse by the headers alone."""

    async def callee(call: Call) -> None:
        await call.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

    answer = await caller.ask(method, [b"x"], callee)
    assert (answer.code, answer.details) == (grpc.StatusCode.PERMISSION_DENIED, "not you")


async def test_crashing_callee_is_reported_as_grpc_reports_it(caller: Caller, method: str) -> None:
    """An exception in the callee's code is UNKNOWN with grpc's own sentence."""

    async def callee(call: Call) -> None:
        raise ZeroDivisionError("callee's own mistake")

    answer = await caller.ask(method, [b"x"], callee)
    assert answer.code is grpc.StatusCode.UNKNOWN
    assert "callee's own mistake" in answer.details


@pytest.mark.parametrize("path", [f"/{SERVICE}/Nothing", "/test.v1.Nobody/Nothing", "/nonsense", "/a/b/c"])
async def test_unknown_methods_and_services_are_unimplemented(caller: Caller, path: str) -> None:
    """Whoever has no such method says so, in grpc's own words, on a unary call and on a stream."""
    answers = await asyncio.gather(
        answer_of(caller.channel.unary_unary(path)(b"x", timeout=LIMIT_S)),
        answer_of(caller.channel.stream_stream(path)([b"x"], timeout=LIMIT_S)),
    )
    for answer in answers:
        assert (answer.code, answer.details) == (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
