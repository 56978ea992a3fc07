"""The quarantine check: is this agent, edge, conversation or task held back?

An operator holds back what misbehaves until they release it. A verifier that judges beside the call cannot take an
answer back, but can hold back the next calls of its edge, for a cool-down that every further complaint begins anew.
What is held stands on the board, which a fleet shares; no call waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from sidecar.engine.conversation import bounded
from sidecar.engine.exchange import Exchange
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.message import Direction, Message
from sidecar.engine.ports import Clock, Quarantine
from sidecar.engine.state.board import Board, Standing
from sidecar.engine.state.controls import QUARANTINES, Control, Kind, Name, names_in, pair
from sidecar.errors import Reason, StoreFull

log = logging.getLogger(__name__)

CHECK: Final = "quarantine"

BY_VERDICT: Final = "verdict"
"""The author of what is held back without anybody's doing."""

METHOD_CHARS: Final = 1024
"""Longest method that can be held back. Callers choose the names that they call."""

Edge = tuple[str, str, str]
NOBODY: Final[Mapping[str, Standing]] = MappingProxyType({})


class QuarantineCheck(Quarantine):
    """Refuses what is held back; where that is observed, says that it would."""

    name = CHECK
    fail: Literal["open", "closed"] = "open"

    def __init__(
        self,
        board: Board,
        clock: Clock,
        *,
        cooldown_s: float,
        fail_open: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        """`fail_open` counts (check, reason): edges that found no room."""
        self._board = board
        self._clock = clock
        self._cooldown_s = cooldown_s
        self._fail_open = fail_open
        self._edges: dict[Edge, Standing] = {}
        self._agents = self._conversations = NOBODY
        self._tasks: dict[tuple[str, str], Standing] = {}
        self._holds_any = False
        board.on_change(self._follow)
        self._follow()

    @property
    def count(self) -> int:
        """How many are held now. May be read from another thread."""
        return sum(self._board.quarantined().values())

    def on_start(self, exchange: Exchange) -> Sequence[Finding] | None:
        """Costs a look at one flag while nothing is held."""
        return self._refusal(self._held(exchange)) if self._holds_any else None

    @property
    def goes_by_conversation(self) -> bool:
        """Whether any is held back: then no call passes before it is sure which one it belongs to."""
        return bool(self._conversations)

    def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding] | None:
        """A task is known by its message only; and what was open already when it was held back goes no further."""
        if not self._holds_any:
            return None
        held = self._held_task(exchange) or self._held(exchange)
        if held is None or (held.control.spares_open and not is_first(message)):
            return None
        return None if any(finding.check == CHECK for finding in exchange.findings) else self._refusal(held)

    def quarantine(self, caller: str, callee: str, method: str, because: str) -> None:
        """A complaint about an edge that is held already starts its cool-down anew."""
        name = Name(Kind.EDGE, pair(caller, callee, method[:METHOD_CHARS]))
        is_new = self._board.at(name) is None
        at_ms = self._clock.unix_ns() // 1_000_000
        control = Control(name, BY_VERDICT, because, at_ms, is_automatic=True, spares_open=True)
        try:
            self._board.put(control, self._cooldown_s)
        except StoreFull as error:
            log.error("quarantine is full: %s; %s goes on although %s", error, shown(name), because)
            self._fail_open(CHECK, "full")
            return
        if is_new:
            log.warning("quarantine holds %s back for %g s: %s", shown(name), self._cooldown_s, because)

    def release(self, caller: str, callee: str, method: str) -> bool:
        """Whether there was anything to release."""
        return self._board.remove(Name(Kind.EDGE, pair(caller, callee, method[:METHOD_CHARS])))

    def _held(self, exchange: Exchange) -> Standing | None:
        """By anything that is known when the headers are in."""
        found = (
            self._agents.get(exchange.caller),
            self._agents.get(exchange.callee),
            self._edges.get((exchange.caller, exchange.callee, exchange.method[:METHOD_CHARS])),
            self._conversations.get(exchange.lineage.conversation),
        )
        return next(filter(self._holds, found), None)

    def _held_task(self, exchange: Exchange) -> Standing | None:
        if not self._tasks or not (task := exchange.names.task_id):
            return None
        held = self._tasks.get((exchange.callee, bounded(task)))
        return held if self._holds(held) else None

    def _holds(self, standing: Standing | None) -> bool:
        return standing is not None and not self._board.has_ended(standing)

    def _refusal(self, held: Standing | None) -> Sequence[Finding] | None:
        return None if held is None else [held_back(held.control)]

    def _follow(self) -> None:
        """Take over what the board says. It changes seldom, and every call looks."""
        held = {kind: {each.control.name.key: each for each in self._board.of(kind)} for kind in QUARANTINES}
        self._agents, self._conversations = held[Kind.AGENT], held[Kind.CONVERSATION]
        self._edges = {edge_in(key): each for key, each in held[Kind.EDGE].items()}
        self._tasks = {task_in(key): each for key, each in held[Kind.TASK].items()}
        self._holds_any = any(held.values())


def is_first(message: Message) -> bool:
    return message.direction is Direction.REQUEST and message.sequence == 0


def edge_in(key: str) -> Edge:
    caller, callee, method = names_in(key)
    return caller, callee, method


def task_in(key: str) -> tuple[str, str]:
    callee, task = names_in(key)
    return callee, task


def shown(name: Name) -> str:
    """`planner -> writer /a.B/C`, `agent writer`, for people."""
    if name.kind is Kind.EDGE:
        caller, callee, method = edge_in(name.key)
        return f"{caller} -> {callee} {method[:200]}"
    if name.kind is Kind.TASK:
        return "task {1} of {0}".format(*task_in(name.key))
    return f"{name.kind} {name.key}"


def held_back(control: Control) -> Finding:
    why = "an earlier answer failed: " if control.is_automatic else ""
    sentence = f"{shown(control.name)} is in quarantine, because {why}{control.because}"
    return Finding(CHECK, control.name.kind.value, Severity.ERROR, sentence, Reason.QUARANTINED)
