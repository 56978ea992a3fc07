"""The verification check: this answer came in, this panel spoke, this is what became of the call."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from grpc import aio
from prometheus_client import CollectorRegistry

from sidecar.checks.verification import VerificationCheck, is_sampled, unknown_verifiers
from sidecar.engine.exchange import Arrival, Exchange, Mode, Route, Side, Status
from sidecar.engine.finding import Finding, Forward, Reject, Severity
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.ports import Panel, TellVerdict
from sidecar.engine.specs import Match, Spec, SpecTable
from sidecar.engine.specs.spec import PanelTerms
from sidecar.engine.verdict import Complaint, Evidence, Failure, Opinion, PanelVerdict, Value, combined
from sidecar.errors import Reason
from sidecar.panel import VerifierPanel, VerifierSettings
from sidecar.stores.memory import MemoryConversations
from sidecar.system import SystemClock
from sidecar.telemetry.panel_metrics import PanelMetrics
from sidecar.testing import CountingIds, EveryTrace, ManualClock
from sidecar.v1 import verifier_pb2, verifier_pb2_grpc

OBSERVE, ENFORCE = Mode.OBSERVE, Mode.ENFORCE
OK = Status("OK")
FAILED = Opinion("grounding", Value.FAIL, "2", "grounding", 0.25, (Complaint("invented", "42 is in no source", "/n"),))
PASSED = Opinion("grounding", Value.PASS, "2", "grounding", 1.0)
SILENT = Opinion("grounding", Value.INCONCLUSIVE, failure=Failure.TIMED_OUT)


@dataclass
class ScriptedPanel(Panel):
    """Says what the test says; keeps whom it was asked about and how."""

    opinions: tuple[Opinion, ...] = (PASSED,)
    observers: tuple[Opinion, ...] = ()
    refuses: bool = True
    held: list[Evidence] = field(default_factory=list)
    later: list[tuple[Evidence, TellVerdict]] = field(default_factory=list)

    def may_refuse(self, terms: PanelTerms) -> bool:
        return self.refuses

    async def ask(self, evidence: Evidence, terms: PanelTerms, tell: TellVerdict) -> PanelVerdict:
        self.held.append(evidence)
        verdict = combined(self.opinions, terms.quorum)
        if self.observers:
            self.later.append((evidence, lambda _: tell(PanelVerdict(verdict.value, self.observers))))
        return verdict

    def ask_later(self, evidence: Evidence, terms: PanelTerms, tell: TellVerdict) -> None:
        self.later.append((evidence, tell))

    def speak(self) -> None:
        """What was asked beside the call has come to its verdict."""
        for _, tell in self.later:
            tell(combined(self.opinions, 1))


@dataclass
class Case:
    """One exchange with a panel in its spec, and everything that came of it."""

    panel: Panel
    engine: Engine
    exchange: Exchange
    late: list[Finding]
    fail_opens: list[tuple[str, str]]

    async def answer(self, document: Any = None, sequence: int = 0) -> Forward | Reject:
        return await self.engine.message(self.exchange, response(document or {"n": 42}, sequence))


def terms(**more: Any) -> PanelTerms:
    return PanelTerms(**({"require": ("grounding",), "quorum": 1} | more))


def response(document: Any, sequence: int = 0) -> Message:
    return Message(Direction.RESPONSE, sequence, json.dumps(document).encode(), JSON_CODEC)


async def case(
    panel: Panel, *, route: Mode = ENFORCE, spec: Mode | None = None, answers_once: bool = True, **more: Any
) -> Case:
    """An exchange whose request has been seen."""
    late: list[Finding] = []
    fail_opens: list[tuple[str, str]] = []
    check = VerificationCheck(
        panel,
        answers_once=lambda _: answers_once,
        tell=lambda _, finding: late.append(finding),
        fail_open=lambda *labels: fail_opens.append(labels),
    )
    clock = ManualClock()
    lineage = LineageKeeper(clock=clock, ids=CountingIds(), sampler=EveryTrace(), store=MemoryConversations())
    contract = Spec("researcher/v1", Match(callee="researcher"), mode=spec, panel=terms(**more))
    engine = Engine(clock=clock, lineage=lineage, specs=SpecTable([contract]), checks=[check])
    arrival = Arrival(Route("inbound", Side.INBOUND, "planner", "researcher", route), "/a.B/C")
    exchange = await engine.start(arrival)
    await engine.message(exchange, Message(Direction.REQUEST, 0, b'{"q": "how many?"}', JSON_CODEC))
    return Case(panel, engine, exchange, late, fail_opens)


# --- Held answers ----------------------------------------------------------------------------------------------------


async def test_a_fail_refuses_the_answer_in_the_verifiers_words():
    """Who says so, what does not hold and where; the verifier's own rule is evidence, for its names are not bounded."""
    at = await case(ScriptedPanel((FAILED,)))
    decision = await at.answer()
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.VERDICT_FAILED
    assert at.exchange.findings == [
        Finding(
            check="verification",
            rule="grounding",
            severity=Severity.ERROR,
            message="researcher/v1: grounding: 42 is in no source",
            reason=Reason.VERDICT_FAILED,
            spec="researcher/v1",
            pointer="/n",
            evidence={"verdict": "fail", "version": "2", "score": "0.250", "findings": "1", "rule": "invented"},
        )
    ]


async def test_a_pass_leaves_no_trace_but_its_count():
    """Evidence is the two documents and the names of the edge."""
    panel = ScriptedPanel()
    at = await case(panel)
    assert isinstance(await at.answer(), Forward)
    assert (at.exchange.findings, at.late, at.fail_opens) == ([], [], [])
    shown = panel.held[0]
    assert (shown.request, shown.response) == ({"q": "how many?"}, {"n": 42})
    assert (shown.caller, shown.callee, shown.method, shown.spec) == (
        "planner",
        "researcher",
        "/a.B/C",
        "researcher/v1",
    )
    assert (shown.exchange_id, shown.trace_id) == (at.exchange.lineage.exchange_id, at.exchange.lineage.trace_id)


async def test_an_inconclusive_panel_that_fails_open_lets_go_and_is_counted():
    """A warning says who did not answer and why."""
    at = await case(ScriptedPanel((SILENT,)))
    assert isinstance(await at.answer(), Forward)
    assert [(found.severity, found.reason) for found in at.exchange.findings] == [(Severity.WARNING, None)]
    assert "no verdict (timed_out); declared to fail open" in at.exchange.findings[0].message
    assert at.fail_opens == [("verification", "timed_out")]


async def test_an_inconclusive_panel_that_fails_closed_refuses_and_nothing_failed_open():
    """The call did not go on, so there is nothing to count."""
    at = await case(ScriptedPanel((Opinion("grounding", Value.INCONCLUSIVE, fail="closed"),)))
    decision = await at.answer()
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.VERDICT_FAILED
    assert at.fail_opens == []


async def test_too_few_families_is_doubt_of_its_own():
    """Everybody passes, so nobody is to blame: the quorum is the rule that is broken."""
    alike = tuple(Opinion(name, Value.PASS, family="regex", fail="closed") for name in ("grounding", "twin"))
    at = await case(ScriptedPanel(alike), quorum=2)
    assert isinstance(await at.answer(), Reject)
    assert [(found.rule, found.reason) for found in at.exchange.findings] == [("quorum", Reason.VERDICT_FAILED)]


async def test_doubt_beside_a_verdict_is_only_worth_knowing():
    """The panel passed without it: nothing failed open."""
    at = await case(ScriptedPanel((PASSED, Opinion("other", Value.INCONCLUSIVE, failure=Failure.UNREACHABLE))))
    assert isinstance(await at.answer(), Forward)
    assert [(found.rule, found.severity) for found in at.exchange.findings] == [("other", Severity.INFO)]
    assert at.fail_opens == []


async def test_observers_of_a_held_panel_are_findings_that_refuse_nothing():
    """What they say comes late, in observe, and does not count the panel's doubt a second time."""
    watched = tuple(
        Opinion(name, value, mode=OBSERVE)
        for name, value in (("new", Value.FAIL), ("newer", Value.INCONCLUSIVE), ("newest", Value.PASS))
    )
    panel = ScriptedPanel((SILENT,), observers=watched)
    at = await case(panel)
    assert isinstance(await at.answer(), Forward)
    panel.speak()
    assert [(found.rule, found.severity, found.mode) for found in at.late] == [
        ("new", Severity.ERROR, OBSERVE),
        ("newer", Severity.INFO, OBSERVE),
    ]
    assert at.fail_opens == [("verification", "timed_out")]


# --- Answers that move on --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weaker",
    [{"route": OBSERVE}, {"spec": OBSERVE}, {"mode": OBSERVE}, {"when": "after"}],
    ids=["route", "spec", "panel", "after"],
)
async def test_one_level_in_observe_and_the_answer_moves_on(weaker: dict[str, Any]):
    """The weakest level wins: nothing is held, and the fail is a finding that comes later."""
    panel = ScriptedPanel((FAILED,))
    at = await case(panel, **weaker)
    assert isinstance(await at.answer(), Forward)
    assert (panel.held, at.late) == ([], [])
    panel.speak()
    assert [(found.rule, found.severity) for found in at.late] == [("grounding", Severity.ERROR)]


async def test_a_panel_of_observers_holds_nothing():
    """Where no verifier could refuse, nobody waits for any of them."""
    panel = ScriptedPanel((FAILED,), refuses=False)
    at = await case(panel)
    assert isinstance(await at.answer(), Forward)
    assert (panel.held, len(panel.later)) == ([], 1)


async def test_late_doubt_and_no_room_are_counted_as_fail_open():
    """Even one that fails closed: the answer is gone."""
    panel = ScriptedPanel((Opinion("grounding", Value.INCONCLUSIVE, failure=Failure.BREAKER_OPEN, fail="closed"),))
    at = await case(panel, when="after")
    await at.answer()
    panel.speak()
    panel.later[0][1](None)
    assert at.fail_opens == [("verification", "breaker_open"), ("verification", "dropped")]


# --- Which messages are answers --------------------------------------------------------------------------------------


async def test_of_a_stream_the_message_that_ends_the_task_is_held():
    """What comes before it is on its way; only the last word is an answer."""
    panel = ScriptedPanel((FAILED,))
    at = await case(panel, answers_once=False)
    working = {"statusUpdate": {"taskId": "t", "status": {"state": "TASK_STATE_WORKING"}}}
    done = {"statusUpdate": {"taskId": "t", "status": {"state": "TASK_STATE_COMPLETED"}}}
    assert isinstance(await at.answer(working), Forward)
    assert panel.held == []
    assert isinstance(await at.answer(done, 1), Reject)
    assert [shown.response for shown in panel.held] == [done]


async def test_of_a_stream_without_a_last_word_the_last_message_is_judged_late():
    """Nobody knew that it was the last: too late to hold, so an enforced panel counts a fail-open."""
    panel = ScriptedPanel((FAILED,))
    at = await case(panel, answers_once=False)
    for number in range(3):
        assert isinstance(await at.answer({"n": number}, number), Forward)
    await at.engine.end(at.exchange, OK)
    assert [shown.response for shown, _ in panel.later] == [{"n": 2}]
    assert at.fail_opens == [("verification", "not_held")]
    await at.engine.end(at.exchange, OK)
    assert len(panel.later) == 1


async def test_a_stream_that_broke_off_has_no_answer():
    """The caller knows from its status; there is nothing to judge."""
    panel = ScriptedPanel()
    at = await case(panel, answers_once=False)
    await at.answer()
    await at.engine.end(at.exchange, Status("UNAVAILABLE"))
    assert (panel.later, at.fail_opens) == ([], [])


async def test_an_answer_that_cannot_be_read_is_put_to_the_panel_as_such():
    """Otherwise whoever breaks the encoding has found a way round every verifier."""
    panel = ScriptedPanel()
    at = await case(panel)
    await at.engine.message(at.exchange, Message(Direction.RESPONSE, 0, b"\xff", JSON_CODEC))
    await at.engine.message(at.exchange, Message(Direction.RESPONSE, 1, b"\xff"))
    assert [shown.is_readable for shown in panel.held] == [False, False]


def test_sampling_takes_a_trace_whole_and_its_share_of_many():
    """By the random part of the trace id alone, so that every sidecar decides alike. Shares at 0, 1 and between."""
    ids = [f"{index * 2**128 // 1000 * 7919 % 2**128:032x}" for index in range(1000)]
    assert not any(is_sampled(each, 0.0) for each in ids)
    assert all(is_sampled(each, 1.0) for each in ids)
    assert 150 < sum(is_sampled(each, 0.2) for each in ids) < 250
    assert {each for each in ids if is_sampled(each, 0.2)} <= {each for each in ids if is_sampled(each, 0.3)}


async def test_what_is_not_sampled_is_not_asked():
    """Neither held nor later."""
    panel = ScriptedPanel((FAILED,))
    at = await case(panel, sample=0.0)
    assert isinstance(await at.answer(), Forward)
    assert (panel.held, panel.later) == ([], [])


def test_a_required_verifier_that_nobody_configured_is_a_mistake_of_its_spec():
    """Said before the first call, with what there is to choose from."""
    spec = Spec("r/v1", Match(), source="r.yaml", panel=terms(require=("grounding", "ghost")))
    found = unknown_verifiers([spec, Spec("plain/v1", Match())], {"grounding", "arithmetic"})
    assert [str(mistake) for mistake in found] == [
        "r.yaml verifiers.require: found 'ghost'; allowed: the verifiers configured: arithmetic, grounding"
    ]


# --- With real verifiers ---------------------------------------------------------------------------------------------


class Fails(verifier_pb2_grpc.VerifierServicer):
    """Fails all that it sees, once it is let."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()

    async def Verify(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the proto
        await self.may_answer.wait()
        return verifier_pb2.Verdict(exchange_id=request.exchange_id, value=verifier_pb2.Verdict.FAIL)


@pytest.fixture
async def verifier():
    server, servicer = aio.server(), Fails()
    verifier_pb2_grpc.add_VerifierServicer_to_server(servicer, server)
    servicer.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer
    await server.stop(None)


@pytest.fixture
async def real_panel(verifier: Any):
    registry = CollectorRegistry()
    settings = VerifierSettings("grounding", f"127.0.0.1:{verifier.port}", timeout_s=0.5)
    panel = VerifierPanel([settings], clock=SystemClock(), reporter=PanelMetrics(registry, ["grounding"]))
    yield panel
    await panel.drain(0)


async def test_a_real_fail_refuses_a_held_answer(verifier: Any, real_panel: VerifierPanel):
    """Engine, check, panel and verifier together."""
    verifier.may_answer.set()
    at = await case(real_panel)
    decision = await at.answer()
    assert isinstance(decision, Reject)
    assert decision.message == "researcher/v1: grounding: the answer does not hold, and it does not say why"


async def test_a_verifier_that_hangs_delays_an_observe_route_by_nothing(verifier: Any, real_panel: VerifierPanel):
    """The answer moves on at once; the time-out is a late finding and a fail-open."""
    at = await case(real_panel, route=OBSERVE)
    began = time.monotonic()
    assert isinstance(await at.answer(), Forward)
    assert time.monotonic() - began < 0.1
    await real_panel.drain(5)
    assert [(found.rule, found.severity) for found in at.late] == [("grounding", Severity.WARNING)]
    assert at.fail_opens == [("verification", "timed_out")]


async def test_a_verifier_that_hangs_holds_an_enforced_answer_no_longer_than_its_time_out(
    verifier: Any, real_panel: VerifierPanel
):
    """And then the declared failure mode is what happens."""
    at = await case(real_panel)
    began = time.monotonic()
    assert isinstance(await at.answer(), Forward)
    assert time.monotonic() - began < 0.5 + 0.7
    assert at.fail_opens == [("verification", "timed_out")]
