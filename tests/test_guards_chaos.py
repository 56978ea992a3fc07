"""Every guard at once while Redis is killed and brought back: what was promised holds for each key, cent and place.

Two real sidecars, the caller's and the callee's, on one real Redis that keeps what it acknowledges. Callers behave as
callers do: they send a call twice, ask again when they are told to, run in circles and spend too much.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from grpc import aio

from sidecar.engine.state.ledger import Hold, Purse
from sidecar.testing import RunningSidecar
from tests.desk import (
    PLACE,
    SEND,
    STREAM,
    Desk,
    Heard,
    asking,
    heard,
    money,
    running_desk,
    running_guarded,
    sample,
    spec,
    until,
)
from tests.stores.places import RedisServer

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
RESERVE = "/shop.Orders/Reserve"
"""Described nowhere, as PLACE is."""

CONSISTENCY = {SEND: "consistent", PLACE: "consistent", STREAM: "available", RESERVE: "available"}

KEYS = 30
"""Of each method; half of them are asked for again while they are under way or soon after."""
REPEATS, CIRCLES = 5, 9
"""Equal questions that a conversation may ask, and how many one that runs in circles asks."""
PURSE_MICRO_USD = 60_000
"""Of one conversation: a few calls, at an estimate of a cent each."""
SPREE = 20
"""Calls of a conversation that spends more than its purse."""
PLACES = 12
BURST = 20
IN_FLIGHT = 24
"""Calls that are made at once: so many that places run out, and so few that a busy machine keeps up."""
LEASE_S = 2.0
PATIENCE_S = 15.0
"""Every call's deadline: longer than any absence here, for a busy machine."""
SLACK_S = 5.0
"""How late its caller may hear of it: all parts share one event loop here."""
RECOVERED_S = 15.0
"""Until what a store did not take is told again, leases have run out and charges are brought in."""

ASK_AGAIN = ("STORE_UNAVAILABLE", "DUPLICATE_IN_FLIGHT", "OVERLOADED")
"""Refusals that ask a caller to try again."""
IN_DOUBT = ("OUTCOME_UNKNOWN", "ANSWER_NOT_KEPT")
"""What a duplicate of a call may hear whose answer was refused, or whose end the store has not heard of."""


@dataclass
class Key:
    """One thing to be done, however often it is asked for."""

    method: str
    name: str
    text: str
    conversation: str
    heard: list[Heard] = field(default_factory=list)

    @property
    def replies(self) -> set[str]:
        """What its callers heard in the end: a status, or a reason of ours."""
        return {each.reply or each.code for each in self.heard} - set(ASK_AGAIN)


@dataclass
class Scene:
    desk: Desk
    sidecars: list[RunningSidecar]
    doors: list[aio.Channel]
    """To the caller's sidecar, and to the callee's, which others reach directly."""
    longest_s: float = 0.0
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))

    async def call(self, key: Key, door: int) -> Heard:
        form = PLACE if key.method == RESERVE else key.method
        payload = asking(form, key.name, key.text, context=key.conversation)
        kind = self.doors[door].unary_stream if key.method == STREAM else self.doors[door].unary_unary
        trace, begun_s = f"00-{key.conversation}-b7ad6b7169203331-01", time.monotonic()
        answer = await heard(kind(key.method)(payload, metadata=(("traceparent", trace),), timeout=PATIENCE_S))
        self.longest_s = max(self.longest_s, time.monotonic() - begun_s)
        key.heard.append(answer)
        return answer

    async def insist(self, key: Key, door: int) -> Heard:
        """As a caller does that obeys what it is told."""
        for _ in range(60):
            async with self.turns:
                answer = await self.call(key, door)
            if answer.reply not in ASK_AGAIN:
                return answer
            await asyncio.sleep(random.uniform(0.2, 0.6))
        raise AssertionError(f"{key.name} was put off for ever: {Counter(each.reply for each in key.heard)}")

    async def asked_for(self, key: Key, number: int) -> None:
        """Once, or again at the same moment or a little later, through either sidecar."""
        works = [asyncio.create_task(self.insist(key, 0))]
        for again in range(number % 3):
            await asyncio.sleep(random.choice((0.0, 0.01, 0.3, 1.0)))
            works.append(asyncio.create_task(self.insist(key, (number + again) % 2)))
        await asyncio.gather(*works)

    async def one_by_one(self, keys: list[Key]) -> None:
        for key in keys:
            await self.insist(key, 0)

    def done(self, keys: list[Key]) -> list[int]:
        return [self.desk.done[key.text] for key in keys]

    def total(self, metric: str) -> float:
        """Over both sidecars and all labels."""
        families = [family for each in self.sidecars for family in each.app.metrics.registry.collect()]
        samples = [sample for family in families for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == metric)

    async def spent(self, conversation: str) -> int:
        hold = Hold(Purse("each", conversation), PURSE_MICRO_USD)
        return (await self.sidecars[0].app.line_up.store.ledger.balances([hold]))[0].spent_micro_usd


@asynccontextmanager
async def playing(folder: Path, store: str, guards: str) -> AsyncIterator[Scene]:
    shared: dict[str, Any] = {
        "store": store,
        "specs": [contract(method, consistency) for method, consistency in CONSISTENCY.items()],
        "loops": {"repeats": REPEATS, "slow": "0s"},
        "pressure": {
            "limits": [{"callee": "desk", "concurrency": PLACES, "rate": "500/s", "scope": "fleet"}],
            "retries": {"ratio": 1, "minimum": 10_000, "scope": "fleet"},
            "breaker": {},
            "deadlocks": {"agents": [{"name": "desk", "serves": 1_000}], "mode": "enforce"},
            "lease": f"{LEASE_S:g}s",
        },
        "budgets": [
            {"name": "all", "scope": "global", "limit_usd": 1_000},
            {"name": "each", "scope": "conversation", "limit_usd": PURSE_MICRO_USD / 1e6},
        ],
    }
    theirs, ours = folder / "callee", folder / "caller"
    theirs.mkdir()
    ours.mkdir()
    async with AsyncExitStack() as stack:
        desk, upstream = await stack.enter_async_context(running_desk())
        desk.pause_s = 0.02
        desk.cost_of = lambda text: 1_000 + crc32(text.encode()) % 7_919
        callee = running_guarded(upstream, theirs, **shared, spool=f"sqlite://{theirs}/spool.db")
        sidecars = [await stack.enter_async_context(callee)]
        of_caller = {"agent": "planner", "route": {"caller": "planner", "callee": "desk", "guards": guards}}
        caller = running_guarded(sidecars[0].address, ours, **shared, **of_caller, spool=f"sqlite://{ours}/spool.db")
        sidecars.insert(0, await stack.enter_async_context(caller))
        doors = [await stack.enter_async_context(aio.insecure_channel(each.address)) for each in sidecars]
        yield Scene(desk, sidecars, doors)


def contract(method: str, consistency: str) -> dict[str, Any]:
    made = spec(PLACE if method == RESERVE else method, consistency=consistency)
    return {**made, "spec": f"{method.rpartition('/')[2].lower()}/v1", "match": {"callee": "desk", "method": method}}


def trace_of(number: int) -> str:
    return f"{number:032x}"


@dataclass
class Play:
    """What is asked for, each in a conversation of its own but for those who ask too much in one."""

    keys: list[Key] = field(
        default_factory=lambda: [
            Key(method, f"{method}-{number}", f"work {method} {number}", trace_of(1 + KEYS * place + number))
            for number in range(KEYS)
            for place, method in enumerate(CONSISTENCY)
        ]
    )
    circles: list[list[Key]] = field(
        default_factory=lambda: [
            [
                Key(method, f"round-{place}-{number}", f"round {method}", trace_of(9_000 + place))
                for number in range(CIRCLES)
            ]
            for place, method in enumerate(CONSISTENCY)
        ]
    )
    spree: list[Key] = field(
        default_factory=lambda: [
            Key(SEND, f"spree-{number}", f"spree {number}", trace_of(9_900)) for number in range(SPREE)
        ]
    )

    async def run(self, scene: Scene, server: RedisServer) -> None:
        works = [asyncio.create_task(scene.one_by_one(each)) for each in (*self.circles, self.spree)]
        for number, key in enumerate(self.keys):
            works.append(asyncio.create_task(scene.asked_for(key, number)))
            await asyncio.sleep(0.04)
            if number in (KEYS, 2 * KEYS):
                works.append(asyncio.create_task(absence(server, 0.8 if number == KEYS else 1.5)))
        await asyncio.gather(*works)


async def absence(server: RedisServer, length_s: float) -> None:
    """Killed by its pid, and brought back with what it had acknowledged."""
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(length_s)
    await asyncio.to_thread(server.start)


async def recovered(scene: Scene) -> None:
    """Nothing is away, and nothing waits for the ledger."""

    def is_so() -> bool:
        is_away = any(sample(each, "sidecar_store_away", store="redis") for each in scene.sidecars)
        return not is_away and not any(each.app.line_up.money.spool.waiting for each in scene.sidecars)

    async with asyncio.timeout(RECOVERED_S):
        while not is_so():
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("guards", "seed"), [("auto", 1), ("always", 2)])
async def test_all_guards_hold_while_redis_is_killed_twice_and_brought_back(tmp_path: Path, guards: str, seed: int):
    """Once per key, every cent, no call past its deadline, no place lost; and all of it recovers by itself."""
    random.seed(seed)
    (tmp_path / "redis").mkdir()
    server, play = RedisServer(tmp_path / "redis", *DURABLE).start(), Play()
    try:
        async with playing(tmp_path, server.url, guards) as scene:
            await play.run(scene, server)
            await recovered(scene)
            it_said_so(scene)
            each_key_ran_once(scene, play)
            await money_adds_up(scene, play)
            assert scene.longest_s < PATIENCE_S + SLACK_S
            await all_is_as_before(scene)
    finally:
        server.stop()


def it_said_so(scene: Scene) -> None:
    """Each sidecar counted the verbs that failed and what went on without them, under one name."""
    for each in scene.sidecars:
        families = list(each.app.metrics.registry.collect())
        failed = {s.labels["store"] for f in families for s in f.samples if s.name == "sidecar_store_errors_total"}
        assert failed == {"redis"}
    families = [family for each in scene.sidecars for family in each.app.metrics.registry.collect()]
    open_ = [s for f in families for s in f.samples if s.name == "sidecar_fail_open_total" and s.value]
    assert {s.labels["reason"] for s in open_} == {"store_away"}
    assert {s.labels["check"] for s in open_} >= {"idempotency", "loop", "task", "pressure", "budget"}
    assert scene.total("sidecar_store_losses_total") == 0


def each_key_ran_once(scene: Scene, play: Play) -> None:
    for key in play.keys:
        done = scene.desk.done[key.text]
        if CONSISTENCY[key.method] == "consistent":
            assert done <= 1, (key.name, done)
            assert key.replies <= {"OK", "REPLAYED", *IN_DOUBT}, (key.name, key.replies)
            assert done == 1 or not key.replies & {"OK", "REPLAYED"}, (key.name, key.replies)
        else:
            # Each sidecar goes on with claims of its own while Redis is away: at most once for each, and once shared.
            assert 1 <= done <= 1 + len(scene.sidecars), (key.name, done)
            goes_back = {"ILLEGAL_TASK_TRANSITION"} if done > 1 else set()  # as its task does
            assert key.replies <= {"OK", "REPLAYED", *IN_DOUBT, *goes_back}, (key.name, key.replies)
    consistent = [key for key in play.keys if CONSISTENCY[key.method] == "consistent"]
    available = [key for key in play.keys if CONSISTENCY[key.method] == "available"]
    assert scene.done(consistent).count(1) > 0.8 * len(consistent)
    assert scene.done(available).count(1) > 0.5 * len(available)
    for circle in play.circles:
        done = scene.desk.done[circle[0].text]
        if CONSISTENCY[circle[0].method] == "consistent":
            assert done <= REPEATS
            assert "LOOP_DETECTED" in {reply for key in circle for reply in key.replies}
        else:
            assert done <= REPEATS * (1 + len(scene.sidecars))


async def money_adds_up(scene: Scene, play: Play) -> None:
    """What the ledger has counted is what the callee says that it spent, whoever asked and whatever was told of it."""
    assert [await money(each) for each in scene.sidecars] == [(scene.desk.spent_micro_usd, 0)] * 2
    spree = sum(scene.desk.cost_of(key.text) * scene.desk.done[key.text] for key in play.spree)
    assert await scene.spent(play.spree[0].conversation) == spree <= PURSE_MICRO_USD
    assert "BUDGET_EXHAUSTED" in {reply for key in play.spree for reply in key.replies}


async def all_is_as_before(scene: Scene) -> None:
    """Every place is free, every check shares its state again, and each kind of spec is served."""
    await asyncio.sleep(LEASE_S)
    before = scene.total("sidecar_fail_open_total")
    scene.desk.door.clear()
    keys = [
        Key(method, f"after-{method}-{number}", f"after {method} {number}", trace_of(20_000 + BURST * place + number))
        for number in range(BURST // len(CONSISTENCY) + 1)
        for place, method in enumerate(CONSISTENCY)
    ]
    calls = [asyncio.create_task(scene.call(key, number % 2)) for number, key in enumerate(keys)]
    await until(lambda: scene.desk.inside == PLACES and sum(call.done() for call in calls) == len(calls) - PLACES)
    scene.desk.door.set()
    replies = Counter(answer.reply for answer in await asyncio.gather(*calls))
    assert replies == {"": PLACES, "OVERLOADED": len(calls) - PLACES}
    assert scene.total("sidecar_fail_open_total") == before
    again = await scene.insist(next(key for key in keys if key.heard[0].code == "OK"), 1)
    assert again.reply == "REPLAYED"
    assert [await money(each) for each in scene.sidecars] == [(scene.desk.spent_micro_usd, 0)] * 2
