"""Leases: what is held is renewed until it is given back, and not a moment longer."""

from __future__ import annotations

import asyncio

from sidecar.checks.pressure.leases import Lease, Leases
from sidecar.errors import StoreUnavailable

LEASE_S = 0.03


class Place:
    """A place in a store, which tells what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.renewed = asyncio.Event()
        self.slow: asyncio.Event | None = None
        self.is_away = False

    @property
    def lease(self) -> Lease:
        return Lease(self._renew, self._give_back)

    async def _renew(self) -> None:
        self.renewed.set()
        if self.slow is not None:
            await self.slow.wait()
        self.asked.append("renew")
        if self.is_away:
            raise StoreUnavailable("away")

    async def _give_back(self) -> None:
        self.asked.append("give back")


async def soon(place: Place) -> None:
    place.renewed.clear()
    async with asyncio.timeout(5):
        await place.renewed.wait()


async def test_what_is_held_is_renewed_again_and_again():
    """Several things by one task."""
    leases, one, two = Leases(LEASE_S), Place(), Place()
    leases.hold("one", one.lease)
    leases.hold("two", two.lease)
    for _ in range(3):
        await soon(one)
        await soon(two)
    leases.release("one")
    leases.release("two")


async def test_what_is_released_is_renewed_no_more():
    """And when nothing is held, nothing runs."""
    leases, one, two = Leases(LEASE_S), Place(), Place()
    leases.hold("one", one.lease)
    leases.hold("two", two.lease)
    leases.release("one")
    await soon(two)
    leases.release("two")
    await asyncio.sleep(LEASE_S * 2)
    assert one.asked == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_renewal_that_its_release_overtook_is_taken_back():
    """Else the place of a call that has ended would be taken for another lease."""
    leases, place, other = Leases(LEASE_S), Place(), Place()
    place.slow = asyncio.Event()
    leases.hold("place", place.lease)
    leases.hold("other", other.lease)
    await soon(place)
    leases.release("place")
    place.slow.set()
    await soon(other)
    leases.release("other")
    assert place.asked == ["renew", "give back"]


async def test_a_store_that_is_away_is_asked_again():
    """It may be back before the lease ends."""
    leases, place = Leases(LEASE_S), Place()
    place.is_away = True
    leases.hold("place", place.lease)
    await soon(place)
    await soon(place)
    leases.release("place")
