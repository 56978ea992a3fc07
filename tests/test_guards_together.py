"""Every guard on one exchange, enforced: what one of them does must not be undone, counted or punished by another."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from grpc import aio

from sidecar.engine.state.versions import Place
from sidecar.testing import RunningSidecar
from tests.desk import (
    COST,
    ESTIMATE,
    PLACE,
    READ,
    SEND,
    STREAM,
    WORK,
    ask,
    asking,
    call,
    heard,
    money,
    running_desk,
    running_guarded,
    sample,
    spec,
    until,
    visits,
)
from tests.process.programs import Program
from tests.stores.places import RedisServer

DESCRIBED = (SEND, STREAM)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store."""
    if request.param == "memory":
        return "memory://"
    server: RedisServer = request.getfixturevalue("redis")
    server.flush()
    return server.url


async def known(running: RunningSidecar) -> tuple[str, str]:
    """What is known of the task and of the version that the first call made."""
    state = running.app.line_up.store
    task = await state.tasks.known_task("desk", "t-k1")
    return "" if task is None else task.state, await state.versions.known_version(Place("desk", "doc", "d"), "planner")


def limits(**limit: object) -> dict[str, object]:
    return {"limits": [{"callee": "desk", **limit}], "retries": {}, "breaker": {}}


@pytest.mark.parametrize("method", DESCRIBED)
async def test_a_duplicate_is_charged_once_and_counts_for_nothing(store: str, method: str, tmp_path: Path):
    """It is no visit, takes no token, and what is known of its task and version stays as it was."""
    async with (
        running_desk() as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store, pressure=limits(rate="1/h", burst=2)) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        first = await ask(channel, method, "k1")
        before = await known(sidecar)
        again = [await ask(channel, method, "k1") for _ in range(8)]
        assert first.code == "OK"
        assert [(each.messages, each.reply) for each in again] == [(first.messages, "REPLAYED")] * 8
        assert await known(sidecar) == before
        assert await money(sidecar) == (COST, 0)
        assert await visits(sidecar) == 1
        # One token is left for a call that is made, and none for the next.
        assert (await ask(channel, method, "k2", "something else")).code == "OK"
        assert (await ask(channel, method, "k3", "a third thing")).reply == "OVERLOADED"
        assert (desk.done["please"], sum(desk.done.values())) == (1, 2)
        assert await money(sidecar) == (2 * COST, 0)
        assert await visits(sidecar) == 2


async def test_a_waiting_duplicate_takes_no_place(store: str, tmp_path: Path):
    """The one place is the first call's; when that is answered, ten hear it and the place is free."""
    async with (
        running_desk(is_open=False) as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store, pressure=limits(concurrency=1, scope="fleet")) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        calls = [asyncio.create_task(ask(channel, SEND, "k1")) for _ in range(10)]
        await desk.arrived.wait()
        assert (await ask(channel, SEND, "k2", "another thing")).reply == "OVERLOADED"
        desk.door.set()
        answers = await asyncio.gather(*calls)
        assert {each.messages for each in answers} == {answers[0].messages}
        assert sorted(each.reply for each in answers) == ["", *["REPLAYED"] * 9]
        # The same key that found no room runs now.
        assert (await ask(channel, SEND, "k2", "another thing")).code == "OK"
        assert dict(desk.done) == {"please": 1, "another thing": 1}
        assert await money(sidecar) == (2 * COST, 0)
        assert await visits(sidecar) == 2


@pytest.mark.parametrize("reason", ["OVERLOADED", "BUDGET_EXHAUSTED"])
@pytest.mark.parametrize("key", ["k2", None], ids=["the same key", "a new key each time"])
async def test_who_obeys_a_refusal_and_asks_again_is_not_punished(
    store: str, reason: str, key: str | None, tmp_path: Path
):
    """Ten refusals are no loop, no retry that is held against it, no visit, no money; then the same call runs."""
    terms = {
        "OVERLOADED": {"pressure": limits(concurrency=1)},
        "BUDGET_EXHAUSTED": {"budgets": [{"name": "all", "scope": "global", "limit_usd": 1.5 * ESTIMATE / 1e6}]},
    }[reason]
    async with (
        running_desk(is_open=False) as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store, **terms) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        first = asyncio.create_task(ask(channel, SEND, "k1"))
        await desk.arrived.wait()
        refused = [await ask(channel, SEND, key or f"n{number}", "another thing") for number in range(10)]
        assert [each.reply for each in refused] == [reason] * 10
        assert await money(sidecar) == (0, ESTIMATE)
        desk.door.set()
        assert (await first).code == "OK"
        last = await ask(channel, SEND, key or "n10", "another thing")
        assert (last.code, last.own_trailers) == ("OK", [])
        assert dict(desk.done) == {"please": 1, "another thing": 1}
        assert await money(sidecar) == (2 * COST, 0)
        assert await visits(sidecar) == 2
        assert sample(sidecar, "sidecar_wasted_cost_usd_total", reason="retry") == 0


@pytest.mark.parametrize("method", WORK)
async def test_an_answer_that_the_spec_refuses_was_paid_for_and_is_not_done_again(
    store: str, method: str, tmp_path: Path
):
    """Its money is wasted. A unary callee has done it; of a stream nobody knows. Either way it does not run twice."""
    schema = {"not": {"required": ["says"]}} if method == PLACE else {"not": {"required": ["task"]}}
    async with (
        running_desk() as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store, specs=[spec(method, response={"schema": schema})]) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        assert (await ask(channel, method, "k1")).reply == "RESPONSE_SPEC_VIOLATION"
        again = [(await ask(channel, method, "k1")).reply for _ in range(3)]
        assert again == ["ANSWER_NOT_KEPT" if method == SEND else "OUTCOME_UNKNOWN"] * 3
        assert dict(desk.done) == {"please": 1}
        assert await money(sidecar) == (COST, 0)
        assert await visits(sidecar) == 1
        assert sample(sidecar, "sidecar_wasted_cost_usd_total", reason="refused_answer") == COST / 1e6


ENDED = {"type": "object", "required": ["state"], "properties": {"state": {"const": "TASK_STATE_COMPLETED"}}}
UNENDED = {"not": {"properties": {"task": {"type": "object", "properties": {"status": ENDED}, "required": ["status"]}}}}
"""Holds of all answers but those with a task that has ended."""


@pytest.mark.parametrize("method", DESCRIBED)
async def test_of_a_refused_answer_that_said_that_the_work_has_ended_a_duplicate_hears_that(
    store: str, method: str, tmp_path: Path
):
    """Of a stream too: its task is completed, so nobody is in doubt, and the answer is given to nobody."""
    async with (
        running_desk() as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store, specs=[spec(method, response={"schema": UNENDED})]) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        assert (await ask(channel, method, "k1")).reply == "RESPONSE_SPEC_VIOLATION"
        assert [(await ask(channel, method, "k1")).reply for _ in range(3)] == ["ANSWER_NOT_KEPT"] * 3
        assert dict(desk.done) == {"please": 1}
        assert await money(sidecar) == (COST, 0)


@pytest.fixture(scope="module")
def arithmetic() -> Iterator[str]:
    """The address of a verifier in a process of its own."""
    program = Program("-m", "verifiers.arithmetic", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
    yield program.read_until(r"listening (127\.0\.0\.1:\d+)")
    program.close()


WRONG, RIGHT = "In all 2 + 2 = 5 were sold", "In all 2 + 2 = 4 were sold"


@pytest.mark.parametrize("method", [SEND, STREAM])
async def test_an_answer_that_a_verifier_fails_was_paid_for_and_leaves_nothing_held(
    store: str, method: str, arithmetic: str, tmp_path: Path
):
    """Refused by a verdict: its money is wasted, its place and its waits are free, and it is not done a second time."""
    judged = spec(method, verifiers={"require": ["arithmetic"], "mode": "enforce", "timeout": "10s"})
    verifier = {"name": "arithmetic", "address": arithmetic, "mode": "enforce", "timeout": "10s", "fail": "closed"}
    async with (
        running_desk() as (desk, upstream),
        running_guarded(
            upstream,
            tmp_path,
            store=store,
            specs=[judged],
            verifiers=[verifier],
            pressure=limits(concurrency=1, scope="fleet"),
            loops={"repeats": 2, "slow": "0s"},
        ) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        desk.says = WRONG
        refused = await ask(channel, method, "k1")
        assert (refused.reply, refused.code) == ("VERDICT_FAILED", "FAILED_PRECONDITION")
        assert sample(sidecar, "sidecar_verdicts_total", verifier="arithmetic", verdict="fail") == 1
        assert await money(sidecar) == (COST, 0)
        assert sample(sidecar, "sidecar_wasted_cost_usd_total", reason="refused_answer") == COST / 1e6
        # A duplicate is told that it was done, and is judged, charged and counted no more; its answer stays refused.
        again = [(await ask(channel, method, "k1")).reply for _ in range(3)]
        assert again == ["ANSWER_NOT_KEPT"] * 3
        assert sample(sidecar, "sidecar_verdicts_total", verifier="arithmetic", verdict="fail") == 1
        assert (await money(sidecar), await visits(sidecar)) == ((COST, 0), 1)
        # The one place is free, the claim of another key is its own, and a right answer passes.
        desk.says = RIGHT
        assert (await ask(channel, method, "k2", "count again")).own_trailers == []
        assert dict(desk.done) == {"please": 1, "count again": 1}
        assert await money(sidecar) == (2 * COST, 0)
        assert sample(sidecar, "sidecar_wasted_cost_usd_total", reason="refused_answer") == COST / 1e6
        assert sample(sidecar, "sidecar_verdicts_total", verifier="arithmetic", verdict="pass") == 1


async def test_a_refusal_bears_no_hint_of_another_check(tmp_path: Path):
    """That a budget is near its limit is told with an answer; beside a refusal it would be taken for its reason."""
    bad = {"schema": {"not": {"required": ["task"]}}}
    near = [{"name": "all", "scope": "global", "limit_usd": 1, "warn_at": 0.000001}]
    async with running_desk() as (_, upstream):
        for number, response in enumerate((None, bad)):
            folder = tmp_path / str(number)
            folder.mkdir()
            specs = [spec(SEND, **({"response": response} if response else {}))]
            async with (
                running_guarded(upstream, folder, specs=specs, budgets=near) as sidecar,
                aio.insecure_channel(sidecar.address) as channel,
            ):
                answer, replayed = await ask(channel, SEND, "k1"), await ask(channel, SEND, "k1")
                told = {"sidecar-reply", "sidecar-hint"}
                assert told & set(answer.own_trailers) == ({"sidecar-reply"} if response else {"sidecar-hint"})
                assert told & set(replayed.own_trailers) == {"sidecar-reply"}


async def test_a_file_that_another_program_holds_is_a_store_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Available specs go on, consistent ones refuse, it is said and counted, and it ends by itself."""
    monkeypatch.setattr("sidecar.stores.sqlite.database.BUSY_LIMIT_MS", 50)
    specs = [spec(SEND, consistency="available"), spec(PLACE, consistency="consistent")]
    async with (
        running_desk() as (desk, upstream),
        running_guarded(upstream, tmp_path, store=f"sqlite://{tmp_path}/state.db", specs=specs) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        assert (await ask(channel, SEND, "k1")).own_trailers == []
        with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert (await ask(channel, SEND, "k2", "another thing")).own_trailers == []
            assert (await ask(channel, SEND, "k2", "another thing")).reply == "REPLAYED"
            assert (await ask(channel, PLACE, "k3", "a third thing")).reply == "STORE_UNAVAILABLE"
            assert sample(sidecar, "sidecar_store_away", store="sqlite") == 1
            assert sample(sidecar, "sidecar_store_errors_total", store="sqlite", operation="claim") > 0
            assert sample(sidecar, "sidecar_fail_open_total", check="idempotency", reason="store_away") > 0
            other.execute("ROLLBACK")
        assert (await ask(channel, PLACE, "k3", "a third thing")).own_trailers == []
        assert sample(sidecar, "sidecar_store_away", store="sqlite") == 0
        assert dict(desk.done) == {"please": 1, "another thing": 1, "a third thing": 1}

        async def is_brought_in() -> bool:
            return await money(sidecar) == (3 * COST, 0)

        await until(is_brought_in)


async def test_an_edge_in_quarantine_is_refused_before_anything_is_counted(store: str, tmp_path: Path):
    """No claim, no visit, no token, no money; after the release the same call is the first."""
    async with (
        running_desk() as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store, pressure=limits(rate="1/h", burst=1)) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        for method in WORK:
            sidecar.app.quarantine.quarantine("planner", "desk", method, "an earlier answer was wrong")
            assert [(await ask(channel, method, "k1")).reply for _ in range(8)] == ["QUARANTINED"] * 8
            sidecar.app.quarantine.release("planner", "desk", method)
        assert await money(sidecar) == (0, 0)
        assert await visits(sidecar) == 0
        assert (await ask(channel, SEND, "k1")).own_trailers == []
        assert sum(desk.done.values()) == 1
        assert await money(sidecar) == (COST, 0)


@pytest.mark.parametrize("method", WORK)
async def test_a_caller_who_leaves_while_others_wait_leaves_one_call_behind(store: str, method: str, tmp_path: Path):
    """It is charged once, is one visit, keeps its place until it is answered, and the others hear its answer."""
    async with (
        running_desk(is_open=False) as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store, pressure=limits(concurrency=2)) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        first = call(channel, method, asking(method, "k1"))
        left = asyncio.create_task(heard(first))
        await desk.arrived.wait()
        waiting = asyncio.create_task(ask(channel, method, "k1"))
        await asyncio.sleep(0.2)
        first.cancel()
        assert (await left).code == "CANCELLED"
        await asyncio.sleep(0.1)
        assert desk.inside == 1
        assert await money(sidecar) == (0, ESTIMATE)
        desk.door.set()
        answer = await waiting
        assert (answer.code, answer.reply) == ("OK", "REPLAYED")
        await until(lambda: len(sidecar.outcomes) == 2)
        assert dict(desk.done) == {"please": 1}
        assert await money(sidecar) == (COST, 0)
        assert await visits(sidecar) == 1
        assert (await ask(channel, method, "k2", "another thing")).code == "OK"


@pytest.mark.parametrize("method", WORK)
async def test_a_call_that_everybody_left_is_paid_for_and_never_done_again(store: str, method: str, tmp_path: Path):
    """Nobody knows what the callee did. It costs its estimate, its place is free, and a duplicate hears the truth."""
    async with (
        running_desk(is_open=False) as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store, pressure=limits(concurrency=1)) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        first = call(channel, method, asking(method, "k1"))
        left = asyncio.create_task(heard(first))
        await desk.arrived.wait()
        first.cancel()
        await left
        await until(lambda: len(sidecar.outcomes) == 1 and desk.inside == 0)
        desk.door.set()
        assert (await ask(channel, method, "k1")).reply == "OUTCOME_UNKNOWN"
        assert await money(sidecar) == (ESTIMATE, 0)
        assert (await ask(channel, method, "k2", "another thing")).code == "OK"
        assert dict(desk.done) == {"please": 1, "another thing": 1}


@pytest.mark.parametrize("duplicates", ["replay", "observe"])
async def test_shared_reads_and_idempotency_on_one_edge(store: str, duplicates: str, tmp_path: Path):
    """Twenty ask at once, whichever of the two answers: one read, one charge, one place; each hears the same."""
    terms = {"idempotency": {"retain": "1h", "duplicates": duplicates}, "reads": {"single_flight": True}}
    both = {"spec": "read/v1", "match": {"callee": "desk", "method": READ}, **terms}
    async with (
        running_desk(is_open=False) as (desk, upstream),
        running_guarded(
            upstream,
            tmp_path,
            store=store,
            specs=[both],
            pressure={"limits": [{"concurrency": 1}]},
            loops={"reads": 30},
        ) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        calls = [asyncio.create_task(ask(channel, READ, "t1")) for _ in range(20)]
        await desk.arrived.wait()
        await asyncio.sleep(0.2)
        desk.door.set()
        answers = await asyncio.gather(*calls)
        assert sorted(each.reply for each in answers) == ["", *["REPLAYED"] * 19]
        assert len({each.messages for each in answers}) == 1
        assert dict(desk.done) == {"t1": 1}
        await until(lambda: len(sidecar.outcomes) == 20)
        assert (await money(sidecar))[1] == 0
        # Had the nineteen been reads of the conversation, the last of these would be past the limit.
        others = [await ask(channel, READ, "t1") for _ in range(12)]
        assert [each.reply for each in others] == ["REPLAYED" if duplicates == "replay" else ""] * 12


async def test_a_method_that_nobody_described_is_guarded_too(store: str, tmp_path: Path):
    """JSON, with everything on: claimed, charged, counted as one visit, and a loop is broken."""
    async with (
        running_desk() as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        first = await ask(channel, PLACE, "k0")
        again = [await ask(channel, PLACE, "k0") for _ in range(8)]
        assert [(each.messages, each.reply) for each in again] == [(first.messages, "REPLAYED")] * 8
        assert (await money(sidecar), await visits(sidecar)) == ((COST, 0), 1)
        replies = [(await ask(channel, PLACE, f"k{number}")).reply for number in range(1, 7)]
        assert replies == ["", "", "", "", "LOOP_DETECTED", "LOOP_DETECTED"]
        assert dict(desk.done) == {"please": 5}
        assert await money(sidecar) == (5 * COST, 0)
        # The key of a call that was broken off is free: with another question it is another call.
        assert (await ask(channel, PLACE, "k5", "another thing")).code == "OK"


@pytest.mark.parametrize("method", [*WORK, READ])
async def test_observe_with_everything_on_changes_nothing(store: str, method: str, tmp_path: Path):
    """Byte for byte what a direct call hears, no trailer of ours, no waiting; each call is made as often as asked."""
    tight = {
        "loops": {"repeats": 1, "drifts": 2, "reads": 1, "slow": "5s"},
        "pressure": {
            "limits": [{"callee": "desk", "concurrency": 0, "rate": "1/h", "burst": 1}],
            "retries": {"minimum": 0, "ratio": 0},
            "breaker": {},
            "deadlocks": {"agents": [{"name": "desk", "serves": 1}]},
        },
        "budgets": [{"name": "all", "scope": "global", "limit_usd": 0.000001}],
    }
    shared = {"spec": "read/v1", "match": {"callee": "desk", "method": READ}, "reads": {"single_flight": True}}
    bad = {"schema": {"type": "object", "required": ["nothing-has-this"]}}
    specs = [*(spec(each, request=bad, response=bad, deadline="1ms") for each in WORK), shared]
    async with (
        running_desk() as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store, specs=specs, mode="observe", **tight) as sidecar,
        aio.insecure_channel(sidecar.address) as through,
        aio.insecure_channel(upstream) as direct,
    ):
        sidecar.app.quarantine.quarantine("planner", "desk", method, "an earlier answer was wrong")
        for number in range(6):
            ways = []
            for channel in (direct, through):
                desk.done.clear()
                ways.append(await ask(channel, method, "t" if method == READ else f"k{number // 2}"))
                assert sum(desk.done.values()) == 1
            assert ways[0] == ways[1]
            assert ways[0].code == "OK"
        assert max(outcome.duration_s for outcome in sidecar.outcomes) < 1
        found = {(each.check, each.rule) for outcome in sidecar.outcomes for each in outcome.exchange.findings}
        assert {check for check, _ in found} >= {"quarantine", "loop", "pressure"}


async def test_wasted_money_is_told_by_its_reason(store: str, tmp_path: Path):
    """In observe all of it is spent: on duplicates, on what was asked before, on a loop, and on calls that fail."""
    async with (
        running_desk() as (desk, upstream),
        running_guarded(upstream, tmp_path, store=store, mode="observe", loops={"repeats": 2, "slow": "0s"}) as sidecar,
        aio.insecure_channel(sidecar.address) as channel,
    ):
        for key, text in (("k1", "please"), ("k1", "please"), ("k2", "please"), ("k3", "please"), ("k4", "please")):
            assert (await ask(channel, SEND, key, text)).own_trailers == []
        assert (await ask(channel, PLACE, "k5")).code == "OK"
        assert await money(sidecar) == (6 * COST, 0)
        wasted = {
            reason: round(sample(sidecar, "sidecar_wasted_cost_usd_total", reason=reason) * 1e6)
            for reason in ("duplicate", "retry", "loop", "refused_answer", "failed")
        }
        # The second k1 is a duplicate, k2 asks again under a new key, and with k3 the limit of two is passed.
        assert wasted == {"duplicate": COST, "retry": COST, "loop": 2 * COST, "refused_answer": 0, "failed": 0}
        assert dict(desk.done) == {"please": 6}


@pytest.mark.parametrize("method", DESCRIBED)
async def test_an_answer_from_the_callees_record_is_nothing_new_to_the_callers_sidecar(
    redis: RedisServer, method: str, tmp_path: Path
):
    """Both keep state, and only the callee's knows of keys: what it gives again is charged, counted and judged once."""
    redis.flush()
    unkeyed = {key: value for key, value in spec(method).items() if key != "idempotency"}
    both = {"store": redis.url, "loops": {"repeats": 2, "slow": "0s"}, "pressure": limits(concurrency=1, scope="fleet")}
    (tmp_path / "caller").mkdir()
    route = {"caller": "planner", "callee": "desk", "guards": "always"}
    async with (
        running_desk() as (desk, upstream),
        running_guarded(upstream, tmp_path, **both) as callee,
        running_guarded(
            callee.address, tmp_path / "caller", specs=[unkeyed], agent="planner", route=route, **both
        ) as caller,
        aio.insecure_channel(caller.address) as channel,
    ):
        first = await ask(channel, method, "k1")
        again = [await ask(channel, method, "k1") for _ in range(4)]
        assert (first.code, first.own_trailers) == ("OK", [])
        assert [(each.messages, each.headers, each.reply) for each in again] == [
            (first.messages, first.headers, "REPLAYED")
        ] * 4
        assert dict(desk.done) == {"please": 1}
        assert [await money(each) for each in (caller, callee)] == [(COST, 0)] * 2
        assert await visits(caller) == 1
        found = {each.rule for outcome in caller.outcomes for each in outcome.exchange.findings}
        assert not found & {"illegal-transition", "stale-read", "repeat"}
        assert (await ask(channel, method, "k2", "another thing")).code == "OK"
        assert [await money(each) for each in (caller, callee)] == [(2 * COST, 0)] * 2
