"""Hostile input, with specs in force: observe passes it on untouched, enforce refuses it, others notice nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from tests.transparency.caller import Answer, Caller, values_of
from tests.transparency.line import DESCRIBED, Line, open_line
from tests.transparency.protocol import SENDS_MANY, STREAM_STREAM, UNARY_STREAM, UNARY_UNARY, Note
from tests.transparency.upstream import MESSAGE_BYTES, Call, Entry

pytestmark = pytest.mark.asyncio(loop_scope="module")

OBSERVE, ENFORCE = "observe", "enforce"
GOOD: bytes = Note(text="a question").SerializeToString()
LONGEST_TEXT = 1_000

SPEC = f"""
spec: script/v1
match: {{callee: "*", method: /test.v1.Script/*}}
mode: enforce
request:
  schema: &note
    type: object
    required: [text]
    properties:
      text: {{type: string, minLength: 1, maxLength: {LONGEST_TEXT}}}
response:
  schema: *note
"""


def nested(depth: int) -> bytes:
    """A note in a note, `depth` of them inside the outermost; each but the outermost says nothing else."""
    payload = b""
    for _ in range(depth):
        payload = b"\x1a" + varint(len(payload)) + payload
    return GOOD + payload


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(encoded) + bytes([number])


MALFORMED = {
    "truncated": GOOD[:-3],
    "truncated-length": b"\x12",
    "wrong-type": b"\x10\x05",
    "another-type": b"\x0d\x01\x02\x03\x04",
    "field-zero": b"\x00\x01",
    "impossible-wire-type": b"\x17",
    "open-group": b"\x13",
    "endless-varint": b"\xff" * 11,
    "two-gigabytes-announced": b"\x12\xff\xff\xff\xff\x07",
    "invalid-utf8": b"\x12\x02\xc3\x28",
    "surrogate-utf8": b"\x12\x03\xed\xa0\x80",
    "empty": b"",
    "json": b'{"text": "wrong protocol"}',
    "nested-101": nested(101),
    "nested-10000": nested(10_000),
}

MALFORMED_TRACEPARENTS = {
    "no-text": "",
    "not-hex": "00-zzf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "all-zero": f"00-{'0' * 32}-{'0' * 16}-01",
    "version-ff": "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "upper-case": "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
    "too-long": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
    "very-long": "0" * 4000,
}


def is_allowed(payload: bytes) -> bool:
    """What the spec says of a payload, in the words of protobuf's own parser."""
    try:
        text = Note.FromString(payload).text
    except DecodeError:
        return False
    return 0 < len(text) <= LONGEST_TEXT


@dataclass(frozen=True, slots=True)
class Guarded:
    """A line with the spec in force, a caller, and what its callee was given."""

    line: Line
    caller: Caller
    mode: str

    @property
    def is_enforcing(self) -> bool:
        return self.mode == ENFORCE

    async def assert_well(self) -> None:
        """A well-formed call passes as if nothing had been."""
        answer = await self.caller.send(UNARY_UNARY, GOOD, repeat)
        assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (GOOD,))


async def repeat(call: Call) -> None:
    """Answer every request with its own bytes."""
    for payload in await call.swallow():
        await call.write_payload(payload)


@pytest.fixture(scope="module", params=[OBSERVE, ENFORCE])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded_line(mode: str, folder: Path) -> AsyncIterator[Line]:
    spec = folder / "script.yaml"
    spec.write_text(SPEC)
    async with open_line(DESCRIBED, folder, mode=mode, specs=(str(spec),)) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def guarded(guarded_line: Line, mode: str) -> AsyncIterator[Guarded]:
    async with guarded_line.dial() as caller:
        yield Guarded(guarded_line, caller, mode)


def assert_refused(answer: Answer, code: grpc.StatusCode, reason: str) -> None:
    """A local reply: marked as ours, with its reason for people and for programs."""
    assert (answer.code, answer.trailer("sidecar-reply"), answer.messages) == (code, [reason], ())
    status = status_pb2.Status.FromString(answer.trailer("grpc-status-details-bin")[0])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason, info.metadata["spec"]) == ("sidecar", reason, "script/v1")
    assert (status.code, status.message) == (code.value[0], answer.details)


async def until(happened: Callable[[], Any]) -> None:
    """Reporters hear of the end after the caller does."""
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_requests_are_passed_or_refused(guarded: Guarded, method: str, payload: bytes) -> None:
    """Observed, the callee gets the very bytes; enforced, it gets none, and the caller is told why."""
    given: list[bytes] = []

    async def callee(call: Call) -> None:
        given.extend(await call.swallow())
        await call.write_payload(GOOD)

    answer = await guarded.caller.send(method, payload, callee)
    if guarded.is_enforcing:
        assert_refused(answer, grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_SPEC_VIOLATION")
        assert given == []
    else:
        assert (answer.code, answer.messages, given) == (grpc.StatusCode.OK, (GOOD,), [payload])
    await guarded.assert_well()


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_responses_are_passed_or_refused(guarded: Guarded, method: str, payload: bytes) -> None:
    """The same for what the callee says: its mistake is INTERNAL, for it is no fault of the caller's."""

    async def callee(call: Call) -> None:
        await call.swallow()
        await call.write_payload(payload)

    answer = await guarded.caller.send(method, GOOD, callee)
    if guarded.is_enforcing:
        assert_refused(answer, grpc.StatusCode.INTERNAL, "RESPONSE_SPEC_VIOLATION")
    else:
        assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (payload,))
    await guarded.assert_well()


async def test_malformed_message_in_mid_stream_ends_the_stream(guarded: Guarded) -> None:
    """The good messages before it have passed; it and what follows have not."""

    async def callee(call: Call) -> None:
        await call.swallow()
        for payload in (GOOD, GOOD, MALFORMED["truncated"], GOOD):
            await call.write_payload(payload)

    answer = await guarded.caller.send(UNARY_STREAM, GOOD, callee)
    if guarded.is_enforcing:
        assert (answer.code, answer.messages) == (grpc.StatusCode.INTERNAL, (GOOD, GOOD))
        assert answer.trailer("sidecar-reply") == ["RESPONSE_SPEC_VIOLATION"]
    else:
        assert answer.messages == (GOOD, GOOD, MALFORMED["truncated"], GOOD)
    await guarded.assert_well()


async def test_refusal_in_mid_stream_stops_the_callee(guarded: Guarded) -> None:
    """A callee whose caller was refused is not left waiting for the rest of the requests."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def callee(call: Call) -> None:
        try:
            started.set()
            await call.swallow()
        finally:
            ended.set()

    call = guarded.caller.channel.stream_stream(STREAM_STREAM)(
        metadata=(guarded.line.upstream.plays(callee),), timeout=10
    )
    await call.write(GOOD)
    async with asyncio.timeout(5):
        await started.wait()
        await call.write(MALFORMED["truncated"])
        if not guarded.is_enforcing:
            await call.done_writing()
        await ended.wait()
        code = await call.code()
    assert code is (grpc.StatusCode.INVALID_ARGUMENT if guarded.is_enforcing else grpc.StatusCode.OK)
    await guarded.assert_well()


@pytest.mark.parametrize("filler", [b"\xff", b"\x12"], ids=["ff", "text-tag"])
async def test_64_mib_of_junk_is_passed_or_refused(guarded: Guarded, filler: bytes) -> None:
    """The largest message allowed, without any sense in it."""
    payload, given = filler * MESSAGE_BYTES, []

    async def callee(call: Call) -> None:
        given.extend(await call.swallow())
        await call.write_payload(GOOD)

    answer = await guarded.caller.send(UNARY_UNARY, payload, callee)
    if guarded.is_enforcing:
        assert_refused(answer, grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_SPEC_VIOLATION")
    else:
        assert (answer.code, given == [payload]) == (grpc.StatusCode.OK, True)
    await guarded.assert_well()


@pytest.mark.parametrize("depth", [50, 99, 100, 101, 200])
async def test_deep_nesting_is_judged_as_protobuf_judges_it(guarded: Guarded, depth: int) -> None:
    """Up to protobuf's own depth a message is a message; beyond it, it is refused, and nothing overflows."""
    payload = nested(depth)
    answer = await guarded.caller.send(UNARY_UNARY, payload, repeat)
    if guarded.is_enforcing and not is_allowed(payload):
        assert_refused(answer, grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_SPEC_VIOLATION")
    else:
        assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (payload,))


async def test_damaged_messages_are_judged_as_protobuf_judges_them(guarded: Guarded) -> None:
    """Three hundred good messages with a few bytes changed: each passes or is refused, as the spec has it."""
    damage = random.Random(20260101)
    payloads = [damaged(damage, nested(3)) for _ in range(300)]
    answers = await asyncio.gather(*(guarded.caller.send(UNARY_UNARY, payload, sink) for payload in payloads))
    expected = [not guarded.is_enforcing or is_allowed(payload) for payload in payloads]
    assert [answer.code is grpc.StatusCode.OK for answer in answers] == expected
    assert {is_allowed(payload) for payload in payloads} == {True, False}
    await guarded.assert_well()


async def sink(call: Call) -> None:
    await call.swallow()
    await call.write_payload(GOOD)


def damaged(damage: random.Random, payload: bytes) -> bytes:
    changed = bytearray(payload)
    for _ in range(damage.randint(0, 3)):
        changed[damage.randrange(len(changed))] = damage.randrange(256)
    return bytes(changed[: damage.randint(len(changed) - 2, len(changed))])


async def test_finding_is_recorded_in_either_mode(guarded: Guarded) -> None:
    """What observe lets pass, it has seen."""
    outcomes = guarded.line.sidecar.outcomes
    before = len(outcomes)
    await guarded.caller.send(UNARY_UNARY, MALFORMED["truncated"], sink)
    await until(lambda: len(outcomes) > before)
    (outcome,) = outcomes[before:]
    assert {finding.reason for finding in outcome.exchange.findings} == {"REQUEST_SPEC_VIOLATION"}
    assert outcome.exchange.decision.label == ("reject" if guarded.is_enforcing else "forward")


async def seen_by_callee(guarded: Guarded, method: str, *sent: Entry) -> tuple[Entry, ...]:
    """What the callee saw of a good call with hostile metadata: in either mode, the call passes."""
    seen: list[tuple[Entry, ...]] = []

    async def callee(call: Call) -> None:
        seen.append(call.metadata)
        await call.swallow()
        await call.write_payload(GOOD)

    answer = await guarded.caller.send(method, GOOD, callee, metadata=sent)
    assert (answer.code, answer.messages) == (grpc.StatusCode.OK, (GOOD,))
    return seen[0]


async def test_8_kib_of_baggage_is_carried_whole(guarded: Guarded, method: str) -> None:
    """The most that W3C says must be carried: 64 members, 8,192 bytes."""
    member = "k{:02}=" + "v" * 123
    baggage = ",".join(member.format(number) for number in range(64))
    assert len(baggage) == 8191
    assert values_of(await seen_by_callee(guarded, method, ("baggage", baggage)), "baggage") == [baggage]


async def test_33_tracestate_members_do_not_harm_the_trace(guarded: Guarded, method: str) -> None:
    """One more than W3C allows: the trace goes on, and no member is invented or torn."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    members = [f"k{number}=v{number}" for number in range(33)]
    seen = await seen_by_callee(guarded, method, ("traceparent", parent), ("tracestate", ",".join(members)))
    (arrived,) = values_of(seen, "traceparent")
    carried = ",".join(str(value) for value in values_of(seen, "tracestate"))
    assert str(arrived).split("-")[1] == parent.split("-")[1]
    assert set(carried.split(",")) - {""} <= set(members)


@pytest.mark.parametrize("traceparent", MALFORMED_TRACEPARENTS.values(), ids=MALFORMED_TRACEPARENTS)
async def test_malformed_traceparents_start_a_new_trace(guarded: Guarded, traceparent: str) -> None:
    """And the tracestate that belonged to them goes with them (W3C Trace Context, 4.3)."""
    seen = await seen_by_callee(guarded, UNARY_UNARY, ("traceparent", traceparent), ("tracestate", "vendor=1"))
    (arrived,) = values_of(seen, "traceparent")
    version, trace_id, span_id, _ = str(arrived).split("-")
    assert (version, len(trace_id), len(span_id)) == ("00", 32, 16)
    assert trace_id.lower() not in traceparent.lower()
    assert values_of(seen, "tracestate") == []


@pytest.mark.parametrize("entry", [b"", b"\xff" * 64, b"\x0a\x04" + b"x" * 4, b"\x00" * 4096], ids=len)
async def test_forged_lineage_is_dropped(guarded: Guarded, entry: bytes) -> None:
    """Bytes that no sidecar signed do not pass for lineage, and do not fail the call either."""
    seen = await seen_by_callee(guarded, UNARY_UNARY, ("sidecar-lineage-bin", entry))
    assert entry not in values_of(seen, "sidecar-lineage-bin")


async def test_many_entries_are_carried(guarded: Guarded, method: str) -> None:
    """A hundred keys that nobody knows, each with its value, in order."""
    sent = [(f"x-key-{number}", f"value {number}") for number in range(100)]
    seen = await seen_by_callee(guarded, method, *sent)
    assert [entry for entry in seen if entry[0].startswith("x-key-")] == sent


async def test_flood_of_junk_leaves_room_for_a_good_call(guarded: Guarded) -> None:
    """Two hundred bad calls at once: each is answered, and so is the good one among them."""
    shapes = sorted(SENDS_MANY | {UNARY_UNARY, UNARY_STREAM})
    flood = [guarded.caller.send(shapes[number % 4], MALFORMED["truncated"], sink) for number in range(200)]
    *answers, good = await asyncio.gather(*flood, guarded.caller.send(UNARY_UNARY, GOOD, sink))
    expected = grpc.StatusCode.INVALID_ARGUMENT if guarded.is_enforcing else grpc.StatusCode.OK
    assert {answer.code for answer in answers} == {expected}
    assert good.code is grpc.StatusCode.OK
