"""The loop check: is this conversation going round in circles?

At the first request of an exchange the store records a visit and tells what went before; a pure detector judges it, and
the ladder says what follows. At the end the store is told what came of the visit, so that work which brings something
new is known from work which does not. What never came to the callee is no visit, so whoever obeys a refusal and asks
again later is not taken for one who goes in circles.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

from sidecar.checks.loop.detector import Kind, Measure, is_reentry, measured
from sidecar.checks.loop.fingerprint import hashed_text
from sidecar.checks.loop.ladder import CHECK, Ladder, is_broken_off
from sidecar.checks.loop.reading import Listening, Question, edge_of, is_read, question_of
from sidecar.engine import policy
from sidecar.engine.ahead import Key
from sidecar.engine.exchange import Answer, Exchange, Status
from sidecar.engine.finding import Action, Finding, Reject
from sidecar.engine.message import Direction, Message
from sidecar.engine.ports import Clock
from sidecar.engine.replies import reply_of, was_never_asked
from sidecar.engine.state import Reach, Visits
from sidecar.engine.state.visits import Sighting, Visit
from sidecar.errors import Reason

Told = TypeVar("Told")
Asking = Coroutine[Any, Any, Told]

READS_WITHIN_S = 10.0
"""The time over which reads are counted."""


class LoopReporter(Protocol):
    """Watches the check and can never fail it."""

    def past_limit(self, kind: str, caller: str, callee: str, action: str) -> None:
        """One request past a limit: `observed`, or `rejected` where that is enforced."""


class LoopCheck:
    """Counts at the sidecar that guards the callee; a conversation that goes in circles there is told, then stopped."""

    name = CHECK
    fail: Literal["open", "closed"] = "open"

    def __init__(self, visits: Reach[Visits], *, ladder: Ladder, clock: Clock, reporter: LoopReporter) -> None:
        self._visits = visits
        self._ladder = ladder
        self._clock = clock
        self._reporter = reporter
        self._listening: dict[Exchange, Listening] = {}
        """By exchange under way; each hears its end exactly once."""
        self._foreseen: dict[Exchange, Question] = {}
        """Of requests that the store was asked about ahead."""

    def ahead(self, exchange: Exchange, message: Message | None) -> bool:
        """The visit, or the read."""
        if message is None or message.direction is Direction.RESPONSE or message.sequence:
            return True
        if not exchange.is_guarded_here:
            return True
        question = self._foreseen.get(exchange)
        if question is None:
            question = self._foreseen[exchange] = question_of(exchange, message)
        conversation, own = exchange.lineage.conversation, question.visit.exchange
        if not is_read(exchange):
            self._visits.ahead(
                exchange, *self._visiting(conversation, question.visit), partial(unvisited, conversation, own)
            )
        elif self._depth(exchange).is_past:
            return False
        elif question.is_readable:
            self._visits.ahead(exchange, *reading(conversation, question), partial(unread, conversation, own))
        return True

    async def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding] | None:
        if not exchange.is_guarded_here:
            return None
        if message.direction is Direction.RESPONSE:
            if listening := self._listening.get(exchange):
                listening.hear(message)
            return None
        if message.sequence:
            return None  # a stream of requests is one visit: its first message says what it asks
        ask = self._read if is_read(exchange) else self._visit
        question = self._foreseen.pop(exchange, None) or question_of(exchange, message)
        return await ask(exchange, question, self._depth(exchange)) or None

    def on_answer(self, exchange: Exchange, answer: Answer) -> None:
        """The callee's own sidecar may say that it let nothing through."""
        if (listening := self._listening.get(exchange)) and was_never_asked(exchange, answer):
            listening.was_turned_away = reply_of(answer) != Reason.LOOP_DETECTED

    async def on_end(self, exchange: Exchange, status: Status) -> None:
        if self._foreseen:
            self._foreseen.pop(exchange, None)
        listening = self._listening.pop(exchange, None)
        if listening is None:
            return
        conversation, own = exchange.lineage.conversation, listening.exchange
        if listening.was_turned_away or is_withdrawn(exchange):
            await self._withdraw(exchange, conversation, own)
        elif (answer := listening.answer(exchange, status)) is not None:
            await self._visits.ask(exchange, lambda visits: visits.answered(conversation, own, answer))

    async def _withdraw(self, exchange: Exchange, conversation: str, own: int) -> None:
        """Wherever it may be counted: the shared store may have left, or returned, since."""
        if self._visits.local is not None:
            await self._visits.local.withdraw(conversation, own)
        await self._visits.ask(exchange, lambda visits: visits.withdraw(conversation, own))

    def _depth(self, exchange: Exchange) -> Measure:
        return Measure(Kind.HOPS, exchange.lineage.hops + 1, self._ladder.limits.hops)

    # Reads are judged by their rate.

    async def _read(self, exchange: Exchange, question: Question, depth: Measure) -> Sequence[Finding]:
        visit, conversation = question.visit, exchange.lineage.conversation
        self._listening[exchange] = Listening(visit.exchange, question.words, is_read=True)
        if depth.is_past:
            return [self._past(exchange, depth)]
        if not question.is_readable:
            return []
        count = await self._visits.ask(exchange, *reading(conversation, question))
        measure = Measure(Kind.REPEAT, count, self._ladder.limits.reads)
        if measure.is_past:
            return [self._past(exchange, measure)]
        return [await self._warned(exchange, near) for near in (measure, depth) if near.is_near]

    # Everything else is judged by what the conversation asked before.

    async def _visit(self, exchange: Exchange, question: Question, depth: Measure) -> Sequence[Finding]:
        visit, conversation = question.visit, exchange.lineage.conversation
        self._listening[exchange] = Listening(visit.exchange, question.words, is_read=False)
        sighting = await self._visits.ask(exchange, *self._visiting(conversation, visit))
        if sighting.held is not None:
            del self._listening[exchange]
            return [self._counted(exchange, Kind(sighting.held.kind), self._ladder.held(exchange, sighting.held))]
        measures = [depth, *measured(sighting.trail, self._ladder.limits)]
        for measure in measures:
            if measure.is_past:
                return [await self._broken_off(exchange, visit, measure, is_new=sighting.is_new)]
        warnings = [measure for measure in (*measures[1:], depth) if measure.is_near]
        return [
            *self._reentered(exchange, visit, sighting),
            *[await self._warned(exchange, measure, is_new=sighting.is_new) for measure in warnings[:1]],
        ]

    def _visiting(self, conversation: str, visit: Visit) -> tuple[Callable[[Visits], Asking[Sighting]], Key]:
        window_s = self._ladder.window_s
        return lambda visits: visits.visit(conversation, visit, window_s=window_s), ("visit", conversation, visit)

    async def _broken_off(self, exchange: Exchange, visit: Visit, measure: Measure, *, is_new: bool) -> Finding:
        finding = self._past(exchange, measure, is_new=is_new)
        if is_broken_off(measure.kind) and policy.is_enforced(exchange, finding):
            conversation, edge = exchange.lineage.conversation, edge_of(exchange)
            family, cooldown_s = self._ladder.family_of(visit, measure), self._ladder.cooldown_s
            await self._visits.ask(
                exchange,
                lambda visits: visits.break_off(
                    conversation, edge, visit.edge, family, kind=measure.kind.value, cooldown_s=cooldown_s
                ),
            )
        return finding

    def _reentered(self, exchange: Exchange, visit: Visit, sighting: Sighting) -> Sequence[Finding]:
        if self._ladder.reentry is None or len(sighting.trail) < 2:
            return []  # nobody waits
        ancestors = [hashed_text(name) for name in exchange.lineage.path[:-1]]
        if not is_reentry(sighting.trail, visit.callee, ancestors):
            return []
        return [self._past(exchange, Measure(Kind.REENTRY, 1, 0), is_new=sighting.is_new)]

    async def _warned(self, exchange: Exchange, measure: Measure, *, is_new: bool = True) -> Finding:
        """A warning, and where it is enforced a delay: whoever repeats itself quickly is held back first."""
        finding = self._ladder.near(exchange, measure)
        delay_s = self._ladder.delay_s(exchange, measure)
        if is_new and delay_s > 0 and policy.is_enforced(exchange, finding):
            exchange.is_going_to_wait()
            began_ns = self._clock.monotonic_ns()
            await self._clock.sleep(delay_s)
            exchange.waited_ns += self._clock.monotonic_ns() - began_ns
        return finding

    def _past(self, exchange: Exchange, measure: Measure, *, is_new: bool = True) -> Finding:
        return self._counted(exchange, measure.kind, self._ladder.past(exchange, measure), is_new=is_new)

    def _counted(self, exchange: Exchange, kind: Kind, finding: Finding, *, is_new: bool = True) -> Finding:
        if is_new:
            action = Action.REJECTED if policy.is_enforced(exchange, finding) else Action.OBSERVED
            self._reporter.past_limit(kind.value, exchange.caller, exchange.callee, action.value)
        return finding


def reading(conversation: str, question: Question) -> tuple[Callable[[Visits], Asking[int]], Key]:
    visit = question.visit
    asked = hashed_text(f"{visit.edge:x}", f"{visit.fingerprint:x}")
    key = ("read", conversation, visit.exchange, asked)
    return lambda visits: visits.read(conversation, visit.exchange, asked, within_s=READS_WITHIN_S), key


async def unvisited(conversation: str, own: int, visits: Visits, sighting: Sighting | None) -> None:
    """Nobody came to fetch the sighting. What another sidecar recorded of this exchange is its own to withdraw."""
    if sighting is None or (sighting.is_new and sighting.held is None):
        await visits.withdraw(conversation, own)


async def unread(conversation: str, own: int, visits: Visits, _count: int | None) -> None:
    await visits.withdraw(conversation, own)


def is_withdrawn(exchange: Exchange) -> bool:
    """Whether the callee cannot have seen the question, and not because this check kept it from going round."""
    if exchange.has_passed_request:
        return False
    decision = exchange.decision
    return not (isinstance(decision, Reject) and decision.reason is Reason.LOOP_DETECTED)
