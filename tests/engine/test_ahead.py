"""What is asked ahead is fetched by whoever asks the same, and undone where nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sidecar.engine.ahead import EDGES_MAX, WARY_S, Ahead, Wariness
from sidecar.engine.eager import together
from sidecar.errors import StoreUnavailable
from sidecar.testing import ManualClock


class FarStore:
    """Answers what it was asked when it is told to, and writes everything down."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.answers: dict[str, asyncio.Future[Any]] = {}

    def verb(self, name: str) -> Callable[[], Any]:
        async def ask() -> Any:
            self.log.append(f"asked {name}")
            answer = self.answers[name] = asyncio.get_running_loop().create_future()
            return await answer

        return ask

    def undo(self, name: str) -> Callable[[Any], Awaitable[None]]:
        async def take_back(answer: Any) -> None:
            self.log.append(f"took back {name} after {answer}")

        return take_back

    def says(self, name: str, answer: Any) -> None:
        if isinstance(answer, Exception):
            self.answers[name].set_exception(answer)
        else:
            self.answers[name].set_result(answer)


class Desk:
    """One message under way."""

    def __init__(self) -> None:
        self.store = FarStore()
        self.tasks: list[asyncio.Task[None]] = []
        self.ahead = Ahead(self.keep)

    def keep(self, work: Any) -> asyncio.Task[None]:
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    def ask(self, *key: str, undone: bool = True) -> None:
        name = " ".join(key)
        self.ahead.ask(key, self.store.verb(name), self.store.undo(name) if undone else None)

    def fetch(self, *key: str) -> asyncio.Future[Any]:
        return asyncio.ensure_future(self.ahead.fetch(key, self.store.verb(" ".join(key))))


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_answer_is_fetched_once_and_asked_once():
    """The store hears of it when it is asked ahead, and not again."""
    desk = Desk()
    desk.ask("enter", "room")
    fetched = desk.fetch("enter", "room")
    await turns()
    desk.store.says("enter room", True)
    assert await fetched
    desk.ahead.take_back()
    assert desk.store.log == ["asked enter room"]
    assert not desk.ahead.took_back


async def test_another_question_gets_no_foreseen_answer():
    """What was foreseen is taken back first: the store may know both by the same id."""
    desk = Desk()
    desk.ask("afford", "as a call")
    desk.ask("enter", "room")
    fetched = desk.fetch("afford", "as a retry")
    await turns()
    assert desk.store.log == ["asked afford as a call", "asked enter room"]
    desk.store.says("afford as a call", 1)
    await turns()
    desk.store.says("afford as a retry", 2)
    desk.store.says("enter room", True)
    assert await fetched == 2
    assert await desk.fetch("enter", "room")
    desk.ahead.take_back()
    assert desk.store.log[2:] == ["took back afford as a call after 1", "asked afford as a retry"]
    assert not desk.ahead.took_back


async def test_what_nobody_fetched_is_undone_when_its_answer_is_there():
    """Beside the call: whoever takes it back does not wait."""
    desk = Desk()
    desk.ask("reserve", "x")
    desk.ask("known_task", "t", undone=False)
    desk.ahead.take_back()
    await turns()
    assert desk.store.log == ["asked reserve x", "asked known_task t"]
    desk.store.says("reserve x", 7)
    await asyncio.gather(*desk.tasks)
    assert desk.store.log[2:] == ["took back reserve x after 7"]


@pytest.mark.parametrize(("may_have_happened", "undone"), [(True, ["took back reserve x after None"]), (False, [])])
async def test_what_the_store_may_have_done_without_a_word_is_undone_too(may_have_happened: bool, undone: list[str]):
    """And what it cannot have heard of is not."""
    desk = Desk()
    desk.ask("reserve", "x")
    desk.ahead.take_back()
    desk.store.says("reserve x", StoreUnavailable("away", may_have_happened=may_have_happened))
    await asyncio.gather(*desk.tasks)
    assert desk.store.log[1:] == undone


async def test_a_failure_of_the_store_reaches_whoever_fetches():
    """Where the check decides what stands in."""
    desk = Desk()

    async def away() -> None:
        raise StoreUnavailable("away")

    desk.ahead.ask(("enter", "room"), away)
    with pytest.raises(StoreUnavailable):
        await desk.ahead.fetch(("enter", "room"), desk.store.verb("enter room"))
    assert desk.store.log == []


async def test_the_same_is_not_asked_again_before_it_was_taken_back():
    """Whoever paused goes on: its money is reserved anew, and under the same id."""
    desk = Desk()
    desk.ask("reserve", "x")
    desk.ahead.take_back()
    again = desk.fetch("reserve", "x")
    await turns()
    assert desk.store.log == ["asked reserve x"]
    desk.store.says("reserve x", 7)
    await turns()
    assert desk.store.log == ["asked reserve x", "took back reserve x after 7", "asked reserve x"]
    desk.store.says("reserve x", 8)
    assert await again == 8


async def test_a_second_round_asks_what_is_new_and_takes_back_what_is_not_asked_any_more():
    """What both rounds ask stays as it was asked."""
    desk = Desk()
    for key in (("enter", "room"), ("visit", "foreseen")):
        desk.ask(*key)
    desk.store.says("enter room", True)
    desk.store.says("visit foreseen", 1)
    desk.ahead.begin_again()
    for key in (("enter", "room"), ("visit", "true")):
        desk.ask(*key)
    await desk.ahead.asked_again()
    assert desk.store.log == [
        "asked enter room",
        "asked visit foreseen",
        "took back visit foreseen after 1",
        "asked visit true",
    ]
    assert not desk.ahead.took_back
    desk.store.says("visit true", 2)
    assert await desk.fetch("visit", "true") == 2
    assert await desk.fetch("enter", "room")


async def test_an_undo_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture):
    """A store that is away keeps it until its lease runs out; a mistake of ours is logged."""
    desk = Desk()
    for name, error in (("away", StoreUnavailable("away")), ("broken", ValueError("no"))):

        async def fails(_: Any, error: Exception = error) -> None:
            raise error

        desk.ahead.ask((name,), desk.store.verb(name), fails)
        desk.store.says(name, 1)
    desk.ahead.take_back()
    await asyncio.gather(*desk.tasks)
    assert [record.levelname for record in caplog.records if record.levelname == "ERROR"] == ["ERROR"]


def test_an_edge_is_asked_in_order_for_a_while_after_something_was_taken_back():
    """Then ahead again. Edges are bounded: callers choose what methods they name."""
    clock = ManualClock()
    wariness = Wariness(clock)
    assert not wariness.is_wary(("a", "b", "m"))
    wariness.took_back(("a", "b", "m"))
    assert wariness.is_wary(("a", "b", "m"))
    assert not wariness.is_wary(("a", "b", "other"))
    clock.advance(WARY_S)
    assert not wariness.is_wary(("a", "b", "m"))
    for number in range(EDGES_MAX + 1):
        wariness.took_back(("a", "b", f"m{number}"))
    assert not wariness.is_wary(("a", "b", "m0"))
    assert wariness.is_wary(("a", "b", "m1"))


async def test_works_begin_together_and_all_end_before_one_of_them_fails():
    """In this turn of the loop, so that a store hears of all of them at once."""
    store = FarStore()
    doing = asyncio.ensure_future(together(store.verb(name)() for name in "abc"))
    await asyncio.sleep(0)
    assert store.log == ["asked a", "asked b", "asked c"]
    store.says("a", ValueError("no"))
    await turns()
    assert not doing.done()
    store.says("b", 2)
    store.says("c", 3)
    with pytest.raises(ValueError, match="no"):
        await doing


async def test_works_whose_caller_leaves_are_given_up():
    """No coroutine is left behind."""
    store = FarStore()
    doing = asyncio.ensure_future(together(store.verb(name)() for name in "abc"))
    await asyncio.sleep(0)
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
