"""How much a route may hold."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.proxy.room import Room, RoomLimits


@pytest.mark.parametrize(("limit", "admitted"), [(0, 0), (1, 1), (3, 3)])
def test_streams_up_to_the_limit_are_admitted(limit: int, admitted: int):
    """The limit is what we allow; the next one is turned away."""
    room = Room(RoomLimits(streams=limit))
    assert [room.enter() for _ in range(limit + 1)] == [True] * admitted + [False]


def test_a_place_that_was_left_can_be_taken():
    """Leaving makes room for exactly one."""
    room = Room(RoomLimits(streams=1))
    assert room.enter()
    room.leave()
    assert room.enter()
    assert not room.enter()


@pytest.mark.parametrize(("held", "is_full"), [(0, False), (9, False), (10, False), (11, True)])
def test_room_is_full_past_its_bytes(held: int, is_full: bool):
    """A message is only known once it is in memory, so the one that passes the limit still fits."""
    room = Room(RoomLimits(buffered_bytes=10))
    room.hold(held)
    assert room.is_full is is_full


async def test_a_waiter_goes_on_when_bytes_are_freed():
    """This is the back-pressure: nobody reads on while the route is full."""
    room = Room(RoomLimits(buffered_bytes=10))
    room.hold(25)
    waiter = asyncio.create_task(room.wait())
    room.free(10)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiter.done()
    room.free(5)
    await asyncio.wait_for(waiter, 1)
