"""Replay: recorded exchanges held to specs by the very checks that run in the proxy.

Nothing is decided here: each message goes through the checks as it would on the wire, requests before responses. A
finding that asks for a refusal counts, whatever its spec's mode: the question is what would be refused if it enforced.
Where a recording ends its exchange need not have ended, so nothing is said of ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sidecar.checks.spec import SpecCheck
from sidecar.checks.stream import StreamCheck
from sidecar.engine.exchange import Arrival, Exchange, Route, Side
from sidecar.engine.finding import Finding
from sidecar.engine.lineage import JoinSource, Lineage
from sidecar.engine.message import JSON, NO_NAMES, Direction, Message, Names
from sidecar.engine.ports import Specs
from sidecar.spec_tools.recorded import Edge, Recorded

_DIRECTIONS = (Direction.REQUEST, Direction.RESPONSE)

_NO_LINEAGE = Lineage(
    trace_id="0" * 32,
    span_id="0" * 16,
    parent_span_id="",
    is_sampled=False,
    is_random=False,
    tracestate=(),
    source=JoinSource.ROOT,
    links=(),
    exchange_id="",
    conversation="",
    hops=0,
    path=(),
)
"""A recorded exchange was caused by nothing that is known."""


@dataclass(frozen=True, slots=True)
class Refused:
    """One complaint about one recorded message."""

    where: str
    """File and line of the exchange."""
    direction: Direction
    sequence: int
    """The message's place among those of its direction, from 0."""
    finding: Finding


@dataclass(slots=True)
class Result:
    """What became of a replay."""

    exchanges: int = 0
    messages: int = 0
    """Messages on edges that a spec covers."""
    refused: list[Refused] = field(default_factory=list)
    uncovered: dict[Edge, int] = field(default_factory=dict)
    """Messages on each edge that no spec covers: nothing was checked there."""

    @property
    def refused_messages(self) -> int:
        return len({(one.where, one.direction, one.sequence) for one in self.refused})


class _Given:
    """The codec of a message that was recorded as a document."""

    has_names = False

    def __init__(self, document: JSON) -> None:
        self._document = document

    def parse(self, payload: bytes) -> JSON:
        del payload  # Only its size counts.
        return self._document

    def document(self, parsed: JSON) -> JSON:
        return parsed

    def names(self, parsed: JSON) -> Names:
        del parsed
        return NO_NAMES


def replay(exchanges: Iterable[Recorded], specs: Specs) -> Result:
    """Hold each exchange to the spec that is in force on its edge."""
    result = Result()
    for recorded in exchanges:
        result.exchanges += 1
        exchange = exchange_of(recorded.edge, specs)
        count = len(recorded.requests) + len(recorded.responses)
        if exchange.spec is None:
            result.uncovered[recorded.edge] = result.uncovered.get(recorded.edge, 0) + count
        else:
            result.messages += count
            result.refused += refusals(recorded, exchange)
    return result


def exchange_of(edge: Edge, specs: Specs) -> Exchange:
    route = Route("recorded", Side.INBOUND, edge.caller, edge.callee)
    spec = specs.match(edge.caller, edge.callee, edge.method)
    return Exchange(Arrival(route, edge.method), _NO_LINEAGE, edge.caller, started_ns=0, started_unix_ns=0, spec=spec)


def payload_of(document: JSON) -> bytes:
    """Stands in for the payload, whose size bounds what rules may cost. JSON is larger, so the bound is nearer."""
    return json.dumps(document, ensure_ascii=False).encode()


def refusals(recorded: Recorded, exchange: Exchange) -> Iterator[Refused]:
    checks = (SpecCheck(), StreamCheck(answers_once=lambda _: False))
    for direction in _DIRECTIONS:
        for sequence, document in enumerate(recorded.messages(direction)):
            message = Message(direction, sequence, payload_of(document), _Given(document))
            if direction is Direction.REQUEST:
                exchange.last_request = message
            for finding in (found for check in checks for found in check.on_message(exchange, message) or ()):
                if finding.reason is not None:
                    yield Refused(recorded.where, direction, sequence, finding)
