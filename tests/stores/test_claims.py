"""Claims: what every store promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar.engine.state import Claims, Store
from sidecar.engine.state.claims import OTHERS_MAX, SIGHTING_S, Claimed, Sighting, Standing
from tests.stores.places import Place

LEASE_S, RETAIN_S = 30.0, 3600.0


@pytest.fixture
def claims(store: Store) -> Claims:
    return store.claims


async def claim(claims: Claims, holder: str, key: str = "k", digest: str = "d", **more: Any) -> Claimed:
    return await claims.claim(key, digest=digest, holder=holder, **{"lease_s": LEASE_S, "retain_s": RETAIN_S, **more})


async def standing(claims: Claims, holder: str, key: str = "k", digest: str = "d") -> Standing:
    return (await claim(claims, holder, key, digest)).standing


async def test_first_claim_of_a_key_is_new(claims: Claims):
    """It comes with a token, and with nothing before it."""
    first = await claim(claims, "one")
    assert (first.standing, first.recording, first.age_ms, first.duplicates) == (Standing.NEW, None, 0, 0)
    assert first.token > 0


async def test_same_exchange_claims_its_own(claims: Claims):
    """The second sidecar of one exchange, or the first one asking again, is no duplicate."""
    first = await claim(claims, "one")
    again = await claim(claims, "one")
    assert (again.standing, again.token, again.duplicates) == (Standing.YOURS, first.token, 0)


async def test_another_exchange_finds_it_in_flight(claims: Claims, place: Place):
    """And is told for how long, and how many found the same."""
    await claim(claims, "one")
    place.advance(2)
    found = await claim(claims, "two")
    assert (found.standing, found.token, found.duplicates) == (Standing.IN_FLIGHT, 0, 1)
    assert 2_000 <= found.age_ms < 4_000
    assert (await claim(claims, "three")).duplicates == 2


async def test_a_duplicate_that_asks_again_is_counted_once(claims: Claims):
    """Whoever waits asks often."""
    await claim(claims, "one")
    for _ in range(3):
        assert (await claim(claims, "two")).duplicates == 1


async def test_a_recorded_answer_is_given_to_everyone_after(claims: Claims):
    """Byte for byte, whatever bytes they are; the holder itself is told that it is its own."""
    token = (await claim(claims, "one")).token
    recording = bytes(range(256)) * 10
    assert await claims.complete("k", token, recording)
    found = await claim(claims, "two")
    assert (found.standing, found.recording) == (Standing.RECORDED, recording)
    assert (await claim(claims, "one")).standing is Standing.YOURS


@pytest.mark.parametrize("recording", [b"", None])
async def test_an_empty_answer_is_not_an_answer_that_was_not_kept(claims: Claims, recording: bytes | None):
    """Both are done."""
    token = (await claim(claims, "one")).token
    assert await claims.complete("k", token, recording)
    found = await claim(claims, "two")
    assert (found.standing, found.recording) == (Standing.RECORDED, recording)


async def test_the_first_answer_stays(claims: Claims):
    """A verb that timed out may be asked again, and changes nothing."""
    token = (await claim(claims, "one")).token
    assert await claims.complete("k", token, b"first")
    assert await claims.complete("k", token, b"second")
    assert (await claim(claims, "two")).recording == b"first"


async def test_another_payload_under_the_key_is_a_conflict_whatever_became_of_the_first(claims: Claims):
    """In flight, done or in doubt."""
    token = (await claim(claims, "one")).token
    assert await standing(claims, "two", digest="other") is Standing.CONFLICT
    await claims.complete("k", token, b"answer")
    conflict = await claim(claims, "three", digest="other")
    assert (conflict.standing, conflict.recording) == (Standing.CONFLICT, None)


async def test_a_released_key_is_free_with_a_later_token(claims: Claims):
    """The call never went out, so the next may; whoever released it is fenced off for good."""
    first = await claim(claims, "one")
    assert await claims.release("k", first.token)
    assert await claims.release("k", first.token)
    second = await claim(claims, "two")
    assert second.standing is Standing.NEW
    assert second.token > first.token
    assert not await claims.complete("k", first.token, b"late")
    assert not await claims.release("k", first.token)
    assert not await claims.doubt("k", first.token)
    assert await claims.extend("k", first.token, LEASE_S) is None
    assert await standing(claims, "three") is Standing.IN_FLIGHT


async def test_a_released_claim_cannot_be_completed(claims: Claims):
    """What was said to be never done is not done afterwards."""
    token = (await claim(claims, "one")).token
    await claims.release("k", token)
    assert not await claims.complete("k", token, b"late")
    assert not await claims.doubt("k", token)
    assert await standing(claims, "one") is Standing.NEW


async def test_a_doubted_claim_is_unknown_and_stays_taken(claims: Claims):
    """Nobody may run it again, and nobody is told a made-up success."""
    token = (await claim(claims, "one")).token
    assert await claims.doubt("k", token)
    assert await claims.doubt("k", token)
    assert await standing(claims, "two") is Standing.UNKNOWN
    assert not await claims.release("k", token)
    assert await standing(claims, "two") is Standing.UNKNOWN


async def test_doubt_ends_when_the_holder_learns_the_answer(claims: Claims):
    """The same token may still say how it ended."""
    token = (await claim(claims, "one")).token
    await claims.doubt("k", token)
    assert await claims.complete("k", token, b"answer")
    assert not await claims.doubt("k", token)
    assert (await claim(claims, "two")).recording == b"answer"


async def test_a_lease_that_runs_out_is_doubt_to_the_millisecond_and_the_late_holder_may_still_settle(
    claims: Claims, place: Place
):
    """The holder may be dead, or only slow: nobody takes the key from it."""
    token = (await claim(claims, "one")).token
    place.advance(LEASE_S - 1)
    assert await standing(claims, "two") is Standing.IN_FLIGHT
    place.advance(1)
    assert await standing(claims, "two") is Standing.UNKNOWN
    assert await claims.complete("k", token, b"late")
    assert await standing(claims, "two") is Standing.RECORDED


async def test_a_lease_can_be_extended_before_and_after_it_ran_out(claims: Claims, place: Place):
    """A long call says that it lives."""
    token = (await claim(claims, "one")).token
    place.advance(LEASE_S - 1)
    assert await claims.extend("k", token, LEASE_S) == 0
    place.advance(LEASE_S - 1)
    assert await standing(claims, "two") is Standing.IN_FLIGHT
    place.advance(2)
    assert await standing(claims, "two") is Standing.UNKNOWN
    assert await claims.extend("k", token, LEASE_S) == 0
    assert await standing(claims, "two") is Standing.IN_FLIGHT


@pytest.mark.parametrize("settle", ["complete", "doubt", "release"])
async def test_a_settled_claim_is_not_held_any_more(claims: Claims, settle: str):
    """There is nothing to extend."""
    token = (await claim(claims, "one")).token
    await getattr(claims, settle)("k", token, *([b""] if settle == "complete" else []))
    assert await claims.extend("k", token, LEASE_S) is None


async def test_the_holder_is_told_how_many_wait_now(claims: Claims, place: Place):
    """Only those whose time has not passed, and not those that never waited."""
    token = (await claim(claims, "one")).token
    await claim(claims, "two", wait_s=10)
    await claim(claims, "three", wait_s=20)
    await claim(claims, "four")
    assert await claims.extend("k", token, LEASE_S) == 2
    place.advance(15)
    assert await claims.extend("k", token, LEASE_S) == 1
    await claim(claims, "two", wait_s=10)
    assert await claims.extend("k", token, LEASE_S) == 2


@pytest.mark.parametrize("settle", ["complete", "doubt"])
async def test_a_key_is_free_again_when_retain_has_passed_since_it_was_settled(
    claims: Claims, place: Place, settle: str
):
    """At most one execution within that time; the token still grows."""
    first = await claim(claims, "one")
    place.advance(20)
    await getattr(claims, settle)("k", first.token, *([b"x"] if settle == "complete" else []))
    place.advance(RETAIN_S - 2)
    assert await standing(claims, "two") in (Standing.RECORDED, Standing.UNKNOWN)
    place.advance(3)
    second = await claim(claims, "two")
    assert second.standing is Standing.NEW
    assert (second.age_ms, second.duplicates) == (0, 0)
    assert second.token > first.token


async def test_a_claim_that_expired_is_fenced(claims: Claims, place: Place):
    """Even where nobody has taken the key since."""
    token = (await claim(claims, "one", lease_s=1, retain_s=1)).token
    place.advance(3)
    assert not await claims.complete("k", token, b"late")
    assert await standing(claims, "two") is Standing.NEW


async def test_a_held_claim_never_expires_before_its_lease(claims: Claims, place: Place):
    """However short `retain` is: the call is under way."""
    token = (await claim(claims, "one", retain_s=0.001)).token
    place.advance(LEASE_S - 1)
    assert await standing(claims, "two") is Standing.IN_FLIGHT
    await claims.extend("k", token, LEASE_S)
    place.advance(LEASE_S - 1)
    assert await standing(claims, "two") is Standing.IN_FLIGHT


async def test_verbs_on_a_key_that_nobody_claimed_do_nothing(claims: Claims):
    """They say so."""
    assert await claims.extend("k", 1, LEASE_S) is None
    assert [await claims.complete("k", 1, b""), await claims.release("k", 1), await claims.doubt("k", 1)] == [False] * 3
    assert await standing(claims, "one") is Standing.NEW


async def test_keys_are_apart(claims: Claims):
    """Whatever characters are in them."""
    for key in ("k", "K", "k:others", "k}", "%", "ä", "'"):
        assert await standing(claims, key, key=key) is Standing.NEW


async def test_of_many_at_once_exactly_one_has_it(claims: Claims):
    """Claiming is one atomic step."""
    found = await asyncio.gather(*(claim(claims, f"{number}") for number in range(50)))
    assert sorted(each.standing for each in found) == [Standing.IN_FLIGHT] * 49 + [Standing.NEW]
    assert max(each.duplicates for each in found) == 49


async def test_duplicates_are_counted_up_to_a_bound(claims: Claims):
    """N - 1, N and N + 1."""
    await claim(claims, "one")
    for number in range(OTHERS_MAX - 1):
        last = await claim(claims, f"other {number}")
    assert last.duplicates == OTHERS_MAX - 1
    assert (await claim(claims, "n")).duplicates == OTHERS_MAX
    assert (await claim(claims, "n + 1")).duplicates == OTHERS_MAX
    assert (await claim(claims, "n")).standing is Standing.IN_FLIGHT


async def test_another_process_sees_the_same(place: Place):
    """A claim outlives whoever made it, where the store does."""
    if place.again is None:
        pytest.skip("gone with the process")
    held, done = await claim(place.store.claims, "one", "held"), await claim(place.store.claims, "one", "done")
    await place.store.claims.complete("done", done.token, b"answer")
    other = place.again()
    try:
        assert (await claim(other.claims, "two", "held")).standing is Standing.IN_FLIGHT
        assert (await claim(other.claims, "two", "done")).recording == b"answer"
        assert await place.store.claims.extend("held", held.token, LEASE_S) == 0
    finally:
        await other.close()


async def test_sightings_tell_the_last_other_exchange_with_the_same_arguments(claims: Claims, place: Place):
    """Its mark, its deadline, and how long ago."""
    assert await claims.sight("a", mark="m1", exchange="one", deadline_ms=30_000) is None
    assert await claims.sight("a", mark="m1", exchange="one", deadline_ms=30_000) is None
    place.advance(30)
    seen = await claims.sight("a", mark="m2", exchange="two", deadline_ms=0)
    assert seen is not None
    assert (seen.mark, seen.deadline_ms) == ("m1", 30_000)
    assert 30_000 <= seen.age_ms < 32_000
    assert (await claims.sight("a", mark="m3", exchange="three", deadline_ms=0) or seen).mark == "m2"
    assert await claims.sight("b", mark="m", exchange="four", deadline_ms=0) is None


async def test_a_sighting_is_forgotten_after_an_hour(claims: Claims, place: Place):
    """Nobody retries that late."""
    await claims.sight("a", mark="m1", exchange="one", deadline_ms=0)
    place.advance(SIGHTING_S)
    assert await claims.sight("a", mark="m2", exchange="two", deadline_ms=0) is None
    assert isinstance(await claims.sight("a", mark="m3", exchange="three", deadline_ms=0), Sighting)
