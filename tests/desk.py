"""A desk where work is done and paid for, and sidecars before it with every guard on: real gRPC, in this process."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from a2a.types import a2a_pb2 as a2a
from grpc import aio

from sidecar.engine.state.visits import Visit
from sidecar.testing import RunningSidecar, running_sidecar

A2A = Path(__file__).parent.parent / "specs" / "a2a" / "a2a_v1.binpb"
SEND = "/lf.a2a.v1.A2AService/SendMessage"
STREAM = "/lf.a2a.v1.A2AService/SendStreamingMessage"
READ = "/lf.a2a.v1.A2AService/GetTask"
PLACE = "/shop.Orders/Place"
"""Described nowhere: JSON on a method that could be of any cardinality."""

WORK = (SEND, STREAM, PLACE)

ESTIMATE, COST = 10_000, 1_234
"""What a call is held at, and what the desk says that it cost, in micro-USD."""

TRACE = (("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)
"""One conversation, also for what nobody described."""

PRICES = {"models": [{"name": "m", "input_usd_per_mtok": 1, "output_usd_per_mtok": 1}]}
"""One token is one micro-USD."""

PROMPT_S = 10.0
"""Far more than anything here takes."""


@dataclass
class Desk(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """Counts what it does, by the text that it was asked. It answers when its door is open."""

    done: Counter[str] = field(default_factory=Counter)
    spent_micro_usd: int = 0
    inside: int = 0
    door: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    says: str = "a fine answer"
    pause_s: float = 0.0
    cost_of: Callable[[str], int] = lambda text: COST
    """What it says that a text cost, in micro-USD."""

    def service(self, details: Any) -> Any:
        if details.method == STREAM:
            return grpc.unary_stream_rpc_method_handler(self._stream)
        answer = {SEND: self._send, READ: self._read}.get(details.method, self._place)
        return grpc.unary_unary_rpc_method_handler(answer)

    async def _send(self, payload: bytes, context: Any) -> bytes:
        asked = a2a.SendMessageRequest.FromString(payload).message
        await self._work(asked.parts[0].text, context)
        return a2a.SendMessageResponse(task=self._task(asked)).SerializeToString()

    async def _stream(self, payload: bytes, context: Any) -> AsyncIterator[bytes]:
        asked = a2a.SendMessageRequest.FromString(payload).message
        await self._work(asked.parts[0].text, context)
        yield a2a.StreamResponse(task=self._task(asked, "TASK_STATE_WORKING")).SerializeToString()
        yield a2a.StreamResponse(task=self._task(asked)).SerializeToString()

    async def _read(self, payload: bytes, context: Any) -> bytes:
        name = a2a.GetTaskRequest.FromString(payload).id
        await self._work(name, context)
        return a2a.Task(id=name, status=a2a.TaskStatus(state="TASK_STATE_WORKING")).SerializeToString()

    async def _place(self, payload: bytes, context: Any) -> bytes:
        asked = json.loads(payload)
        await self._work(asked["text"], context)
        number = sum(self.done.values())
        usage = {"input_tokens": self.cost_of(asked["text"]), "output_tokens": 0}
        return json.dumps({"number": number, "says": self.says, "model": "m", "usage": usage}).encode()

    async def _work(self, text: str, context: Any) -> None:
        self.done[text] += 1
        self.spent_micro_usd += self.cost_of(text)
        self.inside += 1
        self.arrived.set()
        context.set_trailing_metadata((("desk-trailer", "t"),))
        try:
            await self.door.wait()
            await asyncio.sleep(self.pause_s)
        finally:
            self.inside -= 1

    def _task(self, asked: Any, state: str = "TASK_STATE_COMPLETED") -> Any:
        """Another one for each execution; it says what it cost, and of which document it made a new version."""
        number = sum(self.done.values())
        part = a2a.Part(text=f"{self.says} {number}")
        task = a2a.Task(id=f"t-{asked.message_id}", context_id=asked.context_id, status=a2a.TaskStatus(state=state))
        task.artifacts.append(a2a.Artifact(artifact_id="a", parts=[part]))
        usage = {"input_tokens": self.cost_of(asked.parts[0].text), "output_tokens": 0}
        task.metadata.update({"model": "m", "usage": usage})
        task.metadata.update({"doc": "d", "version": str(number)})
        return task


@asynccontextmanager
async def running_desk(*, is_open: bool = True) -> AsyncIterator[tuple[Desk, str]]:
    """The desk and its address."""
    desk = Desk()
    if is_open:
        desk.door.set()
    server = aio.server()
    server.add_generic_rpc_handlers((desk,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield desk, f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


def spec(method: str, **more: Any) -> dict[str, Any]:
    """A contract that asks for everything."""
    is_json = method == PLACE
    where = "$.doc" if is_json else "$..metadata.doc"
    return {
        "spec": f"{method.rpartition('/')[2].lower()}/v1",
        "match": {"callee": "desk", "method": method},
        "idempotency": {"key": "$.idempotencyKey" if is_json else "$.message.messageId", "retain": "1h"},
        "task": {} if not is_json else {"id": "$.task", "state": "$.state", "machine": "a2a"},
        "resource": {"name": "doc", "key": where, "version": where.replace("doc", "version"), "writes": True},
        "cost": {"estimate_usd": ESTIMATE / 1e6},
        **more,
    }


def running_guarded(upstream: str, folder: Path, **more: Any) -> AbstractAsyncContextManager[RunningSidecar]:
    """A sidecar with every guard on. `specs` are documents; further root keys replace ours."""
    documents = more.pop("specs", None) or [spec(method) for method in WORK]
    paths = []
    for number, document in enumerate(documents):
        paths.append(folder / f"spec-{number}.json")
        paths[-1].write_text(json.dumps(document))
    settings = {
        "mode": "enforce",
        "agent": "desk",
        "descriptors": [A2A],
        "route": {"caller": "planner", "callee": "desk"},
        "loops": {"repeats": 5, "slow": "0s"},
        "idempotency": {"wait": "10s"},
        "pressure": {
            "limits": [{"callee": "desk", "concurrency": 50, "rate": "500/s"}],
            "retries": {},
            "breaker": {},
            "deadlocks": {"agents": [{"name": "desk", "serves": 10}], "mode": "enforce"},
        },
        "budgets": [{"name": "all", "scope": "global", "limit_usd": 1}],
        "prices": PRICES,
        **more,
    }
    return running_sidecar(upstream, specs=paths, **settings)


def asking(method: str, key: str, text: str = "please", context: str = "c") -> bytes:
    """A request of one method."""
    if method == PLACE:
        return json.dumps({"idempotencyKey": key, "text": text, "doc": "d"}).encode()
    if method == READ:
        return a2a.GetTaskRequest(id=key).SerializeToString()
    said = a2a.Message(message_id=key, context_id=context, parts=[a2a.Part(text=text)])
    said.metadata.update({"doc": "d"})
    return a2a.SendMessageRequest(message=said).SerializeToString()


@dataclass(frozen=True, slots=True)
class Heard:
    """What the caller got."""

    code: str
    messages: tuple[bytes, ...] = ()
    headers: tuple[tuple[str, Any], ...] = ()
    trailers: tuple[tuple[str, Any], ...] = ()
    details: str = ""

    @property
    def reply(self) -> str:
        return str(dict(self.trailers).get("sidecar-reply", ""))

    @property
    def own_trailers(self) -> list[str]:
        return [key for key, _ in self.trailers if key.startswith("sidecar")]


def call(channel: Any, method: str, payload: bytes, timeout_s: float = PROMPT_S) -> Any:
    """Under way."""
    kind = channel.unary_stream if method == STREAM else channel.unary_unary
    return kind(method)(payload, metadata=TRACE, timeout=timeout_s)


async def heard(under_way: Any) -> Heard:
    """How it ended."""
    messages: list[bytes] = []
    try:
        if hasattr(under_way, "read"):
            while (payload := await under_way.read()) is not aio.EOF:
                messages.append(payload)
        else:
            messages.append(await under_way)
    except (aio.AioRpcError, asyncio.CancelledError):
        pass
    headers, trailers = await under_way.initial_metadata(), await under_way.trailing_metadata()
    code = await under_way.code()
    details = await under_way.details() or ""
    return Heard(code.name, tuple(messages), tuple(headers or ()), tuple(trailers or ()), details)


async def ask(channel: Any, method: str, key: str, text: str = "please") -> Heard:
    return await heard(call(channel, method, asking(method, key, text)))


async def until(is_so: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(PROMPT_S):
        while True:
            answer = is_so()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)


async def money(running: RunningSidecar, budget: str = "all") -> tuple[int, int]:
    """Spent and held, in micro-USD."""
    fullest = await running.app.line_up.store.ledger.fullest(budget, 0)
    return (fullest[0].spent_micro_usd, fullest[0].held_micro_usd) if fullest else (0, 0)


async def visits(running: RunningSidecar) -> int:
    """Visits of the conversation, whose trail a probe of another edge reads."""
    store, conversation = running.app.line_up.store, running.outcomes[0].exchange.lineage.conversation
    probe = Visit(7, 7, 7, 7, 7, 7)
    trail = (await store.visits.visit(conversation, probe, window_s=600)).trail
    await store.visits.withdraw(conversation, probe.exchange)
    return len(trail) - 1


def sample(running: RunningSidecar, name: str, **labels: str) -> float:
    return running.app.metrics.registry.get_sample_value(name, labels) or 0.0
