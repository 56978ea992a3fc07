"""Duplicates through real sidecars: what runs, what is answered, and who may leave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from h2.errors import ErrorCodes
from redis import Redis

from tests.idempotency.shop import (
    HEADERS,
    METHODS,
    PLACE,
    PROMPT_S,
    STREAM,
    UNARY,
    UPLOAD,
    Answer,
    before,
    dialled,
    eventually,
    order,
    request_of,
    running_shop,
    sample,
    started,
)
from tests.stores.places import RedisServer
from tests.transparency.callee_wire import RawCall, running_raw_upstream


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    with Redis.from_url(redis_server.url) as redis:
        redis.flushall()
    return redis_server.url


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("code", [grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND])
async def test_the_second_answer_is_the_first_one_byte_for_byte(tmp_path: Path, method: str, code: grpc.StatusCode):
    """Headers, messages, trailers and status; only our mark is added."""
    async with running_shop() as shop, before(shop.address, tmp_path) as sidecar, dialled(sidecar) as channel:
        shop.code = code
        first, second = await order(channel, method), await order(channel, method)
    assert (first.code, first.reply, second.reply) == (code, "", "REPLAYED")
    assert second.without_mark == first
    assert len(shop.begun) == 1
    assert sample(sidecar, "duplicates_total", callee="callee", outcome="replayed") == 1
    assert sample(sidecar, "retries_total", caller="planner", callee="callee") == 1
    if method == STREAM:
        assert first.headers == HEADERS


async def test_an_answer_too_large_to_keep_is_done_and_said_so(tmp_path: Path):
    """`record: 0B` keeps nothing, and the order is placed once all the same."""
    options = {"idempotency": {"record": "0B"}}
    async with running_shop() as shop, before(shop.address, tmp_path, **options) as sidecar, dialled(sidecar) as caller:
        await order(caller)
        second = await order(caller)
    assert (second.code, second.reply) == (grpc.StatusCode.ALREADY_EXISTS, "ANSWER_NOT_KEPT")
    assert len(shop.begun) == 1


async def test_in_observe_the_callee_is_asked_again(tmp_path: Path):
    """And the duplicate is found and counted."""
    options = {"mode": "observe"}
    async with running_shop() as shop, before(shop.address, tmp_path, **options) as sidecar, dialled(sidecar) as caller:
        answers = [await order(caller), await order(caller)]
    assert [answer.reply for answer in answers] == ["", ""]
    assert len(shop.begun) == 2
    assert sample(sidecar, "duplicates_total", callee="callee", outcome="observed") == 1


@pytest.mark.parametrize("count", [2, 10])
async def test_duplicates_at_two_sidecars_at_one_instant_run_once(
    tmp_path: Path, method: str, redis_url: str, count: int
):
    """Two processes' worth of sidecar on one real Redis; everybody hears the one answer."""
    async with (
        running_shop(is_open=False) as shop,
        before(shop.address, tmp_path, store=redis_url) as one,
        before(shop.address, tmp_path, store=redis_url) as two,
        dialled(one) as to_one,
        dialled(two) as to_two,
    ):
        asked = [asyncio.create_task(order((to_one, to_two)[number % 2], method)) for number in range(count)]
        await eventually(shop.arrived.is_set)
        await asyncio.sleep(0.3)
        shop.door.set()
        answers = await asyncio.gather(*asked)
    assert len(shop.begun) == 1
    assert {answer.without_mark for answer in answers} == {answers[0].without_mark}
    assert sorted(answer.reply for answer in answers) == [""] + ["REPLAYED"] * (count - 1)


async def test_an_exchange_that_passes_two_sidecars_is_claimed_once_and_never_waits_for_itself(
    tmp_path: Path, redis_url: str
):
    """The caller's outbound one and the callee's inbound one, on one store."""
    outbound = {"agent": "planner", "store": redis_url}
    async with (
        running_shop() as shop,
        before(shop.address, tmp_path, store=redis_url, route={"caller": "planner"}) as inbound,
        before(inbound.address, tmp_path, route={"caller": "planner", "callee": "callee"}, **outbound) as leaving,
        dialled(leaving) as channel,
    ):
        async with asyncio.timeout(PROMPT_S):
            first = await order(channel)
            second = await order(channel)
            other = await order(channel, text="coffee")
    assert [first.reply, second.reply, other.reply] == ["", "REPLAYED", ""]
    assert second.without_mark == first
    assert len(shop.begun) == 2
    ids = {outcome.exchange.lineage.exchange_id for outcome in (*leaving.outcomes, *inbound.outcomes)}
    assert len(ids) == 3
    found = sum(sample(each, "duplicates_total", callee="callee", outcome="replayed") for each in (leaving, inbound))
    assert found == 1


async def test_a_first_caller_who_leaves_does_not_cancel_the_call_while_another_waits(tmp_path: Path, method: str):
    """The one who waits is answered, and the callee has run once."""
    async with (
        running_shop(is_open=False) as shop,
        before(shop.address, tmp_path) as sidecar,
        dialled(sidecar) as leaving,
        dialled(sidecar) as staying,
    ):
        first = started(leaving, method)
        await eventually(shop.arrived.is_set)
        second = asyncio.create_task(order(staying, method))
        await asyncio.sleep(0.2)
        first.cancel()
        await asyncio.sleep(0.3)
        assert shop.cancelled == 0
        shop.door.set()
        answer = await second
        await eventually(lambda: len(sidecar.outcomes) == 2)
    assert (answer.code, answer.reply) == (grpc.StatusCode.OK, "REPLAYED")
    assert len(answer.messages) == (2 if method == STREAM else 1)
    assert len(shop.begun) == 1
    assert sidecar.app.routes[0].listener.way.room.open_streams == 0
    assert sidecar.app.routes[0].listener.way.room.buffered_bytes == 0


async def test_the_first_callers_deadline_stays_the_callees_whoever_waits(tmp_path: Path, method: str):
    """The callee was told when to stop: those who wait hear that nobody knows how far it came."""
    async with (
        running_shop(is_open=False) as shop,
        before(shop.address, tmp_path) as sidecar,
        dialled(sidecar) as hasty,
        dialled(sidecar) as patient,
    ):
        first = asyncio.create_task(order(hasty, method, timeout=0.6))
        await eventually(shop.arrived.is_set)
        async with asyncio.timeout(PROMPT_S):
            second = await order(patient, method)
        assert (await first).code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (second.code, second.reply) == (grpc.StatusCode.ABORTED, "OUTCOME_UNKNOWN")
    assert len(shop.begun) == 1


async def test_nor_while_another_waits_at_another_sidecar(tmp_path: Path, redis_url: str):
    """The store tells the holder that somebody waits."""
    async with (
        running_shop(is_open=False) as shop,
        before(shop.address, tmp_path, store=redis_url) as one,
        before(shop.address, tmp_path, store=redis_url) as two,
        dialled(one) as leaving,
        dialled(two) as staying,
    ):
        first = started(leaving, UNARY)
        await eventually(shop.arrived.is_set)
        second = asyncio.create_task(order(staying, UNARY))
        await asyncio.sleep(0.3)
        first.cancel()
        await asyncio.sleep(1.5)
        assert shop.cancelled == 0
        shop.door.set()
        answer = await second
    assert (answer.code, answer.reply, len(shop.begun)) == (grpc.StatusCode.OK, "REPLAYED", 1)


async def test_a_caller_who_leaves_alone_cancels_the_call(tmp_path: Path, method: str):
    """As if we were not there; and the outcome is unknown from then on."""
    async with (
        running_shop(is_open=False) as shop,
        before(shop.address, tmp_path) as sidecar,
        dialled(sidecar) as channel,
    ):
        first = started(channel, method)
        await eventually(shop.arrived.is_set)
        first.cancel()
        await eventually(lambda: shop.cancelled == 1)
        await eventually(lambda: len(sidecar.outcomes) == 1)
        second = await order(channel, method)
    assert (second.code, second.reply) == (grpc.StatusCode.ABORTED, "OUTCOME_UNKNOWN")
    assert len(shop.begun) == 1


async def test_an_upload_that_breaks_off_is_cancelled_whoever_waits(tmp_path: Path):
    """Its callee must never take half of it for all of it; and nobody knows how far it came."""
    async with (
        running_shop() as shop,
        before(shop.address, tmp_path) as sidecar,
        dialled(sidecar) as leaving,
        dialled(sidecar) as staying,
    ):
        first = leaving.stream_unary(UPLOAD)(timeout=20)
        await first.write(request_of(UPLOAD))
        await eventually(shop.arrived.is_set)
        second = staying.stream_unary(UPLOAD)(timeout=20)
        await second.write(request_of(UPLOAD))
        await asyncio.sleep(0.2)
        first.cancel()
        await eventually(lambda: shop.cancelled == 2)  # The other had opened its stream, and sent nothing on it.
        with pytest.raises(aio.AioRpcError) as caught:
            await second
    assert ("sidecar-reply", "OUTCOME_UNKNOWN") in [tuple(entry) for entry in caught.value.trailing_metadata()]
    assert (shop.uploads, len(shop.begun)) == (0, 1)


async def test_when_all_who_wait_have_left_too_the_call_is_cancelled(tmp_path: Path):
    """Nobody works for nobody."""
    async with (
        running_shop(is_open=False) as shop,
        before(shop.address, tmp_path) as sidecar,
        dialled(sidecar) as one,
        dialled(sidecar) as two,
    ):
        first = started(one, UNARY)
        await eventually(shop.arrived.is_set)
        second = started(two, UNARY)
        await asyncio.sleep(0.2)
        first.cancel()
        await asyncio.sleep(0.2)
        assert shop.cancelled == 0
        second.cancel()
        await eventually(lambda: shop.cancelled == 1)
        await eventually(lambda: len(sidecar.outcomes) == 2)
        assert sidecar.app.routes[0].listener.way.room.open_streams == 0


async def test_in_observe_a_caller_who_leaves_cancels_the_call_whoever_came_after(tmp_path: Path):
    """Observe changes nothing."""
    async with (
        running_shop(is_open=False) as shop,
        before(shop.address, tmp_path, mode="observe") as sidecar,
        dialled(sidecar) as one,
        dialled(sidecar) as two,
    ):
        first = started(one, UNARY)
        await eventually(shop.arrived.is_set)
        second = started(two, UNARY)
        await eventually(lambda: len(shop.begun) == 2)
        first.cancel()
        await eventually(lambda: shop.cancelled == 1)
        second.cancel()


async def test_a_call_that_goes_on_alone_is_ended_by_the_drain(tmp_path: Path):
    """It may not keep the process, and its end is told."""
    async with (
        running_shop(is_open=False) as shop,
        before(shop.address, tmp_path, drain={"timeout": "200ms"}) as sidecar,
        dialled(sidecar) as one,
        dialled(sidecar) as two,
    ):
        first = started(one, UNARY)
        await eventually(shop.arrived.is_set)
        second = started(two, UNARY)
        await asyncio.sleep(0.2)
        first.cancel()
        await asyncio.sleep(0.2)
        assert (shop.cancelled, len(sidecar.outcomes)) == (0, 0)
        await sidecar.app.drain()
        second.cancel()
        assert len(sidecar.outcomes) == 2
        await eventually(lambda: shop.cancelled == 1)


async def test_a_first_caller_who_leaves_in_mid_stream_leaves_the_whole_answer_to_the_others(tmp_path: Path):
    """What it had been sent, and what nobody was left to be sent to."""
    async with (
        running_shop(is_open=False) as shop,
        before(shop.address, tmp_path) as sidecar,
        dialled(sidecar) as leaving,
        dialled(sidecar) as staying,
    ):
        shop.flood = 500
        first = started(leaving, STREAM)
        await first.read()
        second = asyncio.create_task(order(staying, STREAM))
        await asyncio.sleep(0.2)
        shop.door.set()
        await first.read()
        first.cancel()
        answer = await second
    assert (answer.code, answer.reply) == (grpc.StatusCode.OK, "REPLAYED")
    assert len(answer.messages) == 502
    assert len(shop.begun) == 1


@pytest.mark.parametrize(
    "reset", [ErrorCodes.INTERNAL_ERROR, ErrorCodes.ENHANCE_YOUR_CALM, ErrorCodes.REFUSED_STREAM, ErrorCodes.CANCEL]
)
async def test_a_reset_after_dispatch_is_outcome_unknown(tmp_path: Path, reset: ErrorCodes):
    """Whatever code grpc makes of it: the callee has not said how it ended."""

    async def callee(call: RawCall) -> None:
        await call.has_all_requests.wait()
        await call.reset(reset)

    async with running_raw_upstream() as raw, before(raw.address, tmp_path) as sidecar, dialled(sidecar) as channel:
        await order(channel, UNARY, metadata=(raw.plays(callee),))
        second = await order(channel, UNARY)
    assert second.reply == "OUTCOME_UNKNOWN"


async def test_an_upstream_that_cannot_be_reached_leaves_the_key_free(tmp_path: Path):
    """Never dispatched: a retry runs."""
    async with running_shop() as shop:
        address = shop.address
    async with before(address, tmp_path) as sidecar, dialled(sidecar) as channel:
        assert [(await order(channel)).reply, (await order(channel)).reply] == ["UPSTREAM_UNREACHABLE"] * 2


async def test_with_redis_away_available_goes_on_and_consistent_refuses(tmp_path: Path):
    """Each as its spec's writer chose; what went on unshared is counted."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder).start()
    try:
        async with (
            running_shop() as shop,
            before(shop.address, tmp_path, store=server.url) as available,
            before(shop.address, tmp_path, store=server.url, consistency="consistent") as consistent,
            dialled(available) as to_available,
            dialled(consistent) as to_consistent,
        ):
            assert (await order(to_available)).reply == ""
            server.kill()
            went_on = [await order(to_available, text="coffee"), await order(to_available, text="coffee")]
            refused = await order(to_consistent, text="milk")
    finally:
        server.stop()
    assert [answer.reply for answer in went_on] == ["", "REPLAYED"]
    assert (refused.code, refused.reply) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert len(shop.begun) == 2
    assert sample(available, "fail_open_total", check="idempotency", reason="store_away") == 2


async def test_many_callers_of_many_orders_each_run_once(tmp_path: Path, redis_url: str):
    """A storm of retries at two sidecars. Consistent: where the store is too slow, callers insist."""
    consistent = {"store": redis_url, "consistency": "consistent"}
    few = asyncio.Semaphore(30)

    async def insist(channel: aio.Channel, number: int) -> Answer:
        async with few:
            while True:
                answer = await order(channel, METHODS[number % 3], f"item {number // 6 % 10}")
                if answer.reply not in ("STORE_UNAVAILABLE", "DUPLICATE_IN_FLIGHT"):
                    return answer

    async with (
        running_shop() as shop,
        before(shop.address, tmp_path, **consistent) as one,
        before(shop.address, tmp_path, **consistent) as two,
        dialled(one) as to_one,
        dialled(two) as to_two,
    ):
        answers = await asyncio.gather(*(insist((to_one, to_two)[n % 2], n) for n in range(300)))
    assert {answer.code for answer in answers} == {grpc.StatusCode.OK}
    assert len(shop.begun) == len(set(shop.begun)) + 10
    assert sum(answer.reply == "" for answer in answers) == 30


def test_methods_are_told_apart() -> None:
    """The storm counts on it: a unary and a streamed order have equal payloads, and are two orders."""
    payloads: set[Any] = set(METHODS)
    assert len(payloads) == 3
    assert PLACE in payloads
