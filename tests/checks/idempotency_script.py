"""A script for the idempotency check: an engine with a clock that the test moves, and calls told message by message."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sidecar.checks.idempotency import IdempotencyCheck, IdempotencySettings
from sidecar.checks.idempotency.duplicate import Origin as RetryOrigin
from sidecar.checks.idempotency.duplicate import Outcome
from sidecar.checks.spec import SpecCheck
from sidecar.engine.exchange import Answer, Arrival, Exchange, Mode, Origin, Route, Side, Status
from sidecar.engine.finding import Decision, Finding
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import SpecTable, compile_spec
from sidecar.engine.state import Reach, Store
from sidecar.stores.memory import open_memory
from sidecar.testing import CountingIds, EveryTrace, ManualClock

METHOD = "/shop.Orders/Place"
WELL = Status("OK")


class HeldClock(ManualClock):
    """Time passes only when the test says so; sleepers wake when theirs has come."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[int, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        self._sleepers.append((self.monotonic_ns() + int(seconds * 1e9), event))
        await event.wait()

    async def pass_time(self, seconds: float, step_s: float = 0.05) -> None:
        """In small steps, so that whoever sleeps again in between is woken in time."""
        until_ns = self.monotonic_ns() + int(seconds * 1e9)
        await settled()
        while self.monotonic_ns() < until_ns:
            self.advance(min(step_s, (until_ns - self.monotonic_ns()) / 1e9) or 1e-9)
            for at_ns, event in self._sleepers:
                if at_ns <= self.monotonic_ns():
                    event.set()
            self._sleepers = [each for each in self._sleepers if not each[1].is_set()]
            await settled()


async def settled() -> None:
    """Everybody who can go on has gone on."""
    for _ in range(30):
        await asyncio.sleep(0)


class Counted:
    """What the check reports."""

    def __init__(self) -> None:
        self.duplicates: list[Outcome] = []
        self.retries: list[tuple[RetryOrigin, bool]] = []

    def duplicate_found(self, callee: str, outcome: Outcome) -> None:
        self.duplicates.append(outcome)

    def retry_seen(self, callee: str, origin: RetryOrigin, *, is_near_deadline: bool) -> None:
        self.retries.append((origin, is_near_deadline))


class Sidecar:
    """An engine with the check, over a store that several may share."""

    def __init__(
        self,
        clock: HeldClock,
        store: Store | None = None,
        *,
        ids: CountingIds | None = None,
        answers_once: bool = True,
        record_bytes: int = 1 << 20,
        wait_s: float = 30.0,
        local: Store | None = None,
        more_checks: Any = (),
        **spec: Any,
    ) -> None:
        self.clock = clock
        self.store = store or open_memory(clock)
        self.counted = Counted()
        self.fail_opens = 0
        data = {"spec": "orders/v1", "match": {}, "idempotency": {}, **spec}
        specs = SpecTable([compile_spec(data, base_uri="file:///orders.yaml")])
        self.check = IdempotencyCheck(
            Reach(self.store.claims, local.claims if local else None, told=self._told),
            clock=clock,
            answers_once=lambda _: answers_once,
            reporter=self.counted,
            settings=IdempotencySettings(record_bytes, wait_s),
        )
        lineage = LineageKeeper(
            clock=clock, ids=ids or CountingIds(), sampler=EveryTrace(), store=open_memory(clock).conversations
        )
        self.engine = Engine(clock=clock, lineage=lineage, specs=specs, checks=[SpecCheck(), self.check, *more_checks])

    def _told(self) -> None:
        self.fail_opens += 1

    async def begin(
        self,
        *,
        caller: str = "planner",
        mode: Mode = Mode.ENFORCE,
        remaining_s: float | None = None,
        metadata: Any = (),
        method: str = METHOD,
    ) -> Call:
        route = Route("inbound", Side.INBOUND, caller, "shop", mode)
        arrival = Arrival(route, method, tuple(metadata), remaining_s=remaining_s)
        return Call(self.engine, await self.engine.start(arrival))

    async def run(self, document: Any, answer: Any = "done", status: Status | None = None, **begin: Any) -> Call:
        """A whole call, as the proxy would carry it."""
        call = await self.begin(**begin)
        if (await call.request(document)).label == "forward":
            await call.run(answer, status or Status("OK"))
        else:
            await call.end_as_decided()
        return call


class Call:
    """One exchange, station by station."""

    def __init__(self, engine: Engine, exchange: Exchange) -> None:
        self.engine = engine
        self.exchange = exchange

    @property
    def decision(self) -> Decision:
        return self.exchange.decision

    @property
    def finding(self) -> Finding:
        return self.exchange.findings[-1]

    @property
    def rules(self) -> list[str]:
        return [finding.rule for finding in self.exchange.findings]

    async def request(self, document: Any, sequence: int = 0) -> Decision:
        return await self.engine.message(self.exchange, message(Direction.REQUEST, document, sequence))

    async def run(self, answer: Any = "done", status: Status = WELL, **said: Any) -> None:
        """Dispatched, answered, ended."""
        self.engine.stamp(self.exchange)
        if status.code == "OK" and not await self.response(answer):
            return
        await self.answer(status, **said)

    async def response(self, answer: Any, sequence: int = 0) -> bool:
        decision = await self.engine.message(self.exchange, message(Direction.RESPONSE, answer, sequence))
        if decision.label != "forward":
            await self.end_as_decided()
        return decision.label == "forward"

    async def answer(self, status: Status, **said: Any) -> None:
        decision = await self.engine.answered(self.exchange, Answer(status, **said))
        if decision.label == "forward":
            await self.engine.end(self.exchange, status)
        else:
            await self.end_as_decided()

    async def end_as_decided(self) -> None:
        await self.engine.end(self.exchange, Status("ABORTED", origin=Origin.SIDECAR))

    async def abandon(self, code: str = "CANCELLED") -> None:
        """Its caller leaves."""
        await self.engine.end(self.exchange, Status(code, origin=Origin.DOWNSTREAM))


def message(direction: Direction, document: Any, sequence: int = 0) -> Message:
    return Message(direction, sequence, json.dumps(document).encode(), JSON_CODEC)
