"""How answers look: in 80 columns, without colour, without Unicode, and whatever somebody called their agent."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from sidecar.operator import conversation, status, tail, top
from sidecar.operator.screen import Screen
from tests.operator import samples


class Terminal(Screen):
    """A screen whose text can be read back."""

    def __init__(self, encoding: str = "utf-8", width: int = 80, *, has_colour: bool = False) -> None:
        self.bytes = io.BytesIO()
        self._text = io.TextIOWrapper(self.bytes, encoding=encoding, errors="strict")
        super().__init__(
            Console(
                file=self._text,
                width=width,
                force_terminal=has_colour,
                no_color=not has_colour,
                highlight=False,
                emoji=False,
            )
        )

    @property
    def shown(self) -> str:
        self._text.flush()
        return self.bytes.getvalue().decode(self._text.encoding)


def show_status(screen: Screen) -> None:
    status.show(screen, samples.status())


def show_top(screen: Screen) -> None:
    edges = [samples.summary(), samples.summary("user", samples.HOSTILE, loops=4)]
    screen.show(top.page(screen, samples.status(), edges, "rate", 10))


def show_conversation(screen: Screen) -> None:
    conversation.show(screen, samples.conversation())


def show_tail(screen: Screen) -> None:
    for event in samples.events():
        screen.say(tail.words(event))


PAGES = {"status": show_status, "top": show_top, "conversation": show_conversation, "tail": show_tail}


@pytest.mark.parametrize("page", [show_status, show_top, show_conversation])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_page_fits_a_terminal_of_80_columns(page: Callable[[Screen], None], encoding: str):
    """Also where the terminal shows ASCII only."""
    screen = Terminal(encoding)
    page(screen)
    assert screen.shown
    assert max(len(line) for line in screen.shown.splitlines()) <= 80


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_nothing_that_an_agent_is_called_steers_the_terminal(page: Callable[[Screen], None]):
    """Escape sequences, markup and marks that turn the writing: all of it is text, or is not shown."""
    screen = Terminal(has_colour=False)
    page(screen)
    assert not [char for char in screen.shown if not char.isprintable() and char != "\n"]


def test_without_colour_a_refusal_is_still_a_refusal():
    screen = Terminal()
    show_conversation(screen)
    assert "refused LOOP_DETECTED" in screen.shown
    assert "\x1b" not in screen.shown


def test_with_colour_it_is_red():
    screen = Terminal(has_colour=True)
    show_conversation(screen)
    assert "\x1b[1;31mrefused LOOP_DETECTED" in screen.shown


def test_a_conversation_is_a_tree_of_what_caused_what():
    """A call stands below the one that caused it, with its cost and what was found in it."""
    screen = Terminal(width=120)
    show_conversation(screen)
    lines = screen.shown.splitlines()
    depth = {
        name: next(line.index(name) for line in lines if name in line and "→" in line)
        for name in ("user → planner", "planner → researcher", "researcher → writer")
    }
    assert depth["user → planner"] < depth["planner → researcher"] < depth["researcher → writer"]
    assert "$0.045" in screen.shown
    assert "loop/repeat: the same request 6 times in 10 m; 5 are allowed" in screen.shown
    assert "$0.045 of $2.00 spent" in screen.shown


def test_entries_that_name_each_other_as_their_cause_are_shown_once():
    """What came over the wire need not be a tree."""
    found = samples.conversation()
    for entry in found.timeline:
        entry.span_id = entry.parent_span_id = "a" * 16
    screen = Terminal()
    conversation.show(screen, found)
    assert screen.shown.count("SendMessage") == len(found.timeline)


def test_a_conversation_may_be_deep():
    """A runaway is hundreds of calls deep, which is when somebody looks at it."""
    found = samples.conversation()
    template = found.timeline[1]
    del found.timeline[:]
    for number in range(900):
        entry = found.timeline.add()
        entry.CopyFrom(template)
        entry.span_id, entry.parent_span_id = f"{number + 1:016x}", f"{number:016x}"
    assert len(conversation.trees(Terminal(), found.timeline)) == 1


def test_what_needs_somebody_is_said():
    screen = Terminal()
    found = samples.status(problems=["the store is away"], quarantined={"agent": 2})
    status.show(screen, found)
    assert "! the store is away" in screen.shown
    assert "2 agents" in screen.shown


def test_top_shows_as_many_edges_as_there_is_room_and_says_what_it_hides():
    screen = Terminal()
    edges = [samples.summary(f"caller-{number}") for number in range(30)]
    screen.show(top.page(screen, samples.status(), edges, "rate", 5))
    assert screen.shown.count("SendMessage") == 5
    assert "25 more edges" in screen.shown


@pytest.mark.parametrize(
    ("sort", "first"), [("rate", "busy"), ("errors", "broken"), ("p95", "slow"), ("cost", "dear"), ("loops", "round")]
)
def test_top_puts_first_what_was_asked_for(sort: str, first: str):
    edges = {name: samples.summary(name) for name in ("busy", "broken", "slow", "dear", "round")}
    edges["busy"].recent.rate_per_s = 1000
    edges["broken"].recent.errors = 600
    edges["slow"].recent.p95_s = 30
    edges["dear"].total.cost_micro_usd = 10**9
    edges["round"].total.loops = 50
    assert max(edges.values(), key=top.ORDERS[sort]).edge.caller == first
