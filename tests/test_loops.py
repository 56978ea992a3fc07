"""Loops over several sidecars: each agent behind its own, all of them on one Redis, and nobody sees the whole."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from a2a.types import a2a_pb2
from grpc import aio
from redis import Redis

from sidecar.checks.loop import Ladder, Limits
from sidecar.config import parse
from sidecar.engine.exchange import Mode, Side
from sidecar.testing import RunningSidecar, running_sidecar
from sidecar.wiring import loop_ladder
from tests.served import serving
from tests.stores.places import RedisServer, free_port

ASK = "/lf.a2a.v1.A2AService/SendMessage"
DESCRIPTORS = Path(__file__).parent.parent / "specs" / "a2a" / "a2a_v1.binpb"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def store(redis: RedisServer) -> str:
    """The URL of an empty Redis."""
    with Redis.from_url(redis.url) as client:
        client.flushall()
    return redis.url


def request(text: str, context: str = "c") -> bytes:
    """With a messageId of its own: whoever asks again thinks that it is new."""
    said = a2a_pb2.Message(message_id=uuid.uuid4().hex, context_id=context, parts=[a2a_pb2.Part(text=text)])
    return a2a_pb2.SendMessageRequest(message=said).SerializeToString()


def answer(text: str) -> bytes:
    said = a2a_pb2.Message(message_id=uuid.uuid4().hex, parts=[a2a_pb2.Part(text=text)])
    return a2a_pb2.SendMessageResponse(message=said).SerializeToString()


@dataclass
class Agent:
    """Asks the next agent before it answers, and carries no header: it cannot know that it is asked by itself."""

    name: str
    next_port: int
    patience: int
    """Calls after which it answers without asking on."""
    heard: int = 0
    refused: list[grpc.StatusCode] = field(default_factory=list)

    async def answer(self, payload: bytes, context: Any) -> bytes:
        self.heard += 1
        if self.heard > self.patience:
            return answer("enough")
        asked = a2a_pb2.SendMessageRequest.FromString(payload).message
        async with aio.insecure_channel(f"127.0.0.1:{self.next_port}") as channel:
            try:
                passed_on = request(asked.parts[0].text, context=asked.context_id)
                return await channel.unary_unary(ASK)(passed_on, timeout=20)
            except aio.AioRpcError as error:
                self.refused.append(error.code())
                return answer("nobody knows")


@dataclass
class Ring:
    """a asks b, b asks c, c asks a."""

    agents: list[Agent]
    sidecars: list[RunningSidecar]

    async def ask(self) -> bytes:
        async with aio.insecure_channel(self.sidecars[0].address) as channel:
            answer: bytes = await channel.unary_unary(ASK)(request("who decides?"), timeout=30)
            return answer

    def loops(self) -> Counter[tuple[str, str]]:
        """(kind, action) over all sidecars, as their metrics have them."""
        counted: Counter[tuple[str, str]] = Counter()
        for sidecar in self.sidecars:
            for family in sidecar.app.metrics.registry.collect():
                for sample in family.samples:
                    if sample.name == "sidecar_loops_total":
                        counted[sample.labels["kind"], sample.labels["action"]] += int(sample.value)
        return counted


@asynccontextmanager
async def ring(store: str, *, mode: str = "enforce", patience: int = 100, **loops: Any) -> AsyncIterator[Ring]:
    names = ("a", "b", "c")
    inbound, outbound = [free_port() for _ in names], [free_port() for _ in names]
    agents = [Agent(name, outbound[place], patience) for place, name in enumerate(names)]
    async with AsyncExitStack() as stack:
        sidecars = []
        for place, agent in enumerate(agents):
            after = (place + 1) % 3
            upstream = await stack.enter_async_context(serving(agent.answer))
            routes = [
                {"listen": f"127.0.0.1:{inbound[place]}", "upstream": upstream, "callee": agent.name},
                {
                    "listen": f"127.0.0.1:{outbound[place]}",
                    "upstream": f"127.0.0.1:{inbound[after]}",
                    "caller": agent.name,
                    "callee": names[after],
                },
            ]
            options = {"routes": routes, "descriptors": [DESCRIPTORS], "store": store, "loops": {"slow": "0s", **loops}}
            made = running_sidecar(upstream, agent=agent.name, mode=mode, **options)
            sidecars.append(await stack.enter_async_context(made))
        yield Ring(agents, sidecars)


async def test_a_loop_over_three_agents_is_broken_though_each_sees_only_its_own_calls(store: str):
    """The fourth round is refused: a was asked by a person and three times by c."""
    async with ring(store) as made:
        assert b"nobody knows" in await made.ask()
        assert made.loops()["cycle", "rejected"] == 1
        assert [agent.heard for agent in made.agents] == [4, 4, 4]
        assert [code for agent in made.agents for code in agent.refused] == [grpc.StatusCode.FAILED_PRECONDITION]


async def test_observe_lets_the_loop_go_on_until_somebody_else_ends_it(store: str):
    """Every request past a limit is counted once, though two sidecars see each exchange."""
    async with ring(store, mode="observe", reentry="allow", patience=7) as made:
        assert b"enough" in await made.ask()
        assert [agent.heard for agent in made.agents] == [8, 7, 7]
        exchanges, rounds_allowed = 8 + 7 + 7, 12
        assert sum(made.loops().values()) == exchanges - rounds_allowed
        assert made.loops()["hops", "observed"] == exchanges - 16


async def echo(payload: bytes, context: Any) -> bytes:
    return answer("the same answer as always")


@asynccontextmanager
async def two_sidecars(
    store: str, upstream: str, **outbound: Any
) -> AsyncIterator[tuple[RunningSidecar, RunningSidecar]]:
    """The callee's, and before it the caller's, which keeps its own count beside it."""
    options = {"store": store, "descriptors": [DESCRIPTORS], "loops": {"slow": "0s"}}
    async with running_sidecar(upstream, mode="enforce", agent="callee", **options) as callee:
        route = {"caller": "caller", "callee": "callee", "guards": "always", **outbound}
        made = running_sidecar(callee.address, mode="enforce", agent="caller", route=route, **options)
        async with made as caller:
            yield caller, callee


async def codes(address: str, times: int, text: str = "why") -> list[str]:
    found = []
    async with aio.insecure_channel(address) as channel:
        for _ in range(times):
            try:
                await channel.unary_unary(ASK)(request(text), timeout=10)
                found.append("OK")
            except aio.AioRpcError as error:
                found.append(error.code().name)
    return found


async def test_an_exchange_that_passes_two_sidecars_counts_once(store: str):
    """Five calls pass through both; if each counted for itself, only two would."""
    async with serving(echo) as upstream, two_sidecars(store, upstream) as (caller, callee):
        assert await codes(caller.address, 7) == ["OK"] * 5 + ["FAILED_PRECONDITION"] * 2
        assert len(callee.outcomes) == 5


async def test_the_last_calls_allowed_carry_the_hint_to_the_caller():
    """A trailer that a framework can read; and the refusal says that it is ours."""
    async with (
        serving(echo) as upstream,
        running_sidecar(upstream, mode="enforce", descriptors=[DESCRIPTORS], loops={"slow": "0s"}) as sidecar,
    ):
        await codes(sidecar.address, 4)
        async with aio.insecure_channel(sidecar.address) as channel:
            call = channel.unary_unary(ASK)(request("why"))
            await call
            assert ("sidecar-hint", "loop; remaining=0; kind=repeat") in tuple(await call.trailing_metadata())
            refused = channel.unary_unary(ASK)(request("why"))
            assert await refused.code() is grpc.StatusCode.FAILED_PRECONDITION
            assert ("sidecar-reply", "LOOP_DETECTED") in tuple(await refused.trailing_metadata())


async def test_the_last_call_allowed_is_slowed_for_real():
    """By the system's clock, and other calls do not wait with it."""
    loops = {"slow": "400ms", "repeats": 2}
    async with (
        serving(echo) as upstream,
        running_sidecar(upstream, mode="enforce", descriptors=[DESCRIPTORS], loops=loops) as sidecar,
    ):
        await codes(sidecar.address, 1)
        begun = asyncio.get_running_loop().time()
        slowed = asyncio.create_task(codes(sidecar.address, 1))
        await codes(sidecar.address, 1, "another question")
        assert asyncio.get_running_loop().time() - begun < 0.3
        assert await slowed == ["OK"]
        assert asyncio.get_running_loop().time() - begun >= 0.4


async def test_at_the_same_time_exactly_as_many_pass_as_are_allowed(store: str):
    """Twenty at once, over two replicas of one sidecar."""
    options = {"mode": "enforce", "store": store, "descriptors": [DESCRIPTORS], "loops": {"slow": "0s"}}
    async with (
        serving(echo) as upstream,
        running_sidecar(upstream, **options) as one,
        running_sidecar(upstream, **options) as two,
    ):
        found = await asyncio.gather(*(codes(sidecar.address, 1) for sidecar in (one, two) for _ in range(10)))
        assert [code for each in found for code in each].count("OK") == 5


def test_every_key_of_the_configuration_reaches_the_check():
    """A key that is read and not handed on would be a promise not kept."""
    text = """
agent: a
routes: [{listen: ":1", upstream: "other:2"}]
loops:
  {window: 1m, repeats: 2, drifts: 3, cycles: 4, hops: 6, reads: 7, reentry: enforce, slow: 8s, cooldown: 9s,
   mode: observe}
"""
    ladder = loop_ladder(parse(text, name="s.yaml", base=Path(), environ={}))
    limits = Limits(repeats=2, drifts=3, cycles=4, hops=6, reads=7)
    assert ladder == Ladder(limits, 60.0, 9.0, 8.0, Mode.ENFORCE, Mode.OBSERVE)
    without = text.replace("reentry: enforce", "reentry: allow")
    allowed = loop_ladder(parse(without, name="s.yaml", base=Path(), environ={}))
    assert allowed is not None
    assert allowed.reentry is None
    plain = text[: text.index("loops:")]
    assert loop_ladder(parse(plain, name="s.yaml", base=Path(), environ={})) == Ladder()


async def test_loops_can_be_turned_off():
    """Nothing is counted then, and nothing is read for it."""
    async with (
        serving(echo) as upstream,
        running_sidecar(upstream, mode="enforce", descriptors=[DESCRIPTORS], loops=False) as sidecar,
    ):
        assert await codes(sidecar.address, 8) == ["OK"] * 8


async def test_findings_of_a_loop_name_the_callers_side(store: str):
    """The callee's sidecar guards, so it says what was found; the caller's relays the refusal."""
    async with serving(echo) as upstream, two_sidecars(store, upstream, guards="auto") as (caller, callee):
        await codes(caller.address, 6)
        found = [finding.rule for outcome in callee.outcomes for finding in outcome.exchange.findings]
        assert found == ["repeat-near", "repeat-near", "repeat"]
        assert {outcome.exchange.side for outcome in caller.outcomes} == {Side.OUTBOUND}
        assert [finding for outcome in caller.outcomes for finding in outcome.exchange.findings] == []
