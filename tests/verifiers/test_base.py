"""The server that makes a verifier of one function: what a caller sees, whatever that function does."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # it ships none
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sidecar.v1 import common_pb2, verifier_pb2, verifier_pb2_grpc
from tests.process.programs import Program
from tests.transparency.certs import make_tls_files
from verifiers.base import Description, Evidence, Finding, Usage, Value, Verdict
from verifiers.base.process import run
from verifiers.base.scorecard import MAX_RULES
from verifiers.base.scores import BadScores, read
from verifiers.base.server import CannotListen, Server, serving
from verifiers.base.service import MAX_STREAM_IN_WORK
from verifiers.base.settings import Limits, Settings, Tls, parse

SERVICE = "sidecar.v1.Verifier"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
LIMIT_S = 20.0
PASSED = Verdict(Value.PASS, 1.0)
DESCRIPTION = Description("tester", "7", ("One thing.",), ("All others.",), family="testers", max_evidence_bytes=2_000)
UNUSABLE = {
    "no verdict": "PASS",
    "none": None,
    "a value of its own": Verdict(4, 1.0),  # type: ignore[arg-type]
    "a fail without a finding": Verdict(Value.FAIL, 0.0),
    "a score above one": Verdict(Value.PASS, 1.01),
    "a score below zero": Verdict(Value.PASS, -0.01),
    "a score that is no number": Verdict(Value.PASS, float("nan")),
    "a score that is text": Verdict(Value.PASS, "1"),  # type: ignore[arg-type]
    "a finding that is text": Verdict(Value.FAIL, 0.0, ("wrong",)),  # type: ignore[arg-type]
    "a rule that is a number": Verdict(Value.FAIL, 0.0, (Finding(3, "wrong"),)),  # type: ignore[arg-type]
    "a cost past 64 bits": Verdict(Value.PASS, 1.0, (), Usage("m", 1, 1, 1 << 70, True)),
}


class Caller:
    """Somebody who asks."""

    def __init__(self, server: Server, channel: aio.Channel) -> None:
        self.server = server
        self.stub: Any = verifier_pb2_grpc.VerifierStub(channel)  # type: ignore[no-untyped-call]
        self.health: Any = health_pb2_grpc.HealthStub(channel)
        self.reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)

    async def verify(self, message: Any) -> Any:
        return await self.stub.Verify(message, timeout=LIMIT_S)

    async def status(self, service: str = SERVICE) -> Any:
        return (await self.health.Check(health_pb2.HealthCheckRequest(service=service), timeout=LIMIT_S)).status

    async def metrics(self) -> list[str]:
        url = f"http://{self.server.metrics_address}/metrics"
        shown: str = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
        return shown.splitlines()


@asynccontextmanager
async def asked(
    judge: Any,
    *,
    settings: Settings = Settings(),  # noqa: B008 frozen
    description: Description = DESCRIPTION,
    scores: dict[str, float] | None = None,
    **limits: int,
) -> AsyncIterator[Caller]:
    """A verifier that serves `judge`, and a caller of it."""
    settings = replace(settings, limits=Limits(**{"drain_ms": 0, **limits}))
    async with serving(description, judge, settings, scores) as server, aio.insecure_channel(server.address) as channel:
        yield Caller(server, channel)


def evidence(exchange_id: str = "e-1", /, **fields: Any) -> Any:
    return verifier_pb2.Evidence(exchange_id=exchange_id, **fields)


def passes(_: Evidence) -> Verdict:
    return PASSED


def keeping(seen: list[Evidence]) -> Callable[[Evidence], Verdict]:
    def judge(given: Evidence) -> Verdict:
        seen.append(given)
        return PASSED

    return judge


class Gate:
    """A judge in a thread that waits until it is let go, and says how many were there at once."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.inside = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, _: Evidence) -> Verdict:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        assert self.open.wait(LIMIT_S)
        with self._lock:
            self.inside -= 1
        return PASSED

    async def until_entered(self, times: int = 1) -> None:
        for _ in range(times):
            assert await asyncio.to_thread(self.entered.acquire, timeout=LIMIT_S)


@contextmanager
def gate() -> Iterator[Gate]:
    closed = Gate()
    try:
        yield closed
    finally:
        closed.open.set()


def only_finding(verdict: Any) -> str:
    assert verdict.value == verifier_pb2.Verdict.INCONCLUSIVE
    assert verdict.score == 0
    return str(verdict.findings[0].rule)


@contextmanager
def refusal(code: grpc.StatusCode, words: str) -> Iterator[None]:
    with pytest.raises(aio.AioRpcError) as caught:
        yield
    assert (caught.value.code(), words in str(caught.value.details())) == (code, True), caught.value.details()


async def test_it_describes_itself() -> None:
    """A panel needs the family and the limit, a person the two lists."""
    async with asked(passes) as caller:
        assert await caller.stub.Describe(verifier_pb2.DescribeRequest()) == verifier_pb2.Description(
            name="tester",
            version="7",
            family="testers",
            sees=["One thing."],
            blind_to=["All others."],
            max_evidence_bytes=2_000,
        )


async def test_the_judge_sees_all_of_the_evidence() -> None:
    """A field that is lost on the way can never be judged."""
    seen: list[Evidence] = []
    given = evidence(
        edge=common_pb2.Edge(caller="a", callee="b", method="/x.Y/Z"),
        spec="b/v1",
        request_json=b'{"n": 12345678901234567890}',
        response_json='["é", null]'.encode(),
        lineage=common_pb2.Lineage(conversation="c", trace_id="0" * 32, hops=3),
        parameters={"rules": "none"},
    )
    async with asked(keeping(seen)) as caller:
        await caller.verify(given)
    answer, asking = ["é", None], {"n": 12345678901234567890}
    expected = Evidence("e-1", "a", "b", "/x.Y/Z", "b/v1", asking, answer, "c", "0" * 32, 3, {"rules": "none"})
    assert seen == [expected]


async def test_a_document_that_is_not_there_is_none() -> None:
    """An empty field is how the wire says so, and no mistake."""
    seen: list[Evidence] = []
    async with asked(keeping(seen)) as caller:
        await caller.verify(evidence())
    assert (seen[0].request, seen[0].response) == (None, None)


async def test_the_caller_gets_all_of_the_verdict() -> None:
    """Signed with the name and version of the description."""
    verdict = Verdict(Value.FAIL, 0.25, (Finding("rule", "A sentence.", "/a/0", True),), Usage("m", 3, 4, 5, True))
    async with asked(lambda _: verdict) as caller:
        assert await caller.verify(evidence("e-9")) == verifier_pb2.Verdict(
            exchange_id="e-9",
            value=verifier_pb2.Verdict.FAIL,
            score=0.25,
            findings=[common_pb2.Finding(rule="rule", message="A sentence.", pointer="/a/0", in_request=True)],
            verifier="tester",
            version="7",
            usage=verifier_pb2.Usage(model="m", input_tokens=3, output_tokens=4, cost_micro_usd=5, is_priced=True),
        )


async def test_a_verdict_stays_short() -> None:
    """A judge that complains about everything must not fill logs and spans; half of a surrogate pair cannot travel."""
    verdict = Verdict(Value.FAIL, 0.0, tuple(Finding("rule", f"{number} \ud800" + "x" * 900) for number in range(30)))
    async with asked(lambda _: verdict) as caller:
        findings = (await caller.verify(evidence())).findings
    assert (len(findings), len(findings[0].message), findings[0].message[:3]) == (20, 500, "0 ?")


class Coroutine:
    async def __call__(self, _: Evidence) -> Verdict:
        await asyncio.sleep(0)
        return PASSED


async def coroutine(_: Evidence) -> Verdict:
    return await Coroutine()(_)


@pytest.mark.parametrize(
    "judge",
    [passes, coroutine, Coroutine(), lambda e: coroutine(e)],
    ids=["function", "coroutine", "callable", "lambda"],
)
async def test_a_judge_may_be_a_function_or_a_coroutine_function(judge: Any) -> None:
    """Also an object, and a function that gives an awaitable."""
    async with asked(judge) as caller:
        assert (await caller.verify(evidence())).value == verifier_pb2.Verdict.PASS
        assert caller.server.is_idle


def raising(error: BaseException) -> list[Callable[[Evidence], Any]]:
    def plain(_: Evidence) -> Verdict:
        raise error

    async def on_the_loop(_: Evidence) -> Verdict:
        raise error

    return [plain, on_the_loop]


@pytest.mark.parametrize(
    "error", [KeyError("hush-hush"), SystemExit("hush-hush"), asyncio.CancelledError("hush-hush")], ids=repr
)
@pytest.mark.parametrize("kind", [0, 1], ids=["plain", "coroutine"])
async def test_a_crash_is_inconclusive_and_quotes_nothing(
    error: BaseException, kind: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An error's words may be the payload's, so neither the caller nor the log gets them. The next call is served."""
    async with asked(raising(error)[kind]) as caller:
        verdicts = [await caller.verify(evidence()) for _ in range(2)]
    assert [only_finding(verdict) for verdict in verdicts] == ["crashed", "crashed"]
    assert type(error).__name__ in verdicts[0].findings[0].message
    assert type(error).__name__ in caplog.text
    assert "hush-hush" not in caplog.text + str(verdicts)


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
async def test_an_answer_that_is_no_verdict_is_inconclusive(answer: Any) -> None:
    """A judge with a mistake in it must not pass anything."""
    async with asked(lambda _: answer) as caller:
        assert only_finding(await caller.verify(evidence())) == "unusable-verdict"


@pytest.mark.parametrize("field", ["request_json", "response_json"])
@pytest.mark.parametrize(
    "payload",
    [b'{"a', b"\xff\xfe\x00", '{"a": 1}'.encode("utf-16"), b"NaN", b'{"a": -Infinity}', b"[" * 1_900, b"1 2"],
    ids=repr,
)
async def test_what_is_no_json_is_refused_by_field(field: str, payload: bytes) -> None:
    """The judge never sees half of a document, and the sentence says which half to mend."""
    async with asked(passes) as caller:
        with refusal(grpc.StatusCode.INVALID_ARGUMENT, field):
            await caller.verify(evidence(**{field: payload}))


def of_size(size_bytes: int) -> Any:
    made = evidence(response_json=b'"' + b"x" * (size_bytes - 20) + b'"')
    made.exchange_id += "." * (size_bytes - made.ByteSize())
    assert made.ByteSize() == size_bytes
    return made


async def test_evidence_of_the_limit_is_judged_and_one_byte_more_is_not() -> None:
    """The limit is the one that the description says, on the wire's own bytes."""
    async with asked(passes) as caller:
        assert (await caller.verify(of_size(2_000))).value == verifier_pb2.Verdict.PASS
        with refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "the evidence has 2001 bytes; at most 2000 are judged"):
            await caller.verify(of_size(2_001))


async def test_evidence_far_past_the_limit_is_not_even_read() -> None:
    """Memory is bounded before the message is parsed."""
    async with asked(passes) as caller:
        with refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"):
            await caller.verify(of_size(2 << 20))


async def test_a_slow_function_does_not_hold_up_health() -> None:
    """Else the verifier would be restarted for being busy."""
    with gate() as slow:
        async with asked(slow) as caller:
            call = caller.stub.Verify(evidence(), timeout=LIMIT_S)
            await slow.until_entered()
            assert await caller.status() == SERVING
            slow.open.set()
            assert (await call).value == verifier_pb2.Verdict.PASS


async def hangs(_: Evidence) -> Verdict:
    await asyncio.Event().wait()
    return PASSED


async def clings(_: Evidence) -> Verdict:
    """Does not let itself be cancelled once."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0.2)
    return PASSED


@pytest.mark.parametrize("judge", [hangs, clings])
async def test_a_verdict_that_does_not_come_in_time_is_inconclusive(judge: Any) -> None:
    """Nobody waits for a judge that hangs, or that clings to its work when told to stop."""
    async with asked(judge, verdict_ms=50) as caller:
        verdict = await caller.verify(evidence())
    assert only_finding(verdict) == "too-slow"
    assert "50 ms" in verdict.findings[0].message


async def test_a_thread_that_hangs_keeps_its_place_until_it_returns() -> None:
    """It cannot be stopped, so giving its place away would make ever more threads."""
    with gate() as slow:
        async with asked(slow, concurrency=1, verdict_ms=100) as caller:
            assert only_finding(await caller.verify(evidence())) == "too-slow"
            assert only_finding(await caller.verify(evidence())) == "too-slow"
            assert (slow.most, caller.server.is_idle) == (1, False)
            slow.open.set()
            assert (await until_judged(caller)).value == verifier_pb2.Verdict.PASS


async def until_judged(caller: Caller) -> Any:
    """The first verdict that is not too slow: the thread's return is seen on the event loop a moment later."""
    async with asyncio.timeout(LIMIT_S):
        while (verdict := await caller.verify(evidence())).findings:
            pass
    return verdict


@pytest.mark.parametrize(("concurrency", "waiting"), [(1, 0), (2, 1), (3, 2)])
async def test_so_many_are_judged_so_many_wait_and_the_next_is_refused(concurrency: int, waiting: int) -> None:
    """A verifier that is overrun says so at once, and serves those whom it has let in."""
    room = concurrency + waiting
    with gate() as slow:
        async with asked(slow, concurrency=concurrency, waiting=waiting) as caller:
            calls = [asyncio.ensure_future(caller.verify(evidence())) for _ in range(room + 1)]
            await slow.until_entered(concurrency)
            refused, still = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=LIMIT_S)
            assert (len(refused), len(still)) == (1, room)
            with refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "all places are taken"):
                refused.pop().result()
            slow.open.set()
            assert {(await call).value for call in still} == {verifier_pb2.Verdict.PASS}
    assert slow.most == concurrency


async def test_a_caller_who_leaves_frees_its_place() -> None:
    """Callers have deadlines of their own; the next must not pay for them."""
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def judge(given: Evidence) -> Verdict:
        if given.exchange_id != "leaves":
            return PASSED
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return PASSED

    async with asked(judge, concurrency=1, waiting=0) as caller:
        call = caller.stub.Verify(evidence("leaves"))
        await asyncio.wait_for(entered.wait(), LIMIT_S)
        call.cancel()
        await asyncio.wait_for(cancelled.wait(), LIMIT_S)
        assert (await caller.verify(evidence("stays"))).value == verifier_pb2.Verdict.PASS


async def test_a_stream_gets_one_verdict_for_each_evidence() -> None:
    """Also for those that a single call would have refused, so that one of them does not end the stream for all."""
    given = [evidence(f"e-{number}") for number in range(40)]
    given += [evidence("broken", response_json=b"{"), evidence("large", response_json=b'"%s"' % (b"x" * 3_000))]
    async with asked(passes) as caller:
        got = {verdict.exchange_id: verdict async for verdict in caller.stub.VerifyStream(iter(given), timeout=LIMIT_S)}
    assert set(got) == {each.exchange_id for each in given}
    assert only_finding(got.pop("broken")) == "unreadable"
    assert only_finding(got.pop("large")) == "too-large"
    assert {verdict.value for verdict in got.values()} == {verifier_pb2.Verdict.PASS}


async def test_a_stream_is_read_no_faster_than_it_is_judged() -> None:
    """Its back-pressure is what bounds it, so none of its evidence is refused for want of room."""
    given = [evidence(f"e-{number}") for number in range(100)]
    async with asked(passes, concurrency=1, waiting=8) as caller:
        got = [verdict.value async for verdict in caller.stub.VerifyStream(iter(given), timeout=LIMIT_S)]
    assert got == [verifier_pb2.Verdict.PASS] * 100


async def test_a_stream_that_is_left_stops_judging() -> None:
    """Work for somebody who has gone is waste."""
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def judge(_: Evidence) -> Verdict:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return PASSED

    async with asked(judge) as caller:
        call = caller.stub.VerifyStream(iter([evidence()]))
        await asyncio.wait_for(entered.wait(), LIMIT_S)
        call.cancel()
        await asyncio.wait_for(cancelled.wait(), LIMIT_S)


async def test_a_stream_keeps_so_many_judges_busy_and_no_more() -> None:
    """The ninth evidence is not even read before one of the eight has its verdict."""
    with gate() as slow:
        async with asked(slow, concurrency=32) as caller:
            call = caller.stub.VerifyStream(iter(evidence(f"e-{number}") for number in range(20)), timeout=LIMIT_S)
            await slow.until_entered(MAX_STREAM_IN_WORK)
            assert slow.inside == MAX_STREAM_IN_WORK
            slow.open.set()
            assert len([verdict async for verdict in call]) == 20
        assert slow.most == MAX_STREAM_IN_WORK


async def test_on_a_stream_the_slow_hold_up_nobody_and_each_gets_its_own() -> None:
    """Verdicts come when they are ready, so only the id says whose they are. One asked twice is answered twice."""
    slow = asyncio.Event()

    async def judge(given: Evidence) -> Verdict:
        if given.exchange_id == "slow":
            await slow.wait()
        return Verdict(Value.FAIL, 0.0, (Finding("id", given.exchange_id),))

    asked_for = ["slow", "a", "b", "b", "c"]
    async with asked(judge) as caller:
        call = caller.stub.VerifyStream(iter(map(evidence, asked_for)), timeout=LIMIT_S)
        got = [await call.read() for _ in range(4)]
        slow.set()
        got.append(await call.read())
        assert await call.read() is aio.EOF
    assert sorted(verdict.exchange_id for verdict in got) == sorted(asked_for)
    assert got[-1].exchange_id == "slow"
    assert all(verdict.findings[0].message == verdict.exchange_id for verdict in got)


async def test_a_stream_that_is_left_gives_its_places_back() -> None:
    """With evidence under way and more behind it; the next stream is served at once."""
    entered = asyncio.Semaphore(0)

    async def judge(given: Evidence) -> Verdict:
        if given.exchange_id.startswith("left"):
            entered.release()
            await asyncio.Event().wait()
        return PASSED

    async with asked(judge, concurrency=4, waiting=4) as caller:
        for _ in range(3):
            call = caller.stub.VerifyStream(iter(evidence(f"left-{number}") for number in range(30)))
            for _ in range(4):
                await asyncio.wait_for(entered.acquire(), LIMIT_S)
            call.cancel()
        given = [evidence(f"e-{number}") for number in range(30)]
        got = [verdict.value async for verdict in caller.stub.VerifyStream(iter(given), timeout=LIMIT_S)]
    assert got == [verifier_pb2.Verdict.PASS] * 30


async def test_a_stream_outlives_a_judge_that_crashes_or_hangs() -> None:
    """Each of them costs its own verdict."""

    async def judge(given: Evidence) -> Verdict:
        if given.exchange_id == "hangs":
            await asyncio.Event().wait()
        if given.exchange_id == "crashes":
            raise RuntimeError
        return PASSED

    given = [evidence(name) for name in ("hangs", "crashes", "good")]
    async with asked(judge, verdict_ms=200) as caller:
        got = {verdict.exchange_id: verdict async for verdict in caller.stub.VerifyStream(iter(given), timeout=LIMIT_S)}
    assert (only_finding(got["hangs"]), only_finding(got["crashes"])) == ("too-slow", "crashed")
    assert got["good"].value == verifier_pb2.Verdict.PASS


async def test_evidence_far_past_the_limit_ends_its_stream_alone() -> None:
    """gRPC refuses it unread; other streams on the same connection go on."""
    async with asked(passes) as caller:
        other = caller.stub.VerifyStream()
        await other.write(evidence("before"))
        assert (await other.read()).exchange_id == "before"
        with refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, ""):
            call = caller.stub.VerifyStream(iter([evidence("huge", response_json=b"x" * (2 << 20))]), timeout=LIMIT_S)
            assert [verdict async for verdict in call] == []
        await other.write(evidence("after"))
        assert (await other.read()).exchange_id == "after"
        await other.done_writing()
        assert await other.read() is aio.EOF


async def test_draining_ends_a_stream_that_nobody_closes() -> None:
    """An idle stream must not keep a stopped verifier alive; what was asked before is answered."""
    async with asked(passes, drain_ms=200) as caller:
        call = caller.stub.VerifyStream()
        await call.write(evidence("asked"))
        assert (await call.read()).exchange_id == "asked"
        await asyncio.wait_for(caller.server.drain(), LIMIT_S)
        assert await call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_its_health_is_serving(service: str) -> None:
    """As a whole, and by the name of its service."""
    async with asked(passes) as caller:
        assert await caller.status(service) == SERVING


async def test_reflection_names_its_services() -> None:
    """So that a person with a generic client finds out what can be asked."""
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with asked(passes) as caller:
        answers = [each async for each in caller.reflection.ServerReflectionInfo(iter([request]), timeout=LIMIT_S)]
    assert {SERVICE, "grpc.health.v1.Health"} <= {each.name for each in answers[0].list_services_response.service}


async def test_draining_lets_open_calls_finish_and_says_not_serving() -> None:
    """A rolling restart loses no verdict."""
    with gate() as slow:
        async with asked(slow, drain_ms=10_000) as caller:
            watch = caller.health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
            assert (await watch.read()).status == SERVING
            call = caller.stub.Verify(evidence(), timeout=LIMIT_S)
            await slow.until_entered()
            draining = asyncio.ensure_future(caller.server.drain())
            assert (await watch.read()).status == NOT_SERVING
            watch.cancel()
            slow.open.set()
            assert (await call).value == verifier_pb2.Verdict.PASS
            await draining


async def test_it_counts_what_it_does() -> None:
    """Verdicts, findings by rule, time, sizes, refusals, money, and how good it was measured to be."""
    paid = Usage("m", 30, 4, 1_500_000, True)
    verdict = Verdict(Value.FAIL, 0.5, (Finding("rule-a", "A."), Finding("Not a rule!", "B.")), paid)
    async with asked(lambda _: verdict, scores={"precision": 0.97}) as caller:
        await caller.verify(evidence())
        with refusal(grpc.StatusCode.INVALID_ARGUMENT, "request_json"):
            await caller.verify(evidence(request_json=b"{"))
        shown = set(await caller.metrics())
    assert shown >= {
        'verifier_verdicts_total{verdict="fail"} 1.0',
        'verifier_findings_total{rule="rule-a"} 1.0',
        'verifier_findings_total{rule="_other"} 1.0',
        'verifier_refusals_total{reason="unreadable"} 1.0',
        "verifier_duration_seconds_count 1.0",
        "verifier_evidence_bytes_count 2.0",
        'verifier_tokens_total{model="m",type="input"} 30.0',
        'verifier_tokens_total{model="m",type="output"} 4.0',
        'verifier_cost_usd_total{model="m"} 1.5',
        'verifier_score{figure="precision"} 0.97',
        'verifier_info{family="testers",verifier="tester",version="7"} 1.0',
    }


async def test_what_is_known_beforehand_begins_at_zero() -> None:
    """An alert on the first crash or refusal would miss a series that begins at one."""
    async with asked(passes) as caller:
        shown = set(await caller.metrics())
    assert {f'verifier_verdicts_total{{verdict="{name}"}} 0.0' for name in ("pass", "inconclusive", "fail")} <= shown
    assert {f'verifier_refusals_total{{reason="{name}"}} 0.0' for name in ("too-large", "busy", "unreadable")} <= shown


MEASURED = {"verifier": "tester", "version": "1", "figures": {"precision": 0.97, "cases": 12}}


def test_a_process_publishes_what_it_was_measured_with(tmp_path: Path) -> None:
    """As `bench.verifiers --save` has left it."""
    (tmp_path / "scores.json").write_text(json.dumps(MEASURED))
    with running("--scores", str(tmp_path / "scores.json")) as (program, _):
        url = program.read_until(r"^metrics (http://\S+)$")
        shown = urllib.request.urlopen(url).read().decode().splitlines()
    assert {'verifier_score{figure="precision"} 0.97', 'verifier_score{figure="cases"} 12.0'} <= set(shown)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({**MEASURED, "verifier": "other"}, "it is about other 1, and this is tester 1"),
        ({**MEASURED, "version": "2"}, "it is about tester 2, and this is tester 1"),
        ({**MEASURED, "figures": {"Precision!": 1}}, "`figures` is no object"),
        ({**MEASURED, "figures": {"precision": True}}, "`figures` is no object"),
        ({**MEASURED, "figures": {"precision": float("nan")}}, "`figures` is no object"),
        ({**MEASURED, "figures": {"precision": 10**400}}, "`figures` is no object"),
        ({**MEASURED, "figures": {f"f{number}": 1 for number in range(51)}}, "`figures` is no object"),
        ({**MEASURED, "figures": []}, "`figures` is no object"),
        ([], "it is no JSON object"),
        ("x" * (1 << 16), "it is no JSON object"),
        (None, "it cannot be read"),
    ],
)
def test_scores_of_something_else_end_a_process_with_64(document: Any, words: str, tmp_path: Path) -> None:
    """Figures of another verifier, or of a version with other rules, would mislead whoever reads them."""
    path = tmp_path / "scores.json"
    path.write_text("{" if document is None else json.dumps(document))
    with pytest.raises(SystemExit) as caught:
        run(replace(DESCRIPTION, name="tester", version="1"), passes, ["--scores", str(path)], scores={})
    assert caught.value.code == 64
    with pytest.raises(BadScores, match=words):
        read(path, replace(DESCRIPTION, name="tester", version="1"))


async def test_rules_do_not_fill_the_metrics() -> None:
    """Rules may come from specs, so the number of series is ours to bound."""
    numbers = iter(range(MAX_RULES + 2))
    async with asked(lambda _: Verdict(Value.FAIL, 0.0, (Finding(f"rule-{next(numbers)}", "A."),))) as caller:
        for _ in range(MAX_RULES + 2):
            await caller.verify(evidence())
        shown = [line for line in await caller.metrics() if line.startswith("verifier_findings_total{")]
    assert len(shown) == MAX_RULES + 1
    assert 'verifier_findings_total{rule="_other"} 2.0' in shown


async def test_metrics_can_be_off() -> None:
    """Then there is no second socket."""
    async with asked(passes, settings=Settings(metrics=None)) as caller:
        assert caller.server.metrics_address is None


async def test_it_listens_on_a_unix_socket(tmp_path: Path) -> None:
    """Beside the sidecar no port is needed."""
    async with asked(passes, settings=Settings(listen=f"unix:{tmp_path}/v.sock")) as caller:
        assert caller.server.address == f"unix:{tmp_path}/v.sock"
        assert (await caller.verify(evidence())).value == verifier_pb2.Verdict.PASS


async def test_with_a_client_authority_a_stranger_is_not_served(tmp_path: Path) -> None:
    """Evidence is payload: who may show it is the operator's to say."""
    files = make_tls_files(tmp_path)
    settings = Settings(tls=Tls(files.server.cert, files.server.key, files.ca))
    async with serving(DESCRIPTION, passes, settings) as server:
        async with aio.secure_channel(server.address, files.channel_credentials(files.client)) as known:
            assert (await Caller(server, known).verify(evidence())).value == verifier_pb2.Verdict.PASS
        async with aio.secure_channel(server.address, files.channel_credentials()) as stranger:
            with refusal(grpc.StatusCode.UNAVAILABLE, ""):
                await Caller(server, stranger).verify(evidence())


async def test_an_address_that_is_taken_is_refused() -> None:
    """Two verifiers on one port would answer in turn."""
    async with serving(DESCRIPTION, passes) as first:
        with pytest.raises(CannotListen, match=first.address):
            await Server(DESCRIPTION, passes, Settings(listen=first.address)).start()
        with pytest.raises(CannotListen, match="metrics"):
            await Server(DESCRIPTION, passes, Settings(metrics=first.metrics_address)).start()


def test_an_empty_command_line_stays_on_this_machine() -> None:
    """Nobody serves a network by leaving something out."""
    assert parse("tester", []) == Settings(listen="127.0.0.1:0", metrics="127.0.0.1:0", tls=None, limits=Limits())


def test_the_command_line_sets_everything(tmp_path: Path) -> None:
    """Each setting has its option, and each option arrives."""
    cert, key, authority = (tmp_path / name for name in ("cert", "key", "ca"))
    for file in (cert, key, authority):
        file.touch()
    said = f"--listen unix:/x --metrics off --cert {cert} --key {key} --client-ca {authority}"
    said += f" --concurrency 3 --waiting 0 --limit-ms 100 --drain-ms 0 --scores {cert}"
    limits = Limits(3, 0, 100, 0)
    assert parse("tester", said.split()) == Settings("unix:/x", None, Tls(cert, key, authority), limits, cert)


@pytest.mark.parametrize(
    "said",
    [
        "--listen :7101",
        "--listen 7101",
        "--listen 127.0.0.1:http",
        "--listen 127.0.0.1:65536",
        "--listen unix:",
        "--metrics on",
        "--cert /nowhere",
        "--scores /nowhere",
        f"--cert {__file__}",
        f"--client-ca {__file__}",
        "--concurrency 0",
        "--waiting -1",
        "--limit-ms soon",
        "--what",
    ],
)
def test_a_wrong_command_line_ends_with_64(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The code that every mistake of an operator has, and a word about which it was."""
    with pytest.raises(SystemExit) as caught:
        parse("tester", said.split())
    assert caught.value.code == 64
    assert said.split()[0].strip("-") in capsys.readouterr().err


PROGRAM = """
import threading
from verifiers.base import Description, Value, Verdict, main

def judge(evidence):
    threading.Event().wait(0 if evidence.exchange_id == "quick" else None)
    return Verdict(Value.PASS, 1.0)

main(Description("tester", "1", ("a",), ("b",)), judge)
"""


@contextmanager
def running(*arguments: str) -> Iterator[tuple[Program, str]]:
    program = Program("-c", PROGRAM, "--listen", "127.0.0.1:0", *arguments)
    try:
        yield program, program.read_until(r"^listening (127\.0\.0\.1:\d+)$")
    finally:
        program.close()


@pytest.mark.parametrize("is_hanging", [False, True], ids=["idle", "hanging"])
async def test_told_to_stop_the_process_ends_with_0(is_hanging: bool) -> None:
    """Also where a judge hangs in a thread that nobody can stop."""
    with running("--drain-ms", "100", "--limit-ms", "200") as (program, address):
        async with aio.insecure_channel(address) as channel:
            stub: Any = verifier_pb2_grpc.VerifierStub(channel)  # type: ignore[no-untyped-call]
            verdict = await stub.Verify(evidence("hang" if is_hanging else "quick"), timeout=LIMIT_S)
        assert bool(verdict.findings) is is_hanging
        program.terminate()
        assert await asyncio.to_thread(program.wait) == 0
    assert program.printed.splitlines()[-1] == "stopped"


def test_a_process_that_cannot_listen_says_so_and_ends_with_64() -> None:
    """One sentence, no traceback."""
    with running() as (_, address):
        second = [sys.executable, "-c", PROGRAM, "--listen", address]
        ended = subprocess.run(second, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert f"cannot listen on {address}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_judging_alone_brings_no_grpc() -> None:
    """A child process that only judges starts in a tenth of the time without it."""
    code = "import json, sys, verifiers.base; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert "verifiers.base.verdict" in loaded
    assert not {"grpc", "sidecar", "prometheus_client"} & set(loaded)
