"""The scenes about calls. Each does something real, observes it from both sides, and says what must have been seen."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sidecar.demo.claims import Claim, Scene, Watch, at_least, at_most, claim
from sidecar.demo.fleet import Fleet
from sidecar.demo.otlp_sink import OtlpSink, ReceivedSpan
from sidecar.demo.stage import Stage
from sidecar.demo.user import Answer, ask
from sidecar.telemetry import names

EXCHANGES: Final = names.EXCHANGES.name
MESSAGES: Final = names.MESSAGES.name
FINDINGS: Final = names.FINDINGS.name

SPANS_LIMIT_S: Final = 10.0
"""How long the spans of one request may take to arrive; sidecars send every 0.1 s here."""

REFUSAL_LIMIT_S: Final = 2.0
"""A dead neighbour is known at once: the connection is refused, nobody waits for a deadline."""

RESTART_LIMIT_S: Final = 5.0
"""From the restarted agent's first open port to the first good answer through its sidecar."""

HOPS: Final = (
    ("planner", "user→planner", "SERVER", "root"),
    ("planner", "planner→researcher", "CLIENT", "ids"),
    ("researcher", "planner→researcher", "SERVER", "propagated"),
    ("planner", "planner→writer", "CLIENT", "sole_inflight"),
    ("writer", "planner→writer", "SERVER", "propagated"),
)
"""Each span of the healthy request: whose sidecar, which edge, which kind, and how it was joined to its cause."""

PARENTS: Final = {1: 0, 2: 1, 3: 0, 4: 3}
"""Which of HOPS caused which."""

FIRST_YEAR: Final = "/message/parts/0/data/facts/0/year"
"""Where the researcher's answer on movable type first says a year in words."""

TOO_LONG: Final = "A sentence that never ends, " * 20
"""Longer than the 300 characters that the writer's spec allows."""


@dataclass(frozen=True, slots=True)
class House:
    """All that a scene has at hand."""

    fleet: Fleet
    sink: OtlpSink

    @property
    def stage(self) -> Stage:
        return self.fleet.stage

    async def watch(self, agent: str) -> Watch:
        return await Watch.begin(self.stage.metrics(agent))


async def healthy_request(house: House) -> Scene:
    """A person asks; three agents answer; one trace tells it all, though no agent carried any of it."""
    context_id = str(uuid.uuid4())
    answer = await ask(house.stage.sidecar("planner"), {"text": "bridges"}, context_id=context_id)
    await house.sink.wait_for(lambda: house.sink.trace_of(context_id), len(HOPS), SPANS_LIMIT_S)
    trace = in_order(house.sink.trace_of(context_id))
    return Scene(
        title="healthy request",
        done="user asks planner, which asks researcher and writer",
        caller_saw=f"{answer.code}, task {answer.state}, {answer.sentences} sentences",
        sidecar_saw=f"{len(trace)} spans in {len({span.trace_id for span in trace})} trace, joined by "
        + " and ".join(span.joined for span in trace if span.kind == "CLIENT"),
        claims=(claim("the caller got the answer", "OK COMPLETED 5", ending(answer)), *claims_on_trace(trace)),
        trace=tuple(trace),
    )


def told(hops: Sequence[tuple[str, str, str, str]]) -> str:
    return "; ".join(f"{agent} {edge} {kind} {joined}" for agent, edge, kind, joined in hops)


def ending(answer: Answer) -> str:
    return f"{answer.code} {answer.state} {answer.sentences}"


def in_order(trace: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    """As in HOPS; spans that are not in it come last."""
    places = {(agent, edge, kind): place for place, (agent, edge, kind, _) in enumerate(HOPS)}
    return sorted(trace, key=lambda span: places.get((span.agent, span.edge, span.kind), len(HOPS)))


def claims_on_trace(trace: Sequence[ReceivedSpan]) -> tuple[Claim, ...]:
    """Of the spans of one trace. A trace that is not whole fails the first claim and all that build on it."""
    found = [(span.agent, span.edge, span.kind, span.joined) for span in trace]
    ids = [span.span_id for span in trace]
    parents = {place: ids.index(span.parent_span_id) for place, span in enumerate(trace) if span.parent_span_id in ids}
    exchanges = [span.attributes.get(names.EXCHANGE) for span in trace]
    conversations = {span.attributes.get(names.CONVERSATION) for span in trace}
    return (
        claim("one trace has both sidecars' spans of every hop, joined as said", told(HOPS), told(found)),
        claim("each span's parent is the one that caused it", PARENTS, parents),
        claim(
            "both sidecars of one hop name the same exchange", [0, 1, 1, 3, 3], [exchanges.index(e) for e in exchanges]
        ),
        claim("all hops are one conversation", 1, len(conversations)),
    )


async def broken_request(house: House) -> Scene:
    """A question without a query never reaches the researcher."""
    watch = await house.watch("researcher")
    received = house.fleet.calls_received("researcher")
    answer = await ask(house.stage.sidecar("researcher"), {"data": {"limit": 2}})
    refused = await watch.change(1, EXCHANGES, side="inbound", decision="reject", code="INVALID_ARGUMENT")
    forwarded = await watch.change(0, EXCHANGES, side="inbound", decision="forward")
    reached = house.fleet.calls_received("researcher") - received
    return Scene(
        title="broken request",
        done="user asks researcher and forgets the query",
        caller_saw=f"{answer.code} {answer.reply}",
        sidecar_saw=f"{refused} refused, {forwarded} forwarded; rule {answer.info.metadata['rule']}",
        claims=(
            *claims_on_refusal(answer, "INVALID_ARGUMENT", "REQUEST_SPEC_VIOLATION", "researcher/v1"),
            claim("the sidecar counted one refusal and forwarded nothing", (1, 0), (refused, forwarded)),
            claim("the researcher itself received nothing", 0, reached),
        ),
    )


def claims_on_refusal(answer: Answer, code: str, reason: str, spec: str = "") -> tuple[Claim, ...]:
    """That a sidecar of ours answered, and said so in each of the three places where it must."""
    return (
        claim("the caller's status", code, answer.code),
        claim("the trailer sidecar-reply", reason, answer.reply),
        claim("domain and reason in ErrorInfo", f"sidecar/{reason}", answer.reason),
        claim("the spec that ErrorInfo names", spec, answer.info.metadata["spec"]),
    )


async def broken_response(house: House) -> Scene:
    """The researcher answers with years in words, which its spec rules out: nobody gets to build on that."""
    watch = await house.watch("researcher")
    received = {agent: house.fleet.calls_received(agent) for agent in ("researcher", "writer")}
    direct = await ask(house.stage.sidecar("researcher"), {"data": {"query": "movable type"}})
    through = await ask(house.stage.sidecar("planner"), {"text": "movable type"})
    refused = await watch.change(2, EXCHANGES, side="inbound", decision="reject", code="INTERNAL")
    findings = await watch.change(2, FINDINGS, check="spec", action="rejected", callee="researcher")
    reached = {agent: house.fleet.calls_received(agent) - before for agent, before in received.items()}
    return Scene(
        title="broken response",
        done="researcher answers with years in words, to user and to planner",
        caller_saw=f"{direct.code} {direct.reply}; planner's task {through.state}",
        sidecar_saw=f"{refused} refused at {direct.info.metadata['pointer'].partition('/data')[2]}",
        claims=(
            *claims_on_refusal(direct, "INTERNAL", "RESPONSE_SPEC_VIOLATION", "researcher/v1"),
            claim("the place that ErrorInfo names", FIRST_YEAR, direct.info.metadata["pointer"]),
            claim("planner's own task ended as", "FAILED", through.state),
            claim("planner was told by whom and why", True, is_told(through, "researcher", "RESPONSE_SPEC_VIOLATION")),
            claim(
                "the researcher answered twice, the writer never got to see it", {"researcher": 2, "writer": 0}, reached
            ),
            claim("the sidecar counted two refusals, each with its finding", (2, 2), (refused, findings)),
        ),
    )


def is_told(answer: Answer, peer: str, reason: str) -> bool:
    return answer.said.startswith(f"{peer}: ") and reason in answer.said


async def dead_agent(house: House) -> Scene:
    """The writer is killed: its sidecar says so at once, and serves again when it is back."""
    watch = await house.watch("writer")
    await house.fleet.kill_agent("writer")
    direct = await ask(house.stage.sidecar("writer"), {"data": facts("Nobody will read this.")})
    through = await ask(house.stage.sidecar("planner"), {"text": "bridges"})
    refused = await watch.change(2, EXCHANGES, side="inbound", decision="reject", code="UNAVAILABLE")
    await house.fleet.restart_agent("writer")
    again, took_s = await until_ok(house)
    return Scene(
        title="dead agent",
        done="writer is killed with SIGKILL, called, and started again",
        caller_saw=f"{direct.code} {direct.reply} in {direct.elapsed_s * 1000:.0f} ms; {again.code} after the restart",
        sidecar_saw=f"{refused} not dispatched; good answer {took_s * 1000:.0f} ms after the restart",
        claims=(
            *claims_on_refusal(direct, "UNAVAILABLE", "UPSTREAM_UNREACHABLE"),
            at_most("the caller need not wait for a deadline", REFUSAL_LIMIT_S, direct.elapsed_s),
            claim("planner's own task ended as", "FAILED", through.state),
            claim("planner was told by whom and why", True, is_told(through, "writer", "UPSTREAM_UNREACHABLE")),
            claim("the sidecar counted both", 2, refused),
            claim("the restarted writer is reached", "OK COMPLETED", f"{again.code} {again.state}"),
            at_most("and soon", RESTART_LIMIT_S, took_s),
        ),
    )


async def until_ok(house: House) -> tuple[Answer, float]:
    """Ask the planner until its task is done: UPSTREAM_UNREACHABLE says that a retry is safe."""
    began_s = time.monotonic()
    while True:
        answer = await ask(house.stage.sidecar("planner"), {"text": "lighthouses"})
        took_s = time.monotonic() - began_s
        if answer.state == "COMPLETED" or took_s > RESTART_LIMIT_S:
            return answer, took_s


async def streamed_answer(house: House) -> Scene:
    """Sentences come one by one through two sidecars, each checked before it moves on."""
    inbound, outbound = await house.watch("writer"), await house.watch("planner")
    answer = await ask(house.stage.sidecar("planner"), {"text": "moon landings"}, is_streaming=True)
    events = len(answer.events)
    # The planner hands on every event of the writer's, so all three passages carry equally many.
    seen = (
        await inbound.change(events, MESSAGES, side="inbound", callee="writer", direction="response"),
        await outbound.change(events, MESSAGES, side="outbound", callee="writer", direction="response"),
        await outbound.change(events, MESSAGES, side="inbound", callee="planner", direction="response"),
    )
    broken = await ask(house.stage.sidecar("writer"), {"data": facts("A good one.", TOO_LONG)}, is_streaming=True)
    spread_s = spread(answer)
    return Scene(
        title="streamed answer",
        done="user streams from planner, then from writer, whose third sentence is too long",
        caller_saw=f"{answer.sentences} sentences over {spread_s * 1000:.0f} ms; "
        f"then {broken.sentences} and {broken.code}",
        sidecar_saw=f"{seen[0]} messages entering writer's side, {seen[1]} leaving planner's, {seen[2]} to the user",
        claims=(
            claim("the stream ended well", "OK COMPLETED 5", ending(answer)),
            at_least("sentences came as they were written, not all at the end", 0.1, spread_s),
            claim("each sidecar counted each message", (events, events, events), seen),
            claim("a broken stream gave its good sentences first", 2, broken.sentences),
            *claims_on_refusal(broken, "INTERNAL", "RESPONSE_SPEC_VIOLATION", "writer-stream/v1"),
        ),
    )


def spread(answer: Answer) -> float:
    """Seconds between the first sentence and the last. The writer pauses 0.1 s before each."""
    arrivals_s = answer.chunk_arrivals_s
    return arrivals_s[-1] - arrivals_s[0] if arrivals_s else 0.0


def facts(*sentences: str) -> dict[str, Any]:
    return {"topic": "sentences", "facts": [{"text": text, "year": 2000, "source": "the demo"} for text in sentences]}


SCENES: Final[tuple[Callable[[House], Awaitable[Scene]], ...]] = (
    healthy_request,
    broken_request,
    broken_response,
    dead_agent,
    streamed_answer,
)
"""In the order of the play: the dead agent is alive again before the next scene needs it."""
