"""Machines: the states that a task can be in, and the steps between them.

A machine is data. One protocol's is built in; a spec may declare its own as a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sidecar.engine.specs.sentences import quoted

MAX_STATES = 64


@dataclass(frozen=True, slots=True)
class Machine:
    """The states of a task, and which may follow which. A state may always be reported again."""

    name: str
    """`a2a`, or `table` for one that a spec declares."""
    initial: frozenset[str]
    """States in which a task may first be seen."""
    transitions: Mapping[str, frozenset[str]]
    """What may follow each state. Every state has a row; a terminal one's is empty."""
    terminal: frozenset[str]
    interrupted: frozenset[str] = frozenset()
    """States that wait for somebody else: a stream may end in one and the task goes on later."""

    @property
    def states(self) -> frozenset[str]:
        return frozenset(self.transitions)

    def is_legal(self, before: str | None, after: str) -> bool:
        """Whether a task may be seen in `after`, having last been seen in `before` (None: never)."""
        if before is None:
            return after in self.initial
        return after in self.transitions and (after == before or after in self.transitions.get(before, frozenset()))

    def before(self, after: str) -> frozenset[str]:
        """The states after which a task may be seen in `after`, itself not among them."""
        return frozenset(
            state for state, following in self.transitions.items() if after in following and state != after
        )


A2A_TERMINAL = frozenset({"TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED", "TASK_STATE_REJECTED"})
A2A_INTERRUPTED = frozenset({"TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED"})
A2A_STATES = A2A_TERMINAL | A2A_INTERRUPTED | {"TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"}

A2A = Machine(
    name="a2a",
    initial=A2A_STATES,
    transitions=MappingProxyType(
        {state: frozenset() if state in A2A_TERMINAL else A2A_STATES - {state} for state in sorted(A2A_STATES)}
    ),
    terminal=A2A_TERMINAL,
    interrupted=A2A_INTERRUPTED,
)
"""A2A v1 has no transition table. Its text settles the states (`TaskState`) and that terminal ones stay. A task may be
first seen in any of them, because we may not have been there before."""

MACHINES: Mapping[str, Machine] = MappingProxyType({A2A.name: A2A})
"""What a spec may call by name."""


def declared(initial: frozenset[str], rows: Mapping[str, frozenset[str]], terminal: frozenset[str]) -> Machine:
    """A machine of a spec's own. Sound only where `table_flaws` finds nothing."""
    full = {**rows, **dict.fromkeys(terminal, frozenset[str]())}
    return Machine("table", initial, MappingProxyType(full), terminal)


def table_flaws(machine: Machine, rows: Mapping[str, frozenset[str]]) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a declared table: the key under which it stands, what was found and what is allowed."""
    known = machine.states
    if len(known) > MAX_STATES:
        yield "transitions", f"{len(known)} states", f"at most {MAX_STATES}"
    for state in sorted(machine.initial - known):
        yield "initial", f"the unknown state {quoted(state)}", "a state with a row in `transitions`, or a terminal one"
    for state, following in rows.items():
        for unknown in sorted(following - known):
            found = f"the unknown state {quoted(unknown)} after {quoted(state)}"
            yield "transitions", found, "a state with a row of its own, or one that `terminal` names"
        if state in machine.terminal and following:
            yield "terminal", f"{quoted(state)}, which has exits", "a state that nothing follows"
        if state not in machine.terminal and not following:
            yield "transitions", f"{quoted(state)} without an exit", "at least one exit, or its name under `terminal`"
    for state in sorted(known - reachable(machine)):
        yield "transitions", f"the state {quoted(state)}, which nothing leads to", "states that `initial` leads to"


def reachable(machine: Machine) -> frozenset[str]:
    seen: set[str] = set()
    waiting = list(machine.initial)
    while waiting:
        state = waiting.pop()
        if state not in seen:
            seen.add(state)
            waiting.extend(machine.transitions.get(state, ()))
    return frozenset(seen)
