"""The engine's three verbs: this came in, this was decided, this was reported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from sidecar.engine.exchange import FINDINGS_KEPT, Arrival, Exchange, Mode, Outcome, Route, Side, Status
from sidecar.engine.finding import Action, Finding, Forward, Reject, Severity
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.errors import Reason
from sidecar.stores.memory import MemoryStore
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
    lineage = LineageKeeper(clock=clock, ids=CountingIds(), sampler=EveryTrace(), store=MemoryStore())
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
    """The order of checks is the order of precedence."""
    running = engine(Complaining(reason=Reason.NOT_OWNER), Complaining(reason=Reason.STALE_WRITE))
    exchange = await running.start(arrival())
    decision = await running.message(exchange, Message(REQUEST, 0, b"bad"))
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.NOT_OWNER
    assert len(exchange.findings) == 2


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
