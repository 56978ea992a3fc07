"""A script's helpers for money: an engine with a budget check, calls through it, and what was told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sidecar.checks.budget import Budget, BudgetCheck, Scope, Terms, Till
from sidecar.engine.costs import BudgetEvent, Cost, Waste
from sidecar.engine.exchange import Answer, Arrival, Exchange, Mode, Peer, Route, Side, Status
from sidecar.engine.finding import Decision, Forward
from sidecar.engine.guarding import Guards
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import Spec, SpecTable, compile_spec
from sidecar.engine.state import Store
from sidecar.engine.state.ledger import Balance
from sidecar.engine.state.spool import Spool
from sidecar.engine.usage import Usage
from sidecar.stores.memory import open_memory
from sidecar.system import RandomIds
from sidecar.testing import EveryTrace, ManualClock

METHOD = "/lf.a2a.v1.A2AService/SendMessage"
USD = 1_000_000
CENT = 10_000


class PerToken:
    """A micro-USD for each token of model `m`; nothing else has a price."""

    def price(self, usage: Usage) -> int | None:
        return (usage.input_tokens or 0) + (usage.output_tokens or 0) if usage.model == "m" else None


@dataclass
class Told:
    """A MoneyReporter that keeps what it hears."""

    costs: list[tuple[str, int, str]] = field(default_factory=list)
    wasted: list[tuple[str, int]] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    stands: list[tuple[str, int, int]] = field(default_factory=list)

    def cost_settled(self, agent: str, cost: Cost) -> None:
        self.costs.append((agent, cost.micro_usd, cost.source.value))

    def money_wasted(self, reason: Waste, micro_usd: int) -> None:
        self.wasted.append((reason.value, micro_usd))

    def budget_event(self, budget: str, event: BudgetEvent) -> None:
        self.events.append((budget, event))

    def budget_stands(self, budget: str, limit_micro_usd: int, fullest: Sequence[Balance]) -> None:
        self.stands.append((budget, limit_micro_usd, fullest[0].used_micro_usd if fullest else 0))


def budget(name: str = "b", scope: str = "conversation", limit: int = 2 * USD, **more: Any) -> Budget:
    return Budget(name, Scope(scope), limit, **more)


def costing(micro_usd: int, **more: Any) -> dict[str, Any]:
    """An answer that reports this many tokens of the model with a price."""
    return {"model": "m", "usage": {"input_tokens": micro_usd, "output_tokens": 0}, **more}


class Sidecar:
    """An engine with a budget check, and calls that go through it."""

    def __init__(
        self,
        agent: str,
        *budgets: Budget,
        store: Store | None = None,
        clock: ManualClock | None = None,
        specs: Sequence[Spec] = (),
        checks: Sequence[Any] = (),
        checks_before: Sequence[Any] = (),
        mode: Mode = Mode.ENFORCE,
        is_shared: bool = False,
        meters_all: bool = False,
        spool: Spool | None = None,
    ) -> None:
        self.agent, self.mode = agent, mode
        self.clock = clock or ManualClock()
        self.store = store or open_memory(self.clock)
        self.told = Told()
        self.check = BudgetCheck(
            Till(self.store.ledger, spool), PerToken(), self.told, Terms(budgets, is_shared, meters_all)
        )
        self.engine = Engine(
            clock=self.clock,
            lineage=LineageKeeper(
                clock=self.clock, ids=RandomIds(), sampler=EveryTrace(), store=self.store.conversations
            ),
            specs=SpecTable(specs),
            checks=[*checks_before, self.check, *checks],
            guards=Guards(),
        )

    async def arrives(self, metadata: Any = (), method: str = METHOD, caller: str = "user") -> Exchange:
        route = Route("inbound", Side.INBOUND, caller, self.agent, self.mode)
        return await self.engine.start(Arrival(route, method, tuple(metadata), Peer("unix:/a")))

    async def leaves(self, callee: str, metadata: Any = (), method: str = METHOD) -> Exchange:
        route = Route(f"to-{callee}", Side.OUTBOUND, self.agent, callee, self.mode)
        return await self.engine.start(Arrival(route, method, tuple(metadata), Peer("unix:/b")))

    async def asks(self, exchange: Exchange, document: Any = None) -> Decision:
        """The request passes, or is refused."""
        return await self.engine.message(exchange, message(document or {}, Direction.REQUEST))

    async def answers(
        self,
        exchange: Exchange,
        *documents: Any,
        trailers: Any = (),
        code: str = "OK",
        is_unseen: bool = False,
        **there: Any,
    ) -> None:
        """The callee answers, and the exchange ends."""
        for number, document in enumerate(documents):
            await self.engine.message(exchange, message(document, Direction.RESPONSE, number))
        await self.engine.answered(exchange, Answer(Status(code), (), tuple(trailers), is_unseen), **there)
        await self.engine.end(exchange, Status(code))

    async def call(self, *documents: Any, metadata: Any = (), method: str = METHOD, **more: Any) -> Exchange:
        """One inbound call from start to end; it ends as refused where it is."""
        exchange = await self.arrives(metadata, method)
        if isinstance(await self.asks(exchange), Forward):
            self.engine.stamp(exchange)
            await self.answers(exchange, *documents, **more)
        else:
            await self.engine.end(exchange, Status("RESOURCE_EXHAUSTED"))
        return exchange

    async def money(self, name: str = "b") -> tuple[int, int]:
        """Spent and held of the budget's fullest purse."""
        fullest = await self.store.ledger.fullest(name, 0)
        return (fullest[0].spent_micro_usd, fullest[0].held_micro_usd) if fullest else (0, 0)


def message(document: Any, direction: Direction, number: int = 0) -> Message:
    return Message(direction, number, json.dumps(document).encode(), JSON_CODEC)


def spec(**blocks: Any) -> Spec:
    return compile_spec({"spec": "s/v1", "match": {}, **blocks}, base_uri="file:///s.yaml")
