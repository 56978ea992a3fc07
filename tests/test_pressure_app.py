"""Pressure through real gRPC: limits, breakers, shared reads and deadlocks of real sidecars."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status

from sidecar.testing import RunningSidecar, running_sidecar
from tests.stores.places import RedisServer, free_port

ASK = "/shop.Orders/Ask"
Script = Callable[[bytes, Any], Awaitable[bytes]]


class Agent(grpc.GenericRpcHandler):
    """An agent that does what its script says, and remembers how many calls it had at once."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls = self.inside = self.most = 0

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(self._served)

    async def _served(self, payload: bytes, context: Any) -> bytes:
        self.calls += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            return await self.script(payload, context)
        finally:
            self.inside -= 1


@asynccontextmanager
async def serving(agent: Agent, port: int = 0) -> AsyncIterator[str]:
    server = aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((agent,))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        await server.stop(0)


class Gate:
    """A script that answers when it is told to."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, payload: bytes, context: Any) -> bytes:
        await self.opened.wait()
        return payload


async def told(call: Any) -> str:
    """`OK`, or the code that the caller got."""
    try:
        await call
    except aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.01)


async def scraped(sidecar: RunningSidecar, name: str) -> list[str]:
    def read() -> str:
        with urllib.request.urlopen(sidecar.metrics_url, timeout=5) as page:
            return str(page.read().decode())

    return [line for line in (await asyncio.to_thread(read)).splitlines() if line.startswith(f"sidecar_{name}")]


def limits(**limit: Any) -> dict[str, Any]:
    return {"limits": [{"callee": "callee", **limit}]}


@pytest.mark.parametrize("places", [1, 20])
async def test_a_storm_reaches_the_callee_only_as_wide_as_its_limit(places: int):
    """A hundred at once: the limit's number is served, all others are told when to return, and then there is room."""
    gate = Gate()
    agent = Agent(gate)
    async with (
        serving(agent) as upstream,
        running_sidecar(upstream, mode="enforce", pressure=limits(concurrency=places)) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        ask = channel.unary_unary(ASK)
        calls = [ask(f"{number}".encode(), timeout=20) for number in range(100)]
        answers = [asyncio.create_task(told(call)) for call in calls]
        await until(lambda: sum(answer.done() for answer in answers) == 100 - places)
        assert agent.inside == places
        gate.opened.set()
        codes = await asyncio.gather(*answers)
        assert (codes.count("OK"), codes.count("RESOURCE_EXHAUSTED")) == (places, 100 - places)
        assert (agent.most, agent.calls) == (places, places)
        assert await scraped(sidecar, "shed_total") == [
            f'sidecar_shed_total{{callee="callee",reason="concurrency"}} {100 - places}.0'
        ]
        again = await asyncio.gather(*(told(ask(b"again", timeout=5)) for _ in range(places)))
        assert again == ["OK"] * places


async def test_a_caller_that_hangs_up_frees_its_place():
    """Its exchange ends when it leaves, not when the callee notices."""
    agent = Agent(Gate())
    async with (
        serving(agent) as upstream,
        running_sidecar(upstream, mode="enforce", pressure=limits(concurrency=1)) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        ask = channel.unary_unary(ASK)
        for _ in range(3):
            call = ask(b"first", timeout=20)
            first = asyncio.create_task(told(call))
            await until(lambda: agent.inside == 1)
            assert await told(ask(b"second", timeout=5)) == "RESOURCE_EXHAUSTED"
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await until(lambda: agent.inside == 0)


async def test_thirty_callers_refused_at_once_hear_of_thirty_moments():
    """Read from the wire, as their libraries would."""
    agent = Agent(Gate())
    async with (
        serving(agent) as upstream,
        running_sidecar(upstream, mode="enforce", pressure=limits(concurrency=0)) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        ask = channel.unary_unary(ASK)
        delays = sorted(await asyncio.gather(*(retry_delay_s(ask(b"q", timeout=5)) for _ in range(30))))
        assert len({round(delay_s, 3) for delay_s in delays}) >= 25
        assert delays[-1] - delays[0] > 0.5
        assert agent.calls == 0


async def retry_delay_s(call: Any) -> float:
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    assert status is not None
    info = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info.retry_delay.seconds + info.retry_delay.nanos / 1e9


async def test_a_breaker_opens_on_a_real_failing_agent_and_closes_when_it_is_well():
    """It fails, is left alone, is tried by one call, fails, is left alone again, and is back with the next try."""
    is_well = False

    async def script(payload: bytes, context: Any) -> bytes:
        if not is_well:
            await context.abort(grpc.StatusCode.INTERNAL, "model backend is gone")
        return payload

    agent = Agent(script)
    breaker = {"failures": 3, "cooldown": "300ms"}
    async with (
        serving(agent) as upstream,
        running_sidecar(upstream, mode="enforce", pressure={"breaker": breaker}) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        ask = channel.unary_unary(ASK)

        async def ask_ten() -> list[str]:
            return [await told(ask(f"{number}".encode(), timeout=5)) for number in range(10)]

        assert await scraped(sidecar, "breaker_open") == ['sidecar_breaker_open{target="agent:callee"} 0.0']
        assert await ask_ten() == ["INTERNAL"] * 3 + ["UNAVAILABLE"] * 7
        assert await scraped(sidecar, "breaker_open") == ['sidecar_breaker_open{target="agent:callee"} 1.0']
        assert await retry_delay_s(ask(b"when", timeout=5)) > 0.0
        await asyncio.sleep(0.35)
        assert await ask_ten() == ["INTERNAL"] + ["UNAVAILABLE"] * 9
        assert agent.calls == 4
        is_well = True
        await asyncio.sleep(0.35)
        assert await ask_ten() == ["OK"] * 10
        assert await scraped(sidecar, "breaker_open") == ['sidecar_breaker_open{target="agent:callee"} 0.0']
        assert await scraped(sidecar, "shed_total") == ['sidecar_shed_total{callee="callee",reason="breaker"} 17.0']


async def test_a_breaker_spares_callers_the_wait_for_an_agent_that_is_gone():
    """Nobody listens; after three calls the others are told at once, and the agent is found when it is back."""
    port = free_port()
    breaker = {"failures": 3, "cooldown": "300ms", "codes": ["UNAVAILABLE"]}
    async with (
        running_sidecar(f"127.0.0.1:{port}", mode="enforce", pressure={"breaker": breaker}) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        ask = channel.unary_unary(ASK)
        for number in range(3):
            assert await told(ask(f"{number}".encode(), timeout=5)) == "UNAVAILABLE"
        with pytest.raises(aio.AioRpcError) as caught:
            await ask(b"spared", timeout=5)
        assert "keeps failing" in str(caught.value.details())
        assert ("sidecar-reply", "UPSTREAM_UNREACHABLE") in tuple(caught.value.trailing_metadata())

        async def echo(payload: bytes, context: Any) -> bytes:
            return payload

        async with serving(Agent(echo), port):
            async with asyncio.timeout(10):
                while await told(ask(b"back", timeout=5)) != "OK":
                    await asyncio.sleep(0.1)


async def test_the_same_call_in_observe_is_served_and_counted():
    """One finding for each that enforcing would have refused, and nothing shed."""
    gate = Gate()
    agent = Agent(gate)
    async with (
        serving(agent) as upstream,
        running_sidecar(upstream, pressure=limits(concurrency=2)) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        answers = [asyncio.create_task(told(channel.unary_unary(ASK)(b"q", timeout=10))) for _ in range(10)]
        await until(lambda: agent.inside == 10)
        gate.opened.set()
        assert await asyncio.gather(*answers) == ["OK"] * 10
        (found,) = [line for line in await scraped(sidecar, "findings_total") if 'rule="concurrency"' in line]
        assert 'action="observed"' in found
        assert found.endswith(" 8.0")
        assert await scraped(sidecar, "shed_total") == []


def retrying(*codes: str) -> list[tuple[str, Any]]:
    """A channel whose gRPC retries by itself, at once and up to five times."""
    policy = {
        "maxAttempts": 5,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.01s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": list(codes),
    }
    return [("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]}))]


async def test_grpcs_own_retries_wait_as_long_as_they_are_told():
    """Its policy says 10 ms, the refusal says at least two seconds: one retry, and it finds its token."""

    async def echo(payload: bytes, context: Any) -> bytes:
        return payload

    agent = Agent(echo)
    async with (
        serving(agent) as upstream,
        running_sidecar(upstream, mode="enforce", pressure=limits(rate="30/m", burst=1)) as sidecar,
        aio.insecure_channel(sidecar.address, options=retrying("RESOURCE_EXHAUSTED")) as channel,
    ):
        ask = channel.unary_unary(ASK)
        assert await told(ask(b"first", timeout=5)) == "OK"
        began_s = asyncio.get_running_loop().time()
        assert await told(ask(b"second", timeout=10)) == "OK"
        assert asyncio.get_running_loop().time() - began_s >= 1.9
        assert [outcome.status.code for outcome in sidecar.outcomes] == ["OK", "RESOURCE_EXHAUSTED", "OK"]
        assert await scraped(sidecar, "retries_total") == [
            'sidecar_retries_total{callee="callee",caller="_unknown"} 1.0'
        ]


async def test_a_storm_of_grpcs_own_retries_ends_at_its_budget():
    """Ten calls that would be sent five times each reach a failing agent ten times, and twice more."""

    async def fail(payload: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "no")
        raise AssertionError

    agent = Agent(fail)
    retries = {"ratio": 0, "minimum": 2}
    async with (
        serving(agent) as upstream,
        running_sidecar(upstream, mode="enforce", pressure={"retries": retries}) as sidecar,
        aio.insecure_channel(sidecar.address, options=retrying("UNAVAILABLE")) as channel,
    ):
        ask = channel.unary_unary(ASK)
        codes = await asyncio.gather(*(told(ask(f"{number}".encode(), timeout=10)) for number in range(10)))
        assert agent.calls == 12
        assert codes.count("RESOURCE_EXHAUSTED") == 10
        assert await scraped(sidecar, "shed_total") == ['sidecar_shed_total{callee="callee",reason="retries"} 10.0']


# Reads.

PROTO_READS = """
spec: orders/v1
match: {callee: callee, method: /lf.a2a.v1.A2AService/GetTask}
reads: {single_flight: true}
"""
GET_TASK = "/lf.a2a.v1.A2AService/GetTask"
A2A = Path(__file__).parent.parent / "specs" / "a2a" / "a2a_v1.binpb"


async def test_reads_through_real_grpc_share_one_answer_and_outlive_the_first_caller(tmp_path: Path):
    """The first of twenty identical reads hangs up: the callee is asked a second time, and nineteen are answered."""
    (tmp_path / "orders.yaml").write_text(PROTO_READS)
    gate = Gate()
    agent = Agent(gate)
    async with (
        serving(agent) as upstream,
        running_sidecar(upstream, mode="enforce", descriptors=[A2A], specs=[tmp_path]) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        ask = channel.unary_unary(GET_TASK)
        payload = b"\x12\x02t1"
        first_call = ask(payload, timeout=20)
        first = asyncio.create_task(told(first_call))
        await until(lambda: agent.inside == 1)
        others = [ask(payload, timeout=20) for _ in range(19)]
        answers = [asyncio.create_task(told(other)) for other in others]
        await asyncio.sleep(0.3)
        assert agent.calls == 1
        first_call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await until(lambda: agent.calls == 2)
        gate.opened.set()
        assert await asyncio.gather(*answers) == ["OK"] * 19
        assert [await other for other in others] == [payload] * 19
        assert agent.calls == 2
        replies = [dict(await other.trailing_metadata()).get("sidecar-reply") for other in others]
        assert sorted(map(str, replies)) == ["None"] + ["REPLAYED"] * 18


# A fleet on one Redis.


@pytest.fixture
def redis(tmp_path: Path) -> Any:
    server = RedisServer(tmp_path).start()
    yield server
    server.stop()


async def test_a_fleet_shares_one_limit(redis: RedisServer):
    """Two sidecars of one callee, forty calls at each: five are served, wherever they came in."""
    gate = Gate()
    agent = Agent(gate)
    how: dict[str, Any] = {
        "mode": "enforce",
        "store": redis.url,
        "pressure": limits(concurrency=5, scope="fleet"),
    }
    async with (
        serving(agent) as upstream,
        running_sidecar(upstream, **how) as one,
        running_sidecar(upstream, **how) as two,
        aio.insecure_channel(one.address) as to_one,
        aio.insecure_channel(two.address) as to_two,
    ):
        asks = [to_one.unary_unary(ASK), to_two.unary_unary(ASK)] * 40
        answers = [asyncio.create_task(told(ask(b"q", timeout=20))) for ask in asks]
        await until(lambda: sum(answer.done() for answer in answers) == 75)
        assert agent.inside == 5
        gate.opened.set()
        codes = await asyncio.gather(*answers)
        assert (codes.count("OK"), codes.count("RESOURCE_EXHAUSTED")) == (5, 75)
        assert agent.most == 5
        assert await told(to_two.unary_unary(ASK)(b"after", timeout=5)) == "OK"


async def test_a_place_in_the_fleet_is_kept_for_as_long_as_the_call_lasts(redis: RedisServer):
    """Three leases long: while its sidecar lives it is renewed."""
    gate = Gate()
    agent = Agent(gate)
    pressure = {**limits(concurrency=1, scope="fleet"), "lease": "1s"}
    how: dict[str, Any] = {"mode": "enforce", "store": redis.url, "pressure": pressure}
    async with (
        serving(agent) as upstream,
        running_sidecar(upstream, **how) as one,
        running_sidecar(upstream, **how) as two,
        aio.insecure_channel(one.address) as to_one,
        aio.insecure_channel(two.address) as to_two,
    ):
        long = asyncio.create_task(told(to_one.unary_unary(ASK)(b"long", timeout=20)))
        await until(lambda: agent.inside == 1)
        for _ in range(6):
            await asyncio.sleep(0.5)
            assert await told(to_two.unary_unary(ASK)(b"other", timeout=5)) == "RESOURCE_EXHAUSTED"
        gate.opened.set()
        assert await long == "OK"
        assert await told(to_two.unary_unary(ASK)(b"other", timeout=5)) == "OK"


class Fleet:
    """Agents a, b and c, each of which serves one call at a time, behind a sidecar each and on one Redis."""

    NAMES = ("a", "b", "c")

    def __init__(self, redis_url: str, mode: str) -> None:
        self._store, self._mode = redis_url, mode
        self._stack = AsyncExitStack()
        self._busy = {name: asyncio.Lock() for name in self.NAMES}
        self._out: dict[tuple[str, str], Any] = {}
        self.sidecars: dict[str, RunningSidecar] = {}
        self.working: set[str] = set()
        self.go = {name: asyncio.Event() for name in self.NAMES}
        """An agent that works calls on once it may."""

    async def __aenter__(self) -> Fleet:
        await self._stack.__aenter__()
        # Sidecars listen where a free port is now, so that each agent knows the next one's before it runs.
        inbound = {name: free_port() for name in self.NAMES}
        for name in self.NAMES:
            upstream = await self._stack.enter_async_context(serving(Agent(self._script(name))))
            self.sidecars[name] = await self._stack.enter_async_context(self._sidecar(name, upstream, inbound))
        for name in self.NAMES:
            for served in self.sidecars[name].app.routes[1:]:
                channel = await self._stack.enter_async_context(aio.insecure_channel(served.listener.address))
                self._out[name, served.config.callee] = channel.unary_unary(ASK)
        return self

    async def __aexit__(self, *why: object) -> None:
        await self._stack.__aexit__(*why)  # type: ignore[arg-type]

    def _sidecar(self, name: str, upstream: str, inbound: dict[str, int]) -> Any:
        others = [other for other in self.NAMES if other != name]
        routes = [
            {"listen": f"127.0.0.1:{inbound[name]}", "upstream": upstream},
            *(
                {"listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{inbound[other]}", "caller": name, "callee": other}
                for other in others
            ),
        ]
        agents = [{"name": each, "serves": 1} for each in self.NAMES]
        deadlocks = {"agents": agents, "mode": self._mode}
        return running_sidecar(
            upstream,
            agent=name,
            mode="enforce",
            routes=routes,
            store=self._store,
            pressure={"deadlocks": deadlocks},
            drain={"timeout": "0s"},
        )

    def _script(self, name: str) -> Script:
        async def script(payload: bytes, context: Any) -> bytes:
            """`b,c` means: work, then call b and have it call c."""
            async with self._busy[name]:
                self.working.add(name)
                following, _, rest = payload.decode().partition(",")
                if not following:
                    return b"done"
                await self.go[name].wait()
                headers = [entry for entry in context.invocation_metadata() if entry[0] == "traceparent"]
                try:
                    answer: bytes = await self._out[name, following](rest.encode(), metadata=headers, timeout=20)
                except aio.AioRpcError as error:
                    await context.abort(error.code(), error.details() or "")
                return answer

        return script

    def ask(self, name: str, work: str) -> asyncio.Task[str]:
        async def ask() -> str:
            async with aio.insecure_channel(self.sidecars[name].address) as channel:
                return await told(channel.unary_unary(ASK)(work.encode(), timeout=20))

        return asyncio.create_task(ask())

    def deadlocks(self) -> list[dict[str, str]]:
        """Evidence of every deadlock that any of the sidecars told of an exchange that has ended."""
        ended = [outcome.exchange for sidecar in self.sidecars.values() for outcome in sidecar.outcomes]
        return [dict(one.evidence) for each in ended for one in each.findings if one.rule == "deadlock"]


async def test_three_agents_that_wait_for_each_other_are_seen_and_freed_where_enforced(redis: RedisServer):
    """a works and calls b, b works and calls c, c works and calls a: three chains, three sidecars, one Redis.

    The call that closes the cycle is refused, its agent answers, and with that the others get their turn.
    """
    async with Fleet(redis.url, "enforce") as fleet:
        calls = []
        for name, following in (("a", "b"), ("b", "c"), ("c", "a")):
            calls.append(fleet.ask(name, following))
            await until(lambda name=name: name in fleet.working)  # type: ignore[misc]
        fleet.go["a"].set()
        await asyncio.sleep(0.3)
        fleet.go["b"].set()
        await asyncio.sleep(0.3)
        assert not any(call.done() for call in calls)
        fleet.go["c"].set()
        async with asyncio.timeout(10):
            codes = await asyncio.gather(*calls)
        assert sorted(codes) == ["OK", "OK", "RESOURCE_EXHAUSTED"]
        (evidence,) = fleet.deadlocks()
        assert evidence["certain"] == "yes"
        assert sorted(evidence["agents"].split(" > ")[1:]) == ["a", "b", "c"]


async def test_in_observe_the_deadlock_is_told_while_it_lasts(redis: RedisServer):
    """Nobody is refused; the metric says so while all three still wait."""
    async with Fleet(redis.url, "observe") as fleet:
        calls = []
        for name, following in (("a", "b"), ("b", "c"), ("c", "a")):
            calls.append(fleet.ask(name, following))
            await until(lambda name=name: name in fleet.working)  # type: ignore[misc]
        for event in fleet.go.values():
            event.set()
        await asyncio.sleep(0.5)
        pages = [await scraped(sidecar, "findings_total") for sidecar in fleet.sidecars.values()]
        found = [line for page in pages for line in page if 'rule="deadlock"' in line]
        # Until the first answer both sidecars of an exchange keep its state, so both may tell of one wait.
        assert len(found) in (1, 2)
        assert len({line.partition(" ")[0] for line in found}) == 1
        assert 'action="observed"' in found[0]
        assert not any(call.done() for call in calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def test_a_chain_that_calls_an_agent_back_is_told_with_the_way(redis: RedisServer):
    """a asks b, which asks a, which is busy with asking b: no second chain is needed."""
    async with Fleet(redis.url, "enforce") as fleet:
        for event in fleet.go.values():
            event.set()
        assert await fleet.ask("a", "b,a") == "RESOURCE_EXHAUSTED"
        assert [each["agents"] for each in fleet.deadlocks()] == ["a > b > a"]


async def test_agents_that_ask_each_other_in_turn_are_no_deadlock(redis: RedisServer):
    """A chain through all three, twenty times at once: they queue, and all are answered."""
    async with Fleet(redis.url, "enforce") as fleet:
        for event in fleet.go.values():
            event.set()
        calls = [fleet.ask("a", "b,c") for _ in range(20)]
        assert await asyncio.gather(*calls) == ["OK"] * 20
        assert fleet.deadlocks() == []
