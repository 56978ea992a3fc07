"""Deadlines for calls that carry none: given by the spec, smaller at every hop, and never in observe."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from sidecar.testing import RunningSidecar, running_sidecar
from tests.served import serving

ASK = "/shop.Orders/Ask"
PAUSE_S = 0.3
GIVEN_S = {"researcher": 5.0, "writer": 60.0}


@dataclass(slots=True)
class Agent:
    """Notes how long it is waited for, thinks, and asks the next one without a deadline, as A2A's client does."""

    next: Any = None
    seen_s: list[float | None] = field(default_factory=list)

    async def answer(self, payload: bytes, context: Any) -> bytes:
        self.seen_s.append(context.time_remaining())
        await asyncio.sleep(PAUSE_S)
        if self.next is not None:
            await self.next(payload)
        return payload


@dataclass(frozen=True, slots=True)
class Chain:
    """caller → [sidecar] → researcher → [sidecar] → [sidecar] → writer"""

    first: RunningSidecar
    researcher: Agent
    writer: Agent

    async def call(self, timeout: float | None = None) -> None:
        async with aio.insecure_channel(self.first.address) as channel:
            await channel.unary_unary(ASK)(b"x", timeout=timeout)


@asynccontextmanager
async def chain(folder: Path, *, mode: str = "enforce", spec_mode: str = "enforce") -> AsyncIterator[Chain]:
    for callee, deadline_s in GIVEN_S.items():
        text = f"spec: {callee}/v1\nmatch: {{callee: {callee}}}\nmode: {spec_mode}\ndeadline: {deadline_s:g}s\n"
        (folder / f"{callee}.yaml").write_text(text)
    researcher, writer = Agent(), Agent()
    common: dict[str, Any] = {"mode": mode, "specs": [folder]}
    async with (
        serving(researcher.answer) as at_researcher,
        serving(writer.answer) as at_writer,
        running_sidecar(at_writer, agent="writer", **common) as before_writer,
    ):
        routes = [
            {"listen": "127.0.0.1:0", "upstream": at_researcher, "callee": "researcher"},
            {"listen": "127.0.0.1:0", "upstream": before_writer.address, "caller": "researcher", "callee": "writer"},
        ]
        async with (
            running_sidecar(at_researcher, agent="researcher", routes=routes, **common) as first,
            aio.insecure_channel(first.app.routes[1].listener.address) as channel,
        ):
            researcher.next = channel.unary_unary(ASK)
            yield Chain(first, researcher, writer)


async def test_a_deadline_shrinks_at_every_hop(tmp_path: Path):
    """The spec of the first hop gives one; what is left of it bounds the next, whose own spec would give a minute."""
    async with chain(tmp_path) as played:
        await played.call()
    [at_researcher], [at_writer] = played.researcher.seen_s, played.writer.seen_s
    assert at_researcher is not None
    assert at_writer is not None
    assert at_researcher <= GIVEN_S["researcher"]
    assert at_writer <= at_researcher - PAUSE_S
    assert at_writer > GIVEN_S["researcher"] - 3


async def test_a_callers_own_deadline_is_never_replaced(tmp_path: Path):
    """Shorter or longer than the spec's, it is the caller who decides; it bounds what the callee asks in turn."""
    async with chain(tmp_path) as played:
        await played.call(timeout=20)
    [at_researcher], [at_writer] = played.researcher.seen_s, played.writer.seen_s
    assert at_researcher is not None
    assert at_writer is not None
    assert 10 < at_writer <= at_researcher - PAUSE_S <= 20


@pytest.mark.parametrize(("mode", "spec_mode"), [("observe", "enforce"), ("enforce", "observe")])
async def test_observe_never_gives_a_deadline(tmp_path: Path, mode: str, spec_mode: str):
    """On the route or in the spec: no agent on the way is waited for any shorter."""
    async with chain(tmp_path, mode=mode, spec_mode=spec_mode) as played:
        await played.call()
    assert (played.researcher.seen_s, played.writer.seen_s) == ([None], [None])


async def test_a_deadline_that_was_given_ends_the_call(tmp_path: Path):
    """The caller hears of it, and its callee is told to stop."""
    (tmp_path / "slow.yaml").write_text("spec: slow/v1\nmatch: {}\ndeadline: 100ms\n")
    agent = Agent()
    async with (
        serving(agent.answer) as upstream,
        running_sidecar(upstream, mode="enforce", specs=[tmp_path]) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        with pytest.raises(aio.AioRpcError) as caught:
            await channel.unary_unary(ASK)(b"x")
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
