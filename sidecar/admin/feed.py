"""The feed: what passes now, for whoever tails it. A reporter: a slow reader loses events and is told how many, and
nobody waits for one. While nobody tails, it costs a look at an empty list.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.admin.convert import Mask, finding_of, lineage_of
from sidecar.admin.recent import METHOD_CHARS, FindingSeen
from sidecar.engine.costs import Cost
from sidecar.engine.exchange import Exchange, Outcome
from sidecar.engine.finding import Action, Finding, Reject, Severity
from sidecar.engine.message import Message
from sidecar.engine.ports import Clock, Witness
from sidecar.engine.verdict import PanelVerdict
from sidecar.v1 import admin_pb2, common_pb2

SEVERITIES: Final = tuple(Severity)
"""The gravest last."""

Kind = int
KINDS: Final[dict[str, Kind]] = {
    "exchange_started": admin_pb2.EVENT_KIND_EXCHANGE_STARTED,
    "message": admin_pb2.EVENT_KIND_MESSAGE,
    "finding": admin_pb2.EVENT_KIND_FINDING,
    "exchange_ended": admin_pb2.EVENT_KIND_EXCHANGE_ENDED,
    "change": admin_pb2.EVENT_KIND_CHANGE,
    "verdict": admin_pb2.EVENT_KIND_VERDICT,
    "charge": admin_pb2.EVENT_KIND_CHARGE,
}
"""By the field of the event that each fills."""

UNASKED: Final = frozenset(KINDS.values()) - {admin_pb2.EVENT_KIND_MESSAGE}
"""What is shown to whoever names no kinds."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What one reader wants to see."""

    kinds: frozenset[Kind] = UNASKED
    agent: str = ""
    conversation: str = ""
    method: str = ""
    severity: int = 0
    """Index in SEVERITIES of the least grave finding."""

    def wants(self, kind: Kind, exchange: Exchange | None) -> bool:
        if kind not in self.kinds:
            return False
        if exchange is None:
            return not (self.agent or self.conversation or self.method)
        return (
            (not self.agent or self.agent in (exchange.caller, exchange.callee))
            and (not self.conversation or self.conversation == exchange.lineage.conversation)
            and (not self.method or self.method == exchange.method)
        )


@dataclass(slots=True, eq=False)
class Reader:
    """One who tails: a bounded queue, of which the oldest events make room."""

    wish: Wish
    room: int
    waiting: deque[tuple[int, admin_pb2.TailEvent]] = field(default_factory=deque)
    number: int = 0
    """Events that it was meant to see."""
    dropped: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, event: admin_pb2.TailEvent) -> None:
        self.number += 1
        if len(self.waiting) >= self.room:
            self.waiting.popleft()
            self.dropped += 1
        self.waiting.append((self.number, event))
        self.arrived.set()

    async def next(self, within_s: float) -> admin_pb2.TailEvent:
        """The next event; one that only says that the tail goes on, where none came in time."""
        if not self.waiting:
            self.arrived.clear()
            try:
                await asyncio.wait_for(self.arrived.wait(), within_s)
            except TimeoutError:
                return admin_pb2.TailEvent(number=self.number, dropped=self.dropped, alive=admin_pb2.Alive())
        number, event = self.waiting.popleft()
        told = admin_pb2.TailEvent()
        told.CopyFrom(event)
        told.number, told.dropped = number, self.dropped
        return told


class Feed(Witness):
    """Makes events of what passes. Every hook is called on the event loop."""

    def __init__(self, clock: Clock, mask: Mask = str) -> None:
        """`mask` what looks like a secret in anything that others wrote: methods, models, sentences."""
        self._clock = clock
        self._mask = mask
        self._readers: list[Reader] = []

    @property
    def readers(self) -> int:
        return len(self._readers)

    def join(self, wish: Wish, room: int) -> Reader:
        """To be ended with `leave`."""
        reader = Reader(wish, room)
        self._readers.append(reader)
        return reader

    def leave(self, reader: Reader) -> None:
        self._readers.remove(reader)

    # Hooks.

    def exchange_started(self, exchange: Exchange) -> None:
        if not self._readers:
            return
        spec = exchange.spec.name if exchange.spec else ""
        source = exchange.lineage.source.value
        make = lambda: {"exchange_started": admin_pb2.ExchangeStarted(joined_by=source, spec=spec)}  # noqa: E731
        self._tell(KINDS["exchange_started"], exchange, make)

    def message_seen(self, exchange: Exchange, message: Message) -> None:
        if not self._readers:
            return
        make = lambda: {  # noqa: E731 - made only where somebody wants it
            "message": admin_pb2.MessagePassed(
                direction=message.direction.value, sequence=message.sequence, size_bytes=message.size_bytes
            )
        }
        self._tell(KINDS["message"], exchange, make)

    def finding_made(self, exchange: Exchange, finding: Finding, action: Action) -> None:
        if not self._readers:
            return
        seen = FindingSeen(finding, action, self._clock.unix_ns())
        severity = SEVERITIES.index(finding.severity)
        self._tell(KINDS["finding"], exchange, lambda: {"finding": finding_of(seen, self._mask)}, severity)

    def exchange_ended(self, outcome: Outcome) -> None:
        if self._readers:
            self._tell(KINDS["exchange_ended"], outcome.exchange, lambda: {"exchange_ended": ended(outcome)})

    def charged(self, exchange: Exchange, cost: Cost) -> None:
        if not self._readers:
            return
        make = lambda: {  # noqa: E731 - made only where somebody wants it
            "charge": admin_pb2.ChargeMade(
                agent=exchange.callee,
                model=self._mask(cost.usage.model or ""),
                cost_micro_usd=cost.micro_usd,
                source=cost.source.value,
            )
        }
        self._tell(KINDS["charge"], exchange, make)

    def judged(self, exchange: Exchange, verdict: PanelVerdict, *, is_late: bool) -> None:  # noqa: ARG002 - of the port
        if not self._readers:
            return
        for opinion in verdict.opinions:
            given = admin_pb2.VerdictGiven(
                verifier=opinion.verifier,
                verdict=opinion.value.label,
                failure=opinion.failure.value if opinion.failure else "",
                duration_s=opinion.duration_s,
            )
            self._tell(KINDS["verdict"], exchange, lambda given=given: {"verdict": given})  # type: ignore[misc]

    def changed(self, who: str, method: str, what: str, because: str, outcome: str) -> None:
        """An operator did something, or tried to."""
        what, because = self._mask(what), self._mask(because)
        made = admin_pb2.AdminChange(method=method, who=who, what=what, because=because, outcome=outcome)
        self._tell(KINDS["change"], None, lambda: {"change": made})

    def _tell(
        self, kind: Kind, exchange: Exchange | None, make: Callable[[], dict[str, Any]], severity: int | None = None
    ) -> None:
        event: admin_pb2.TailEvent | None = None
        for reader in self._readers:
            if not reader.wish.wants(kind, exchange) or (severity is not None and severity < reader.wish.severity):
                continue
            if event is None:
                subject = subject_of(exchange, self._mask) if exchange is not None else None
                event = admin_pb2.TailEvent(at_unix_ms=self._clock.unix_ns() // 1_000_000, subject=subject, **make())
            reader.offer(event)


def subject_of(exchange: Exchange, mask: Mask) -> admin_pb2.Subject:
    method = mask(exchange.method)[:METHOD_CHARS]
    return admin_pb2.Subject(
        exchange_id=exchange.lineage.exchange_id,
        edge=common_pb2.Edge(caller=exchange.caller, callee=exchange.callee, method=method),
        side=exchange.side.value,
        route=exchange.route.name,
        lineage=lineage_of(exchange),
    )


def ended(outcome: Outcome) -> admin_pb2.ExchangeEnded:
    exchange, decision = outcome.exchange, outcome.exchange.decision
    return admin_pb2.ExchangeEnded(
        code=outcome.status.code,
        decision=decision.label,
        reason=decision.reason.value if isinstance(decision, Reject) else "",
        duration_s=outcome.duration_s,
        overhead_s=outcome.overhead_s,
        requests=exchange.requests.messages,
        responses=exchange.responses.messages,
    )
