"""Metadata arrives as it was sent, both ways, and nothing is added that the other side did not say."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tests.transparency.caller import Caller, entries, values_of
from tests.transparency.line import Line
from tests.transparency.protocol import STREAM_STREAM, UNARY_STREAM, UNARY_UNARY
from tests.transparency.upstream import Call, Entry

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVERY_BYTE = bytes(range(256))

ADDED_BY_GRPC = {"user-agent", "accept-encoding", "grpc-accept-encoding"}
"""What a callee sees without a sidecar, too, on top of what the caller's code said."""

ADDED_BY_SIDECAR = {"traceparent", "tracestate", "sidecar-lineage-bin"}

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def seen_by_callee(caller: Caller, method: str, *sent: Entry) -> tuple[Entry, ...]:
    """What the callee saw of a call's metadata."""
    seen: list[tuple[Entry, ...]] = []

    async def callee(call: Call) -> None:
        seen.append(call.metadata)
        await call.read_all()
        await call.write(b"")

    answer = await caller.ask(method, [b"x"], callee, metadata=sent)
    assert answer.code is grpc.StatusCode.OK
    return seen[0]


async def test_text_metadata_reaches_the_callee(caller: Caller, method: str) -> None:
    """The caller's own entries arrive with their values."""
    seen = await seen_by_callee(caller, method, ("a2a-version", "1.0"), ("x-tenant", "blue, green; q=1"))
    assert values_of(seen, "a2a-version") == ["1.0"]
    assert values_of(seen, "x-tenant") == ["blue, green; q=1"]


async def test_binary_metadata_reaches_the_callee(caller: Caller, method: str) -> None:
    """All 256 byte values fit under a `-bin` key."""
    seen = await seen_by_callee(caller, method, ("x-raw-bin", EVERY_BYTE))
    assert values_of(seen, "x-raw-bin") == [EVERY_BYTE]


async def test_repeated_keys_reach_the_callee_in_order(caller: Caller, method: str) -> None:
    """Three values of one key stay three values, first to last."""
    sent = [("x-hop", "first"), ("x-other", "between"), ("x-hop", "second"), ("x-hop", "first")]
    seen = await seen_by_callee(caller, method, *sent)
    assert values_of(seen, "x-hop") == ["first", "second", "first"]


async def test_repeated_binary_keys_reach_the_callee_in_order(caller: Caller, method: str) -> None:
    """The same for bytes."""
    seen = await seen_by_callee(caller, method, ("x-hop-bin", b"\x00"), ("x-hop-bin", b"\xff"))
    assert values_of(seen, "x-hop-bin") == [b"\x00", b"\xff"]


async def test_empty_values_reach_the_callee(caller: Caller, method: str) -> None:
    """An entry without a value is still an entry."""
    seen = await seen_by_callee(caller, method, ("x-flag", ""), ("x-flag-bin", b""))
    assert values_of(seen, "x-flag") == [""]
    assert values_of(seen, "x-flag-bin") == [b""]


async def test_large_values_reach_the_callee(caller: Caller, method: str) -> None:
    """8 KiB in one entry is within what both sides allow."""
    seen = await seen_by_callee(caller, method, ("x-large", "v" * 8192))
    assert values_of(seen, "x-large") == ["v" * 8192]


async def test_callee_sees_no_keys_that_nobody_sent(caller: Caller, method: str, line: Line) -> None:
    """Beside the caller's entries there is grpc's own user agent and, with a sidecar, trace context and lineage."""
    seen = await seen_by_callee(caller, method, ("x-mine", "1"))
    allowed = ADDED_BY_GRPC | ({"x-mine"} if line.is_direct else {"x-mine"} | ADDED_BY_SIDECAR)
    assert {key for key, _ in seen} <= allowed


async def test_transport_headers_are_not_doubled(caller: Caller, method: str) -> None:
    """Each hop makes its own; what arrives is one of each at most, never the last hop's beside this one's."""
    seen = await seen_by_callee(caller, method)
    for key in (
        "user-agent",
        "te",
        "content-type",
        "grpc-accept-encoding",
        "grpc-encoding",
        "grpc-timeout",
        "traceparent",
    ):
        assert len(values_of(seen, key)) <= 1, key


async def test_callers_trace_is_continued(caller: Caller, method: str, line: Line) -> None:
    """The trace id that the caller sent is the one that the callee sees; direct, the whole header is."""
    (arrived,) = values_of(await seen_by_callee(caller, method, ("traceparent", TRACEPARENT)), "traceparent")
    assert str(arrived).split("-")[1] == TRACEPARENT.split("-")[1]
    assert (arrived == TRACEPARENT) == line.is_direct


async def test_tracestate_and_baggage_are_carried_untouched(caller: Caller, method: str) -> None:
    """Odd but legal spellings survive: an `@` key, properties, a percent sign, no space and two spaces."""
    state, baggage = "t@v=1, b=2,c=3", "k1=v1;p1;p2=x,k2=%20v,  k3=v3"
    sent = [("traceparent", TRACEPARENT), ("tracestate", state), ("baggage", baggage)]
    seen = await seen_by_callee(caller, method, *sent)
    assert values_of(seen, "tracestate") == [state]
    assert values_of(seen, "baggage") == [baggage]


async def test_headers_and_trailers_reach_the_caller(caller: Caller, method: str) -> None:
    """Text, bytes, repeats and empty values come back, each in the block in which it was sent."""
    sent: tuple[Entry, ...] = (
        ("x-a", "1"),
        ("x-raw-bin", EVERY_BYTE),
        ("x-a", "2"),
        ("x-flag", ""),
        ("x-flag-bin", b""),
    )
    trailing: tuple[Entry, ...] = (("x-t", "3"), ("x-t", "4"), ("x-t-bin", EVERY_BYTE))

    async def callee(call: Call) -> None:
        await call.send_headers(*sent)
        await call.read_all()
        call.set_trailers(*trailing)
        await call.write(b"")

    answer = await caller.ask(method, [b"x"], callee)
    assert answer.code is grpc.StatusCode.OK
    assert {key: answer.header(key) for key, _ in sent} == {key: values_of(sent, key) for key, _ in sent}
    assert {key: answer.trailer(key) for key, _ in trailing} == {key: values_of(trailing, key) for key, _ in trailing}
    assert not answer.header("x-t")
    assert not answer.trailer("x-a")


async def test_caller_sees_no_keys_that_the_callee_did_not_send(caller: Caller, method: str) -> None:
    """A healthy call's headers and trailers hold the callee's entries and grpc's own, nothing of ours."""

    async def callee(call: Call) -> None:
        await call.send_headers(("x-h", "1"))
        await call.read_all()
        call.set_trailers(("x-t", "1"))
        await call.write(b"")

    answer = await caller.ask(method, [b"x"], callee)
    assert {key for key, _ in answer.headers} - ADDED_BY_GRPC == {"x-h"}
    assert {key for key, _ in answer.trailers} == {"x-t"}


async def test_large_headers_and_trailers_reach_the_caller(caller: Caller, method: str) -> None:
    """8 KiB in one entry, in the headers and in the trailers."""

    async def callee(call: Call) -> None:
        await call.send_headers(("x-large", "h" * 8192))
        await call.read_all()
        call.set_trailers(("x-large-bin", b"\xfe" * 6000))
        await call.write(b"")

    answer = await caller.ask(method, [b"x"], callee)
    assert answer.header("x-large") == ["h" * 8192]
    assert answer.trailer("x-large-bin") == [b"\xfe" * 6000]


@pytest.mark.parametrize("shape", [UNARY_STREAM, STREAM_STREAM])
async def test_headers_come_before_the_first_message(caller: Caller, shape: str) -> None:
    """A caller that waits for headers gets them although the first message is long in coming."""
    headers_seen = asyncio.Event()

    async def callee(call: Call) -> None:
        await call.send_headers(("x-ready", "yes"))
        await headers_seen.wait()
        await call.write(b"late")

    call = caller.start(shape, [b"x"], callee)
    assert values_of(entries(await call.initial_metadata()), "x-ready") == ["yes"]
    headers_seen.set()
    assert await call.read() == b"late"


async def test_headers_come_before_any_request(caller: Caller) -> None:
    """In a bidirectional stream the headers may answer the caller's headers alone."""

    async def callee(call: Call) -> None:
        await call.send_headers(("x-ready", "yes"))
        await call.write(await call.read())

    call = caller.stream_stream(callee=callee)
    assert values_of(entries(await call.initial_metadata()), "x-ready") == ["yes"]
    await call.write(b"now")
    assert await call.read() == b"now"


async def test_headers_may_be_followed_by_an_error(caller: Caller, method: str) -> None:
    """Headers that came before an error are still headers, and the error's trailers are trailers."""

    async def callee(call: Call) -> None:
        await call.send_headers(("x-h", "1"))
        await call.abort(grpc.StatusCode.NOT_FOUND, "gone", ("x-t", "2"))

    answer = await caller.ask(method, [b"x"], callee)
    assert answer.code is grpc.StatusCode.NOT_FOUND
    assert answer.header("x-h") == ["1"]
    assert answer.trailer("x-t") == ["2"]


async def test_oversized_metadata_is_refused_clearly(caller: Caller, method: str) -> None:
    """64 KiB is over every limit: the caller is told so, and the callee is given no request."""
    requests: list[bytes] = []

    async def callee(call: Call) -> None:
        # grpc starts the handler of a stream before it has looked at the size of its metadata.
        requests.extend(await call.read_all())

    answer = await caller.ask(method, [b"x"], callee, metadata=(("x-huge", "v" * 65536),))
    assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "metadata" in answer.details
    assert requests == []


async def test_oversized_response_metadata_is_an_error(caller: Caller, method: str) -> None:
    """The same on the way back."""

    async def callee(call: Call) -> None:
        await call.read_all()
        call.set_trailers(("x-huge", "v" * 65536))
        await call.write(b"")

    answer = await caller.ask(method, [b"x"], callee)
    assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_call_after_oversized_metadata_works(caller: Caller) -> None:
    """A refusal for size spoils nothing on its connection."""
    refused = await caller.ask(UNARY_UNARY, metadata=(("x-huge", "v" * 65536),))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await caller.ask(UNARY_UNARY)).messages == (b"a",)
