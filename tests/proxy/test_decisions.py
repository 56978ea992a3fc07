"""What a caller sees of a decision: a recorded answer, a status refused at the last moment, a hint beside an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from sidecar.engine.exchange import Answer, Exchange
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.message import Direction, Message
from sidecar.engine.recording import Recording
from sidecar.errors import Reason
from sidecar.testing import running_sidecar
from tests.served import handled_by

A2A = Path(__file__).parent.parent.parent / "specs" / "a2a" / "a2a_v1.binpb"
UNARY = "/lf.a2a.v1.A2AService/GetTask"
STREAMING = "/lf.a2a.v1.A2AService/SubscribeToTask"
UNKNOWN = "/shop.Orders/Ask"
METHODS = {"unary": UNARY, "streaming": STREAMING, "unknown": UNKNOWN}
OUTBOUND = {"caller": "callee", "callee": "other"}


@dataclass
class Callee(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every call with a header, two messages (one where it may only give one), and a trailer."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    seen: list[str] = field(default_factory=list)
    metadata: list[tuple[str, Any]] = field(default_factory=list)

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        if details.method == UNARY:
            return grpc.unary_unary_rpc_method_handler(self._one)
        return grpc.stream_stream_rpc_method_handler(self._many)

    async def _one(self, payload: bytes, context: Any) -> bytes:
        await self._end(context, payload)
        return b"\x0a\x01a"

    async def _many(self, requests: Any, context: Any) -> None:
        async for payload in requests:
            await context.send_initial_metadata((("x-header", "h"),))
            await context.write(b"\x0a\x00")
            await context.write(b"")
            await self._end(context, payload)

    async def _end(self, context: Any, payload: bytes) -> None:
        self.seen.append(payload.decode("latin-1"))
        self.metadata += list(context.invocation_metadata())
        context.set_trailing_metadata((("x-trailer", "t"),))
        if self.code is not grpc.StatusCode.OK:
            await context.abort(self.code, "as it is", (("x-trailer", "t"),))


@asynccontextmanager
async def served(callee: Callee) -> AsyncIterator[str]:
    async with handled_by(callee) as address:
        yield address


@dataclass(frozen=True)
class Heard:
    """What the caller got."""

    code: str
    messages: list[bytes]
    headers: list[tuple[str, Any]]
    trailers: list[tuple[str, Any]]


async def called(address: str, method: str) -> Heard:
    async with aio.insecure_channel(address) as channel:
        if method == UNARY:
            call: Any = channel.unary_unary(method)(b"\x12\x01q", timeout=10)
            return await heard_one(call)
        call = channel.stream_stream(method)(iter([b"\x12\x01q"]), timeout=10)
        return await heard_many(call)


async def heard_one(call: Any) -> Heard:
    try:
        messages = [await call]
    except aio.AioRpcError:
        messages = []
    return Heard(
        (await call.code()).name,
        messages,
        await entries(call.initial_metadata()),
        await entries(call.trailing_metadata()),
    )


async def heard_many(call: Any) -> Heard:
    messages = []
    try:
        while (payload := await call.read()) is not aio.EOF:
            messages.append(payload)
    except aio.AioRpcError:
        pass
    return Heard(
        (await call.code()).name,
        messages,
        await entries(call.initial_metadata()),
        await entries(call.trailing_metadata()),
    )


async def entries(metadata: Any) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in await metadata or ()]


class Scripted:
    """Says what the test tells it to say, about requests, answers or nothing."""

    name = "scripted"
    fail = "open"

    def __init__(self, *, request: Sequence[Finding] = (), answer: Sequence[Finding] = ()) -> None:
        self._request = request
        self._answer = answer
        self.answers: list[Answer] = []
        self.guarded: list[bool] = []

    def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding]:
        if message.direction is Direction.REQUEST:
            self.guarded.append(exchange.is_guarded_here)
            return self._request
        return ()

    def on_answer(self, exchange: Exchange, answer: Answer) -> Sequence[Finding]:
        self.answers.append(answer)
        return self._answer


def finding(**more: Any) -> Finding:
    return Finding("scripted", "said", Severity.ERROR, "as scripted", **more)


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    """The three ways through."""
    return METHODS[request.param]


async def test_a_recorded_answer_is_given_again_byte_for_byte_and_marked(method: str):
    """Headers, messages, trailers and status are the callee's of then; one trailer says that it is not asked again."""
    messages = (b"one",) if method == UNARY else (b"one", b"two", b"")
    recording = Recording("OK", "fine", messages, (("x-h", "1"), ("x-bin", b"\0\xff")), (("x-t", "2"),))
    callee, check = Callee(), Scripted(request=[finding(recording=recording)])
    async with (
        served(callee) as upstream,
        running_sidecar(upstream, mode="enforce", descriptors=[A2A], checks=[check]) as sidecar,
    ):
        heard = await called(sidecar.address, method)
    assert (heard.code, heard.messages) == ("OK", list(messages))
    assert heard.headers == [("x-h", "1"), ("x-bin", b"\0\xff")]
    assert heard.trailers == [("x-t", "2"), ("sidecar-reply", "REPLAYED")]
    assert callee.seen == []
    assert [(each.exchange.decision.label, each.status.code) for each in sidecar.outcomes] == [("replay", "OK")]


async def test_a_recorded_error_is_given_again_as_it_was(method: str):
    """A final error is an answer like any other, details and all."""
    recording = Recording(
        "NOT_FOUND", "no such order", (), (), (("grpc-status-details-bin", b"\x08\x05"), ("x-t", "2"))
    )
    callee, check = Callee(), Scripted(request=[finding(recording=recording)])
    async with (
        served(callee) as upstream,
        running_sidecar(upstream, mode="enforce", descriptors=[A2A], checks=[check]) as sidecar,
    ):
        heard = await called(sidecar.address, method)
    assert (heard.code, heard.messages) == ("NOT_FOUND", [])
    assert heard.trailers == [("grpc-status-details-bin", b"\x08\x05"), ("x-t", "2"), ("sidecar-reply", "REPLAYED")]
    assert callee.seen == []


async def test_in_observe_the_callee_is_asked_and_nothing_is_marked(method: str):
    """A recorded answer is then only a finding."""
    callee, check = Callee(), Scripted(request=[finding(recording=Recording("OK"), hint="no")])
    async with served(callee) as upstream, running_sidecar(upstream, descriptors=[A2A], checks=[check]) as sidecar:
        heard = await called(sidecar.address, method)
    assert (heard.code, heard.trailers, len(callee.seen)) == ("OK", [("x-trailer", "t")], 1)


@pytest.mark.parametrize("code", [grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND])
async def test_a_status_can_be_refused_before_the_caller_hears_of_it(method: str, code: grpc.StatusCode):
    """Also after messages of a stream have gone out: its end is ours then."""
    callee = Callee(code)
    check = Scripted(answer=[finding(reason=Reason.RESPONSE_SPEC_VIOLATION)])
    async with (
        served(callee) as upstream,
        running_sidecar(upstream, mode="enforce", descriptors=[A2A], checks=[check]) as sidecar,
    ):
        heard = await called(sidecar.address, method)
    assert heard.code == "INTERNAL"
    assert ("sidecar-reply", "RESPONSE_SPEC_VIOLATION") in heard.trailers
    assert not any(key == "x-trailer" for key, _ in heard.trailers)
    (answer,) = check.answers
    assert (answer.status.code, list(answer.trailers)) == (code.name, [("x-trailer", "t")])
    if method == UNARY:
        assert heard.messages == []


async def test_a_hint_stands_beside_the_callees_own_trailers(method: str):
    """The answer itself is untouched."""
    callee, check = Callee(), Scripted(request=[finding(hint="loop; remaining=1")])
    async with (
        served(callee) as upstream,
        running_sidecar(upstream, mode="enforce", descriptors=[A2A], checks=[check]) as sidecar,
    ):
        heard = await called(sidecar.address, method)
    assert (heard.code, heard.trailers) == ("OK", [("x-trailer", "t"), ("sidecar-hint", "loop; remaining=1")])


@pytest.mark.parametrize("code", [grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND])
async def test_shared_state_is_kept_at_the_callees_sidecar_from_its_first_answer_on(method: str, code: grpc.StatusCode):
    """The first exchange may be kept twice, which counts once; the mark that tells never reaches an agent."""
    ours, theirs = Scripted(), Scripted()
    async with (
        served(Callee(code)) as agent,
        running_sidecar(agent, agent="other", descriptors=[A2A], checks=[theirs]) as far,
        running_sidecar(far.address, descriptors=[A2A], route=OUTBOUND, checks=[ours]) as near,
    ):
        heard = [await called(near.address, method) for _ in range(2)]
    assert (ours.guarded, theirs.guarded) == ([True, False], [True, True])
    assert [each.trailers for each in heard] == [[("x-trailer", "t")]] * 2


async def test_a_callee_without_a_sidecar_leaves_the_shared_state_to_the_callers():
    """There is nobody else to keep it."""
    check = Scripted()
    async with (
        served(Callee()) as agent,
        running_sidecar(agent, descriptors=[A2A], route=OUTBOUND, checks=[check]) as near,
    ):
        for _ in range(3):
            await called(near.address, UNARY)
    assert check.guarded == [True] * 3


@pytest.mark.parametrize(("guards", "kept"), [("always", [True, True]), ("never", [False, False])])
async def test_an_operator_may_say_where_shared_state_is_kept(guards: str, kept: list[bool]):
    """Two sidecars without a common store may both have something to keep."""
    check = Scripted()
    async with (
        served(Callee()) as agent,
        running_sidecar(agent, agent="other") as far,
        running_sidecar(far.address, route={**OUTBOUND, "guards": guards}, checks=[check]) as near,
    ):
        for _ in range(2):
            await called(near.address, UNKNOWN)
    assert check.guarded == kept


async def test_an_agent_cannot_claim_to_be_guarded():
    """The mark is a hop's own: from an agent it is taken off, in either direction."""
    callee = Callee()
    async with (
        served(callee) as upstream,
        running_sidecar(upstream) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        await channel.stream_stream(UNKNOWN)(iter([b"q"]), metadata=(("sidecar-guarded", "1"),), timeout=10).read()
    assert not any(key == "sidecar-guarded" for key, _ in callee.metadata)


@dataclass
class Taking:
    """A check that takes something at the headers, slowly, and gives it back at the end."""

    name: str = "taking"
    fail: str = "open"
    taken: int = 0
    given_back: int = 0

    async def on_start(self, exchange: Exchange) -> None:
        self.taken += 1
        await asyncio.sleep(0.2)

    def on_end(self, exchange: Exchange, status: Any) -> None:
        self.given_back += 1


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_caller_who_leaves_while_its_headers_are_looked_at_ends_its_exchange(method: str):
    """Whatever a check took by then it hears of the end and gives it back; the callee saw nothing."""
    callee, taking = Callee(), Taking()
    async with served(callee) as upstream, running_sidecar(upstream, descriptors=[A2A], checks=[taking]) as sidecar:
        async with aio.insecure_channel(sidecar.address) as channel:
            call = channel.unary_unary(method)(b"", timeout=5)
            while not taking.taken:
                await asyncio.sleep(0.01)
            call.cancel()
            for _ in range(300):
                if taking.given_back:
                    break
                await asyncio.sleep(0.01)
        assert (taking.taken, taking.given_back) == (1, 1)
        assert [(each.status.code, each.exchange.was_dispatched) for each in sidecar.outcomes] == [("CANCELLED", False)]
    assert callee.seen == []
