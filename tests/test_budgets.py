"""Budgets through real sidecars: real gRPC, real stores, 200 calls at once."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from a2a.types import a2a_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from sidecar.testing import RunningSidecar, running_sidecar
from tests.served import handled_by
from tests.stores.places import RedisServer

SEND = "/lf.a2a.v1.A2AService/SendMessage"
STREAM = "/lf.a2a.v1.A2AService/SendStreamingMessage"
A2A = Path(__file__).parent.parent / "specs" / "a2a" / "a2a_v1.binpb"
MICRO_PER_TOKEN = {"models": [{"name": "m", "input_usd_per_mtok": 1, "output_usd_per_mtok": 1}]}
"""One token is one micro-USD."""


def request(context_id: str = "c") -> bytes:
    said = a2a_pb2.Message(message_id="m", context_id=context_id, parts=[a2a_pb2.Part(text="please")])
    return a2a_pb2.SendMessageRequest(message=said).SerializeToString()


def task(tokens: int | None) -> a2a_pb2.Task:
    done = a2a_pb2.Task(id="t", context_id="c", status=a2a_pb2.TaskStatus(state="TASK_STATE_COMPLETED"))
    if tokens is not None:
        done.metadata.update({"model": "m", "usage": {"input_tokens": tokens, "output_tokens": 0}})
    return done


class Agent(grpc.GenericRpcHandler):
    """Answers after a moment with what it used; counts what reached it."""

    def __init__(self, tokens: int | None = None, ask: Any = None) -> None:
        self.tokens, self.ask, self.asked = tokens, ask, 0

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        if details.method == STREAM:
            return grpc.unary_stream_rpc_method_handler(self.stream)
        return grpc.unary_unary_rpc_method_handler(self.answer)

    async def answer(self, payload: bytes, context: Any) -> bytes:
        self.asked += 1
        await asyncio.sleep(0.02)
        if self.ask is not None:
            await self.ask()
        return a2a_pb2.SendMessageResponse(task=task(self.tokens)).SerializeToString()

    async def stream(self, payload: bytes, context: Any) -> AsyncIterator[bytes]:
        """Usage so far, three times; then it waits to be left."""
        for tokens in (100, 2_000, 5_000):
            yield a2a_pb2.StreamResponse(task=task(tokens)).SerializeToString()
        await asyncio.sleep(30)


@asynccontextmanager
async def serving(agent: Agent) -> AsyncIterator[str]:
    async with handled_by(agent) as address:
        yield address


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


def sidecar(upstream: str, budget: dict[str, Any], **more: Any) -> Any:
    settings = {"mode": "enforce", "descriptors": [A2A], "prices": MICRO_PER_TOKEN, **more}
    return running_sidecar(upstream, budgets=[{"name": "all", **budget}], **settings)


async def ask(address: str, method: str = SEND, context_id: str = "c") -> Any:
    """The answer, or the error."""
    async with aio.insecure_channel(address) as channel:
        try:
            call = channel.unary_unary(method)(request(context_id), timeout=20)
            await call
        except aio.AioRpcError as error:
            return error
        return call


async def spent(running: RunningSidecar, budget: str = "all") -> int:
    fullest = await running.app.line_up.store.ledger.fullest(budget, 0)
    assert not fullest or fullest[0].held_micro_usd == 0
    return fullest[0].spent_micro_usd if fullest else 0


def scraped(running: RunningSidecar) -> str:
    with urllib.request.urlopen(running.metrics_url) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("where", ["memory", "sqlite", "redis", "two on one redis"])
async def test_200_calls_at_once_spend_exactly_what_fits(where: str, tmp_path: Path, request: pytest.FixtureRequest):
    """$2.00 at three cents a call: 66 are answered, 134 are refused, and $1.98 is spent."""
    store = {"memory": "memory://", "sqlite": f"sqlite://{tmp_path}/state.db"}.get(where)
    if store is None:
        server: RedisServer = request.getfixturevalue("redis_server")
        # A database of its own for each case.
        store = server.url.removesuffix("/0") + ("/1" if where == "redis" else "/2")
    agent = Agent(tokens=30_000)
    budget = {"scope": "global", "limit_usd": 2.00, "hold_usd": 0.03}
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serving(agent))
        running = [
            await stack.enter_async_context(sidecar(upstream, budget, store=store))
            for _ in range(2 if where.startswith("two") else 1)
        ]
        calls = (ask(running[number % len(running)].address) for number in range(200))
        answers = await asyncio.gather(*calls)
        codes = [answer.code() if isinstance(answer, aio.AioRpcError) else grpc.StatusCode.OK for answer in answers]
        assert codes.count(grpc.StatusCode.OK) == agent.asked == 66
        assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 134
        assert [await spent(each) for each in running] == [1_980_000] * len(running)


async def test_a_refusal_says_which_budget_is_exhausted_and_a_hint_says_that_it_soon_will_be():
    """QuotaFailure for machines, a sentence for people, a trailer for frameworks."""
    budget = {"scope": "conversation", "limit_usd": 0.02, "warn_at": 0.5, "hold_usd": 0.01}
    async with serving(Agent(tokens=10_000)) as upstream, sidecar(upstream, budget) as running:
        first, second, third = [await ask(running.address) for _ in range(3)]
        assert dict(await first.trailing_metadata())["sidecar-hint"] == "budget; name=all; remaining_usd=0.01"
        assert dict(await second.trailing_metadata())["sidecar-hint"] == "budget; name=all; remaining_usd=0.00"
        assert third.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(third.trailing_metadata())["sidecar-reply"] == "BUDGET_EXHAUSTED"
        status = status_pb2.Status.FromString(dict(third.trailing_metadata())["grpc-status-details-bin"])
        info, quota = error_details_pb2.ErrorInfo(), error_details_pb2.QuotaFailure()
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(quota)
        assert (info.reason, info.domain, info.metadata["rule"]) == ("BUDGET_EXHAUSTED", "sidecar", "exhausted")
        assert quota.violations[0].subject == f"budget:all:{info.metadata['conversation']}"
        assert quota.violations[0].description == (
            "budget all: 0.01 USD are needed and 0.00 of 0.02 are left (0.02 spent, 0.00 held)"
        )
        assert isinstance(await ask(running.address, context_id="another"), aio.UnaryUnaryCall)


async def test_a_stream_that_its_caller_leaves_costs_what_it_last_reported():
    """Nobody waits for the last chunk, and the money is spent all the same."""
    async with serving(Agent()) as upstream, sidecar(upstream, {"scope": "global", "limit_usd": 1}) as running:
        async with aio.insecure_channel(running.address) as channel:
            call = channel.unary_stream(STREAM)(request(), timeout=20)
            for _ in range(3):
                await call.read()
            call.cancel()
        for _ in range(100):
            if running.outcomes:
                break
            await asyncio.sleep(0.02)
        assert [outcome.status.code for outcome in running.outcomes] == ["CANCELLED"]
        assert await spent(running) == 5_000


async def test_an_upstream_that_cannot_be_reached_costs_nothing():
    """Never dispatched, so given back."""
    budget = {"scope": "global", "limit_usd": 1}
    async with sidecar("127.0.0.1:1", budget, route={"connect_timeout": "50ms"}) as running:
        assert (await ask(running.address)).code() is grpc.StatusCode.UNAVAILABLE
        assert await spent(running) == 0


async def test_observe_counts_the_money_and_changes_nothing():
    """The same budget, nobody refused, no trailer of ours."""
    budget = {"scope": "global", "limit_usd": 0.01}
    async with serving(Agent(tokens=10_000)) as upstream, sidecar(upstream, budget, mode="observe") as running:
        answers = [await ask(running.address) for _ in range(3)]
        assert all(isinstance(answer, aio.UnaryUnaryCall) for answer in answers)
        trailers = await asyncio.gather(*(answer.trailing_metadata() for answer in answers))
        keys = [key for each in trailers for key, _ in each]
        assert not any(key.startswith("sidecar") for key in keys)
        assert await spent(running) == 30_000
        assert 'sidecar_budget_events_total{budget="all",event="exceeded"} 2.0' in scraped(running)


async def test_metrics_tell_tokens_money_and_how_budgets_stand():
    """By agent and model; a model without a price is counted, and never free."""
    agent = Agent(tokens=10_000)
    async with serving(agent) as upstream, sidecar(upstream, {"scope": "agent", "limit_usd": 1}) as running:
        await ask(running.address)
        agent.tokens = None
        await ask(running.address)
        await running.app.line_up.money.standing.tell()
        seen = scraped(running)
    for line in (
        'sidecar_tokens_total{agent="callee",model="m",type="input"} 10000.0',
        'sidecar_cost_usd_total{agent="callee",model="m",source="reported"} 0.01',
        'sidecar_cost_usd_total{agent="callee",model="_unknown",source="estimated"} 0.01',
        'sidecar_wasted_cost_usd_total{reason="failed"} 0.0',
        'sidecar_budget_info{budget="all",scope="agent"} 1.0',
        'sidecar_budget_info{budget="handed-down",scope="conversation"} 1.0',
        'sidecar_budget_limit_usd{budget="all"} 1.0',
        'sidecar_budget_spent_usd{budget="all"} 0.02',
        'sidecar_budget_used_ratio_max{budget="all"} 0.02',
    ):
        assert line in seen


async def test_money_of_sub_calls_is_money_of_the_conversation_above_without_a_common_store():
    """Planner and writer, each behind a sidecar with a ledger of its own; the planner's budget bounds both."""
    writer, planner = Agent(tokens=40_000), Agent(tokens=10_000)
    async with AsyncExitStack() as stack:
        writer_address = await stack.enter_async_context(serving(writer))
        planner_address = await stack.enter_async_context(serving(planner))
        theirs = await stack.enter_async_context(
            running_sidecar(writer_address, agent="writer", mode="enforce", descriptors=[A2A], prices=MICRO_PER_TOKEN)
        )
        routes = [
            {"listen": "127.0.0.1:0", "upstream": planner_address},
            {"listen": "127.0.0.1:0", "upstream": theirs.address, "caller": "planner", "callee": "writer"},
        ]
        budget = {"scope": "conversation", "limit_usd": 0.2}
        ours = await stack.enter_async_context(sidecar(planner_address, budget, agent="planner", routes=routes))
        outbound = ours.app.routes[1].listener.address
        heard: list[Any] = []

        async def ask_writer() -> None:
            heard.append(await (await ask(outbound)).trailing_metadata())

        planner.ask = ask_writer
        assert isinstance(await ask(ours.address), aio.UnaryUnaryCall)
        assert await spent(ours) == 50_000
        assert isinstance(await ask(ours.address), aio.UnaryUnaryCall)
        assert await spent(ours) == 100_000
        # The writer was told what it may spend, and its caller's agent saw nothing of that.
        inbound = theirs.outcomes[-1].exchange
        assert inbound.lineage.remainder_micro_usd == (200_000 - 50_000 - 10_000) // 2
        assert inbound.spent_micro_usd == 40_000
        keys = {key for trailers in heard for key, _ in trailers}
        assert not any(key.startswith("sidecar") for key in keys)
        # Half of what is left is handed down; the writer spends more than that, and the next call finds too little.
        writer.tokens = 89_500
        await ask(ours.address)
        refused = await ask(ours.address)
        assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await spent(ours) == 199_500


async def test_no_charge_is_lost_or_doubled_when_redis_is_killed_between_two_sidecars_calls(tmp_path: Path):
    """Two real sidecars under load; Redis dies and returns. What it has counted is what the agent used."""
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always", "--save", "").start()
    agent = Agent(tokens=7_001)
    budget = {"scope": "global", "limit_usd": 1_000}
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serving(agent))
        running = [
            await stack.enter_async_context(
                sidecar(upstream, budget, store=server.url, spool=f"sqlite://{tmp_path}/spool-{number}.db")
            )
            for number in range(2)
        ]
        calls = []
        for number in range(300):
            calls.append(asyncio.create_task(ask(running[number % 2].address)))
            if number == 100:
                await asyncio.to_thread(server.kill)
            if number == 200:
                await asyncio.to_thread(server.start)
            await asyncio.sleep(0.003)
        answers = await asyncio.gather(*calls)
        assert all(isinstance(answer, aio.UnaryUnaryCall) for answer in answers)
        for _ in range(200):
            if not any(each.app.line_up.money.spool.waiting for each in running):
                break
            await asyncio.sleep(0.05)
        assert [await spent(each) for each in running] == [300 * 7_001] * 2
        merged = [line for line in scraped(running[0]).splitlines() if 'event="merged"' in line]
        assert float(merged[0].rpartition(" ")[2]) > 0
    server.stop()


async def test_a_spool_that_a_crash_would_lose_is_named_at_the_start(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
):
    """An operator who reads the start knows what a partition can cost."""
    budget = {"scope": "global", "limit_usd": 1}
    async with serving(Agent()) as upstream, sidecar(upstream, budget, store=redis_server.url):
        pass
    assert any("a crash before it is back would lose them" in record.getMessage() for record in caplog.records)
