"""Names of conversations: what every store promises."""

from __future__ import annotations

import asyncio

from sidecar.engine.state import Naming, Store


async def named(store: Store, names: list[str], proposed: str) -> str:
    """The conversation alone."""
    return (await store.conversations.name_conversation(names, proposed)).conversation


async def test_new_names_name_the_proposed_conversation(store: Store):
    """Nobody has seen any of them before."""
    assert await named(store, ["trace:1", "context:c"], "proposed") == "proposed"


async def test_known_name_wins_over_the_proposal(store: Store):
    """A conversation keeps the id that it had first."""
    await named(store, ["trace:1"], "first")
    assert await named(store, ["trace:1"], "second") == "first"


async def test_names_claimed_together_name_one_conversation(store: Store):
    """A fresh trace with a known contextId is the same conversation, and from then on its trace is a name too."""
    await named(store, ["trace:1", "context:c"], "first")
    assert await named(store, ["trace:2", "context:c"], "second") == "first"
    assert await named(store, ["trace:2"], "third") == "first"


async def test_first_known_name_in_order_decides(store: Store):
    """Names are claimed from the strongest to the weakest, so an earlier one counts more."""
    await named(store, ["trace:1"], "one")
    await named(store, ["trace:2"], "two")
    assert await named(store, ["trace:2", "trace:1"], "three") == "two"
    assert await named(store, ["new", "trace:1", "trace:2"], "three") == "one"


async def test_name_held_by_another_conversation_stays_there(store: Store):
    """Two conversations that meet are not merged behind anyone's back."""
    await named(store, ["trace:1"], "one")
    await named(store, ["trace:2"], "two")
    assert await named(store, ["trace:1", "trace:2"], "three") == "one"
    assert await named(store, ["trace:2"], "four") == "two"


async def test_conversations_that_meet_are_told_of(store: Store):
    """Each once, in the order of the names; names that nobody held meet nobody."""
    for number in ("1", "2", "3"):
        await named(store, [f"trace:{number}", f"context:{number}"], number)
    names = ["new", "trace:2", "context:2", "trace:1", "trace:3", "context:1"]
    meeting = await store.conversations.name_conversation(names, "proposed")
    assert meeting == Naming("2", ("1", "3"))
    assert await store.conversations.name_conversation(["new", "trace:1"], "proposed") == Naming("2", ("1",))
    assert await store.conversations.name_conversation(["newer", "trace:1"], "proposed") == Naming("1")
    assert await store.conversations.name_conversation(["newest"], "proposed") == Naming("proposed")


async def test_claim_without_names_is_the_proposal(store: Store):
    """There is nothing to claim, and nothing is remembered."""
    assert await named(store, [], "proposed") == "proposed"
    assert await named(store, [], "another") == "another"


async def test_same_name_twice_in_one_claim_is_one_name(store: Store):
    """A lineage id and a trace id may be equal."""
    assert await named(store, ["trace:1", "trace:1"], "one") == "one"


async def test_names_are_compared_exactly(store: Store):
    """Case, spaces and pattern characters of a payload's id mean nothing to a store."""
    names = [
        "context:a",
        "context:A",
        "context: a",
        "context:%",
        "context:*",
        "context:ä",
        "context:😀",
        "context:'",
    ]
    for name in names:
        await named(store, [name], name)
    assert [await named(store, [name], "other") for name in names] == names


async def test_concurrent_claims_of_one_name_agree(store: Store):
    """Claiming is one atomic step: exactly one proposal wins, for everybody."""
    claims = [named(store, [f"trace:{number}", "context:c"], f"{number}") for number in range(50)]
    assert len(set(await asyncio.gather(*claims))) == 1
