"""The verification check: this answer came in, this panel spoke, this is what became of the call."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from grpc import aio
from prometheus_client import CollectorRegistry

from sidecar.checks.assembly import EVENT_BYTES, AssemblyLimits
from sidecar.checks.verification import VerificationCheck, is_sampled
from sidecar.engine.exchange import Arrival, Exchange, Mode, Route, Side, Status
from sidecar.engine.finding import Finding, Forward, Reject, Severity
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.ports import Panel, Quarantine, TellVerdict
from sidecar.engine.specs import Match, Part, Path, Schema, Spec, SpecTable, Terms
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
    compared: list[tuple[str, bool]]
    quarantined: list[tuple[str, str, str, str]]

    async def answer(self, document: Any = None, sequence: int = 0) -> Forward | Reject:
        return await self.engine.message(self.exchange, response(document or {"n": 42}, sequence))


def terms(**more: Any) -> PanelTerms:
    return PanelTerms(**({"require": ("grounding",), "quorum": 1} | more))


def response(document: Any, sequence: int = 0) -> Message:
    return Message(Direction.RESPONSE, sequence, json.dumps(document).encode(), JSON_CODEC)


class Kept(Quarantine):
    """Keeps what it was asked to hold back."""

    def __init__(self, kept: list[tuple[str, str, str, str]]) -> None:
        self._kept = kept

    def quarantine(self, caller: str, callee: str, method: str, because: str) -> None:
        self._kept.append((caller, callee, method, because))


async def case(
    panel: Panel,
    *,
    route: Mode = ENFORCE,
    spec: Mode | None = None,
    answers_once: bool = True,
    promised: dict[str, Terms] | None = None,
    limits: AssemblyLimits = AssemblyLimits(),  # noqa: B008 - frozen
    **more: Any,
) -> Case:
    """An exchange whose request has been seen."""
    late: list[Finding] = []
    fail_opens: list[tuple[str, str]] = []
    compared: list[tuple[str, bool]] = []
    quarantined: list[tuple[str, str, str, str]] = []
    check = VerificationCheck(
        panel,
        answers_once=lambda _: answers_once,
        tell=lambda _, finding: late.append(finding),
        fail_open=lambda *labels: fail_opens.append(labels),
        engines_compared=lambda *comparison: compared.append(comparison),
        quarantine=Kept(quarantined),
        limits=limits,
    )
    clock = ManualClock()
    lineage = LineageKeeper(clock=clock, ids=CountingIds(), sampler=EveryTrace(), store=MemoryConversations())
    contract = Spec("researcher/v1", Match(callee="researcher"), mode=spec, panel=terms(**more), **(promised or {}))
    engine = Engine(clock=clock, lineage=lineage, specs=SpecTable([contract]), checks=[check])
    arrival = Arrival(Route("inbound", Side.INBOUND, "planner", "researcher", route), "/a.B/C")
    exchange = await engine.start(arrival)
    await engine.message(exchange, Message(Direction.REQUEST, 0, b'{"q": "how many?"}', JSON_CODEC))
    return Case(panel, engine, exchange, late, fail_opens, compared, quarantined)


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


async def test_the_time_that_an_answer_is_held_for_its_panel_is_meant():
    """That of the slowest, for all are asked at once. What is asked beside the call holds nothing."""
    slow = Opinion("grounding", Value.PASS, duration_s=0.4)
    at = await case(ScriptedPanel((slow, Opinion("newer", Value.PASS, duration_s=0.1))))
    await at.answer()
    assert at.exchange.waited_ns == 400_000_000
    beside = await case(ScriptedPanel((slow,)), when="after")
    await beside.answer()
    assert beside.exchange.waited_ns == 0


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


# --- What a stream has told ------------------------------------------------------------------------------------------


def chunk(text: str) -> dict[str, Any]:
    return {
        "artifactUpdate": {"taskId": "t", "artifact": {"artifactId": "a", "parts": [{"text": text}]}, "append": True}
    }


DONE = {"statusUpdate": {"taskId": "t", "status": {"state": "TASK_STATE_COMPLETED"}}}


def told(shown: Evidence) -> str:
    return str(shown.response["task"]["artifacts"][0]["parts"][0]["text"])


async def test_of_a_stream_all_that_the_caller_was_told_is_judged():
    """The message that ends it is held; what came before is in the evidence, beside the last message itself."""
    panel = ScriptedPanel((FAILED,))
    at = await case(panel, answers_once=False)
    for sequence, text in enumerate(["There were 4", "12 pallets."]):
        assert isinstance(await at.answer(chunk(text), sequence), Forward)
    assert isinstance(await at.answer(DONE, 2), Reject)
    [shown] = panel.held
    assert (told(shown), shown.last_message, shown.is_cut_off) == ("There were 412 pallets.", DONE, False)
    sizes = [len(json.dumps(each)) for each in (chunk("There were 4"), chunk("12 pallets."), DONE, {"q": "how many?"})]
    assert shown.size_bytes == sum(sizes) + 2 * EVENT_BYTES


async def test_a_stream_without_a_last_word_is_judged_by_all_of_it():
    """Late, once the stream has ended with OK."""
    panel = ScriptedPanel((FAILED,))
    at = await case(panel, answers_once=False)
    for sequence, text in enumerate("abc"):
        await at.answer(chunk(text), sequence)
    await at.engine.end(at.exchange, OK)
    assert [told(shown) for shown, _ in panel.later] == ["abc"]


@pytest.mark.parametrize("limit", ["stream_bytes", "total_bytes"])
async def test_a_stream_that_tells_too_much_is_cut_off_and_says_so(limit: str):
    """Nobody makes a sidecar remember without end, in one stream or in many."""
    size_bytes = len(json.dumps(chunk("a"))) + EVENT_BYTES
    for room_bytes, text, is_cut_off in ((2 * size_bytes, "ab", False), (2 * size_bytes - 1, "a", True)):
        panel = ScriptedPanel()
        at = await case(panel, answers_once=False, limits=AssemblyLimits(**{limit: room_bytes}))
        for sequence, document in enumerate([chunk("a"), chunk("b"), DONE]):
            await at.answer(document, sequence)
        assert [(told(shown), shown.is_cut_off) for shown in panel.held] == [(text, is_cut_off)]


async def test_what_a_stream_held_is_given_back_when_it_ends():
    """However it ends; otherwise every later stream would be cut off."""
    size_bytes = len(json.dumps(chunk("a"))) + EVENT_BYTES
    at = await case(ScriptedPanel(), answers_once=False, limits=AssemblyLimits(total_bytes=size_bytes))
    for code in ("OK", "CANCELLED", "OK"):
        at.exchange = await at.engine.start(at.exchange.arrival)
        await at.answer(chunk("a"))
        await at.answer(DONE, 1)
        await at.engine.end(at.exchange, Status(code))
    assert [(told(shown), shown.is_cut_off) for shown in at.panel.held] == [("a", False)] * 3  # type: ignore[attr-defined]


async def test_a_chunk_that_cannot_be_read_makes_the_answer_unreadable():
    """Not half of it: the caller was told something that no verifier can see."""
    panel = ScriptedPanel()
    at = await case(panel, answers_once=False)
    await at.engine.message(at.exchange, Message(Direction.RESPONSE, 0, b"\xff", JSON_CODEC))
    await at.answer(DONE, 1)
    assert [shown.is_readable for shown in panel.held] == [False]


# --- Two engines on one schema ---------------------------------------------------------------------------------------

STRICT = {"response": Terms(Schema({"properties": {"n": {"maximum": 24}}}))}
LOOSE = {"response": Terms(Schema(True))}
THEIRS = Opinion("schema", Value.PASS, "2", "json-schema", 1.0, judged_schemas=True)
THEIRS_FAILED = replace(THEIRS, value=Value.FAIL, findings=(Complaint("maximum", "It is too much.", "/n"),))


@pytest.mark.parametrize(
    ("promised", "opinion", "inline"),
    [(LOOSE, THEIRS_FAILED, "pass"), (STRICT, THEIRS, "fail")],
    ids=["ours accepts", "ours refuses"],
)
@pytest.mark.parametrize("route", [OBSERVE, ENFORCE])
async def test_engines_that_disagree_are_an_alarm(promised: Any, opinion: Opinion, inline: str, route: Mode):
    """In both directions, held or late: a finding that asks for no refusal of its own, and a count."""
    panel = ScriptedPanel((opinion,))
    at = await case(panel, route=route, promised=promised)
    await at.answer()
    panel.speak()
    [alarm] = [found for found in (*at.exchange.findings, *at.late) if found.rule == "engines-disagree"]
    assert (alarm.severity, alarm.reason, alarm.spec) == (Severity.ERROR, None, "researcher/v1")
    assert (alarm.evidence["inline"], alarm.evidence["verdict"]) == (inline, opinion.value.label)
    assert "one of them is wrong" in alarm.message
    assert at.compared == [("researcher/v1", True)]


@pytest.mark.parametrize(
    ("promised", "opinion"), [(LOOSE, THEIRS), (STRICT, THEIRS_FAILED)], ids=["both accept", "both refuse"]
)
async def test_engines_that_agree_are_counted_as_such(promised: Any, opinion: Opinion):
    """So that the metric is there before the first alarm."""
    at = await case(ScriptedPanel((opinion,)), promised=promised)
    await at.answer()
    assert at.compared == [("researcher/v1", False)]
    assert not [found for found in at.exchange.findings if found.rule == "engines-disagree"]


DEEP: Any = None
for _ in range(200):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("promised", "opinion", "document"),
    [
        (STRICT, replace(THEIRS, value=Value.INCONCLUSIVE, failure=Failure.CRASHED), None),
        (STRICT, replace(THEIRS, judged_schemas=False), None),
        ({"response": Terms(Schema({"properties": {"n": {"$ref": "#"}}}))}, THEIRS, {"n": DEEP}),
        ({"response": Terms(parts=(Part("p", Path("$[*]"), Schema(True)),))}, THEIRS_FAILED, [1] * 1001),
        ({"response": Terms(Schema({"properties": {"n": {"format": "uri"}}}))}, THEIRS, {"n": "no uri"}),
    ],
    ids=["theirs crashed", "it has no schemas", "too deep for ours", "too many places for ours", "only a format"],
)
async def test_who_gave_no_verdict_disagrees_with_nobody(promised: Any, opinion: Opinion, document: Any):
    """A crash, a limit, or a format that the other engine does not know."""
    at = await case(ScriptedPanel((opinion,)), promised=promised)
    await at.answer(document)
    assert at.compared == []


async def test_a_crash_of_our_own_engine_is_no_disagreement(monkeypatch: pytest.MonkeyPatch):
    """It is said on the message itself, by the spec check."""
    at = await case(ScriptedPanel((THEIRS_FAILED,)), promised=STRICT)
    monkeypatch.setattr(Schema, "is_valid", lambda *_: 1 / 0)
    await at.answer()
    assert at.compared == []


async def test_an_observing_schema_verifier_raises_the_alarm_too():
    """One that is being tried out is heard after the others."""
    panel = ScriptedPanel((PASSED,), observers=(replace(THEIRS, mode=OBSERVE),))
    at = await case(panel, promised=STRICT)
    await at.answer()
    panel.speak()
    assert [found.rule for found in at.late] == ["engines-disagree"]


@pytest.mark.parametrize(("required", "is_disagreement"), [(True, True), (False, False)])
async def test_parts_are_compared_like_whole_documents(required: bool, is_disagreement: bool):
    """A part that selects nothing breaks the spec only where it is required."""
    part = Part("response.parts[0]", Path("$.absent"), Schema(True), required)
    at = await case(ScriptedPanel((THEIRS,)), promised={"response": Terms(parts=(part,))})
    await at.answer()
    assert at.compared == [("researcher/v1", is_disagreement)]


async def test_of_a_stream_the_last_message_is_what_both_engines_judge():
    """A spec's terms are about messages, so the assembled answer would break them for no reason."""
    schema = Terms(Schema({"required": ["statusUpdate"]}))
    at = await case(ScriptedPanel((THEIRS,)), answers_once=False, promised={"response": schema})
    await at.answer(chunk("a"))
    await at.answer(DONE, 1)
    assert at.compared == [("researcher/v1", False)]


# --- Late fails ------------------------------------------------------------------------------------------------------

HELD_BACK = {"when": "after", "on_fail": "quarantine"}


@pytest.mark.parametrize("route", [OBSERVE, ENFORCE])
async def test_a_late_fail_holds_the_edge_back_where_the_spec_says_so(route: Mode):
    """In the words of the verifier. A route in observe asks for it too, so that it shows what enforcing would do."""
    panel = ScriptedPanel((FAILED,))
    at = await case(panel, route=route, **HELD_BACK)
    assert isinstance(await at.answer(), Forward)
    assert at.quarantined == []
    panel.speak()
    because = "researcher/v1: grounding: 42 is in no source"
    assert at.quarantined == [("planner", "researcher", "/a.B/C", because)]


@pytest.mark.parametrize(
    ("opinion", "more"),
    [
        (FAILED, {"on_fail": "report"}),
        (FAILED, {"mode": OBSERVE}),
        (FAILED, {"spec": OBSERVE}),
        (replace(FAILED, mode=OBSERVE), {}),
        (PASSED, {}),
        (SILENT, {}),
        (replace(SILENT, fail="closed"), {}),
    ],
    ids=["report", "panel observes", "spec observes", "verifier observes", "pass", "silence", "silence, closed"],
)
async def test_all_else_holds_nothing_back(opinion: Opinion, more: dict[str, Any]):
    """A fail of something that only observes, and doubt of any kind: nothing was shown to be wrong."""
    panel = ScriptedPanel((opinion,))
    at = await case(panel, **{**HELD_BACK, **more})
    await at.answer()
    panel.speak()
    panel.later[0][1](None)
    assert at.quarantined == []


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
