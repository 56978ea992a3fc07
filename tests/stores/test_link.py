"""The link to a real Redis: pipelines, absence, return, and what a Redis forgot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis

from sidecar.errors import StoreUnavailable
from sidecar.stores.redis import LinkTls, RedisLink, Script
from tests.stores.places import RedisServer, free_port
from tests.transparency.certs import TlsFiles, make_tls_files

ECHO = Script("echo", "return ARGV[1]")
COUNT = Script("count", "return redis.call('INCR', KEYS[1])")
BROKEN = Script("broken", "return nothing.at_all")
NOW = Script("now", "return now")
SLOW_COUNT = Script("slow_count", "for _ = 1, tonumber(ARGV[1]) do end return redis.call('INCR', KEYS[1])")


BUSY = 8
"""Verbs on their way, one after the other, while Redis does not answer."""


class Watching:
    """Writes down what a link says of its store."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def verb_failed(self, kind: str, verb: str) -> None:
        self.heard.append(f"{kind} failed {verb}")

    def store_left(self, kind: str) -> None:
        self.heard.append(f"{kind} left")

    def store_returned(self, kind: str) -> None:
        self.heard.append(f"{kind} returned")

    def store_forgot(self, kind: str, what: str) -> None:
        self.heard.append(f"{kind} forgot {what}")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path).start()
    yield server
    server.stop()


@asynccontextmanager
async def linked(url: str, watching: Watching | None = None, **settings: float) -> AsyncIterator[RedisLink]:
    link = RedisLink(url, reporter=watching, **settings)
    await link.start()
    try:
        yield link
    finally:
        await link.close()


async def until(true: object, limit_s: float = 15.0) -> None:
    """Wait for a real server to come back; bounded."""
    for _ in range(int(limit_s / 0.02)):
        if true():  # type: ignore[operator]
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never happened")


async def test_verbs_asked_for_together_travel_in_one_pipeline(redis_url: str):
    """A fleet pays a round trip for a turn of its event loop and not for each verb of each call."""
    async with linked(redis_url) as link:
        await link.run(ECHO, ["k"], ("warm",))
        with Redis.from_url(redis_url) as redis:
            before = redis.info("stats")["total_reads_processed"]
            answers = await asyncio.gather(*(link.run(ECHO, ["k"], (number,)) for number in range(100)))
            reads = redis.info("stats")["total_reads_processed"] - before
    assert answers == [b"%d" % number for number in range(100)]
    assert reads < 10


async def test_more_verbs_than_fit_in_one_pipeline_are_all_answered(redis_url: str):
    """One past the limit opens the next pipeline."""
    async with linked(redis_url) as link:
        counts = await asyncio.gather(*(link.run(COUNT, ["n"]) for _ in range(1_000)))
    assert sorted(counts) == list(range(1, 1_001))


async def test_a_redis_that_lost_its_scripts_is_taught_them_again(redis_url: str):
    """SCRIPT FLUSH, or a restart. Each verb runs once all the same."""
    async with linked(redis_url) as link:
        assert await link.run(COUNT, ["n"]) == 1
        with Redis.from_url(redis_url) as redis:
            redis.script_flush()
        assert sorted(await asyncio.gather(*(link.run(COUNT, ["n"]) for _ in range(5)))) == [2, 3, 4, 5, 6]


async def test_a_broken_script_is_our_mistake_and_not_an_absence(redis_url: str):
    """It must be seen in a test and never pass for a partition."""
    async with linked(redis_url) as link:
        with pytest.raises(RuntimeError, match="script broken"):
            await link.run(BROKEN, ["k"])
        assert not link.is_away


async def test_time_is_that_of_redis_and_of_the_test(redis_url: str):
    """A fleet agrees on the time by asking one clock."""
    async with linked(redis_url) as link:
        before = await link.run(NOW, ["k"])
        link.skew_ms = 60_000
        assert 60_000 <= await link.run(NOW, ["k"]) - before < 70_000


async def test_a_redis_that_is_away_at_start_is_no_reason_not_to_start():
    """Verbs fail at once, and each is counted."""
    watching = Watching()
    async with linked("redis://127.0.0.1:1/0", watching) as link:
        with pytest.raises(StoreUnavailable):
            await link.run(ECHO, ["k"], ("x",))
    assert watching.heard == ["redis left", "redis failed echo"]


async def test_a_redis_that_is_killed_and_comes_back_is_used_again(own_server: RedisServer):
    """Within the longest pause, by itself; those who wait for it hear of it."""
    watching, returned = Watching(), []
    async with linked(own_server.url, watching) as link:
        link.on_return.append(lambda: returned.append(True))
        assert await link.run(COUNT, ["n"]) == 1
        own_server.kill()
        with pytest.raises(StoreUnavailable):
            await link.run(COUNT, ["n"])
        own_server.start()
        await until(lambda: not link.is_away)
        assert await link.run(COUNT, ["n"]) == 1
    assert returned == [True]
    assert watching.heard[:2] == ["redis failed count", "redis left"]
    assert watching.heard[-2:] == ["redis forgot all", "redis returned"]


async def test_a_redis_that_forgot_its_last_writes_is_found_out(redis_url: str):
    """As a replica does that was promoted before it had everything: it remembers fewer beats than were acknowledged."""
    watching = Watching()
    async with linked(redis_url, watching) as link:
        for _ in range(3):
            await link._probe()
        with Redis.from_url(redis_url) as redis:
            (beats,) = redis.keys("sidecar:{epoch}:beats:*")
            redis.set(beats, 1)
        for _ in range(3):
            await link._probe()
    assert watching.heard == ["redis forgot last"]


async def test_a_redis_that_only_takes_no_writes_counts_as_away(own_server: RedisServer):
    """A demoted primary answers every verb with READONLY."""
    watching = Watching()
    async with linked(own_server.url, watching) as link:
        with Redis.from_url(own_server.url) as redis:
            redis.replicaof("127.0.0.1", 1)
            with pytest.raises(StoreUnavailable):
                await link.run(COUNT, ["n"])
            assert link.is_away
            redis.replicaof("NO", "ONE")
        await until(lambda: not link.is_away)
        assert await link.run(COUNT, ["n"]) == 1


async def test_a_redis_that_hangs_costs_a_verb_its_time_out_and_the_next_one_nothing(redis_url: str):
    """Waiting is paid once, not once for each call."""
    async with linked(redis_url, timeout_s=0.2) as link:
        loop = asyncio.get_running_loop()
        with Redis.from_url(redis_url) as redis:
            redis.execute_command("CLIENT", "PAUSE", 1500, "ALL")
        began_s = loop.time()
        with pytest.raises(StoreUnavailable):
            await link.run(ECHO, ["k"], ("x",))
        paid_s = loop.time() - began_s
        with pytest.raises(StoreUnavailable):
            await link.run(ECHO, ["k"], ("x",))
        assert loop.time() - began_s - paid_s < 0.1
        await until(lambda: not link.is_away)


async def test_a_verb_that_was_on_its_way_says_that_it_may_have_happened(redis_url: str):
    """It timed out and was done all the same; one that was never sent cannot have been."""
    async with linked(redis_url, timeout_s=0.2) as link:
        await link.run(SLOW_COUNT, ["n"], (1,))
        with pytest.raises(StoreUnavailable) as sent:
            await link.run(SLOW_COUNT, ["n"], (150_000_000,))
        with pytest.raises(StoreUnavailable) as unsent:
            await link.run(COUNT, ["n"])
        assert (sent.value.may_have_happened, unsent.value.may_have_happened) == (True, False)
        await until(lambda: not link.is_away)
        assert await link.run(COUNT, ["n"]) == 3


async def test_a_verb_that_is_left_by_a_closing_link_may_have_happened(redis_url: str):
    """The process stops while it waits for an answer."""
    async with linked(redis_url, timeout_s=5.0) as link:
        await link.run(COUNT, ["n"])
        with Redis.from_url(redis_url) as redis:
            redis.execute_command("CLIENT", "PAUSE", 300, "ALL")
        asked = asyncio.ensure_future(link.run(COUNT, ["n"]))
        await asyncio.sleep(0.05)
    with pytest.raises(StoreUnavailable) as left:
        await asked
    assert left.value.may_have_happened


async def test_as_many_pipelines_as_there_may_be_are_no_absence(redis_url: str):
    """Redis is slow to answer all of them, and is asked whether it is well at the same time."""
    watching = Watching()
    async with linked(redis_url, watching, timeout_s=5.0) as link:
        await link.run(ECHO, ["k"], ("warm",))
        with Redis.from_url(redis_url) as redis:
            redis.execute_command("CLIENT", "PAUSE", 300, "ALL")
        asked = []
        for number in range(BUSY):
            asked.append(asyncio.ensure_future(link.run(ECHO, ["k"], (number,))))
            await asyncio.sleep(0.005)
        assert await link._probe()
        assert await asyncio.gather(*asked) == [b"%d" % number for number in range(BUSY)]
    assert watching.heard == []


async def test_a_verb_whose_caller_left_harms_no_other(redis_url: str):
    """They share a pipeline, and nothing else."""
    async with linked(redis_url) as link:
        leaving = asyncio.ensure_future(link.run(COUNT, ["n"]))
        staying = asyncio.ensure_future(link.run(COUNT, ["n"]))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == 2


async def test_a_connection_that_breaks_while_nothing_is_asked_is_made_anew(redis_url: str):
    """A proxy closes what is idle: that is no absence, and the next verb hears nothing of it."""
    watching = Watching()
    async with linked(redis_url, watching) as link:
        assert await link.run(COUNT, ["n"]) == 1
        with Redis.from_url(redis_url) as redis:
            redis.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: link._wire is None)
        assert sorted(await asyncio.gather(*(link.run(COUNT, ["n"]) for _ in range(3)))) == [2, 3, 4]
    assert watching.heard == []


async def test_answers_come_in_the_order_of_the_questions(redis_url: str):
    """So what takes something back is never overtaken by what took it, however much is asked."""
    async with linked(redis_url) as link:
        done: list[int] = []

        async def ask(number: int) -> None:
            await link.run(ECHO, ["k"], (number,))
            done.append(number)

        await asyncio.gather(*(ask(number) for number in range(500)))
        assert done == list(range(500))


async def test_what_is_published_is_heard(redis_url: str):
    """On a connection of its own."""
    async with linked(redis_url) as link:
        async with link.pubsub() as listener:
            await listener.subscribe("news")
            assert await listener.get_message(timeout=5)
            with Redis.from_url(redis_url) as redis:
                redis.publish("news", "x")
            said = await listener.get_message(ignore_subscribe_messages=True, timeout=5)
        assert said is not None
        assert said["data"] == b"x"


async def test_a_link_that_is_closed_answers_nobody(redis_url: str):
    """And keeps nobody waiting."""
    async with linked(redis_url) as link:
        pass
    with pytest.raises(StoreUnavailable):
        await link.run(ECHO, ["k"], ("x",))


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    return make_tls_files(tmp_path)


@pytest.fixture
def guarded_server(tmp_path: Path, tls: TlsFiles) -> Iterator[RedisServer]:
    """As it stands in production: a password, TLS, and only clients that an authority vouches for."""
    files = ("--tls-cert-file", tls.server.cert, "--tls-key-file", tls.server.key, "--tls-ca-cert-file", tls.ca)
    server = RedisServer(tmp_path, "--requirepass", "s3cret", "--tls-port", str(free_port()), *map(str, files)).start()
    yield server
    server.stop()


def tls_url(server: RedisServer, password: str = "s3cret") -> str:
    return f"rediss://:{password}@localhost:{server.options[server.options.index('--tls-port') + 1]}/0"


async def test_a_redis_with_password_tls_and_client_certificates_is_reached(guarded_server: RedisServer, tls: TlsFiles):
    """All three at once."""
    link = RedisLink(tls_url(guarded_server), tls=LinkTls(tls.ca, tls.client.cert, tls.client.key))
    await link.start()
    assert await link.run(COUNT, ["n"]) == 1
    await link.close()


async def test_a_redis_that_no_known_authority_vouches_for_is_not_talked_to(guarded_server: RedisServer, tls: TlsFiles):
    """Its certificate may be anybody's."""
    link = RedisLink(tls_url(guarded_server), tls=LinkTls(None, tls.client.cert, tls.client.key))
    await link.start()
    assert link.is_away
    await link.close()


async def test_a_wrong_password_counts_as_away_and_is_never_shown(
    guarded_server: RedisServer, tls: TlsFiles, caplog: pytest.LogCaptureFixture
):
    """It may be corrected there while we run; what we say about it names no secret."""
    link = RedisLink(tls_url(guarded_server, "n0tit"), tls=LinkTls(tls.ca, tls.client.cert, tls.client.key))
    await link.start()
    assert link.is_away
    assert "redis is away" in caplog.text
    assert "n0tit" not in caplog.text
    await link.close()
