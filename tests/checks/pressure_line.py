"""One engine with the pressure check and nothing else: calls begin and end as a script says."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

from sidecar.checks.pressure import PressureCheck, PressureSettings
from sidecar.engine.exchange import (
    Answer,
    Arrival,
    Exchange,
    Guarding,
    Metadata,
    Mode,
    Origin,
    Outcome,
    Route,
    Side,
    Status,
)
from sidecar.engine.finding import Finding, Forward, Reject
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.ports import PressureReporter
from sidecar.engine.specs import Spec, SpecTable, compile_spec
from sidecar.engine.state import Pressure, Reach
from sidecar.stores.memory import MemoryPressure, open_memory
from sidecar.testing import CountingIds, EveryTrace, ManualClock

METHOD = "/shop.Orders/Ask"


class Told(PressureReporter):
    """What the reporter heard."""

    def __init__(self) -> None:
        self.retries: list[tuple[str, str]] = []
        self.breakers: list[tuple[str, bool]] = []

    def exchange_ended(self, outcome: Outcome) -> None:
        if outcome.exchange.is_retry:
            self.retries.append((outcome.exchange.caller, outcome.exchange.callee))

    def breaker_changed(self, callee: str, is_open: bool) -> None:
        self.breakers.append((callee, is_open))


def request(document: Any, sequence: int = 0) -> Message:
    return Message(Direction.REQUEST, sequence, json.dumps(document).encode(), JSON_CODEC)


def response(payload: bytes, sequence: int = 0) -> Message:
    return Message(Direction.RESPONSE, sequence, payload)


def reads(**terms: Any) -> Spec:
    data = {"spec": "orders/v1", "match": {"callee": "*"}, "reads": {"single_flight": True, **terms}}
    return compile_spec(data, base_uri="file:///orders.yaml")


class Line:
    """The way from callers to one callee through one engine."""

    def __init__(
        self,
        settings: PressureSettings | None = None,
        *,
        mode: Mode = Mode.ENFORCE,
        specs: tuple[Spec, ...] = (),
        shared: Pressure | None = None,
        guarding: Guarding = Guarding.AUTO,
        callee: str = "writer",
    ) -> None:
        self.clock = ManualClock()
        self.told = Told()
        self._mode, self._guarding, self._callee = mode, guarding, callee
        self.fell_back = 0
        local = MemoryPressure(self.clock)
        check = PressureCheck(
            settings or PressureSettings(),
            clock=self.clock,
            shared=Reach(shared or open_memory(self.clock).pressure, local, told=self._fell_back),
            local=local,
            reporter=self.told,
            random=Random(1),
        )
        lineage = LineageKeeper(
            clock=self.clock, ids=CountingIds(), sampler=EveryTrace(), store=open_memory(self.clock).conversations
        )
        self.engine = Engine(
            clock=self.clock, lineage=lineage, specs=SpecTable(specs), checks=[check], reporters=[self.told]
        )

    def _fell_back(self) -> None:
        self.fell_back += 1

    async def begin(
        self,
        document: Any = "q",
        *,
        caller: str = "planner",
        metadata: Metadata = (),
        streams: bool = False,
        path: tuple[str, ...] = (),
        is_known: bool = False,
    ) -> Exchange:
        """A call with its one request, dispatched where nothing refuses it."""
        route = Route("inbound", Side.INBOUND, caller, self._callee, self._mode, self._guarding)
        message = request(document)
        exchange = await self.engine.start(Arrival(route, METHOD, metadata, first=None if streams else message))
        exchange.is_retry = is_known  # what idempotency, which is asked before, would have found out
        if path:
            # What a trusted lineage entry would have said.
            exchange.lineage = replace(exchange.lineage, path=path)
        if isinstance(exchange.decision, Forward):
            await self.engine.message(exchange, message)
        if isinstance(exchange.decision, Forward):
            self.engine.stamp(exchange)
        return exchange

    async def answer(self, exchange: Exchange, code: str = "OK", payload: bytes = b"a", **said: Any) -> None:
        """The callee answers, and the exchange ends. `said`: headers and trailers."""
        if code == "OK":
            await self.engine.message(exchange, response(payload))
        status = Status(code)
        await self.engine.answered(exchange, Answer(status, **said))
        await self.engine.end(exchange, status)

    async def end(self, exchange: Exchange, code: str, origin: Origin) -> None:
        await self.engine.end(exchange, Status(code, "", origin))

    async def call(self, document: Any = "q", code: str = "OK", **how: Any) -> Exchange:
        """A whole call: refused, or answered with `code`."""
        exchange = await self.begin(document, **how)
        if isinstance(exchange.decision, Forward):
            await self.answer(exchange, code)
        else:
            await self.end(exchange, "RESOURCE_EXHAUSTED", Origin.SIDECAR)
        return exchange


def rules(exchange: Exchange) -> list[str]:
    return [finding.rule for finding in exchange.findings]


def is_refused(exchange: Exchange) -> bool:
    return isinstance(exchange.decision, Reject)


def only(exchange: Exchange) -> Finding:
    (finding,) = exchange.findings
    return finding
