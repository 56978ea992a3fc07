"""Calls through a whole sidecar whose answers are judged: bad verifiers, disagreeing engines, edges held back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from a2a.types import a2a_pb2 as a2a
from grpc import aio

from sidecar.testing import RunningSidecar, running_sidecar
from sidecar.v1 import common_pb2, verifier_pb2, verifier_pb2_grpc
from verifiers import schema
from verifiers.base.server import serving

ASK = "/lf.a2a.v1.A2AService/SendMessage"
STREAM = "/lf.a2a.v1.A2AService/SendStreamingMessage"
A2A = Path(__file__).parent.parent / "specs" / "a2a" / "a2a_v1.binpb"
TIMEOUT_S = 0.4
SLACK_S = 0.6
"""What a busy machine may add."""

PASS, FAIL = verifier_pb2.Verdict.PASS, verifier_pb2.Verdict.FAIL

Answer = Callable[[Any, Any], Awaitable[Any]]


class Judge(verifier_pb2_grpc.VerifierServicer):
    """Answers as it is told; keeps what it was shown."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.shown: list[Any] = []

    async def Describe(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the proto
        return verifier_pb2.Description(name="judge", version="1")

    async def Verify(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the proto
        self.shown.append(request)
        return await self.answer(request, context)


def says(value: int, **more: Any) -> Answer:
    async def answer(evidence: Any, context: Any) -> Any:
        return verifier_pb2.Verdict(**{"exchange_id": evidence.exchange_id, "value": value, "score": 1.0, **more})

    return answer


def after(seconds: float, answer: Answer) -> Answer:
    async def late(evidence: Any, context: Any) -> Any:
        await asyncio.sleep(seconds)
        return await answer(evidence, context)

    return late


async def hangs(evidence: Any, context: Any) -> Any:
    await asyncio.Event().wait()


async def crashes(evidence: Any, context: Any) -> Any:
    raise RuntimeError("broken inside")


async def breaks_off(evidence: Any, context: Any) -> Any:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


WRONG = common_pb2.Finding(rule="invented", message="42 is in no source", pointer="/n")
fails = says(FAIL, score=0.0, findings=[WRONG])


class Babbling(grpc.GenericRpcHandler):
    """Answers everything, with bytes that are nothing."""

    def service(self, details: Any) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            return b"\xff\xff\xff"

        return grpc.unary_unary_rpc_method_handler(answer)


BAD: dict[str, Judge | Babbling] = {
    "hangs": Judge(hangs),
    "crashes": Judge(crashes),
    "breaks off": Judge(breaks_off),
    "answers garbage": Babbling(),
    "answers for another exchange": Judge(says(PASS, exchange_id="another")),
    "answers with no value": Judge(says(0)),
    "answers with a score of 7": Judge(says(PASS, score=7.0)),
    "answers late": Judge(after(TIMEOUT_S + 0.1, says(PASS))),
    "is slow by ten seconds": Judge(after(10, says(PASS))),
}


def answered(n: str) -> bytes:
    """The agent's answer: a message with a data part."""
    part = a2a.Part()
    part.data.struct_value.update({"n": n})
    said = a2a.Message(message_id="r", role=a2a.ROLE_AGENT, parts=[part])
    return a2a.SendMessageResponse(message=said).SerializeToString()


ASKED = a2a.Message(message_id="m", parts=[a2a.Part(text="How many?")])
QUESTION = a2a.SendMessageRequest(message=ASKED).SerializeToString()
ANSWER = answered("42")

each_bad = pytest.mark.parametrize("bad", BAD.values(), ids=BAD)


class Agent(grpc.GenericRpcHandler):
    """Gives one answer, or streams the events that it was given."""

    def __init__(self, answer: bytes, events: Sequence[bytes]) -> None:
        self._answer = answer
        self._events = events

    def service(self, details: Any) -> Any:
        if details.method == STREAM:
            return grpc.unary_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._unary)

    async def _unary(self, payload: bytes, context: Any) -> bytes:
        return self._answer

    async def _stream(self, payload: bytes, context: Any) -> AsyncIterator[bytes]:
        for event in self._events:
            yield event


@asynccontextmanager
async def started(handler: Any) -> AsyncIterator[str]:
    server = aio.server()
    if isinstance(handler, Judge):
        verifier_pb2_grpc.add_VerifierServicer_to_server(handler, server)
    else:
        server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def judged(
    tmp_path: Path,
    judge: Judge | Babbling | str,
    *,
    mode: str = "observe",
    panel: str = "",
    promises: str = "",
    answer: bytes = ANSWER,
    events: Sequence[bytes] = (),
    fail: str = "open",
    name: str = "judge",
    **more: Any,
) -> AsyncIterator[RunningSidecar]:
    """A sidecar whose one spec requires one verifier: `judge`, or whoever is at that address."""
    spec = tmp_path / "spec.yaml"
    terms = f"verifiers: {{require: [{name}], timeout: 5s{panel}}}"
    spec.write_text(f"spec: orders/v1\nmatch: {{callee: callee}}\n{promises}\n{terms}\n")
    async with AsyncExitStack() as stack:
        address = judge if isinstance(judge, str) else await stack.enter_async_context(started(judge))
        upstream = await stack.enter_async_context(started(Agent(answer, events)))
        verifier = {"name": name, "address": address, "timeout": f"{int(TIMEOUT_S * 1000)}ms", "fail": fail, **more}
        sidecar = running_sidecar(upstream, mode=mode, specs=[spec], descriptors=[A2A], verifiers=[verifier])
        yield await stack.enter_async_context(sidecar)


async def ask(sidecar: RunningSidecar) -> tuple[bytes, float]:
    """The answer, and the seconds that it took once a connection was there."""
    async with aio.insecure_channel(sidecar.address) as channel:
        await channel.channel_ready()
        began = time.monotonic()
        answer: bytes = await channel.unary_unary(ASK)(QUESTION, timeout=20)
        return answer, time.monotonic() - began


async def stream(sidecar: RunningSidecar) -> AsyncIterator[bytes]:
    async with aio.insecure_channel(sidecar.address) as channel:
        async for event in channel.unary_stream(STREAM)(QUESTION, timeout=20):
            yield event


def counted(sidecar: RunningSidecar, name: str, **labels: str) -> float:
    return sidecar.app.metrics.registry.get_sample_value(f"sidecar_{name}", labels) or 0.0


async def until(is_so: Callable[[], Any], limit_s: float = 15.0) -> None:
    async with asyncio.timeout(limit_s):
        while not is_so():
            await asyncio.sleep(0.01)


def verdicts(sidecar: RunningSidecar, value: str) -> float:
    return counted(sidecar, "verdicts_total", verifier="judge", verdict=value)


def fail_opens(sidecar: RunningSidecar) -> float:
    """Calls that went on unjudged, for whatever reason."""
    samples = [sample for family in sidecar.app.metrics.registry.collect() for sample in family.samples]
    counts = [sample for sample in samples if sample.name == "sidecar_fail_open_total"]
    return sum(sample.value for sample in counts if sample.labels["check"] == "verification")


# --- Bad verifiers ---------------------------------------------------------------------------------------------------


@each_bad
async def test_a_bad_verifier_delays_no_observed_call_and_never_becomes_a_pass(bad: Any, tmp_path: Path):
    """The answer does not wait for it at all; what comes of it is doubt, counted."""
    async with judged(tmp_path, bad, panel=", mode: enforce") as sidecar:
        await ask(sidecar)  # connections are open now
        took = [(await ask(sidecar))[1] for _ in range(3)]
        await until(lambda: fail_opens(sidecar) == 4)
        assert max(took) < TIMEOUT_S
        assert [verdicts(sidecar, value) for value in ("pass", "inconclusive", "fail")] == [0, 4, 0]


@each_bad
async def test_a_bad_verifier_holds_an_enforced_answer_no_longer_than_its_time_out(bad: Any, tmp_path: Path):
    """And then the declared failure mode is what happens: open lets go, closed refuses; none takes it for a pass."""
    for fail in ("open", "closed"):
        async with judged(tmp_path, bad, mode="enforce", fail=fail) as sidecar:
            began = time.monotonic()
            if fail == "open":
                assert (await ask(sidecar))[0] == ANSWER
            else:
                with pytest.raises(aio.AioRpcError) as refused:
                    await ask(sidecar)
                assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert time.monotonic() - began < TIMEOUT_S + SLACK_S
            assert (verdicts(sidecar, "pass"), verdicts(sidecar, "inconclusive")) == (0, 1)


async def test_a_good_verifier_is_a_pass(tmp_path: Path):
    """Otherwise the two tests above would prove nothing."""
    async with judged(tmp_path, Judge(says(PASS)), mode="enforce", fail="closed") as sidecar:
        assert (await ask(sidecar))[0] == ANSWER
        assert verdicts(sidecar, "pass") == 1


# --- What a stream has told ------------------------------------------------------------------------------------------


def chunk(text: str, *, append: bool = True) -> bytes:
    artifact = a2a.Artifact(artifact_id="a", parts=[a2a.Part(text=text)])
    update = a2a.TaskArtifactUpdateEvent(task_id="t", context_id="c", artifact=artifact, append=append)
    return a2a.StreamResponse(artifact_update=update).SerializeToString()


def state(state: int) -> bytes:
    update = a2a.TaskStatusUpdateEvent(task_id="t", context_id="c", status=a2a.TaskStatus(state=state))  # type: ignore[arg-type]
    return a2a.StreamResponse(status_update=update).SerializeToString()


async def test_a_verifier_sees_all_that_an_a2a_stream_has_told(tmp_path: Path):
    """Chunks move on as they come; the last message is refused for what they said together."""
    events = [
        state(a2a.TASK_STATE_WORKING),
        chunk("There were 4", append=False),
        chunk("2."),
        state(a2a.TASK_STATE_COMPLETED),
    ]
    judge = Judge(fails)
    got = []
    async with judged(tmp_path, judge, mode="enforce", events=events) as sidecar:
        with pytest.raises(aio.AioRpcError) as refused:
            async for event in stream(sidecar):
                got.append(event)  # noqa: PERF401 - what came before the error is what counts
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert got == events[:-1]
    [shown] = judge.shown
    assert json.loads(shown.response_json) == {
        "task": {
            "id": "t",
            "contextId": "c",
            "status": {"state": "TASK_STATE_COMPLETED"},
            "artifacts": [{"artifactId": "a", "parts": [{"text": "There were 42."}]}],
        }
    }


# --- Two engines -----------------------------------------------------------------------------------------------------

PROMISE = """
response:
  parts:
    - at: $.message.parts[*].data
      schema: {{properties: {{n: {{pattern: "{}"}}}}}}
"""


@pytest.mark.parametrize(
    ("pattern", "text", "disagree"),
    [(r"^\\d$", "3", 0), (r"^\\d$", "\u0663", 1), (r"^\\s$", "\ufeff", 1)],
    ids=["both accept", "ours refuses", "ours accepts"],
)
async def test_a_real_schema_verifier_is_handed_the_schemas_and_compared(
    pattern: str, text: str, disagree: int, tmp_path: Path
):
    """JSON Schema's patterns are ECMAScript's; Python's know other digits and other spaces. Nobody repeats a schema."""
    async with serving(schema.DESCRIPTION, schema.judge) as server:
        promises = PROMISE.format(pattern)
        at = judged(tmp_path, server.address, promises=promises, answer=answered(text), name="schema", timeout="5s")
        async with at as sidecar:
            await ask(sidecar)
            labels = {"spec": "orders/v1"}
            read = sidecar.app.metrics.registry.get_sample_value
            await until(lambda: read("sidecar_engine_disagreements_total", labels) is not None)
            assert counted(sidecar, "engine_disagreements_total", **labels) == disagree
            alarms = {"check": "verification", "rule": "engines-disagree", "severity": "error", "action": "observed"}
            edge = {"caller": "_unknown", "callee": "callee"}
            assert counted(sidecar, "findings_total", **alarms, **edge) == disagree


# --- Edges held back -------------------------------------------------------------------------------------------------


async def test_a_late_fail_quarantines_the_edge_until_it_is_released(tmp_path: Path):
    """The first answer has gone on; the next call is refused before the agent sees it, and the gauge shows the edge."""
    panel = ", when: after, on_fail: quarantine"
    async with judged(tmp_path, Judge(fails), mode="enforce", panel=panel) as sidecar:
        assert counted(sidecar, "quarantined", kind="edge") == 0
        assert (await ask(sidecar))[0] == ANSWER
        await until(lambda: counted(sidecar, "quarantined", kind="edge") == 1)
        with pytest.raises(aio.AioRpcError) as refused:
            await ask(sidecar)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert ("sidecar-reply", "QUARANTINED") in tuple(refused.value.trailing_metadata())
        assert "42 is in no source" in str(refused.value.details())
        assert sidecar.app.quarantine.release("_unknown", "callee", ASK)
        assert counted(sidecar, "quarantined", kind="edge") == 0
        assert (await ask(sidecar))[0] == ANSWER


async def test_in_observe_a_quarantine_refuses_nothing(tmp_path: Path):
    """It is a finding of each call that enforcing would refuse."""
    panel = ", when: after, on_fail: quarantine"
    async with judged(tmp_path, Judge(fails), panel=panel) as sidecar:
        await ask(sidecar)
        await until(lambda: counted(sidecar, "quarantined", kind="edge") == 1)
        assert (await ask(sidecar))[0] == ANSWER
        assert [found.rule for found in sidecar.outcomes[-1].exchange.findings if found.check == "quarantine"] == [
            "edge"
        ]


# --- Reloads ---------------------------------------------------------------------------------------------------------


async def test_a_reloaded_spec_with_an_unknown_verifier_never_replaces_a_good_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """As at the start: refused, counted, and said in the log with path, found and allowed."""
    async with judged(tmp_path, Judge(fails), mode="enforce") as sidecar:
        text = (tmp_path / "spec.yaml").read_text()
        (tmp_path / "spec.yaml").write_text(text.replace("[judge]", "[jugde]"))
        await until(lambda: counted(sidecar, "spec_reloads_total", outcome="refused"))
        with pytest.raises(aio.AioRpcError):
            await ask(sidecar)
    assert 'verifiers.require[0]: found "jugde"; allowed: the verifiers configured: judge' in caplog.text
