"""Ahead: what the checks will ask a store about one message, asked before they are reached.

A store that is far away answers ten questions that travel together as fast as one. So the verbs of all checks for one
message are begun in the same turn of the event loop, and the checks are then asked in their order as ever: each finds
its answer here. Whatever no check came to fetch, because one before it decided, is taken back as if it had never been
asked.

A question is known by its *key*, the verb's name and everything that it was given. A check that comes with another one
than was foreseen gets no foreseen answer: the store is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sidecar.engine.eager import Done, begun
from sidecar.engine.ports import Clock
from sidecar.errors import StoreUnavailable

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

Key = tuple[Hashable, ...]
"""The name of a verb, then what it was given."""

Verb = Callable[[], Coroutine[Any, Any, Any]]

Undo = Callable[[Any], Awaitable[object]]
"""Takes back what a verb did, by its answer; None where the store never gave one. May raise StoreUnavailable."""

WARY_S: Final = 1.0
"""How long an edge is asked in order after something was taken back on it."""

EDGES_MAX: Final = 1_024
"""Edges that are known to be asked in order. Callers choose the methods that they name; the oldest makes room."""

Edge = tuple[str, str, str]


@dataclass(slots=True, eq=False)
class Asked:
    """One verb on its way."""

    rest: Done[Any] | Coroutine[Any, Any, Any] | StoreUnavailable
    undo: Undo | None

    async def answer(self) -> Any:
        if isinstance(self.rest, Done):
            return self.rest.value
        if isinstance(self.rest, StoreUnavailable):
            raise self.rest
        return await self.rest


@dataclass(frozen=True, slots=True)
class Question:
    """One verb that is to be asked."""

    key: Key
    verb: Verb
    undo: Undo | None


class Ahead:
    """What was asked about one message, and is not fetched yet."""

    def __init__(self, keep: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        """`keep` sees to it that work beside the call comes to its end."""
        self._keep = keep
        self._asked: dict[Key, Asked] = {}
        self._returning: dict[Hashable, list[asyncio.Task[None]]] = {}
        """By verb, what is being taken back: to be waited for before the same is asked again."""
        self._held_up: list[Question] | None = None
        """Questions of the second round, while it is gathered."""
        self.took_back = False
        """Whether anything was taken back because a check had decided, or was about to wait."""

    def ask(self, key: Key, verb: Verb, undo: Undo | None = None) -> None:
        """Begin a verb, unless this very question was asked. `undo` None: it changes nothing."""
        if self._held_up is not None:
            self._held_up.append(Question(key, verb, undo))
        elif key not in self._asked:
            self._asked[key] = Asked(begun_or_away(verb()), undo)

    def has(self, key: Key) -> bool:
        """Whether this question was asked ahead, and nobody has fetched the answer."""
        return key in self._asked

    async def fetch(self, key: Key, verb: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer that was asked for ahead, else what the store says now. Raises what the verb raises.

        Where another question was foreseen of the same verb, that one is taken back first: both may be known to the
        store by the same id.
        """
        asked = self._asked.pop(key, None)
        if asked is None:
            for other in [other for other in self._asked if other[0] == key[0]]:
                self._return(other, self._asked.pop(other))
            if returning := self._returning.get(key[0]):
                await asyncio.wait(returning)
            return await verb()
        answer: Answer = await asked.answer()
        return answer

    def take_back(self) -> None:
        """Undo, beside the call, whatever was not fetched."""
        left, self._asked = self._asked, {}
        for key, asked in left.items():
            self.took_back = self.took_back or asked.undo is not None
            self._return(key, asked)

    def begin_again(self) -> None:
        """What the questions are made of has changed: from here on they are gathered anew."""
        self._held_up = []

    async def asked_again(self) -> None:
        """Take back the questions that nobody asks any more, then ask the new ones; what is asked still stays."""
        questions, self._held_up = self._held_up or [], None
        wanted = {question.key for question in questions}
        gone = [key for key in self._asked if key not in wanted]
        if returning := [task for key in gone if (task := self._return(key, self._asked.pop(key))) is not None]:
            await asyncio.wait(returning)
        for question in questions:
            self.ask(question.key, question.verb, question.undo)

    def _return(self, key: Key, asked: Asked) -> asyncio.Task[None] | None:
        """Undo one. What is left of that, where it has to wait."""
        if asked.undo is None:
            close(asked.rest)
            return None
        rest = begun(undone(key, asked))
        if isinstance(rest, Done):
            return None
        task = self._keep(rest)
        self._returning.setdefault(key[0], []).append(task)
        return task


async def undone(key: Key, asked: Asked) -> None:
    """A store that is away keeps what it was lent until that runs out, as where a sidecar has crashed."""
    try:
        answer = await asked.answer()
    except StoreUnavailable as away:
        if not away.may_have_happened:
            return
        answer = None
    except Exception:
        log.exception("what was asked ahead failed: %s", key[0])
        return
    try:
        assert asked.undo is not None
        await asked.undo(answer)
    except StoreUnavailable as away:
        log.debug("%s could not be taken back: %s", key[0], away)
    except Exception:
        log.exception("%s could not be taken back", key[0])


def begun_or_away(work: Coroutine[Any, Any, Answer]) -> Done[Answer] | Coroutine[Any, Any, Answer] | StoreUnavailable:
    try:
        return begun(work)
    except StoreUnavailable as away:
        return away


def close(rest: object) -> None:
    """Nobody waits for it any more."""
    if isinstance(rest, Coroutine):
        rest.close()


class Wariness:
    """Edges on which questions were taken back lately: there the checks are asked in order for a while.

    What is asked ahead may hold a place, a token or money for the moment that it takes to give it back. Where calls are
    refused, or duplicates come in numbers, that could be somebody else's last place.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until_ns: OrderedDict[Edge, int] = OrderedDict()
        """By edge; the one that became so first comes first."""

    def is_wary(self, edge: Edge) -> bool:
        until_ns = self._until_ns.get(edge) if self._until_ns else None
        return until_ns is not None and self._clock.monotonic_ns() < until_ns

    def took_back(self, edge: Edge) -> None:
        self._until_ns[edge] = self._clock.monotonic_ns() + int(WARY_S * 1e9)
        self._until_ns.move_to_end(edge)
        if len(self._until_ns) > EDGES_MAX:
            self._until_ns.popitem(last=False)
