"""Traces joined through an agent that drops every header: a real sidecar, a real agent between two of its routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2a.types import a2a_pb2
from grpc import aio

from sidecar.engine.exchange import Outcome, Side
from sidecar.engine.lineage import JoinSource
from sidecar.testing import RunningSidecar, running_sidecar
from tests.served import serving

SEND = "/lf.a2a.v1.A2AService/SendMessage"
DESCRIPTORS = Path(__file__).parent.parent / "specs" / "a2a" / "a2a_v1.binpb"


def message(text: str, context_id: str = "", message_id: str = "m") -> bytes:
    said = a2a_pb2.Message(message_id=message_id, context_id=context_id, parts=[a2a_pb2.Part(text=text)])
    return a2a_pb2.SendMessageRequest(message=said).SerializeToString()


class Researcher:
    """Asks the writer while it answers, and forwards nothing but, if it is polite, the contextId.

    It waits for `together` calls before it asks, so that a test decides how many are in flight.
    """

    def __init__(self, *, is_polite: bool, together: int) -> None:
        self._is_polite = is_polite
        self._together = together
        self._arrived = 0
        self._all_arrived = asyncio.Event()
        self.ask: Any = None
        self.heard: list[dict[str, Any]] = []

    async def answer(self, payload: bytes, context: Any) -> bytes:
        self.heard.append(dict(context.invocation_metadata()))
        self._arrived += 1
        if self._arrived == self._together:
            self._all_arrived.set()
        await self._all_arrived.wait()
        asked = a2a_pb2.SendMessageRequest.FromString(payload)
        context_id = asked.message.context_id if self._is_polite else ""
        await self.ask(message(f"on behalf of {asked.message.parts[0].text}", context_id, message_id="new"))
        return message("done")


@dataclass(frozen=True, slots=True)
class Scene:
    sidecar: RunningSidecar
    agent: Researcher
    writer_heard: list[dict[str, Any]]

    async def call(self, *requests: tuple[bytes, dict[str, str]]) -> None:
        async with aio.insecure_channel(self.sidecar.address) as channel:
            calls = [channel.unary_unary(SEND)(body, metadata=tuple(headers.items())) for body, headers in requests]
            await asyncio.gather(*calls)

    def side(self, side: Side) -> list[Outcome]:
        return [outcome for outcome in self.sidecar.outcomes if outcome.exchange.side is side]

    def cause_of(self, outbound: Outcome) -> list[Outcome]:
        parent = outbound.exchange.lineage.parent_span_id
        return [inbound for inbound in self.side(Side.INBOUND) if inbound.exchange.lineage.span_id == parent]


@asynccontextmanager
async def scene(*, is_polite: bool, together: int, **config: Any) -> AsyncIterator[Scene]:
    agent, heard = Researcher(is_polite=is_polite, together=together), []

    async def write(payload: bytes, context: Any) -> bytes:
        heard.append(dict(context.invocation_metadata()))
        return message("written")

    async with serving(agent.answer) as researcher, serving(write) as writer:
        routes = [
            {"listen": "127.0.0.1:0", "upstream": researcher, "callee": "researcher"},
            {"listen": "127.0.0.1:0", "upstream": writer, "caller": "researcher", "callee": "writer"},
        ]
        options = {"routes": routes, "descriptors": [DESCRIPTORS], **config}
        async with (
            running_sidecar(researcher, agent="researcher", **options) as sidecar,
            aio.insecure_channel(sidecar.app.routes[1].listener.address) as channel,
        ):
            agent.ask = channel.unary_unary(SEND)
            yield Scene(sidecar, agent, heard)


async def test_a_single_call_is_joined_to_the_one_that_caused_it():
    """One request in flight, one call out: there is nothing to guess."""
    async with scene(is_polite=False, together=1) as played:
        await played.call((message("a"), {}))
        [inbound], [outbound] = played.side(Side.INBOUND), played.side(Side.OUTBOUND)
    assert outbound.exchange.lineage.source is JoinSource.SOLE_INFLIGHT
    assert outbound.exchange.lineage.trace_id == inbound.exchange.lineage.trace_id
    assert played.cause_of(outbound) == [inbound]
    assert outbound.exchange.lineage.conversation == inbound.exchange.lineage.conversation
    assert (inbound.exchange.lineage.hops, outbound.exchange.lineage.hops) == (0, 1)
    assert outbound.exchange.lineage.path == ("researcher", "writer")


async def test_two_calls_in_flight_are_joined_by_their_context_ids():
    """Each call out carries the contextId of the call in: each finds its own cause."""
    async with scene(is_polite=True, together=2) as played:
        await played.call((message("a", "ctx-a", "m1"), {}), (message("b", "ctx-b", "m2"), {}))
        outbound = played.side(Side.OUTBOUND)
        causes = {cause.exchange.names.context_id for call in outbound for cause in played.cause_of(call)}
    assert [call.exchange.lineage.source for call in outbound] == [JoinSource.IDS, JoinSource.IDS]
    assert causes == {"ctx-a", "ctx-b"}
    for call in outbound:
        [cause] = played.cause_of(call)
        assert call.exchange.names.context_id == cause.exchange.names.context_id
        assert call.exchange.lineage.trace_id == cause.exchange.lineage.trace_id


async def test_two_calls_in_flight_without_ids_are_left_ambiguous():
    """Never guessed: a new trace, linked to every call that may have caused it."""
    async with scene(is_polite=False, together=2) as played:
        await played.call((message("a", "ctx-a", "m1"), {}), (message("b", "ctx-b", "m2"), {}))
        inbound, outbound = played.side(Side.INBOUND), played.side(Side.OUTBOUND)
    traces = {call.exchange.lineage.trace_id for call in inbound}
    for call in outbound:
        assert call.exchange.lineage.source is JoinSource.AMBIGUOUS
        assert call.exchange.lineage.trace_id not in traces
        assert {link.trace_id for link in call.exchange.lineage.links} == traces


async def test_an_incoming_trace_goes_on_through_the_agent():
    """The caller's traceparent reaches the writer's side, though the agent dropped it."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {
        "traceparent": f"00-{trace_id}-b7ad6b7169203331-01",
        "tracestate": "vendor=1,other=2",
        "baggage": "k=v;p",
    }
    async with scene(is_polite=False, together=1) as played:
        await played.call((message("a"), headers))
        [inbound], [outbound] = played.side(Side.INBOUND), played.side(Side.OUTBOUND)
    assert inbound.exchange.lineage.source is JoinSource.PROPAGATED
    assert inbound.exchange.lineage.parent_span_id == "b7ad6b7169203331"
    heard = played.agent.heard[0]
    assert heard["traceparent"] == f"00-{trace_id}-{inbound.exchange.lineage.span_id}-01"
    assert (heard["tracestate"], heard["baggage"]) == ("vendor=1,other=2", "k=v;p")
    assert played.writer_heard[0]["traceparent"] == f"00-{trace_id}-{outbound.exchange.lineage.span_id}-01"


async def test_the_lineage_entry_goes_out_and_never_reaches_our_own_agent():
    """Only sidecars attach it, and it is stripped before the agent it stands beside."""
    async with scene(is_polite=False, together=1) as played:
        await played.call((message("a"), {"sidecar-lineage": "text is another key"}))
    assert "sidecar-lineage-bin" not in played.agent.heard[0]
    assert "sidecar-lineage-bin" in played.writer_heard[0]


async def test_joining_can_be_switched_off():
    """Then a call without headers is a root of its own."""
    async with scene(is_polite=True, together=1, join={"mode": "off"}) as played:
        await played.call((message("a", "ctx-a"), {}))
        [outbound] = played.side(Side.OUTBOUND)
    assert outbound.exchange.lineage.source is JoinSource.ROOT
