"""The memory store keeps its own promise beside the contract: to stay small."""

from __future__ import annotations

from sidecar.engine.state.visits import Visit
from sidecar.stores.memory import MemoryConversations, MemoryVisits
from sidecar.testing import ManualClock


async def test_at_the_limit_every_name_is_kept():
    """Two names fit where two may be kept."""
    store = MemoryConversations(aliases_max=2)
    await store.name_conversation(["a"], "1")
    await store.name_conversation(["b"], "2")
    assert [await store.name_conversation([name], "new") for name in ("a", "b")] == ["1", "2"]


async def test_past_the_limit_the_least_recently_used_name_is_forgotten():
    """A name in use stays; using it is claiming it again."""
    store = MemoryConversations(aliases_max=2)
    await store.name_conversation(["a"], "1")
    await store.name_conversation(["b"], "2")
    await store.name_conversation(["a"], "x")
    await store.name_conversation(["c"], "3")
    assert [await store.name_conversation([name], "new") for name in ("a", "c", "b")] == ["1", "3", "new"]


async def test_store_that_may_keep_nothing_still_answers():
    """Every claim is then the first one."""
    store = MemoryConversations(aliases_max=0)
    assert await store.name_conversation(["a"], "1") == "1"
    assert await store.name_conversation(["a"], "2") == "2"


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
