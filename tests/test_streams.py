"""Streams of real A2A messages through a real sidecar: those in order pass, and what breaks it is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from a2a.helpers import new_data_message
from a2a.types import (
    Artifact,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from a2a.types import Message as A2aMessage
from grpc import aio

from examples.agents import writer
from examples.agents.corpus import CORPUS
from examples.agents.serve import Settings, start
from sidecar.testing import RunningSidecar, running_sidecar
from tests.served import handled_by

PACK = Path(__file__).parent.parent / "specs" / "a2a"
METHOD = "/lf.a2a.v1.A2AService/SendStreamingMessage"
NAMES = {"task_id": "t1", "context_id": "c1"}
WORKING, DONE = TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_COMPLETED


def task(state: Any = WORKING) -> StreamResponse:
    return StreamResponse(task=Task(id="t1", context_id="c1", status=TaskStatus(state=state)))


def update(state: Any = DONE) -> StreamResponse:
    return StreamResponse(status_update=TaskStatusUpdateEvent(**NAMES, status=TaskStatus(state=state)))


def chunk(*, append: bool = False, last: bool = False) -> StreamResponse:
    artifact = Artifact(artifact_id="a1", parts=[Part(text="x")])
    event = TaskArtifactUpdateEvent(**NAMES, artifact=artifact, append=append, last_chunk=last)
    return StreamResponse(artifact_update=event)


def answer() -> StreamResponse:
    message = A2aMessage(message_id="m2", role=Role.ROLE_AGENT, context_id="c1", parts=[Part(text="x")])
    return StreamResponse(message=message)


@asynccontextmanager
async def saying(responses: Sequence[StreamResponse]) -> AsyncIterator[str]:
    """An agent that answers every call with the same stream."""

    class Agent(grpc.GenericRpcHandler):
        def service(self, details: Any) -> grpc.RpcMethodHandler:
            return grpc.unary_stream_rpc_method_handler(speak)

    async def speak(_payload: bytes, context: Any) -> None:
        for response in responses:
            await context.write(response.SerializeToString())

    async with handled_by(Agent()) as address:
        yield address


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "writer.yaml"
    path.write_text(f"spec: writer/v1\nmatch: {{method: {METHOD}}}\nstream: a2a\n")
    return path


def sidecar(upstream: str, spec: Path, mode: str = "enforce") -> Any:
    return running_sidecar(upstream, mode=mode, descriptors=["a2a.types.a2a_pb2"], specs=[spec])


def request() -> SendMessageRequest:
    facts = [{"text": fact.text, "source": fact.source} for fact in CORPUS["bridges"]]
    return SendMessageRequest(message=new_data_message({"topic": "bridges", "facts": facts}, role=Role.ROLE_USER))


async def heard(running: RunningSidecar) -> tuple[int, grpc.StatusCode]:
    count = 0
    async with aio.insecure_channel(running.address) as channel:
        call = channel.unary_stream(METHOD)(
            request().SerializeToString(), metadata=[("a2a-version", "1.0")], timeout=20
        )
        try:
            async for _ in call:
                count += 1
        except aio.AioRpcError:
            pass
        return count, await call.code()


async def test_a_stream_of_the_real_sdk_breaks_no_rule(spec: Path):
    """An agent on the SDK's own handler, artifacts in chunks and all, under a spec that enforces."""
    server, port = await start("writer", Settings("127.0.0.1:0", {}, pace_s=0.0), writer.build)
    try:
        async with sidecar(f"127.0.0.1:{port}", spec) as running:
            count, code = await heard(running)
    finally:
        await server.stop(None)
    assert (code, count > 3) == (grpc.StatusCode.OK, True)
    assert running.outcomes[0].exchange.findings == []


@pytest.mark.parametrize(
    ("responses", "passed", "rule"),
    [
        ([], 0, "ends"),
        ([task()], 1, "ends"),
        ([update()], 0, "begins"),
        ([answer(), update()], 1, "message-alone"),
        ([task(), update(), chunk()], 2, "after-end"),
        ([task(), chunk(append=True), update()], 1, "append-first"),
        ([task(), chunk(last=True), chunk(append=True), update()], 2, "after-last-chunk"),
    ],
)
@pytest.mark.parametrize("mode", ["enforce", "observe"])
async def test_a_stream_that_breaks_a_rule_ends_there_where_that_is_enforced(
    spec: Path, responses: list[StreamResponse], passed: int, rule: str, mode: str
):
    """What came before stays passed, the breach and what follows does not; in observe all of it passes."""
    async with saying(responses) as upstream, sidecar(upstream, spec, mode) as running:
        count, code = await heard(running)
    is_enforced = mode == "enforce"
    assert (count, code) == (
        (passed, grpc.StatusCode.INTERNAL) if is_enforced else (len(responses), grpc.StatusCode.OK)
    )
    assert running.outcomes[0].exchange.findings[0].rule == rule


async def test_the_pack_holds_streams_to_their_order_and_refuses_nothing():
    """As it is shipped it observes."""
    async with saying([task(), chunk(append=True), update()]) as upstream, sidecar(upstream, PACK) as running:
        assert await heard(running) == (3, grpc.StatusCode.OK)
    assert [finding.rule for finding in running.outcomes[0].exchange.findings] == ["append-first"]
