"""The engine's three verbs: this came in, this was decided, this was reported."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from sidecar.engine.exchange import FINDINGS_KEPT, Answer, Arrival, Exchange, Mode, Outcome, Route, Side, Status
from sidecar.engine.finding import Action, Finding, Forward, Reject, Severity
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.recording import Recording
from sidecar.engine.specs import Spec
from sidecar.engine.specs.spec import Match
from sidecar.errors import Reason, StoreUnavailable
from sidecar.stores.memory import MemoryConversations
from sidecar.testing import CountingIds, EveryTrace, ManualClock

REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE


class NoSpecs:
    def match(self, caller: str, callee: str, method: str) -> None:
        return None


class Complaining:
    """Complains about every message with the word in it."""

    name = "complaining"
    fail = "open"

    def __init__(self, word: bytes = b"bad", reason: Reason | None = Reason.REQUEST_SPEC_VIOLATION) -> None:
        self.word = word
        self.reason = reason

    def on_message(self, exchange: Exchange, message: Message) -> Iterable[Finding]:
        if self.word in message.payload:
            yield Finding(self.name, "word", Severity.ERROR, "a bad word", self.reason)


class Crashing:
    name = "crashing"

    def __init__(self, fail: Any) -> None:
        self.fail = fail

    def on_start(self, exchange: Exchange) -> None:
        raise RuntimeError("boom")


class Slow:
    """A check that must await a port."""

    name = "slow"
    fail = "open"

    async def on_message(self, exchange: Exchange, message: Message) -> list[Finding]:
        return [Finding(self.name, "asked", Severity.INFO, "asked a port")]


class Recorder:
    def __init__(self) -> None:
        self.findings: list[tuple[str, Action]] = []
        self.outcomes: list[Outcome] = []
        self.messages: list[str] = []

    def message_seen(self, exchange: Exchange, message: Message) -> None:
        self.messages.append(repr(message))

    def finding_made(self, exchange: Exchange, finding: Finding, action: Action) -> None:
        self.findings.append((f"{finding.check}.{finding.rule}", action))

    def exchange_ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class Broken:
    def exchange_ended(self, outcome: Outcome) -> None:
        raise RuntimeError("disk full")


def engine(*checks: Any, reporters: Any = (), clock: ManualClock | None = None) -> Engine:
    clock = clock or ManualClock()
    lineage = LineageKeeper(clock=clock, ids=CountingIds(), sampler=EveryTrace(), store=MemoryConversations())
    return Engine(clock=clock, lineage=lineage, specs=NoSpecs(), checks=checks, reporters=reporters)


def arrival(mode: Mode = Mode.ENFORCE) -> Arrival:
    return Arrival(Route("inbound", Side.INBOUND, "planner", "writer", mode), "/a.B/C")


async def test_a_message_nobody_minds_is_forwarded():
    """The common case: three verbs, one outcome."""
    recorder = Recorder()
    running = engine(Complaining(), reporters=[recorder])
    exchange = await running.start(arrival())
    assert isinstance(await running.message(exchange, Message(REQUEST, 0, b"good")), Forward)
    await running.end(exchange, Status("OK"))
    assert recorder.messages == ["<Message request #0 4 B>"]
    assert [outcome.status.code for outcome in recorder.outcomes] == ["OK"]


async def test_an_enforced_finding_rejects_and_stays_rejected():
    """Once refused, an exchange does not come back, whatever follows."""
    recorder = Recorder()
    running = engine(Complaining(), reporters=[recorder])
    exchange = await running.start(arrival())
    decision = await running.message(exchange, Message(REQUEST, 0, b"bad"))
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.REQUEST_SPEC_VIOLATION
    assert await running.message(exchange, Message(REQUEST, 1, b"good")) is decision
    assert recorder.findings == [("complaining.word", Action.REJECTED)]


async def test_in_observe_a_finding_is_told_and_nothing_else_happens():
    """Observe changes nothing."""
    recorder = Recorder()
    running = engine(Complaining(), reporters=[recorder])
    exchange = await running.start(arrival(Mode.OBSERVE))
    assert isinstance(await running.message(exchange, Message(REQUEST, 0, b"bad")), Forward)
    assert recorder.findings == [("complaining.word", Action.OBSERVED)]


async def test_a_finding_without_a_reason_never_refuses():
    """What asks for no refusal gets none, even where everything enforces."""
    running = engine(Complaining(reason=None))
    exchange = await running.start(arrival())
    assert isinstance(await running.message(exchange, Message(REQUEST, 0, b"bad")), Forward)
    assert [finding.rule for finding in exchange.findings] == ["word"]


@pytest.mark.parametrize("made", [0, 1, FINDINGS_KEPT, FINDINGS_KEPT + 1])
async def test_an_exchange_remembers_a_bounded_number_of_findings(made: int):
    """A long stream in observe may complain for days; reporters hear all of it, memory holds the first."""
    recorder = Recorder()
    running = engine(Complaining(), reporters=[recorder])
    exchange = await running.start(arrival(Mode.OBSERVE))
    for sequence in range(made):
        await running.message(exchange, Message(REQUEST, sequence, b"bad"))
    assert len(exchange.findings) == min(made, FINDINGS_KEPT)
    assert len(recorder.findings) == made


async def test_the_first_check_in_order_decides():
    """The order of checks is the order of precedence, and what one refuses no later one judges, claims or charges."""
    running = engine(Complaining(reason=Reason.NOT_OWNER), Complaining(reason=Reason.STALE_WRITE))
    exchange = await running.start(arrival())
    decision = await running.message(exchange, Message(REQUEST, 0, b"bad"))
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.NOT_OWNER
    assert len(exchange.findings) == 1


async def test_in_observe_every_check_is_asked():
    """Nothing is refused, so each says what it would have said."""
    running = engine(Complaining(reason=Reason.NOT_OWNER), Complaining(reason=Reason.STALE_WRITE))
    exchange = await running.start(arrival(Mode.OBSERVE))
    await running.message(exchange, Message(REQUEST, 0, b"bad"))
    assert [finding.reason for finding in exchange.findings] == [Reason.NOT_OWNER, Reason.STALE_WRITE]


class Remembering:
    """Has the answer already."""

    name = "remembering"
    fail = "open"

    def on_message(self, exchange: Exchange, message: Message) -> list[Finding]:
        recording = Recording("OK", messages=(b"as before",))
        return [Finding(self.name, "known", Severity.INFO, "done before", recording=recording)]


@pytest.mark.parametrize(("mode", "label"), [(Mode.ENFORCE, "replay"), (Mode.OBSERVE, "forward")])
async def test_an_answer_from_the_record_is_a_decision_like_a_refusal(mode: Mode, label: str):
    """Where it is enforced; in observe the callee is asked again, as if we were not there."""
    recorder = Recorder()
    running = engine(Remembering(), Complaining(b"again"), reporters=[recorder])
    exchange = await running.start(arrival(mode))
    decision = await running.message(exchange, Message(REQUEST, 0, b"again"))
    assert decision.label == label
    told = [("remembering.known", Action.REPLAYED)]
    watched = [("remembering.known", Action.OBSERVED), ("complaining.word", Action.OBSERVED)]
    assert recorder.findings == (told if mode is Mode.ENFORCE else watched)


class Strict:
    """Minds the callee's status."""

    name = "strict"
    fail = "open"

    def on_answer(self, exchange: Exchange, answer: Answer) -> list[Finding]:
        if answer.status.code == "OK":
            return []
        return [Finding(self.name, "code", Severity.ERROR, "undeclared", Reason.RESPONSE_SPEC_VIOLATION)]


@pytest.mark.parametrize(("code", "label"), [("OK", "forward"), ("NOT_FOUND", "reject")])
async def test_the_callees_status_can_still_be_refused(code: str, label: str):
    """Its caller has not heard of it."""
    running = engine(Strict())
    exchange = await running.start(arrival())
    assert (await running.answered(exchange, Answer(Status(code)))).label == label


class Ending:
    name = "ending"
    fail = "open"

    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_end(self, exchange: Exchange, status: Status) -> None:
        self.heard.append(status.code)


async def test_every_check_hears_of_the_end_of_a_refused_call():
    """Each can give back what it took before another one refused."""
    first, last = Ending(), Ending()
    running = engine(first, Complaining(), last)
    exchange = await running.start(arrival())
    await running.message(exchange, Message(REQUEST, 0, b"bad"))
    await running.end(exchange, Status("INVALID_ARGUMENT"))
    assert (first.heard, last.heard) == (["INVALID_ARGUMENT"], ["INVALID_ARGUMENT"])


class Settling:
    """Gives back what it took, for which it has to wait until `others` are waiting too."""

    fail = "open"

    def __init__(self, name: str, meeting: asyncio.Barrier, error: Exception | None = None) -> None:
        self.name = name
        self._meeting = meeting
        self._error = error

    async def on_end(self, exchange: Exchange, status: Status) -> list[Finding]:
        await self._meeting.wait()
        if self._error is not None:
            raise self._error
        return [Finding(self.name, "settled", Severity.INFO, "given back")]


async def test_checks_settle_at_the_same_time():
    """Nobody decides any more, so what they ask of a store goes out together; they are told of in their order."""
    meeting = asyncio.Barrier(3)
    running = engine(Settling("a", meeting), Settling("b", meeting, RuntimeError("boom")), Settling("c", meeting))
    exchange = await running.start(arrival())
    await asyncio.wait_for(running.end(exchange, Status("OK")), 5)
    told = [(finding.check, finding.rule) for finding in exchange.findings]
    assert told == [("a", "settled"), ("b", "crashed"), ("c", "settled")]


class Hinting:
    name = "hinting"
    fail = "open"

    def on_message(self, exchange: Exchange, message: Message) -> list[Finding]:
        return [Finding(self.name, "near", Severity.WARNING, "near the limit", hint="loop; remaining=1")]


@pytest.mark.parametrize(("mode", "hints"), [(Mode.ENFORCE, ["loop; remaining=1"]), (Mode.OBSERVE, [])])
async def test_a_hint_reaches_the_caller_only_where_it_is_enforced(mode: Mode, hints: list[str]):
    """Observe adds nothing to an answer."""
    running = engine(Hinting())
    exchange = await running.start(arrival(mode))
    await running.message(exchange, Message(REQUEST, 0, b"good"))
    assert exchange.hints == hints


class Reaching:
    """Needs the shared store."""

    name = "reaching"
    fail = "open"

    async def on_message(self, exchange: Exchange, message: Message) -> list[Finding]:
        raise StoreUnavailable("redis is away")


@pytest.mark.parametrize(
    ("consistency", "label"), [("consistent", "reject"), ("available", "forward"), (None, "forward")]
)
async def test_a_store_that_is_away_refuses_only_where_the_spec_is_consistent(consistency: Any, label: str):
    """Whoever wrote the spec chose; the others go on, and that is counted as fail-open."""
    running = engine(Reaching())
    exchange = await running.start(arrival())
    exchange.spec = Spec("bank/v1", Match(), consistency=consistency)
    decision = await running.message(exchange, Message(REQUEST, 0, b"good"))
    assert decision.label == label
    assert exchange.findings[0].severity is Severity.INTERNAL
    if isinstance(decision, Reject):
        assert decision.reason is Reason.STORE_UNAVAILABLE


async def test_stamping_marks_the_moment_from_which_the_callee_may_have_seen_the_call():
    """Money and claims are given back only before it."""
    running = engine()
    exchange = await running.start(arrival())
    assert not exchange.was_dispatched
    running.stamp(exchange)
    assert exchange.was_dispatched


def outbound(mode: Mode = Mode.ENFORCE, **more: Any) -> Arrival:
    return Arrival(Route("to-editor", Side.OUTBOUND, "writer", "editor", mode), "/a.B/C", **more)


@pytest.mark.parametrize(
    ("remaining_s", "default_s", "given_s"),
    [(None, None, None), (None, 30.0, 30.0), (10.0, 30.0, 10.0), (60.0, 30.0, 30.0), (10.0, None, None)],
)
async def test_a_given_deadline_never_outlasts_the_work_above(remaining_s: Any, default_s: Any, given_s: Any):
    """A chain of calls without deadlines ends with its root's; nobody is given one where none is configured."""
    running = engine()
    above = await running.start(replace(arrival(), remaining_s=remaining_s))
    running.stamp(above)
    below = await running.start(outbound())
    assert below.lineage.source.value == "sole_inflight"
    assert running.timeout_s(below, default_s) == given_s


async def test_observe_gives_no_deadline():
    """Observe changes nothing."""
    running = engine()
    exchange = await running.start(outbound(Mode.OBSERVE))
    assert running.timeout_s(exchange, 30.0) is None


@pytest.mark.parametrize(("mode", "given_s"), [(None, 5.0), (Mode.ENFORCE, 5.0), (Mode.OBSERVE, None)])
async def test_a_specs_deadline_wins_over_the_routes(mode: Mode | None, given_s: float | None):
    """The contract of the edge is the more specific word; a spec in observe gives none."""
    running = engine()
    exchange = await running.start(outbound())
    exchange.spec = Spec("bank/v1", Match(), mode=mode, deadline_s=5.0)
    assert running.timeout_s(exchange, 30.0) == given_s


async def test_an_outbound_exchange_is_guarded_at_its_callee_once_the_callees_sidecar_said_so():
    """Its claims and charges are kept there, and here again when that sidecar is gone."""
    running = engine()
    first = await running.start(outbound())
    await running.answered(first, Answer(Status("OK")), is_guarded_there=True)
    second = await running.start(outbound())
    await running.answered(second, Answer(Status("OK")), is_guarded_there=False)
    third = await running.start(outbound())
    assert [each.is_guarded_here for each in (first, second, third)] == [True, False, True]


async def test_a_check_may_await():
    """Coroutines and plain functions stand in one list."""
    running = engine(Slow())
    exchange = await running.start(arrival())
    await running.message(exchange, Message(RESPONSE, 0, b""))
    assert [finding.check for finding in exchange.findings] == ["slow"]


@pytest.mark.parametrize(("fail", "rejected"), [("open", False), ("closed", True)])
async def test_a_crash_follows_the_declared_failure_mode(fail: str, rejected: bool):
    """A crash is a finding of severity internal, never an accident that lets traffic pass or stops it."""
    running = engine(Crashing(fail))
    exchange = await running.start(arrival())
    assert [finding.severity for finding in exchange.findings] == [Severity.INTERNAL]
    assert isinstance(exchange.decision, Reject) is rejected


async def test_a_crash_in_observe_is_always_open():
    """Observe refuses nothing, our own failures included."""
    exchange = await engine(Crashing("closed")).start(arrival(Mode.OBSERVE))
    assert isinstance(exchange.decision, Forward)


async def test_a_broken_reporter_fails_no_call():
    """Reporters watch; the next one still hears of the end."""
    recorder = Recorder()
    running = engine(reporters=[Broken(), recorder])
    exchange = await running.start(arrival())
    await running.end(exchange, Status("OK"))
    assert len(recorder.outcomes) == 1


async def test_the_outcome_knows_how_long_and_how_much():
    """Duration is the exchange's; messages and bytes are counted each way."""
    clock, recorder = ManualClock(), Recorder()
    running = engine(reporters=[recorder], clock=clock)
    exchange = await running.start(arrival())
    await running.message(exchange, Message(REQUEST, 0, b"12345"))
    await running.message(exchange, Message(RESPONSE, 0, b"12"))
    await running.message(exchange, Message(RESPONSE, 1, b"3"))
    clock.advance(1.5)
    await running.end(exchange, Status("OK"))
    outcome = recorder.outcomes[0]
    assert outcome.duration_s == pytest.approx(1.5)
    assert (exchange.requests.messages, exchange.requests.size_bytes) == (1, 5)
    assert (exchange.responses.messages, exchange.responses.size_bytes) == (2, 3)


class Misspelled:
    name = "misspelled"
    fail = "open"

    def on_start(self, exchange: Exchange) -> None: ...

    def on_mesage(self, exchange: Exchange, message: Message) -> None: ...


class Hookless:
    name = "hookless"
    fail = "open"


@pytest.mark.parametrize(
    ("check", "said"), [(Misspelled(), "unknown hooks on_mesage"), (Hookless(), "none of the hooks")]
)
def test_a_check_that_would_never_be_asked_is_refused_at_startup(check: Any, said: str):
    """A silent check is a promise not kept."""
    with pytest.raises(TypeError, match=said):
        engine(check)


async def test_what_is_given_to_a_call_bounds_what_it_causes():
    """The root set no deadline; the sidecar gave it one, and that is what is left for the work below."""
    clock = ManualClock()
    running = engine(clock=clock)
    above = await running.start(arrival())
    assert running.timeout_s(above, 5.0) == 5.0
    running.stamp(above)
    clock.advance(2)
    assert running.timeout_s(await running.start(outbound()), 30.0) == 3.0


async def test_the_deadline_of_a_call_that_was_answered_bounds_nothing_any_more():
    """An agent that goes on with a task in the background is waited for by nobody."""
    clock = ManualClock()
    running = engine(clock=clock)
    above = await running.start(replace(arrival(), remaining_s=5.0))
    running.stamp(above)
    await running.message(
        above, Message(Direction.RESPONSE, 0, b'{"id": "t", "status": {"state": "working"}}', JSON_CODEC)
    )
    await running.end(above, Status("OK"))
    clock.advance(10)
    below = await running.start(outbound())
    assert below.lineage.source.value == "sole_inflight"
    assert running.timeout_s(below, 30.0) == 30.0
