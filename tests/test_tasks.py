"""Tasks through a real sidecar and the real SDK: followed without a spec, held to their machine with one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from a2a.helpers import new_data_message, new_text_message
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    SendMessageResponse,
    Task,
    TaskState,
    TaskStatus,
    a2a_pb2_grpc,
)
from grpc import aio

from examples.agents import writer
from examples.agents.corpus import CORPUS
from examples.agents.serve import Settings, start
from sidecar.engine.state.tasks import LATE_S
from sidecar.testing import RunningSidecar, running_sidecar

A2A = "/lf.a2a.v1.A2AService/"
WORKING, DONE = TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_COMPLETED


class Scripted(grpc.GenericRpcHandler):
    """An agent that says what the test wants of its tasks."""

    def __init__(self) -> None:
        self.state: Any = WORKING
        self.made = 0

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self.send if details.method.endswith("/SendMessage") else self.get)

    async def send(self, _payload: bytes, _context: Any) -> bytes:
        self.made += 1
        return SendMessageResponse(task=self.task(f"t{self.made}")).SerializeToString()

    async def get(self, payload: bytes, _context: Any) -> bytes:
        return self.task(GetTaskRequest.FromString(payload).id).SerializeToString()

    def task(self, name: str) -> Task:
        return Task(id=name, context_id="c1", status=TaskStatus(state=self.state))


@asynccontextmanager
async def scripted() -> AsyncIterator[tuple[Scripted, str]]:
    agent, server = Scripted(), aio.server()
    server.add_generic_rpc_handlers((agent,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield agent, f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


def sidecar(upstream: str, mode: str = "enforce", **config: Any) -> Any:
    return running_sidecar(upstream, agent="researcher", mode=mode, descriptors=["a2a.types.a2a_pb2"], **config)


@asynccontextmanager
async def stub_of(running: RunningSidecar) -> AsyncIterator[Any]:
    async with aio.insecure_channel(running.address) as channel:
        yield a2a_pb2_grpc.A2AServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types


def send(text: str = "bridges", *, at_once: bool = False) -> SendMessageRequest:
    configuration = SendMessageConfiguration(return_immediately=at_once)
    return SendMessageRequest(message=new_text_message(text, role=Role.ROLE_USER), configuration=configuration)


def rules(running: RunningSidecar) -> list[str]:
    return [found.rule for outcome in running.outcomes for found in outcome.exchange.findings if found.check == "task"]


def metric(running: RunningSidecar, name: str, **labels: str) -> float | None:
    value: float | None = running.app.metrics.registry.get_sample_value(f"sidecar_{name}", labels)
    return value


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "task.yaml"
    path.write_text("spec: researcher/v1\nmatch: {callee: researcher}\ntask: {}\n")
    return path


async def test_tasks_of_the_real_sdk_go_their_way(spec: Path):
    """Sent, polled and done, under a spec that enforces: no finding, and each step in the metrics."""
    metadata = [("a2a-version", "1.0")]
    facts = [{"text": fact.text, "source": fact.source} for fact in CORPUS["bridges"]]
    request = SendMessageRequest(message=new_data_message({"topic": "bridges", "facts": facts}, role=Role.ROLE_USER))
    server, port = await start("writer", Settings("127.0.0.1:0", {}, pace_s=0.0), writer.build)
    try:
        async with sidecar(f"127.0.0.1:{port}", specs=[spec]) as running, stub_of(running) as stub:
            answer = await stub.SendMessage(request, metadata=metadata, timeout=10)
            await stub.GetTask(GetTaskRequest(id=answer.task.id), metadata=metadata, timeout=10)
            with pytest.raises(aio.AioRpcError):
                await stub.CancelTask(CancelTaskRequest(id=answer.task.id), metadata=metadata, timeout=10)
    finally:
        await server.stop(None)
    state = TaskState.Name(answer.task.status.state)
    labels = {"callee": "researcher", "from": "_none", "to": state, "legal": "true"}
    assert metric(running, "task_transitions_total", **labels) == 1
    assert rules(running) == ["cancel-finished"]


@pytest.mark.parametrize("mode", ["enforce", "observe"])
async def test_an_agent_that_takes_an_end_back_is_refused_where_that_is_enforced(spec: Path, mode: str):
    """INTERNAL with its reason; in observe the caller hears what the agent said."""
    async with (
        scripted() as (agent, upstream),
        sidecar(upstream, mode, specs=[spec]) as running,
        stub_of(running) as stub,
    ):
        agent.state = DONE
        await stub.SendMessage(send(), timeout=5)
        await asyncio.sleep(2 * LATE_S)
        agent.state = WORKING
        try:
            said = (await stub.GetTask(GetTaskRequest(id="t1"), timeout=5)).status.state
        except aio.AioRpcError as error:
            said = error.code()
            assert ("sidecar-reply", "ILLEGAL_TASK_TRANSITION") in tuple(error.trailing_metadata() or ())
    assert said == (grpc.StatusCode.INTERNAL if mode == "enforce" else WORKING)
    assert rules(running) == ["unfinished"]
    labels = {"callee": "researcher", "from": "TASK_STATE_COMPLETED", "to": "TASK_STATE_WORKING", "legal": "false"}
    assert metric(running, "task_transitions_total", **labels) == 1


async def test_the_same_work_begun_twice_is_told_without_any_spec():
    """The SDK mints a new messageId for each; the sidecar only needs to know the types."""
    async with scripted() as (_, upstream), sidecar(upstream) as running, stub_of(running) as stub:
        for _ in range(2):
            await stub.SendMessage(send("what holds a bridge up?", at_once=True), timeout=5)
        await stub.SendMessage(send("another question", at_once=True), timeout=5)
    assert rules(running) == ["duplicate"]


async def test_a_stuck_task_shows_in_the_metrics_while_nobody_calls():
    """No message passes and still it is seen, within a quarter of the limit."""
    async with (
        scripted() as (_, upstream),
        sidecar(upstream, tasks={"stuck_after": "1s"}) as running,
        stub_of(running) as stub,
    ):
        await stub.SendMessage(send(at_once=True), timeout=5)
        async with asyncio.timeout(10):
            while metric(running, "stuck_tasks", callee="researcher") != 1:
                await asyncio.sleep(0.05)
        assert metric(running, "tasks", callee="researcher", state="TASK_STATE_WORKING") == 1
        found = {
            "check": "task",
            "rule": "stuck",
            "severity": "warning",
            "caller": "_unknown",
            "callee": "researcher",
            "action": "observed",
        }
        assert metric(running, "findings_total", **found) == 1


async def test_the_callees_sidecar_keeps_the_tasks_where_there_is_one(tmp_path: Path):
    """Two sidecars on one file see the first exchange; every step is counted once."""
    store = f"sqlite://{tmp_path}/state.db"
    async with scripted() as (agent, upstream), sidecar(upstream, store=store) as callees:
        route = {"caller": "planner", "callee": "researcher"}
        options = {"agent": "planner", "mode": "enforce", "descriptors": ["a2a.types.a2a_pb2"], "store": store}
        async with running_sidecar(callees.address, route=route, **options) as callers, stub_of(callers) as stub:
            await stub.SendMessage(send(), timeout=5)
            agent.state = DONE
            await stub.GetTask(GetTaskRequest(id="t1"), timeout=5)
            pages = [callers, callees]
            labels = {"callee": "researcher", "legal": "true"}
            first = {**labels, "from": "_none", "to": "TASK_STATE_WORKING"}
            second = {**labels, "from": "TASK_STATE_WORKING", "to": "TASK_STATE_COMPLETED"}
            counts = [[metric(page, "task_transitions_total", **each) for page in pages] for each in (first, second)]
    assert counts == [[None, 1], [None, 1]]
