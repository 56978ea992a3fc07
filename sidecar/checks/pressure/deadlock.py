"""Deadlocks: exchanges that wait for agents which are all full of exchanges that wait for each other.

An agent that serves any number of calls can be called back while it waits, so only agents known to serve a bounded
number can take part. Of the calls at such an agent the oldest are *served* and the rest stand in *line*. A served call
is *stuck* when it caused a call that is stuck; a call in line is stuck when all that are served there are. What is not
stuck by that goes on, its place becomes free, and what waited for it may go on as well: the rest never does. That is
the reduction of a resource-allocation graph (Holt 1972), and it leaves out what is merely slow.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.engine.state.pressure import Wait


@dataclass(frozen=True, slots=True)
class Deadlock:
    """A cycle of waits that the newest one closed."""

    agents: tuple[str, ...]
    """Each waits for the next, and the last is the first again."""
    is_certain: bool
    """Whether it is known which served call caused which wait. Two calls of one chain side by side look alike."""


class Graph:
    """Waits in the order in which they came, and which of them can never end."""

    def __init__(self, waits: Sequence[Wait], serves: Mapping[str, int]) -> None:
        self.waits = waits
        lines: dict[str, list[Wait]] = defaultdict(list)
        chains: dict[str, list[Wait]] = defaultdict(list)
        for wait in waits:
            lines[wait.agent].append(wait)
            chains[wait.conversation].append(wait)
        bounds = {agent: serves.get(agent, len(line)) for agent, line in lines.items()}
        self._served = {agent: line[: bounds[agent]] for agent, line in lines.items()}
        self._in_line = {wait.exchange_id for agent, line in lines.items() for wait in line[bounds[agent] :]}
        self._caused = {wait.exchange_id: caused_by(wait, chains[wait.conversation]) for wait in waits}
        served = (wait for wait in waits if not self.is_in_line(wait))
        self._alike = Counter((wait.conversation, wait.path) for wait in served)
        self.stuck = self._reduced()

    def blockers(self, wait: Wait) -> list[Wait]:
        """What the wait waits for in turn: those served in front of it, or what the served call itself caused."""
        return self._served[wait.agent] if self.is_in_line(wait) else self._caused[wait.exchange_id]

    def is_in_line(self, wait: Wait) -> bool:
        return wait.exchange_id in self._in_line

    def is_ambiguous(self, wait: Wait) -> bool:
        """Whether another call of the same chain is at the same agent, so that either may have caused what follows."""
        return not self.is_in_line(wait) and self._alike[wait.conversation, wait.path] > 1

    def _reduced(self) -> set[str]:
        """Ids of those left when everything that can go on has gone."""
        stuck = {wait.exchange_id for wait in self.waits}
        left = list(self.waits)
        while gone := {wait.exchange_id for wait in left if self._goes_on(wait, stuck)}:
            stuck -= gone
            left = [wait for wait in left if wait.exchange_id in stuck]
        return stuck

    def _goes_on(self, wait: Wait, stuck: set[str]) -> bool:
        held = [blocker.exchange_id in stuck for blocker in self.blockers(wait)]
        return not all(held) if self.is_in_line(wait) else not any(held)


def caused_by(wait: Wait, chain: Sequence[Wait]) -> list[Wait]:
    """The waits further down the same chain."""
    depth = len(wait.path)
    return [each for each in chain if len(each.path) > depth and each.path[:depth] == wait.path]


def deadlock_closed_by(newest: str, waits: Sequence[Wait], serves: Mapping[str, int]) -> Deadlock | None:
    """The deadlock that exists with the exchange `newest` and not without it; None where it only joins one, or none.

    Of the waits in a cycle the last one tells: an older one that is asked again finds a cycle that was told already.
    """
    if not waits or waits[-1].exchange_id != newest:
        return None
    graph = Graph(waits, serves)
    if newest not in graph.stuck:
        return None
    before = Graph([wait for wait in waits if wait.exchange_id != newest], serves)
    if len(graph.stuck) <= len(before.stuck) + 1:
        return None
    cycle = cycle_through(graph, waits[-1])
    stuck = [wait for wait in waits if wait.exchange_id in graph.stuck]
    return Deadlock(agents_of(cycle), not any(graph.is_ambiguous(wait) for wait in stuck))


def cycle_through(graph: Graph, start: Wait) -> list[Wait]:
    """Waits from `start` on, each blocked by the next, until one comes again."""
    cycle: list[Wait] = []
    wait = start
    while wait not in cycle:
        cycle.append(wait)
        wait = next(each for each in graph.blockers(wait) if each.exchange_id in graph.stuck)
    return cycle[cycle.index(wait) :]


def agents_of(cycle: Sequence[Wait]) -> tuple[str, ...]:
    """`planner, writer, planner`: the way from agent to agent, those between two full ones included."""
    names: list[str] = []
    for wait, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        is_further_down = following.path[: len(wait.path)] == wait.path and following is not wait
        names += [wait.agent, *following.path[len(wait.path) : -1]] if is_further_down else [wait.agent]
    merged = [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]
    return tuple(merged) if merged[0] == merged[-1] and len(merged) > 1 else (*merged, merged[0])
