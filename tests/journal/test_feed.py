"""The feed: onlookers are shown what they want, and a slow one keeps nobody waiting."""

from __future__ import annotations

import asyncio
import threading

import pytest

from sidecar.telemetry.journal.feed import SUBSCRIBERS_MAX, Feed, FeedIsFull, Subscription
from sidecar.telemetry.journal.record import Kind, Record
from tests.journal.desk import journal_of, record, records, tell_exchange


async def shown(subscription: Subscription, count: int) -> list[Record]:
    async with asyncio.timeout(20.0):
        return [await anext(subscription) for _ in range(count)]


async def test_an_onlooker_is_shown_records_as_they_are_made():
    """Without any sink: who looks on is enough for records to be made."""
    with journal_of() as journal:
        assert not journal.is_watched
        subscription = journal.feed.subscribe(lambda each: each.kind is Kind.ENDED)
        await asyncio.to_thread(tell_exchange, journal)
        assert [each.kind for each in await shown(subscription, 1)] == [Kind.ENDED]
        subscription.close()
        assert not journal.is_watched


async def test_an_onlooker_that_does_not_read_loses_the_oldest_and_is_told():
    feed = Feed()
    subscription = feed.subscribe(room=3)
    feed.offer(records(range(1, 11)))
    first, *rest = await shown(subscription, 4)
    assert (first.kind, first.body["count"], subscription.dropped) == (Kind.DROPPED, 7, 7)
    assert [each.hlc >> 16 for each in rest] == [8, 9, 10]


@pytest.mark.parametrize("room", [1, 2])
async def test_room_is_exactly_as_asked(room: int):
    feed = Feed()
    subscription = feed.subscribe(room=room)
    feed.offer(records(range(room)))
    assert subscription.dropped == 0
    feed.offer([record(9)])
    assert subscription.dropped == 1


async def test_one_that_reads_is_not_held_up_by_one_that_does_not():
    feed = Feed()
    feed.subscribe(room=1)
    reading = feed.subscribe(room=10_000)
    writer = threading.Thread(target=lambda: [feed.offer(records([each])) for each in range(5_000)])
    writer.start()
    got = await shown(reading, 5_000)
    writer.join()
    assert [each.hlc >> 16 for each in got] == list(range(5_000))


async def test_a_filter_that_fails_wants_nothing():
    feed = Feed()
    broken = feed.subscribe(lambda each: each.body["no such fact"])
    fine = feed.subscribe()
    feed.offer(records([1]))
    assert len(await shown(fine, 1)) == 1
    broken.close()
    assert [each async for each in broken] == []


async def test_the_feed_ends_for_all():
    feed = Feed()
    subscriptions = [feed.subscribe() for _ in range(2)]
    feed.offer(records([1]))
    feed.close()
    assert [[each.kind async for each in subscription] for subscription in subscriptions] == [[Kind.ENDED]] * 2


async def test_onlookers_are_limited():
    feed = Feed()
    subscriptions = [feed.subscribe() for _ in range(SUBSCRIBERS_MAX)]
    with pytest.raises(FeedIsFull):
        feed.subscribe()
    subscriptions[0].close()
    feed.subscribe()
