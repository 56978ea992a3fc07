"""Exchanges as reporters hear of them, without a wire."""

from __future__ import annotations

from sidecar.engine.exchange import Arrival, Exchange, Outcome, Route, Side, Status
from sidecar.engine.join import JoinSource
from sidecar.engine.lineage import Lineage


def exchange_of(
    method: str = "/a.B/C", *, caller: str = "planner", conversation: str = "c", span: str = "1", started_ns: int = 0
) -> Exchange:
    """One that has begun."""
    lineage = Lineage(
        trace_id="1" * 32,
        span_id=span,
        parent_span_id="",
        is_sampled=False,
        is_random=True,
        tracestate=(),
        source=JoinSource.ROOT,
        links=(),
        exchange_id=f"exchange-{span}",
        conversation=conversation,
        hops=0,
        path=("desk",),
    )
    arrival = Arrival(Route("inbound", Side.INBOUND, caller, "desk"), method)
    return Exchange(arrival, lineage, caller, started_ns, 1_700_000_000_000_000_000 + started_ns)


def outcome_of(exchange: Exchange, status: Status, seconds: float = 0.1) -> Outcome:
    """How it ended, so many seconds after it began."""
    ended_ns = exchange.started_ns + int(seconds * 1e9)
    return Outcome(exchange, status, ended_ns, exchange.started_unix_ns + int(seconds * 1e9))
