"""A sidecar with its admin service, and somebody who calls it: real gRPC, in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status

from sidecar.testing import RunningSidecar, running_sidecar
from sidecar.v1 import admin_pb2, common_pb2
from sidecar.v1.admin_pb2_grpc import AdminStub
from tests.served import handled_by

ASK = "/shop.Orders/Ask"
TOKENS = {"ops": "an-operators-token-0123456789", "eyes": "a-readers-token-0123456789ab"}
PROMPT_S = 10.0
BECAUSE = "a test says so"

Edge = common_pb2.Edge
SERVICE = admin_pb2.DESCRIPTOR.services_by_name["Admin"]


class Echo(grpc.GenericRpcHandler):
    """Answers what it is asked; on another method each message of a stream."""

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        if details.method.endswith("Stream"):
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, payload: bytes, context: Any) -> bytes:
        return payload

    async def _stream(self, requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for payload in requests:
            yield payload


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    async with handled_by(Echo()) as address:
        yield address


@dataclass
class Operator:
    """One who calls the admin service, with a token or without."""

    channel: aio.Channel
    token: str = ""

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def __getattr__(self, method: str) -> Callable[..., Any]:
        """`await operator.GetStatus()`, with the request's fields."""
        stub = getattr(AdminStub(self.channel), method)
        request = getattr(admin_pb2, SERVICE.methods_by_name[method].input_type.name)

        def call(**fields: Any) -> Any:
            return stub(request(**fields), metadata=self.metadata, timeout=PROMPT_S)

        return call


@dataclass
class Desk:
    """One sidecar before an agent that echoes, and those who look at it."""

    sidecar: RunningSidecar
    channel: aio.Channel
    agent: aio.Channel
    operator: Operator
    reader: Operator
    nobody: Operator

    async def ask(self, text: str = "x", method: str = ASK, **more: Any) -> bytes:
        payload = json.dumps({"item": text}).encode()
        answer: bytes = await self.agent.unary_unary(method)(payload, timeout=PROMPT_S, **more)
        return answer

    async def refusal(self, text: str = "x") -> str:
        """The reason that the caller is told; empty where it is answered."""
        try:
            await self.ask(text)
        except aio.AioRpcError as error:
            return dict(error.trailing_metadata() or ()).get("sidecar-reply", error.code().name)
        return ""


def tokens_in(folder: Path) -> list[dict[str, str]]:
    """The tokens of the configuration, in files."""
    for name, secret in TOKENS.items():
        (folder / name).write_text(secret + "\n")
    return [
        {"name": "ops", "role": "operate", "secret_file": str(folder / "ops")},
        {"name": "eyes", "role": "read", "secret_file": str(folder / "eyes")},
    ]


@asynccontextmanager
async def running_desk(folder: Path, *, upstream: str = "", admin: Any = None, **more: Any) -> AsyncIterator[Desk]:
    """A sidecar that enforces, from planner to desk. Further keys are those of the configuration."""
    settings = {
        "mode": "enforce",
        "agent": "desk",
        "route": {"caller": "planner", "callee": "desk", "name": "inbound"},
        "admin": {"listen": "127.0.0.1:0", "tokens": tokens_in(folder), **(admin or {})},
        **more,
    }
    async with AsyncExitStack() as stack:
        address = upstream or await stack.enter_async_context(echoing())
        sidecar = await stack.enter_async_context(running_sidecar(address, **settings))
        channel = await stack.enter_async_context(aio.insecure_channel(sidecar.admin_address))
        agent = await stack.enter_async_context(aio.insecure_channel(sidecar.address))
        people = (Operator(channel, TOKENS["ops"]), Operator(channel, TOKENS["eyes"]), Operator(channel))
        yield Desk(sidecar, channel, agent, *people)


@dataclass(frozen=True)
class Refused:
    """What a caller was told."""

    code: str
    reason: str
    facts: dict[str, str]
    details: str
    fields: tuple[str, ...] = ()
    retry_delay_s: float | None = None


async def refused(call: Awaitable[Any]) -> Refused:
    """The call must fail, with the details that every failure carries."""
    try:
        answer = await call
    except aio.AioRpcError as error:
        return told(error)
    raise AssertionError(f"it was answered: {answer}")


def told(error: aio.AioRpcError) -> Refused:
    status = rpc_status.from_call(error)
    if status is None:
        return Refused(error.code().name, "", {}, error.details() or "")
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    delay_s = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
        if detail.Unpack(retry):
            delay_s = retry.retry_delay.ToNanoseconds() / 1e9
    assert info.domain == "sidecar.admin"
    fields = tuple(each.field for each in bad.field_violations)
    return Refused(error.code().name, info.reason, dict(info.metadata), error.details() or "", fields, delay_s)


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(PROMPT_S):
        while True:
            answer = is_so()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(0.01)
