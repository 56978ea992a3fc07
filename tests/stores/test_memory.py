"""The memory store keeps its own promise beside the contract: to stay small."""

from __future__ import annotations

import logging

import pytest

from sidecar.engine.state.claims import Claimed, Standing
from sidecar.engine.state.ledger import SETTLED_KEPT_S, Draw, Hold, Purse
from sidecar.engine.state.pressure import Rate, RetryBudget
from sidecar.engine.state.visits import Visit
from sidecar.stores.memory import MemoryClaims, MemoryConversations, MemoryLedger, MemoryPressure, MemoryVisits
from sidecar.testing import ManualClock


async def test_at_the_limit_every_name_is_kept():
    """Two names fit where two may be kept."""
    store = MemoryConversations(aliases_max=2)
    await store.name_conversation(["a"], "1")
    await store.name_conversation(["b"], "2")
    assert [(await store.name_conversation([name], "new")).conversation for name in ("a", "b")] == ["1", "2"]


async def test_past_the_limit_the_least_recently_used_name_is_forgotten():
    """A name in use stays; using it is claiming it again."""
    store = MemoryConversations(aliases_max=2)
    await store.name_conversation(["a"], "1")
    await store.name_conversation(["b"], "2")
    await store.name_conversation(["a"], "x")
    await store.name_conversation(["c"], "3")
    assert [(await store.name_conversation([name], "new")).conversation for name in ("a", "c", "b")] == [
        "1",
        "3",
        "new",
    ]


async def test_store_that_may_keep_nothing_still_answers():
    """Every claim is then the first one."""
    store = MemoryConversations(aliases_max=0)
    assert (await store.name_conversation(["a"], "1")).conversation == "1"
    assert (await store.name_conversation(["a"], "2")).conversation == "2"


async def claim(claims: MemoryClaims, key: str, holder: str = "one") -> Claimed:
    return await claims.claim(key, digest="d", holder=holder, lease_s=30, retain_s=3600)


async def settled(claims: MemoryClaims, key: str, recording: bytes | None = b"answer") -> None:
    await claims.complete(key, (await claim(claims, key)).token, recording)


@pytest.mark.parametrize(("made", "kept"), [(1, 1), (2, 2), (3, 2), (10, 2)])
async def test_past_the_limit_the_claim_settled_longest_ago_is_forgotten_and_that_is_said(
    made: int, kept: int, caplog: pytest.LogCaptureFixture
):
    """N and N + 1: the key may run again, which an operator should know."""
    claims = MemoryClaims(ManualClock(), claims_max=2)
    for number in range(made):
        await settled(claims, f"{number}")
    with caplog.at_level(logging.CRITICAL):
        newest = [await claim(claims, f"{number}", "two") for number in range(made - kept, made)]
    assert [found.standing for found in newest] == [Standing.RECORDED] * kept
    assert ("forgotten before its time" in caplog.text) is (made > kept)


async def test_a_claim_that_is_held_outlives_those_that_are_settled():
    """Its call is under way."""
    claims = MemoryClaims(ManualClock(), claims_max=2)
    await claim(claims, "held")
    for number in range(5):
        await settled(claims, f"{number}")
    assert (await claim(claims, "held", "two")).standing is Standing.IN_FLIGHT


async def test_where_all_are_held_the_oldest_makes_room():
    """A limit is a limit."""
    claims = MemoryClaims(ManualClock(), claims_max=2)
    for key in ("a", "b", "c"):
        await claim(claims, key)
    assert (await claim(claims, "c", "two")).standing is Standing.IN_FLIGHT
    assert (await claim(claims, "a", "two")).standing is Standing.NEW


async def test_claims_that_may_keep_nothing_still_answer():
    """Every claim is then the first one, or the last."""
    claims = MemoryClaims(ManualClock(), claims_max=0)
    assert (await claim(claims, "a")).standing is Standing.NEW
    assert (await claim(claims, "b")).standing is Standing.NEW


@pytest.mark.parametrize(("limit", "is_kept"), [(0, [False, False]), (11, [False, True]), (12, [True, True])])
async def test_past_the_bytes_allowed_the_oldest_answer_is_dropped_and_its_key_stays_taken(
    limit: int, is_kept: list[bool]
):
    """Nobody runs it again."""
    claims = MemoryClaims(ManualClock(), recorded_bytes_max=limit)
    for key in ("a", "b"):
        await settled(claims, key)
    found = [await claim(claims, key, "two") for key in ("a", "b")]
    assert [each.standing for each in found] == [Standing.RECORDED] * 2
    assert [each.recording is not None for each in found] == is_kept


async def test_expired_claims_make_room_by_themselves():
    """A process that lives for months does not grow."""
    clock = ManualClock()
    claims = MemoryClaims(clock)
    for number in range(100):
        await settled(claims, f"old {number}")
    clock.advance(3601)
    for number in range(100):
        await settled(claims, f"new {number}")
    assert len(claims._entries) == 100
    assert claims._recorded_bytes == 600


async def test_buckets_and_edges_past_the_limit_make_room_for_new_ones(monkeypatch: pytest.MonkeyPatch):
    """Their names are callers'; the least recently used one begins anew."""
    monkeypatch.setattr("sidecar.stores.memory.pressure.KEYS_MAX", 2)
    store, rate, budget = MemoryPressure(ManualClock()), Rate(0.01, 1), RetryBudget(0.0, 1, 10)
    for name in ("a", "b", "a", "c"):
        await store.take(name, rate, f"first-{name}")
        await store.spend_retry(name, f"first-{name}", budget)
    assert [await store.take(name, rate, "second") == 0.0 for name in ("a", "c", "b")] == [False, False, True]
    assert [await store.spend_retry(name, "second", budget) for name in ("c", "a")] == [False, False]
    assert await store.spend_retry("b", "second", budget) is True


def visit(number: int) -> Visit:
    return Visit(number, 1, 2, 3, 4, 5)


async def known(store: MemoryVisits, conversation: str, number: int) -> int:
    """How many visits of the conversation are known, this one included."""
    return len((await store.visit(conversation, visit(number), window_s=60)).trail)


async def test_the_conversation_that_was_idle_longest_makes_room():
    """At the limit all are known; one more, and the oldest begins anew."""
    store = MemoryVisits(ManualClock(), conversations_max=2)
    assert [await known(store, name, 1) for name in ("a", "b")] == [1, 1]
    assert [await known(store, name, 2) for name in ("b", "a")] == [2, 2]
    assert await known(store, "c", 1) == 1
    assert [await known(store, name, 3) for name in ("a", "b")] == [3, 1]


async def test_visits_and_reads_of_all_conversations_are_bounded_together():
    """Long trails make room for others, and the newest is kept whole."""
    store = MemoryVisits(ManualClock(), records_max=4)
    for number in range(2):
        await known(store, "a", number)
        await store.read("b", number, 7, within_s=60)
    assert await known(store, "b", 9) == 1
    assert await known(store, "a", 9) == 1
    for number in range(10, 16):
        await known(store, "a", number)
    assert await known(store, "a", 99) == 8


async def test_conversations_that_are_over_are_forgotten_as_others_go_on():
    """Nobody has to ask for them again."""
    clock = ManualClock()
    store = MemoryVisits(clock)
    for number in range(10):
        await known(store, f"{number}", 1)
    clock.advance(61)
    for number in range(10):
        await known(store, "new", number)
    assert list(store._kept) == ["new"]


async def test_past_the_limit_of_charges_the_oldest_hold_lapses_and_its_money_stays():
    """Making room gives no budget back."""
    ledger = MemoryLedger(ManualClock(), charges_max=2)
    for number in range(3):
        await ledger.reserve(f"{number}", 10, [Hold(Purse("all", ""), 100)])
    balance = (await ledger.balances([Hold(Purse("all", ""), 100)]))[0]
    assert (balance.spent_micro_usd, balance.held_micro_usd) == (10, 20)
    assert await ledger.settle("0", 5) is False


async def test_past_the_limit_of_purses_an_idle_one_that_would_be_forgotten_goes_first():
    """Never the one of a whole fleet, and never one with calls under way."""
    ledger = MemoryLedger(ManualClock(), purses_max=2)
    forgettable = [Hold(Purse("conversation", f"{number}", keep_s=9), 100) for number in range(3)]
    everybody = Hold(Purse("all", ""), 100)
    await ledger.reserve("held", 1, [everybody, forgettable[0]])
    await ledger.charge("idle", [Draw(forgettable[1].purse, 0)], 1)
    await ledger.charge("newest", [Draw(forgettable[2].purse, 0)], 1)
    used = [each.used_micro_usd for each in await ledger.balances([everybody, *forgettable])]
    assert used == [1, 1, 0, 0]


async def test_what_was_charged_is_forgotten_in_time_and_not_before():
    """The three kinds of charges fall due in the order in which they came, each in its own time."""
    clock = ManualClock()
    ledger = MemoryLedger(clock)
    purse = Hold(Purse("all", ""), 100)
    await ledger.charge("recorded", [Draw(purse.purse, 0)], 1)
    for number in range(50):
        await ledger.reserve(f"{number}", 1, [purse])
        await ledger.settle(f"{number}", 1)
    clock.advance(SETTLED_KEPT_S + 1)
    for _ in range(3):
        await ledger.settle("unknown", 0)
    assert (await ledger.reserve("0", 1, [purse])).is_new
    assert (await ledger.reserve("49", 1, [purse])).is_new
    assert await ledger.charge("recorded", [], 1) is False
