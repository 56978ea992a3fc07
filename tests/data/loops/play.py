"""Runs a conversation through the loop check, in observe, and tells what it found."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sidecar.checks.loop import Ladder, LoopCheck
from sidecar.engine.exchange import Arrival, Exchange, Mode, Route, Side, Status
from sidecar.engine.finding import Finding
from sidecar.engine.join import JoinSource
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import Lineage
from sidecar.engine.message import Direction, Message
from sidecar.engine.state import Reach, Visits
from sidecar.stores.memory import MemoryVisits
from sidecar.testing import ManualClock
from tests.data.loops import looping, ordinary
from tests.data.loops.talk import Ask, Talk, Tell, Wait
from tests.data.verification.sources import Half

KINDS = {**looping.KINDS, **ordinary.KINDS}


def talk_of(kind: str, number: int, half: Half) -> Talk:
    """The same conversation each time."""
    talk = Talk(random.Random(f"{kind} {number} {half}"))
    KINDS[kind](talk, half)
    return talk


@dataclass(slots=True)
class Found:
    """What the check said in one conversation."""

    past: Counter[str] = field(default_factory=Counter)
    """Requests past a limit, by kind."""
    near: Counter[str] = field(default_factory=Counter)
    first_past: int | None = None
    """The number of the first call past a limit other than reentry, from 1."""
    calls: int = 0

    @property
    def is_loop(self) -> bool:
        return self.first_past is not None


class Player:
    """Plays conversations; `mode` is the route's."""

    def __init__(
        self, ladder: Ladder | None = None, *, visits: Visits | None = None, clock: ManualClock | None = None
    ) -> None:
        self.clock = clock or ManualClock()
        self._visits = visits or MemoryVisits(self.clock)
        self._ladder = ladder or Ladder()
        self.counted: Counter[tuple[str, str]] = Counter()
        self._conversations = 0

    def past_limit(self, kind: str, caller: str, callee: str, action: str) -> None:
        self.counted[kind, action] += 1

    async def play(self, talk: Talk) -> Found:
        check = LoopCheck(Reach(self._visits), ladder=self._ladder, clock=self.clock, reporter=self)
        self._conversations += 1
        found, exchanges = Found(), dict[int, Exchange]()
        for step in talk.steps:
            match step:
                case Wait():
                    self.clock.advance(step.seconds)
                case Ask():
                    exchange = self._exchange(step, exchanges)
                    exchanges[step.call] = exchange
                    findings = await check.on_message(exchange, message(step.document, Direction.REQUEST))
                    exchange.dispatched_ns, exchange.requests.passed = self.clock.monotonic_ns(), 1
                    note(found, findings or [], step.call)
                case Tell():
                    await tell(check, exchanges[step.call], step)
        found.calls = talk.calls
        return found

    def _exchange(self, step: Ask, exchanges: dict[int, Exchange]) -> Exchange:
        above = exchanges[step.below].lineage if step.below is not None else None
        path = (*(above.path if above else ()), step.callee)
        lineage = Lineage(
            trace_id=f"{self._conversations:032x}",
            span_id=f"{step.call:016x}",
            parent_span_id="",
            is_sampled=True,
            is_random=True,
            tracestate=(),
            source=JoinSource.ROOT,
            links=(),
            exchange_id=f"{self._conversations}-{step.call}",
            conversation=f"conversation-{self._conversations}",
            hops=len(path) - 1,
            path=path,
        )
        arrival = Arrival(Route("inbound", Side.INBOUND, step.caller, step.callee, Mode.OBSERVE), step.method)
        return Exchange(arrival=arrival, lineage=lineage, caller=step.caller, started_ns=0, started_unix_ns=0)


def message(document: Any, direction: Direction, sequence: int = 0) -> Message:
    return Message(direction, sequence, json.dumps(document).encode(), JSON_CODEC)


async def tell(check: LoopCheck, exchange: Exchange, step: Tell) -> None:
    for document in step.documents:
        answer = message(document, Direction.RESPONSE)
        exchange.names = exchange.names.merged(answer.names)
        await check.on_message(exchange, answer)
    if step.is_last:
        await check.on_end(exchange, Status(step.code, step.details))


def note(found: Found, findings: list[Finding] | Any, call: int) -> None:
    for finding in findings:
        if finding.reason is None:
            found.near[finding.rule] += 1
            continue
        found.past[str(finding.rule)] += 1
        if finding.rule != "reentry" and found.first_past is None:
            found.first_past = call
