"""How often one call asks a Redis, with every guard on, and what is left there of what was asked in vain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc import aio
from redis import Redis

from sidecar.engine.state.pressure import Rate
from sidecar.stores.redis.wire import Wire
from sidecar.testing import RunningSidecar
from tests.desk import (
    COST,
    ESTIMATE,
    PLACE,
    SEND,
    STREAM,
    ask,
    asking,
    call,
    money,
    running_desk,
    running_guarded,
    sample,
    spec,
    until,
    visits,
)
from tests.stores.places import RedisServer

FLEET = {
    "limits": [{"callee": "desk", "concurrency": 50, "rate": "500/s", "scope": "fleet"}],
    "retries": {"scope": "fleet"},
    "breaker": {},
    "deadlocks": {"agents": [{"name": "desk", "serves": 10}], "mode": "enforce"},
}
BUDGETS = [
    {"name": "all", "scope": "global", "limit_usd": 1},
    {"name": "each", "scope": "conversation", "limit_usd": 1},
]
NAMED = ["name_conversation"]
CLAIMED = ["claim", "sight"]
COUNTED = ["enter", "note_call", "take", "wait"]
JUDGED = [*COUNTED, "reserve", "visit"]
"""What is asked of a request below its claim."""

TAKEN_BACK = ["done", "forget_call", "leave", "put_back", "withdraw", "withdraw_charge"]
"""By what all of that is taken back."""

SETTLED = ["answered", "complete", "done", "leave", "settle"]

BESIDE = {"census", "take_stuck", "fullest", "balances"}
"""What is asked for gauges, and to find stuck tasks."""

WARMED = 3
"""Calls of `warmed`, of which each is a visit."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


class Pipelines:
    """What every link of this process sent: one sorted list of verbs for each round trip."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[list[str]] = []
        send = Wire._send

        def watched(wire: Wire) -> None:
            self.sent.append(sorted(asked.verb for asked in wire._unsent if asked.verb))
            send(wire)

        monkeypatch.setattr(Wire, "_send", watched)

    def taken(self) -> list[list[str]]:
        """Those since the last time, without what goes on beside the calls."""
        sent, self.sent = self.sent, []
        own = [[verb for verb in verbs if verb not in BESIDE] for verbs in sent]
        return [verbs for verbs in own if verbs]


@pytest.fixture
def pipelines(monkeypatch: pytest.MonkeyPatch) -> Pipelines:
    return Pipelines(monkeypatch)


def plain(method: str, **more: Any) -> dict[str, Any]:
    """A contract that asks for everything but versions."""
    contract = spec(method, **more)
    del contract["resource"]
    return contract


@asynccontextmanager
async def running(
    redis: RedisServer, folder: Path, *, sidecars: int = 1, is_open: bool = True, **more: Any
) -> AsyncIterator[tuple[Any, list[RunningSidecar], list[Any]]]:
    """The desk, sidecars before it with every guard counted by the fleet, and a channel to each."""
    redis.flush()
    settings = {"store": redis.url, "pressure": FLEET, "budgets": BUDGETS, "specs": [plain(SEND), plain(STREAM)]}
    async with AsyncExitStack() as stack:
        desk, upstream = await stack.enter_async_context(running_desk(is_open=is_open))
        running, channels = [], []
        for number in range(sidecars):
            own = folder / f"sidecar-{number}"
            own.mkdir(exist_ok=True)
            running.append(await stack.enter_async_context(running_guarded(upstream, own, **{**settings, **more})))
            channels.append(await stack.enter_async_context(aio.insecure_channel(running[-1].address)))
        await loaded(running[0])
        yield desk, running, channels


async def loaded(sidecar: RunningSidecar) -> None:
    """Redis knows the scripts by which things are taken back: the first use of one is sent twice."""
    store = sidecar.app.line_up.store
    await store.ledger.withdraw("nobody")
    await store.visits.withdraw("none", 1)
    await store.pressure.put_back("none", Rate(1, 1), "nobody")
    await store.pressure.forget_call("none", "nobody")
    await store.pressure.leave("none", "nobody")
    await store.pressure.done("none", "nobody")
    await store.claims.release("none", 1)


async def warmed(channel: Any, pipelines: Pipelines) -> None:
    """Scripts are loaded, and the conversation is known."""
    for number in range(WARMED):
        assert (await ask(channel, (SEND, STREAM, SEND)[number], f"warm-{number}", "to begin with " * number)).code
    pipelines.taken()


async def test_a_request_an_answer_and_an_end_pay_one_round_trip_each(
    redis: RedisServer, pipelines: Pipelines, tmp_path: Path
):
    """Conversation, claim, visit, wait, retry budget, place, token and money of a request go out together."""
    async with running(redis, tmp_path) as (_, [sidecar], [channel]):
        await warmed(channel, pipelines)
        before_micro_usd = (await money(sidecar))[0]
        pipelines.taken()
        for number in range(5):
            assert (await ask(channel, SEND, f"k{number}", f"question {number}")).code == "OK"
            request, answer, end = pipelines.taken()
            assert request == sorted([*NAMED, *CLAIMED, *JUDGED])
            assert answer == [*NAMED, "observe_task"]
            assert end == SETTLED
        assert await money(sidecar) == (before_micro_usd + 5 * COST, 0)
        assert await visits(sidecar) == WARMED + 5


async def test_redis_reads_no_more_often_than_that(redis: RedisServer, pipelines: Pipelines, tmp_path: Path):
    """By its own count, the beats of the link and what is looked at beside the calls included."""
    async with running(redis, tmp_path) as (_, _, [channel]):
        await warmed(channel, pipelines)
        with Redis.from_url(redis.url) as own:
            before = own.info("stats")["total_reads_processed"]
            for number in range(40):
                assert (await ask(channel, SEND, f"k{number}", f"{number} questions of {number * number}")).code == "OK"
            reads = own.info("stats")["total_reads_processed"] - before
        looked = len(pipelines.sent) - len(pipelines.taken())
        assert reads <= 3 * 40 + looked + 40, "one for each message and one for the end, and what goes on beside them"


async def test_the_first_call_of_a_conversation_pays_no_more(redis: RedisServer, pipelines: Pipelines, tmp_path: Path):
    """Nobody knows it: then the id that is proposed is the one that it gets."""
    async with running(redis, tmp_path) as (_, _, [channel]):
        await warmed(channel, pipelines)
        payload = asking(SEND, "fresh", "a first question").replace(b"\x12\x01c", b"\x12\x01d")
        assert payload != asking(SEND, "fresh", "a first question")
        trace = (("traceparent", "00-11111111111111111111111111111111-2222222222222222-01"),)
        await channel.unary_unary(SEND)(payload, metadata=trace, timeout=10)
        assert [len(verbs) for verbs in pipelines.taken()] == [9, 2, 5]


async def test_a_stream_pays_for_its_start_once_and_for_each_message(
    redis: RedisServer, pipelines: Pipelines, tmp_path: Path
):
    """Its one request is looked at before it goes out, with its headers."""
    async with running(redis, tmp_path) as (_, _, [channel]):
        await warmed(channel, pipelines)
        assert (await ask(channel, STREAM, "k1", "a question")).code == "OK"
        request, first, second, end = pipelines.taken()
        assert request == sorted([*NAMED, *CLAIMED, *JUDGED])
        assert (first, second) == ([*NAMED, "observe_task"], ["observe_task"])
        assert end == SETTLED


async def test_a_method_that_nobody_described_pays_for_its_headers_too(
    redis: RedisServer, pipelines: Pipelines, tmp_path: Path
):
    """It goes out with them, so they are looked at alone."""
    async with running(redis, tmp_path, specs=[plain(PLACE)]) as (_, _, [channel]):
        assert (await ask(channel, PLACE, "k0", "to begin with")).code == "OK"
        pipelines.taken()
        assert (await ask(channel, PLACE, "k1", "a question")).code == "OK"
        headers, request, end = pipelines.taken()
        assert headers == sorted([*NAMED, *COUNTED])
        assert request == sorted([*CLAIMED, "reserve", "visit"])
        assert end == SETTLED


async def test_what_an_answer_tells_of_a_version_waits_for_what_it_tells_of_its_task(
    redis: RedisServer, pipelines: Pipelines, tmp_path: Path
):
    """A step that is refused must leave no version behind, and what was observed cannot be taken back."""
    async with running(redis, tmp_path, specs=[spec(SEND)]) as (_, _, [channel]):
        assert (await ask(channel, SEND, "k0", "to begin with")).code == "OK"
        pipelines.taken()
        assert (await ask(channel, SEND, "k1", "a question")).code == "OK"
        assert [verbs for verbs in pipelines.taken() if "observe_task" in verbs or "observe_version" in verbs] == [
            [*NAMED, "observe_task"],
            ["observe_version"],
        ]


async def test_a_conversation_that_another_sidecar_began_is_asked_about_once_more(
    redis: RedisServer, pipelines: Pipelines, tmp_path: Path
):
    """What was asked under the foreseen id is taken back first: visit and money are those of the true one."""
    async with running(redis, tmp_path, sidecars=2) as (_, [first, second], channels):
        await warmed(channels[0], pipelines)
        before_micro_usd = (await money(first, "each"))[0]
        pipelines.taken()
        # The same contextId under a trace of its own, as agents that send no trace context have it.
        payload = asking(SEND, "k1", "another question")
        await channels[1].unary_unary(SEND)(payload, timeout=10)
        asked, back, again, *rest = pipelines.taken()
        assert asked == sorted([*NAMED, *CLAIMED, *JUDGED])
        assert back == ["done", "withdraw", "withdraw_charge"]
        assert again == ["reserve", "visit", "wait"]
        assert rest == [[*NAMED, "observe_task"], SETTLED]
        conversations = {outcome.exchange.lineage.conversation for outcome in (*first.outcomes, *second.outcomes)}
        assert len(conversations) == 1
        assert await money(first, "each") == (before_micro_usd + COST, 0)
        assert await visits(first) == WARMED + 1
        pipelines.taken()
        # From then on this process knows it.
        await channels[1].unary_unary(SEND)(asking(SEND, "k2", "and one more"), timeout=10)
        assert [len(verbs) for verbs in pipelines.taken()] == [9, 2, 5]


async def test_a_duplicate_leaves_nothing_of_what_was_asked_for_it(
    redis: RedisServer, pipelines: Pipelines, tmp_path: Path
):
    """It is answered from the record; visit, wait, share of a retry, place, token and money are as before."""
    limits = {**FLEET, "limits": [{"callee": "desk", "concurrency": 5, "rate": "1/h", "burst": 7, "scope": "fleet"}]}
    async with running(redis, tmp_path, pressure=limits) as (desk, [sidecar], [channel]):
        assert (await ask(channel, SEND, "k1", "a question")).code == "OK"
        pipelines.taken()
        assert (await ask(channel, SEND, "k1", "a question")).reply == "REPLAYED"
        asked, back = pipelines.taken()
        assert asked == sorted([*NAMED, *CLAIMED, *JUDGED])
        assert back == TAKEN_BACK
        assert await money(sidecar) == (COST, 0)
        assert await visits(sidecar) == 1
        pipelines.taken()
        # The next ones on this edge are asked in order, so there is nothing to take back.
        assert (await ask(channel, SEND, "k1", "a question")).reply == "REPLAYED"
        assert pipelines.taken() == [NAMED, sorted(CLAIMED)]
        # All six tokens that are left are there, the last of which are taken in order.
        for number in range(6):
            assert (await ask(channel, SEND, f"n{number}", f"{number} new things")).code == "OK"
        assert (await ask(channel, SEND, "n6", "one more")).reply == "OVERLOADED"
        assert sum(desk.done.values()) == 7


async def test_a_duplicate_that_waits_at_another_sidecar_holds_nothing_meanwhile(
    redis: RedisServer, pipelines: Pipelines, tmp_path: Path
):
    """The place, the money and the visit that stand are the first call's."""
    limits = {**FLEET, "limits": [{"callee": "desk", "concurrency": 2, "scope": "fleet"}]}
    async with running(redis, tmp_path, sidecars=2, is_open=False, pressure=limits) as (
        desk,
        [first, second],
        channels,
    ):
        one = asyncio.create_task(ask(channels[0], SEND, "k1", "a question"))
        await desk.arrived.wait()
        pipelines.taken()
        two = asyncio.create_task(ask(channels[1], SEND, "k1", "a question"))
        await until(lambda: any("withdraw_charge" in verbs for verbs in pipelines.sent))

        async def is_held_once() -> bool:
            return await money(first) == (0, ESTIMATE)

        await until(is_held_once)
        # The second place is free.
        other = asyncio.create_task(ask(channels[1], SEND, "k2", "another question"))
        await until(lambda: desk.done["another question"] == 1)
        desk.door.set()
        assert (await one).code == (await other).code == "OK"
        assert (await two).reply == "REPLAYED"
        assert dict(desk.done) == {"a question": 1, "another question": 1}
        assert await money(second) == (2 * COST, 0)
        assert await visits(first) == 2


async def test_duplicates_of_a_call_under_way_here_ask_for_their_claim_alone(
    redis: RedisServer, pipelines: Pipelines, tmp_path: Path
):
    """This process knows that they will wait."""
    async with running(redis, tmp_path, is_open=False) as (desk, [sidecar], [channel]):
        calls = [asyncio.create_task(ask(channel, SEND, "k1", "a question"))]
        await desk.arrived.wait()
        pipelines.taken()
        calls += [asyncio.create_task(ask(channel, SEND, "k1", "a question")) for _ in range(5)]
        await until(lambda: sum(verbs.count("claim") for verbs in pipelines.sent) == 5)
        assert {verb for verbs in pipelines.taken() for verb in verbs} == {*NAMED, *CLAIMED}
        desk.door.set()
        answers = await asyncio.gather(*calls)
        assert sorted(each.reply for each in answers) == ["", *["REPLAYED"] * 5]
        assert await money(sidecar) == (COST, 0)


async def test_a_call_that_turns_out_to_be_a_retry_is_counted_as_one_alone(
    redis: RedisServer, pipelines: Pipelines, tmp_path: Path
):
    """The same arguments under a new key: only the store knew, so it was asked for as a call like any other."""
    async with running(redis, tmp_path) as (_, _, [channel]):
        assert (await ask(channel, SEND, "k1", "a question")).code == "OK"
        pipelines.taken()
        assert (await ask(channel, SEND, "k2", "a question")).code == "OK"
        asked, back, as_retry, *_ = pipelines.taken()
        assert asked == sorted([*NAMED, *CLAIMED, *JUDGED])
        assert (back, as_retry) == (["forget_call"], ["spend_retry"])
        with Redis.from_url(redis.url) as own:
            kept = [own.zcard(f"sidecar:{{edge:planner desk}}:{what}") for what in ("calls", "retries")]
        assert kept == [1, 1]


async def test_a_call_that_finds_no_room_gives_its_money_back(redis: RedisServer, pipelines: Pipelines, tmp_path: Path):
    """And is no visit; nothing waits for it, and its key is free."""
    limits = {**FLEET, "limits": [{"callee": "desk", "concurrency": 1, "scope": "fleet"}]}
    async with running(redis, tmp_path, is_open=False, pressure=limits) as (desk, [sidecar], [channel]):
        first = asyncio.create_task(ask(channel, SEND, "k1", "a question"))
        await desk.arrived.wait()
        pipelines.taken()
        assert (await ask(channel, SEND, "k2", "another question")).reply == "OVERLOADED"
        asked, in_its_turn, back = pipelines.taken()
        assert asked == sorted({*NAMED, *CLAIMED, *JUDGED} - {"enter", "take"})
        # The last place is nobody's ahead: it may have to be given back.
        assert (in_its_turn, set(back)) == (["enter"], {"withdraw_charge", "release", "withdraw", "done"})
        assert await money(sidecar) == (0, ESTIMATE)
        desk.door.set()
        assert (await first).code == "OK"
        assert (await ask(channel, SEND, "k2", "another question")).code == "OK"
        assert await money(sidecar) == (2 * COST, 0)
        assert await visits(sidecar) == 2


async def test_the_last_of_a_budget_is_taken_in_order(redis: RedisServer, pipelines: Pipelines, tmp_path: Path):
    """What may be given back must not be the money that another call is refused for."""
    budgets = [{"name": "all", "scope": "global", "limit_usd": 2 * ESTIMATE / 1e6}]
    async with running(redis, tmp_path, budgets=budgets) as (_, [sidecar], [channel]):
        assert (await ask(channel, SEND, "k1", "a question")).code == "OK"
        sent = pipelines.taken()
        assert sum(verbs.count("reserve") for verbs in sent) == 2
        assert not any("withdraw_charge" in verbs for verbs in sent[-3:])
        assert await money(sidecar) == (COST, 0)


async def test_a_call_that_is_held_back_holds_no_money(redis: RedisServer, pipelines: Pipelines, tmp_path: Path):
    """The last request that is allowed is slowed down; what comes after the loop check is asked when it goes on."""
    loops = {"repeats": 2, "slow": "500ms"}
    contract = plain(SEND)
    del contract["idempotency"]
    async with running(redis, tmp_path, loops=loops, specs=[contract]) as (desk, [sidecar], [channel]):
        assert (await ask(channel, SEND, "k1", "again")).code == "OK"
        slowed = asyncio.create_task(ask(channel, SEND, "k2", "again"))
        await until(lambda: any("withdraw_charge" in verbs for verbs in pipelines.sent))

        async def holds_nothing() -> bool:
            return await money(sidecar) == (COST, 0)

        await until(holds_nothing)
        assert desk.done["again"] == 1
        assert (await slowed).code == "OK"
        assert await money(sidecar) == (2 * COST, 0)
        assert await visits(sidecar) == 2


async def test_a_caller_that_leaves_while_the_store_is_asked_leaves_nothing(
    redis: RedisServer, pipelines: Pipelines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whatever was on its way is taken back when it has arrived."""
    async with running(redis, tmp_path) as (desk, [sidecar], [channel]):
        await warmed(channel, pipelines)
        before = await money(sidecar)
        gate, send = asyncio.Event(), Wire._send

        def held_up(wire: Wire) -> None:
            if gate.is_set() or all(asked.verb != "claim" for asked in wire._unsent):
                send(wire)
            else:
                asyncio.get_running_loop().call_later(0.01, held_up, wire)

        monkeypatch.setattr(Wire, "_send", held_up)
        under_way = call(channel, SEND, asking(SEND, "k1", "a question"))
        await until(lambda: sample(sidecar, "sidecar_inflight_exchanges", callee="desk", side="inbound") >= 0)
        await asyncio.sleep(0.05)
        under_way.cancel()
        await asyncio.sleep(0.05)
        gate.set()

        async def nothing_is_left() -> bool:
            return await money(sidecar) == before and await visits(sidecar) == WARMED

        await until(nothing_is_left)
        monkeypatch.setattr(Wire, "_send", send)
        again = await ask(channel, SEND, "k1", "a question")
        assert (again.code, again.reply) == ("OK", "")
        assert desk.done["a question"] == 1
