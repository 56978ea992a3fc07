"""Deadlocks: which waits can never end, judged against a plain simulation of the agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.checks.pressure import DeadlockTerms, PressureSettings
from sidecar.checks.pressure.deadlock import Deadlock, deadlock_closed_by
from sidecar.engine.exchange import Metadata, Mode
from sidecar.engine.finding import Severity
from sidecar.engine.state.pressure import Wait
from sidecar.errors import Reason
from sidecar.stores.memory import MemoryPressure
from sidecar.testing import ManualClock
from tests.checks.pressure_line import Line, is_refused, only, rules


def waits(*told: str) -> list[Wait]:
    """`c1:a>b` is a call of conversation c1 to b, which a made."""
    split = [each.partition(":") for each in told]
    return [
        Wait(f"{number}", conversation, tuple(path.split(">"))) for number, (conversation, _, path) in enumerate(split)
    ]


def closed(serves: Mapping[str, int], *told: str) -> Deadlock | None:
    """The deadlock that the last of these waits closes."""
    return deadlock_closed_by(f"{len(told) - 1}", waits(*told), serves)


ONE = {"a": 1, "b": 1, "c": 1}


def test_an_agent_that_serves_one_and_is_called_back_waits_for_itself():
    """Inside one chain: a asks b, and b asks a, which is busy with asking."""
    assert closed(ONE, "c1:a", "c1:a>b", "c1:a>b>a") == Deadlock(("a", "b", "a"), True)


def test_an_agent_between_them_that_serves_any_number_is_named_too():
    """It holds nobody up, and it is on the way."""
    assert closed({"a": 1}, "c1:a", "c1:a>u>a") == Deadlock(("a", "u", "a"), True)


@pytest.mark.parametrize("serves", [{}, {"b": 1}, {"a": 2, "b": 1}])
def test_a_callback_that_can_be_served_is_legitimate(serves: Mapping[str, int]):
    """An agent with any number of places, or with one that is free."""
    assert closed(serves, "c1:a", "c1:a>b", "c1:a>b>a") is None


def test_chains_that_wait_for_each_others_agents_are_a_deadlock():
    """Three conversations, none of which calls an agent twice."""
    told = ("c1:a", "c2:b", "c3:c", "c1:a>b", "c2:b>c", "c3:c>a")
    deadlock = closed(ONE, *told)
    assert deadlock is not None
    assert deadlock.is_certain
    assert sorted(deadlock.agents[:-1]) == ["a", "b", "c"]
    assert deadlock.agents[0] == deadlock.agents[-1]


@pytest.mark.parametrize("missing", range(6))
def test_a_cycle_that_lacks_one_wait_is_none(missing: int):
    """Each of the six is needed, so none may be counted twice or made up."""
    told = ["c1:a", "c2:b", "c3:c", "c1:a>b", "c2:b>c", "c3:c>a"]
    del told[missing]
    assert closed(ONE, *told) is None


def test_a_queue_behind_an_agent_that_works_is_no_deadlock():
    """However long it is: a call that waits for nobody will end."""
    assert closed(ONE, "c1:a", "c2:a", "c3:a", "c4:b", "c4:b>a") is None


def test_one_place_whose_call_goes_on_is_enough():
    """Of two calls that a serves one is stuck behind itself; the other ends and makes room."""
    serves = {"a": 2, "b": 1}
    assert closed(serves, "c1:a", "c2:a", "c1:a>b", "c1:a>b>a") is None
    assert closed(serves, "c1:a", "c2:a", "c1:a>b", "c1:a>b>a", "c2:a>b") is not None


def test_whoever_comes_after_a_deadlock_closes_none():
    """It is told once, by the wait that made it; those in line behind it made nothing."""
    assert closed(ONE, "c1:a", "c1:a>b", "c1:a>b>a", "c2:a", "c3:b") is None


def test_an_older_wait_that_is_asked_again_tells_nothing():
    """Both sidecars of an exchange may tell the store of it; the cycle was told by its last wait."""
    told = waits("c1:a", "c1:a>b", "c1:a>b>a")
    assert [deadlock_closed_by(f"{number}", told, ONE) is not None for number in range(3)] == [False, False, True]


def test_two_calls_of_one_chain_side_by_side_leave_a_doubt():
    """Either of them may have made the call that waits."""
    deadlock = closed({"a": 2, "b": 9}, "c1:a", "c1:a", "c1:a>b", "c1:a>b>a")
    assert deadlock == Deadlock(("a", "b", "a"), False)


@dataclass(slots=True)
class Call:
    """A call of the simulation, which knows who made it."""

    wait: Wait
    parent: str | None


class Simulation:
    """Agents that serve the oldest calls up to their bound. A call ends once it is served and none it made is open."""

    def __init__(self, serves: Mapping[str, int]) -> None:
        self.serves = serves
        self.calls: dict[str, Call] = {}
        self._number = 0

    def begin(self, agent: str, parent: str | None) -> str:
        self._number += 1
        above = self.calls[parent].wait if parent else None
        conversation = above.conversation if above else f"c{self._number}"
        wait = Wait(f"{self._number}", conversation, (*(above.path if above else ()), agent))
        self.calls[wait.exchange_id] = Call(wait, parent)
        return wait.exchange_id

    def served(self, calls: Mapping[str, Call]) -> list[str]:
        seen: dict[str, int] = {}
        found = []
        for call in calls.values():
            agent = call.wait.agent
            seen[agent] = seen.get(agent, 0) + 1
            if seen[agent] <= self.serves.get(agent, 10**6):
                found.append(call.wait.exchange_id)
        return found

    def left_over(self) -> set[str]:
        """Calls that are still there when all that can end has ended."""
        calls = dict(self.calls)
        while True:
            made = {call.parent for call in calls.values()}
            ending = [each for each in self.served(calls) if each not in made]
            if not ending:
                return set(calls)
            for each in ending:
                del calls[each]

    def end_one(self, choice: int) -> None:
        made = {call.parent for call in self.calls.values()}
        ending = [each for each in self.served(self.calls) if each not in made]
        if ending:
            del self.calls[ending[choice % len(ending)]]

    def has_twins(self) -> bool:
        keys = [(call.wait.conversation, call.wait.path) for call in self.calls.values()]
        return len(keys) != len(set(keys))

    def standing(self) -> Sequence[Wait]:
        return [call.wait for call in self.calls.values()]


STEPS = st.lists(st.tuples(st.sampled_from("rcccce"), st.integers(0, 30), st.sampled_from("abu")), max_size=14)


@given(steps=STEPS, bounds=st.tuples(st.integers(1, 3), st.integers(1, 2)))
@settings(max_examples=600, deadline=None)
def test_a_deadlock_is_told_exactly_when_the_agents_are_in_one(steps: Any, bounds: tuple[int, int]):
    """Roots come, served calls make calls, calls end: what is told agrees with the simulation at every step.

    Where two calls of a chain look alike the truth cannot be known: then `certain` must still be right.
    """
    simulation = Simulation(dict(zip("ab", bounds, strict=True)))
    dead: set[str] = set()
    for step, choice, agent in steps:
        if step == "e":
            simulation.end_one(choice)
            continue
        served = simulation.served(simulation.calls)
        parent = served[choice % len(served)] if step == "c" and served else None
        newest = simulation.begin(agent, parent)
        told = deadlock_closed_by(newest, simulation.standing(), simulation.serves)
        left = simulation.left_over()
        has_closed = newest in left and len(left) > len(dead) + 1
        if told is not None and told.is_certain:
            assert has_closed
        if not simulation.has_twins():
            assert (told is not None) is has_closed
        dead = left


# The check.

TERMS = PressureSettings(deadlocks=DeadlockTerms({"writer": 1, "planner": 1}))


@pytest.mark.parametrize(
    ("mode", "serves", "is_refused_"), [(Mode.OBSERVE, 1, False), (Mode.ENFORCE, 1, True), (Mode.ENFORCE, 3, False)]
)
async def test_the_call_that_closes_a_cycle_is_named(mode: Mode, serves: int, is_refused_: bool):
    """planner works on a call and waits for writer, which has called it back; never a refusal unless asked for."""
    shared = MemoryPressure(ManualClock())
    line = Line(PressureSettings(deadlocks=DeadlockTerms({"planner": serves}, mode)), shared=shared, callee="planner")
    root = await line.begin("work", metadata=trace("1"))
    assert rules(root) == []
    call = await line.begin("called back", metadata=trace("1"), path=("planner", "writer", "planner"))
    assert is_refused(call) is is_refused_
    if serves > 1:
        assert call.findings == []
        return
    finding = only(call)
    assert (finding.rule, finding.severity) == ("deadlock", Severity.ERROR)
    assert finding.reason is Reason.OVERLOADED
    assert finding.evidence == {"agents": "planner > writer > planner", "certain": "yes"}
    assert finding.message == (
        "agents wait for each other for ever, since each serves no more calls at once: planner > writer > planner"
    )


async def test_what_ends_in_time_closes_nothing():
    """The first call has ended when the second comes."""
    line = Line(PressureSettings(deadlocks=DeadlockTerms({"planner": 1})), callee="planner")
    await line.call("work", metadata=trace("1"))
    call = await line.begin("again", metadata=trace("1"), path=("planner", "writer", "planner"))
    assert call.findings == []


def trace(digit: str) -> Metadata:
    """Calls of one trace are one conversation."""
    return (("traceparent", f"00-{digit * 32}-{'2' * 16}-01"),)


async def test_waits_end_with_their_calls():
    """The store forgets what has ended, so a long day leaves nothing behind."""
    shared = MemoryPressure(ManualClock())
    line = Line(TERMS, shared=shared, callee="planner")
    for number in range(5):
        await line.call(number)
    assert await shared.wait(Wait("next", "c", ("planner",)), 0, 30) == (Wait("next", "c", ("planner",)),)


async def test_agents_without_a_bound_are_not_told_to_the_store():
    """They can take part in no deadlock, and cost nothing."""
    shared = MemoryPressure(ManualClock())
    line = Line(TERMS, shared=shared, callee="anybody")
    await line.begin("work")
    assert await shared.wait(Wait("next", "c", ("planner",)), 0, 30) == (Wait("next", "c", ("planner",)),)


async def test_a_doubtful_deadlock_is_a_warning_and_never_refuses():
    """Two calls of one chain are at planner, which serves two; either may have asked for the third."""
    line = Line(PressureSettings(deadlocks=DeadlockTerms({"planner": 2}, Mode.ENFORCE)), callee="planner")
    for number in range(2):
        await line.begin(number, metadata=trace("1"))
    call = await line.begin("back", metadata=trace("1"), path=("planner", "writer", "planner"))
    assert not is_refused(call)
    assert (only(call).rule, only(call).severity, only(call).reason) == ("deadlock", Severity.WARNING, None)
    assert only(call).message.startswith("agents may wait for each other for ever")
