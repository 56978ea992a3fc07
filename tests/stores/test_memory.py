"""The memory store keeps its own promise beside the contract: to stay small."""

from __future__ import annotations

from sidecar.stores.memory import MemoryConversations


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
