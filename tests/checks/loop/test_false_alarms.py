"""Ordinary work raises no finding, and work that goes in circles does: conversations of known truth."""

from __future__ import annotations

import pytest

from sidecar.checks.loop import Ladder
from tests.data.loops import looping, ordinary
from tests.data.loops.play import Player, talk_of
from tests.data.verification.sources import Half

HALVES: list[Half] = ["tune", "report"]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("kind", ordinary.KINDS)
async def test_ordinary_work_is_no_loop(kind: str, half: Half):
    """Polling, paging, alternating, fanning out, retrying, chatting, batches: nothing is found, in any of them."""
    player = Player(Ladder(reentry=None))
    for number in range(5):
        found = await player.play(talk_of(kind, number, half))
        assert (found.past, found.near) == ({}, {}), number
    assert player.counted == {}


async def test_callbacks_are_seen_as_reentry_and_as_nothing_else():
    """By default they are counted and never refused; `reentry: allow` is silent."""
    found = await Player().play(talk_of("callbacks", 0, "report"))
    assert set(found.past) == {"reentry"}
    assert not found.near


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("kind", looping.KINDS)
async def test_most_loops_of_each_kind_are_found(kind: str, half: Half):
    """`make bench-loops` prints how many, and how early; a kind that is missed altogether would show here."""
    found = [await Player().play(talk_of(kind, number, half)) for number in range(6)]
    hits = [each for each in found if (each.past["reentry"] if kind == "reentry" else each.is_loop)]
    assert len(hits) >= 3


async def test_the_halves_share_no_text():
    """What was tuned on one half is measured on the other."""
    said = [
        {step.document["message"]["parts"][0]["text"] for step in talk_of("fan-out and fan-in", 0, half).steps[:5]}
        for half in HALVES
    ]
    assert not said[0] & said[1]
