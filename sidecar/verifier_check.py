"""Does a verifier do what every caller of `sidecar.v1.Verifier` relies on? Asked from outside, over its own wire.

A claim is one sentence that must hold, what was seen, and whether that is so. Claims say nothing about how well a
verifier judges: they say that its silence, its crash and its answer to nonsense will never be taken for a pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from sidecar.v1 import common_pb2, verifier_pb2

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
CONCURRENT_CALLS = 50
STREAMED = 20
ASKED_AGAIN = 3
"""In a row, so that a verifier that takes turns between two answers shows it."""
ABANDONED_CALLS = 10
ABANDONED_STREAMS = 3
ABANDONED_AFTER_S = 0.01
"""Long enough for the call to be on its way, and shorter than most judgements."""
NESTED = 20_000
"""Brackets in brackets: past what JSON readers take."""
MAX_SENT_BYTES = 64 << 20
UNSAID_BYTES = 4 << 20
"""What is taken for the limit of a verifier that declares none."""
SEEN_CHARS = 200

REFUSED_AS_TOO_LARGE = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT}
VALUES: Mapping[int, str] = {
    verifier_pb2.Verdict.PASS: "PASS",
    verifier_pb2.Verdict.INCONCLUSIVE: "INCONCLUSIVE",
    verifier_pb2.Verdict.FAIL: "FAIL",
}

SERVICE = "/sidecar.v1.Verifier/"
HEALTH = "/grpc.health.v1.Health/Check"
HEALTH_SERVING = b"\x08\x01"
"""HealthCheckResponse{status: SERVING}. The request for the whole server is empty, so no stubs are needed."""

ASKED = "The depot counted 412 pallets on 3 March 2024. How many were there?"
ANSWERS = ("There were 412 pallets on 3 March 2024.", "There were 968 pallets on 9 May 2021, says Orla Quill.")


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a caller relies on."""

    sentence: str
    ok: bool
    observed: str


class NotAsClaimed(Exception):
    """What was seen instead."""


@dataclass(slots=True)
class Probe:
    """A verifier under examination, and what it has said so far."""

    channel: aio.Channel
    limit_s: float
    samples: Sequence[Any]
    description: Any = None
    is_steady: bool = False
    """It gave each piece of evidence the same value whenever it was asked."""
    verdicts: list[Any] = field(default_factory=list)

    async def describe(self) -> Any:
        call = self.channel.unary_unary(f"{SERVICE}Describe")
        return read(verifier_pb2.Description, await call(b"", timeout=self.limit_s))

    def call(self, evidence: Any) -> Any:
        """One Verify under way, which may be awaited or cancelled."""
        return self.channel.unary_unary(f"{SERVICE}Verify")(evidence.SerializeToString(), timeout=self.limit_s)

    async def verify(self, evidence: Any) -> Any:
        """Its verdict. Raises AioRpcError."""
        return read(verifier_pb2.Verdict, await self.call(evidence))

    def stream(self) -> Any:
        """A VerifyStream under way, which may be written to and cancelled."""
        return self.channel.stream_stream(f"{SERVICE}VerifyStream")(timeout=self.limit_s)

    async def verify_all(self, evidence: Sequence[Any]) -> list[Any]:
        """Its verdicts on one stream, as many as come before it ends."""
        method = self.channel.stream_stream(f"{SERVICE}VerifyStream")
        sent = [each.SerializeToString() for each in evidence]
        return [read(verifier_pb2.Verdict, payload) async for payload in method(iter(sent), timeout=self.limit_s)]


def read(kind: Any, payload: bytes) -> Any:
    try:
        return kind.FromString(payload)
    except DecodeError as error:
        raise NotAsClaimed(f"{len(payload)} bytes that are no {kind.DESCRIPTOR.name}") from error


Examination: TypeAlias = Callable[[Probe], Awaitable[str]]
"""Says what was seen. Raises `NotAsClaimed`, or AioRpcError where the verifier answered with a status."""


async def check(
    address: str,
    limit_s: float = 10.0,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    samples: Sequence[Any] = (),
) -> list[Claim]:
    """Every claim in order. `limit_s` is for each call; `samples` are `Evidence` messages to ask about beside ours.

    Where nobody answers, the first claim is the only one: there is nothing to be seen of the others.
    """
    async with channel_to(address, credentials) as channel:
        probe = Probe(channel, limit_s, [*own_samples(), *samples])
        claims = [await examined(probe, "It describes itself within the limit.", described)]
        if claims[0].ok:
            claims += [await examined(probe, sentence, examination) for sentence, examination in CLAIMS]
    return claims


def channel_to(address: str, credentials: grpc.ChannelCredentials | None) -> aio.Channel:
    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if credentials is None:
        return aio.insecure_channel(address, options=options)
    return aio.secure_channel(address, credentials, options=options)


async def examined(probe: Probe, sentence: str, examination: Examination) -> Claim:
    try:
        return Claim(sentence, True, line(await examination(probe)))
    except NotAsClaimed as seen:
        return Claim(sentence, False, line(str(seen)))
    except aio.AioRpcError as error:
        return Claim(sentence, False, line(f"{error.code().name}: {error.details()}"))


def line(text: str) -> str:
    """The verifier's words end on a terminal, so they are cut and hold no control characters."""
    return "".join(char if char.isprintable() else " " for char in text[:SEEN_CHARS])


def demand(holds: bool, seen: str) -> None:
    if not holds:
        raise NotAsClaimed(seen)


def own_samples() -> Iterator[Any]:
    """An answer that keeps to its question, and one that does not."""
    return (evidence(f"sample-{number}", text) for number, text in enumerate(ANSWERS))


def evidence(exchange_id: str, text: str = ANSWERS[0]) -> Any:
    return verifier_pb2.Evidence(
        exchange_id=exchange_id,
        edge=common_pb2.Edge(caller="planner", callee="depot", method="/lf.a2a.v1.A2AService/SendMessage"),
        spec="depot/v1",
        request_json=message("ROLE_USER", ASKED),
        response_json=message("ROLE_AGENT", text),
        lineage=common_pb2.Lineage(conversation="c-1", trace_id=f"{1:032x}", hops=1),
    )


def message(role: str, text: str) -> bytes:
    """An A2A message's document, because most exchanges have one."""
    said = {"messageId": f"m-{role}", "contextId": "c-1", "role": role, "parts": [{"text": text}]}
    return json.dumps({"message": said}).encode()


async def described(probe: Probe) -> str:
    probe.description = said = await probe.describe()
    return f"{said.name or 'without a name'}, version {said.version or 'not said'}"


async def named(probe: Probe) -> str:
    name: str = probe.description.name
    demand(bool(NAME.fullmatch(name)), f"the name is {name!r}")
    return name


async def versioned(probe: Probe) -> str:
    demand(bool(probe.description.version), "there is no version")
    return f"version {probe.description.version}"


async def honest(probe: Probe) -> str:
    sees, blind_to = probe.description.sees, probe.description.blind_to
    demand(any(sees) and any(blind_to), f"it says {len(sees)} things that it sees and {len(blind_to)} that it does not")
    return f"{len(sees)} that it sees, {len(blind_to)} that it does not"


async def healthy(probe: Probe) -> str:
    status = await probe.channel.unary_unary(HEALTH)(b"", timeout=probe.limit_s)
    demand(status == HEALTH_SERVING, "it does not say SERVING")
    return "SERVING"


async def answers(probe: Probe) -> str:
    """Later claims look at the verdicts that this one has gathered."""
    probe.verdicts = [await probe.verify(sample) for sample in probe.samples]
    wrong = [
        pair for pair in zip(probe.samples, probe.verdicts, strict=True) if pair[0].exchange_id != pair[1].exchange_id
    ]
    demand(not wrong, f"{len(wrong)} of {len(probe.samples)} verdicts bear another exchange_id than their evidence")
    return f"{len(probe.verdicts)} verdicts"


async def defined(probe: Probe) -> str:
    values = [verdict.value for verdict in gathered(probe)]
    demand(set(values) <= set(VALUES), f"a value is {[value for value in values if value not in VALUES][:1]}")
    return ", ".join(VALUES[value] for value in values)


async def scored(probe: Probe) -> str:
    scores = [verdict.score for verdict in gathered(probe)]
    demand(all(0.0 <= score <= 1.0 for score in scores), f"the scores are {scores[:5]}")  # NaN is in no range
    return f"from {min(scores):g} to {max(scores):g}"


async def signed(probe: Probe) -> str:
    expected = (probe.description.name, probe.description.version)
    found = {(verdict.verifier, verdict.version) for verdict in gathered(probe)}
    demand(found == {expected}, f"described as {expected}, signed as {sorted(found)}")
    return f"{expected[0]} {expected[1]}"


async def reasoned(probe: Probe) -> str:
    fails = [verdict for verdict in gathered(probe) if verdict.value == verifier_pb2.Verdict.FAIL]
    bare = [verdict for verdict in fails if not any(found.rule and found.message for found in verdict.findings)]
    demand(not bare, f"{len(bare)} of {len(fails)} fails have no finding with a rule and a sentence")
    return f"{len(fails)} of {len(probe.verdicts)} verdicts are FAIL" if fails else "no sample made it fail"


def gathered(probe: Probe) -> list[Any]:
    demand(bool(probe.verdicts), "there was no verdict to look at")
    return probe.verdicts


async def steady(probe: Probe) -> str:
    """Asked only of those that do not declare that they are not deterministic."""
    if probe.description.non_deterministic:
        return "it declares that it is not deterministic"
    for sample, verdict in zip(probe.samples, gathered(probe), strict=True):
        again = [(await probe.verify(sample)).value for _ in range(ASKED_AGAIN)]
        demand(set(again) == {verdict.value}, f"first {names([verdict.value])}, then {names(again)}")
    probe.is_steady = True
    return names([verdict.value for verdict in probe.verdicts])


def names(values: Sequence[int]) -> str:
    return ", ".join(VALUES.get(value, str(value)) for value in values)


async def survives_nothing(probe: Probe) -> str:
    """Neither document: there is nothing to judge, and that is no reason to fall over."""
    seen = await value_or_code(probe, verifier_pb2.Evidence(exchange_id="empty"))
    demand(seen in {*VALUES.values(), "INVALID_ARGUMENT"}, f"it answered {seen}")
    await probe.verify(evidence("after-empty"))
    return seen


async def refuses_garbage(probe: Probe) -> str:
    limit = probe.description.max_evidence_bytes or UNSAID_BYTES
    seen = [await value_or_code(probe, sample) for sample in garbage() if sample.ByteSize() <= limit]
    demand(set(seen) <= {"INVALID_ARGUMENT", "INCONCLUSIVE"}, f"it answered {', '.join(seen)}")
    return ", ".join(seen)


def garbage() -> Iterator[Any]:
    """Cut off, no UTF-8, and nested deeper than any reader's stack."""
    for payload in (b'{"message": {"par', b"\xff\xfe\x00", b"[" * NESTED):
        sample = evidence("garbage")
        sample.response_json = payload
        yield sample


async def value_or_code(probe: Probe, sample: Any) -> str:
    try:
        verdict = await probe.verify(sample)
    except aio.AioRpcError as error:
        return str(error.code().name)
    demand(verdict.exchange_id == sample.exchange_id, "the verdict bears another exchange_id than its evidence")
    return VALUES.get(verdict.value, f"value {verdict.value}")


async def refuses_too_much(probe: Probe) -> str:
    """A verifier that declares no limit may judge what a gRPC server takes by default, or refuse it."""
    declared = probe.description.max_evidence_bytes
    demand(0 <= declared <= MAX_SENT_BYTES, f"it declares {declared} bytes, which bounds nothing")
    sample = evidence("large", "x" * ((declared or UNSAID_BYTES) + 1))
    try:
        await probe.verify(sample)
    except aio.AioRpcError as error:
        demand(error.code() in REFUSED_AS_TOO_LARGE, f"{error.code().name}: {error.details()}")
        return str(error.code().name)
    demand(not declared, f"it judged more than the {declared} bytes that it declares")
    return "it declares no limit, and judged it"


async def serves_many(probe: Probe) -> str:
    asked = [evidence(f"concurrent-{number}") for number in range(CONCURRENT_CALLS)]
    got = await asyncio.gather(*(value_or_code(probe, each) for each in asked))
    failed = Counter(seen for seen in got if seen not in VALUES.values())
    demand(not failed, f"{failed.total()} of {len(asked)} had no verdict: {dict(failed)}")
    return f"{len(got)} verdicts"


async def streams(probe: Probe) -> str:
    """Alternately good and bad, in whatever order the verdicts come: each is the one that a single call would get."""
    asked = [evidence(f"streamed-{number}", ANSWERS[number % 2]) for number in range(STREAMED)]
    verdicts = await probe.verify_all(asked)
    got = Counter(verdict.exchange_id for verdict in verdicts)
    demand(got == Counter(each.exchange_id for each in asked), f"{got.total()} verdicts for {len(asked)} evidence")
    if probe.is_steady:
        single = [(await probe.verify(each)).value for each in asked[:2]]
        values = {verdict.exchange_id: verdict.value for verdict in verdicts}
        mixed = [
            each.exchange_id for number, each in enumerate(asked) if values[each.exchange_id] != single[number % 2]
        ]
        demand(not mixed, f"{len(mixed)} verdicts of the stream are not those of single calls")
    return f"{got.total()} verdicts"


async def survives_leaving(probe: Probe) -> str:
    calls = [probe.call(evidence(f"abandoned-{number}")) for number in range(ABANDONED_CALLS)]
    await asyncio.sleep(ABANDONED_AFTER_S)
    left = [call.cancel() for call in calls]
    verdict = await probe.verify(evidence("after-leaving"))
    demand(verdict.exchange_id == "after-leaving", "the next verdict bears another exchange_id")
    return f"{sum(left)} calls were cancelled, and the next was answered"


async def survives_leaving_a_stream(probe: Probe) -> str:
    """Left in the middle, with evidence that nobody has judged yet, and one that was never closed."""
    streams = [probe.stream() for _ in range(ABANDONED_STREAMS)]
    for number, stream in enumerate(streams):
        with contextlib.suppress(aio.AioRpcError, asyncio.InvalidStateError):  # it has ended; the next shows why
            for each in range(STREAMED):
                await stream.write(evidence(f"abandoned-{number}-{each}").SerializeToString())
    await asyncio.sleep(ABANDONED_AFTER_S)
    left = [stream.cancel() for stream in streams]
    got = [verdict.exchange_id for verdict in await probe.verify_all([evidence("after-leaving-streams")])]
    demand(got == ["after-leaving-streams"], f"the next stream's one evidence got {len(got)} verdicts, or another's")
    return f"{sum(left)} streams were cancelled, and the next was answered"


CLAIMS: tuple[tuple[str, Examination], ...] = (
    ("Its name is lower case letters, digits and dashes.", named),
    ("It says its version.", versioned),
    ("It says what it sees and what it is blind to.", honest),
    ("Its health is SERVING.", healthy),
    ("It answers with the exchange_id of the evidence.", answers),
    ("Its values are PASS, INCONCLUSIVE or FAIL.", defined),
    ("Its scores are from 0 to 1.", scored),
    ("It signs its verdicts with the name and version of its description.", signed),
    ("Each FAIL has a finding with a rule and a sentence.", reasoned),
    ("The same evidence gets the same value, unless it declares otherwise.", steady),
    ("Evidence without documents gets a verdict or INVALID_ARGUMENT.", survives_nothing),
    ("Garbage gets INVALID_ARGUMENT or INCONCLUSIVE, never PASS.", refuses_garbage),
    ("Evidence past its declared limit is refused.", refuses_too_much),
    (f"{CONCURRENT_CALLS} calls at once all get their verdict.", serves_many),
    ("A stream gets one verdict for each evidence.", streams),
    ("A call that is cancelled does not stop the next.", survives_leaving),
    ("A stream that is cancelled does not stop the next.", survives_leaving_a_stream),
)
"""In the order in which they are examined; those about verdicts look at what the fifth has gathered."""
