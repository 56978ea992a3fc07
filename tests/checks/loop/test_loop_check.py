"""The loop check in the engine: these calls were made, this was found, that was refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sidecar.checks.loop import Ladder, Limits, LoopCheck
from sidecar.checks.loop.fingerprint import hashed_text
from sidecar.engine.exchange import Answer, Arrival, Exchange, Guarding, Mode, Origin, Route, Side, Status
from sidecar.engine.finding import Decision, Finding, Forward, Reject, Severity
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import Spec, SpecTable, compile_spec
from sidecar.engine.state import Reach, Store
from sidecar.errors import REPLIES, Reason, StoreUnavailable
from sidecar.stores.memory import MemoryConversations, MemoryVisits, open_memory
from sidecar.testing import CountingIds, EveryTrace, ManualClock

SEND = "/lf.a2a.v1.A2AService/SendMessage"
GET_TASK = "/lf.a2a.v1.A2AService/GetTask"
ANSWER = {"text": "the bridge was opened in May and is as long as the river is wide"}


@dataclass
class Watched:
    """Counts what the check reports."""

    past: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def past_limit(self, kind: str, caller: str, callee: str, action: str) -> None:
        self.past[str(kind), caller, callee, str(action)] += 1

    def of(self, action: str) -> int:
        return sum(count for labels, count in self.past.items() if labels[-1] == action)


@dataclass
class Script:
    """An engine with the loop check alone; every call is in one conversation unless it says otherwise."""

    mode: Mode = Mode.ENFORCE
    ladder: Ladder = field(default_factory=Ladder)
    specs: Sequence[Spec] = ()
    guarding: Guarding = Guarding.AUTO
    side: Side = Side.INBOUND
    visits: Any = None
    local: Any = None
    after: Sequence[Any] = ()
    """Checks that are asked after this one."""

    def __post_init__(self) -> None:
        self.clock, self.watched, self.fail_open = ManualClock(), Watched(), 0
        self.store: Store = open_memory(self.clock)
        reach = Reach(self.visits or self.store.visits, self.local, told=self._told)
        check = LoopCheck(reach, ladder=self.ladder, clock=self.clock, reporter=self.watched)
        ids = CountingIds()
        lineage = LineageKeeper(clock=self.clock, ids=ids, sampler=EveryTrace(), store=MemoryConversations())
        self.check = check
        self.engine = Engine(
            clock=self.clock, lineage=lineage, specs=SpecTable(self.specs), checks=[check, *self.after]
        )
        self.calls = 0

    def _told(self) -> None:
        self.fail_open += 1

    async def ask(
        self,
        text: str = "why",
        *,
        method: str = SEND,
        callee: str = "researcher",
        context: str = "c",
        message_id: str = "",
        hops: int = 0,
        payload: bytes | None = None,
        remaining_s: float | None = None,
        **document: Any,
    ) -> tuple[Exchange, Decision]:
        """The first request of a call, up to where it would be dispatched."""
        self.calls += 1
        whole = {"messageId": message_id or f"m{self.calls}", "contextId": context, "text": text, **document}
        codec = JSON_CODEC if payload is None else None
        first = Message(Direction.REQUEST, 0, json.dumps(whole).encode() if payload is None else payload, codec)
        route = Route("inbound", self.side, "planner", callee, self.mode, self.guarding)
        trace = [("traceparent", f"00-{hashed_text(context):032x}-{self.calls:016x}-01")]
        exchange = await self.engine.start(Arrival(route, method, trace, first=first, remaining_s=remaining_s))
        exchange.lineage = replace(exchange.lineage, hops=hops)
        decision = await self.engine.message(exchange, first)
        if isinstance(decision, Forward):
            self.engine.stamp(exchange)
        return exchange, decision

    async def answer(
        self, exchange: Exchange, *documents: Any, code: str = "OK", origin: Origin = Origin.UPSTREAM
    ) -> None:
        for sequence, document in enumerate(documents):
            answer = Message(Direction.RESPONSE, sequence, json.dumps(document).encode(), JSON_CODEC)
            await self.engine.message(exchange, answer)
        await self.engine.end(exchange, Status(code, "", origin))

    async def call(self, text: str = "why", answer: Any = None, **more: Any) -> list[Finding]:
        """A whole call, and what was found in it."""
        exchange, decision = await self.ask(text, **more)
        if isinstance(decision, Forward):
            await self.answer(exchange, ANSWER if answer is None else answer)
        else:
            await self.engine.end(exchange, Status("FAILED_PRECONDITION", "", Origin.SIDECAR))
        return exchange.findings

    async def outcomes(self, times: int, text: str = "why", **more: Any) -> list[str]:
        """A letter a call: `.` nothing, `n` near, `P` past a limit or held by a break."""
        return [letter_of(await self.call(text, **more)) for _ in range(times)]


def letter_of(findings: Sequence[Finding]) -> str:
    if not findings:
        return "."
    return "P" if any(finding.reason for finding in findings) else "n"


def spec(**more: Any) -> Spec:
    data = {"spec": "researcher/v1", "match": {"callee": "researcher"}, **more}
    return compile_spec(data, base_uri="file:///researcher.yaml")


async def test_the_ladder_of_a_repeated_request():
    """Three pass, two are warned about, the sixth is refused, and so are those that follow."""
    script = Script()
    assert await script.outcomes(8) == [".", ".", ".", "n", "n", "P", "P", "P"]
    assert script.watched.past == {("repeat", "planner", "researcher", "rejected"): 3}


async def test_a_refusal_says_what_to_do():
    """A finding for people, a reason for machines, and no promise that waiting helps by itself."""
    script = Script()
    await script.outcomes(5)
    exchange, decision = await script.ask()
    assert isinstance(decision, Reject)
    assert (decision.reason, decision.retry_delay_s) == (Reason.LOOP_DETECTED, None)
    assert REPLIES[decision.reason].code == "FAILED_PRECONDITION"
    assert exchange.findings == [
        Finding(
            check="loop",
            rule="repeat",
            severity=Severity.ERROR,
            message="researcher: the same request 6 times in one conversation; 5 are allowed; "
            "ask something else, or stop",
            reason=Reason.LOOP_DETECTED,
            evidence={"count": "6", "limit": "5"},
        )
    ]


async def test_what_a_break_refuses_says_so():
    """Until when it holds is evidence; how it ends is in the sentence."""
    script = Script()
    await script.outcomes(6)
    (held,) = await script.call()
    assert held.message == (
        "researcher: this repeat was broken off; ask something else, or stop, or wait until the break ends"
    )
    until_ms = (script.clock.unix_ns() // 1_000_000) + 600_000
    assert int(held.evidence["break_until_unix_ms"]) == pytest.approx(until_ms, abs=2000)


async def test_the_last_calls_allowed_carry_a_hint_and_are_slowed():
    """Half a second, then one; the trailer says how many are left."""
    script = Script()
    await script.outcomes(3)
    before_ns = script.clock.monotonic_ns()
    delays, hints = [], []
    for _ in range(2):
        exchange, _ = await script.ask()
        await script.answer(exchange, ANSWER)
        delays.append((script.clock.monotonic_ns() - before_ns) / 1e9)
        before_ns = script.clock.monotonic_ns()
        hints += exchange.hints
    assert delays == [0.5, 1.0]
    assert hints == ["loop; remaining=1; kind=repeat", "loop; remaining=0; kind=repeat"]


@pytest.mark.parametrize(("slow_s", "remaining_s", "delay_s"), [(0, None, 0), (1, 2.0, 0.5), (1, 0.0, 0), (4, 100, 4)])
async def test_a_delay_is_bounded(slow_s: float, remaining_s: float | None, delay_s: float):
    """By the configuration, and by a quarter of what the caller still waits."""
    script = Script(ladder=Ladder(slow_s=slow_s, limits=Limits(repeats=2)))
    await script.call()
    before_ns = script.clock.monotonic_ns()
    exchange, _ = await script.ask(remaining_s=remaining_s)
    assert (script.clock.monotonic_ns() - before_ns) / 1e9 == delay_s
    assert exchange.waited_ns / 1e9 == delay_s


async def test_observe_finds_the_same_and_changes_nothing():
    """No delay, no hint, no break, no refusal; each request past the limit is counted once."""
    script = Script(mode=Mode.OBSERVE)
    assert await script.outcomes(8) == [".", ".", ".", "n", "n", "P", "P", "P"]
    assert script.clock.monotonic_ns() == 0
    assert script.watched.past == {("repeat", "planner", "researcher", "observed"): 3}
    assert await script.store.visits.breaks() == ()
    exchange, decision = await script.ask()
    assert isinstance(decision, Forward)
    assert exchange.hints == []


@pytest.mark.parametrize(
    ("route", "spec_mode", "loops", "is_refused"),
    [
        (Mode.ENFORCE, None, None, True),
        (Mode.ENFORCE, "enforce", Mode.ENFORCE, True),
        (Mode.ENFORCE, None, Mode.OBSERVE, False),
        (Mode.ENFORCE, "observe", Mode.ENFORCE, False),
        (Mode.OBSERVE, "enforce", Mode.ENFORCE, False),
    ],
)
async def test_the_weakest_mode_holds(route: Mode, spec_mode: str | None, loops: Mode | None, is_refused: bool):
    """Of the route, its spec and the check."""
    specs = [spec(mode=spec_mode)] if spec_mode else []
    script = Script(mode=route, specs=specs, ladder=Ladder(mode=loops))
    await script.outcomes(5)
    _, decision = await script.ask()
    assert isinstance(decision, Reject) is is_refused


@pytest.mark.parametrize(
    "other",
    [{"text": "how"}, {"callee": "writer"}, {"method": "/pkg.Other/Ask"}, {"context": "d"}],
    ids=["request", "callee", "method", "conversation"],
)
async def test_a_break_covers_nothing_else(other: dict[str, str]):
    """Another request, another edge, another conversation."""
    script = Script()
    await script.outcomes(6)
    assert await script.call(**{"text": "why", **other}) == []
    assert letter_of(await script.call()) == "P"


async def test_a_break_ends_after_its_cooldown_and_the_count_begins_anew():
    """What was asked before it is forgiven, though it is still within the window."""
    script = Script(ladder=Ladder(cooldown_s=60))
    await script.outcomes(6)
    script.clock.advance(59)
    assert await script.outcomes(1) == ["P"]
    script.clock.advance(1)
    assert await script.outcomes(6) == [".", ".", ".", "n", "n", "P"]


async def test_a_break_ends_when_an_operator_resumes():
    """By what the list of breaks names."""
    script = Script()
    await script.outcomes(6)
    (held,) = await script.store.visits.breaks()
    assert (held.edge, held.kind) == (("planner", "researcher", SEND), "repeat")
    assert await script.store.visits.resume(held.conversation, held.edge_id, held.family.fingerprint)
    assert await script.outcomes(3) == [".", ".", "."]


async def test_requests_outside_the_window_are_forgotten():
    """Five in ten minutes are allowed, for ever."""
    script = Script(ladder=Ladder(window_s=60))
    for _ in range(20):
        assert letter_of(await script.call()) != "P"
        script.clock.advance(12.5)


async def test_new_ids_and_times_hide_nothing():
    """By field; a time inside the text makes it another text."""
    script = Script()
    for number in range(5):
        await script.call(timestamp=f"2026-01-0{number + 1}T00:00:00Z", requestId=f"{number}")
    assert letter_of(await script.call()) == "P"
    assert await script.outcomes(1, "why at 10:00") == ["."]


async def test_retries_with_their_message_id_are_no_repeats():
    """A2A's messageId tells a retry from a repetition."""
    script = Script()
    for _ in range(20):
        exchange, decision = await script.ask(message_id="the-same")
        assert isinstance(decision, Forward)
        await script.answer(exchange, code="UNAVAILABLE")
        assert exchange.findings == []


async def test_retries_by_the_key_of_their_spec_are_no_repeats():
    """The key that the contract names wins over the messageId."""
    declared = spec(idempotency={"key": "$.order.key"})
    script = Script(specs=[declared])
    assert await script.outcomes(20, order={"key": "k1"}) == ["."] * 20
    script = Script(specs=[declared])
    letters = [letter_of(await script.call(order={"key": "k"}, text="a", n=number // 2)) for number in range(4)]
    assert letters == [".", ".", ".", "."]


async def test_a_spec_key_that_a_request_lacks_makes_no_retry():
    """And a fresh messageId in its place hides nothing."""
    script = Script(specs=[spec(idempotency={"key": "$.order.key"})])
    assert (await script.outcomes(6))[-1] == "P"


async def test_a_message_passed_on_down_the_chain_is_no_retry():
    """Agents hand on what they were given, ids and all: the same id at another depth is another call."""
    script = Script(ladder=Ladder(limits=Limits(hops=99)))
    letters = [letter_of(await script.call(message_id="the-same", hops=number)) for number in range(6)]
    assert letters[-1] == "P"


@pytest.mark.parametrize("method", ["GetTask", "ListTasks", "SubscribeToTask", "Get", "List"])
async def test_reads_are_judged_by_their_rate(method: str):
    """Fifty in ten seconds; a poll a second is none of our business."""
    script = Script(ladder=Ladder(slow_s=0))
    name = f"/lf.a2a.v1.A2AService/{method}"
    for _ in range(100):
        assert await script.call(method=name) == []
        script.clock.advance(1)
    script.clock.advance(10)
    letters = await script.outcomes(51, method=name)
    assert letters == ["."] * 48 + ["n", "n", "P"]
    script.clock.advance(10)
    assert await script.outcomes(1, method=name) == ["."]
    assert await script.store.visits.breaks() == ()


@pytest.mark.parametrize("method", ["Getaway", "Listen", "SendMessage", "get_task", "Widget", "BatchGet"])
async def test_other_names_are_no_reads(method: str):
    """The first word of a method's name, as A2A and Google's standard methods have it."""
    assert (await Script().outcomes(6, method=f"/lf.a2a.v1.A2AService/{method}"))[-1] == "P"


@pytest.mark.parametrize(("writes", "method", "is_refused"), [(False, SEND, False), (True, GET_TASK, True)])
async def test_a_spec_says_what_is_a_read(writes: bool, method: str, is_refused: bool):
    """Whatever the method is called."""
    declared = spec(resource={"key": "$.text", "writes": writes})
    letters = await Script(specs=[declared]).outcomes(6, method=method)
    assert (letters[-1] == "P") is is_refused


async def test_drifting_requests_without_new_answers_are_broken_off():
    """And so is whatever is nearly the same, but not what is another matter."""
    script = Script(ladder=Ladder(slow_s=0))
    questions = [f"list all open orders of unhappy customers of the north shop since day {day}" for day in range(12)]
    letters = [letter_of(await script.call(text)) for text in questions]
    assert "".join(letters) == "......nnPPPP"
    assert {finding.rule for finding in await script.call(questions[3])} == {"drift"}
    assert await script.call("translate the menu of the restaurant into French, please") == []


async def test_drifting_requests_with_new_answers_are_work():
    """Each answer adds a figure."""
    script = Script(ladder=Ladder(slow_s=0))
    for day in range(30):
        text = f"list all open orders of unhappy customers of the north shop since day {day}"
        answer = {"text": f"there were {day * 37 + 11} such orders, worth {day * 91 + 5} euros"}
        assert await script.call(text, answer) == []


async def test_errors_that_come_again_add_nothing():
    """The first error is news."""
    script = Script(ladder=Ladder(slow_s=0))
    letters = []
    for day in range(9):
        exchange, _ = await script.ask(f"list all open orders of unhappy customers of the north shop since day {day}")
        letters.append(letter_of(exchange.findings))
        await script.answer(exchange, code="NOT_FOUND")
    assert "".join(letters) == "......nnP"


async def test_a_streamed_answer_is_compared_as_a_whole():
    """What differs may come in any of its messages; the last one is the same each time."""
    script = Script(ladder=Ladder(slow_s=0))
    done = {"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED"}}}
    for day in range(12):
        exchange, _ = await script.ask(f"list all open orders of unhappy customers of the north shop since day {day}")
        await script.answer(exchange, {"text": f"found {day * 37 + 11} orders worth {day * 91 + 5}"}, done)
        assert exchange.findings == []


async def test_tasks_at_work_are_undecided_until_their_end_is_read():
    """An acknowledgement says nothing yet; what GetTask brings is the answer of the call that began the task."""
    script = Script(ladder=Ladder(slow_s=0))
    for day in range(9):
        text = f"list all open orders of unhappy customers of the north shop since day {day}"
        task = {"id": f"t{day}", "status": {"state": "TASK_STATE_SUBMITTED"}}
        assert await script.call(text, {"task": task}) == []
    for day in range(9):
        done = {"id": f"t{day}", "status": {"state": "TASK_STATE_COMPLETED"}, "artifacts": [ANSWER]}
        await script.call("", done, method=GET_TASK, id=f"t{day}")
    text = "list all open orders of unhappy customers of the north shop since day 10"
    assert [finding.rule for finding in await script.call(text)] == ["drift"]


async def test_calls_that_come_round_are_a_cycle():
    """Three rounds pass, the fourth is refused at its end; only that edge is broken off."""
    script = Script(ladder=Ladder(slow_s=0))
    letters = []
    for _ in range(4):
        letters += await script.outcomes(1, "who writes it", callee="researcher")
        letters += await script.outcomes(1, "who plans it", callee="writer")
    assert "".join(letters) == ".....nnP"
    assert script.watched.past == {("cycle", "planner", "writer", "rejected"): 1}


@pytest.mark.parametrize(("hops", "letter"), [(0, "."), (13, "."), (14, "n"), (15, "n"), (16, "P")])
async def test_a_chain_past_its_depth_is_refused(hops: int, letter: str):
    """Sixteen agents are allowed, so the seventeenth is one too many. Depth alone is not slowed or broken off."""
    script = Script()
    assert await script.outcomes(1, hops=hops) == [letter]
    assert await script.outcomes(1, hops=0) == ["."]
    assert script.clock.monotonic_ns() == 0
    assert await script.outcomes(1, method=GET_TASK, hops=hops) == [letter]


async def reentered(script: Script) -> tuple[list[Finding], Decision]:
    """Planner is asked, asks the researcher, and is asked back."""
    first, _ = await script.ask("first", callee="planner")
    second, _ = await script.ask("second")
    conversation = first.lineage.conversation
    second.lineage = replace(second.lineage, path=("planner", "researcher"), hops=1)
    third, _ = await script.engine.start(arrival_at("planner", script.mode)), None
    third.lineage = replace(third.lineage, path=("planner", "researcher", "planner"), hops=2, conversation=conversation)
    decision = await script.engine.message(third, Message(Direction.REQUEST, 0, b'{"text": "back"}', JSON_CODEC))
    return third.findings, decision


def arrival_at(callee: str, mode: Mode) -> Arrival:
    return Arrival(Route("inbound", Side.INBOUND, "researcher", callee, mode), SEND)


@pytest.mark.parametrize(
    ("reentry", "severity", "is_refused"),
    [(None, None, False), (Mode.OBSERVE, Severity.INFO, False), (Mode.ENFORCE, Severity.ERROR, True)],
)
async def test_reentry_is_what_the_operator_makes_of_it(
    reentry: Mode | None, severity: Severity | None, is_refused: bool
):
    """Callbacks are legitimate, so by default they are only seen."""
    script = Script(ladder=Ladder(reentry=reentry))
    findings, decision = await reentered(script)
    assert [(finding.rule, finding.severity) for finding in findings] == (
        [("reentry", severity)] if severity is not None else []
    )
    assert isinstance(decision, Reject) is is_refused
    assert script.watched.of("rejected" if is_refused else "observed") == (severity is not None)


async def test_unknown_payloads_pass_unharmed():
    """Nothing is known of their fields, so no two are called the same; depth still counts."""
    script = Script()
    for _ in range(30):
        exchange, decision = await script.ask(payload=b"\x0a\x03abc")
        assert isinstance(decision, Forward)
        await script.answer(exchange, ANSWER)
        assert exchange.findings == []
    _, decision = await script.ask(payload=b"\x0a\x03abc", hops=16)
    assert isinstance(decision, Reject)
    assert await script.outcomes(60, method=GET_TASK, payload=b"\x0a\x03abc") == ["."] * 60


async def test_a_stream_of_requests_is_one_visit():
    """Its first message says what it asks."""
    script = Script()
    exchange, _ = await script.ask()
    for sequence in range(1, 20):
        await script.engine.message(exchange, Message(Direction.REQUEST, sequence, b'{"text": "why"}', JSON_CODEC))
    assert exchange.findings == []
    assert await script.outcomes(3) == [".", ".", "n"]


async def test_a_route_that_is_guarded_elsewhere_costs_nothing():
    """The callee's sidecar counts; this one holds no state of the call."""
    script = Script(guarding=Guarding.NEVER)
    assert await script.outcomes(20) == ["."] * 20
    assert script.check._listening == {}


async def test_an_exchange_seen_by_two_sidecars_counts_once():
    """The second is told of the same loop and can refuse, but neither counts nor slows it again."""
    first = Script(mode=Mode.OBSERVE)
    second = Script(visits=first.store.visits)
    for _ in range(6):
        exchange, _ = await first.ask()
        arrival = replace(exchange.arrival, route=replace(exchange.route, mode=Mode.ENFORCE))
        again = Exchange(arrival=arrival, lineage=exchange.lineage, caller="planner", started_ns=0, started_unix_ns=0)
        assert exchange.arrival.first is not None
        findings = await second.check.on_message(again, exchange.arrival.first)
    assert [finding.rule for finding in findings or ()] == ["repeat"]
    assert (first.watched.of("observed"), sum(second.watched.past.values())) == (1, 0)
    assert second.clock.monotonic_ns() == 0


async def test_nothing_is_kept_of_an_exchange_that_has_ended():
    """Whatever became of it."""
    script = Script()
    await script.outcomes(8)
    exchange, _ = await script.ask("left")
    await script.answer(exchange, code="CANCELLED", origin=Origin.DOWNSTREAM)
    assert script.check._listening == {}


async def test_a_call_that_was_left_says_nothing_about_its_answer():
    """Nobody heard it."""
    script = Script(ladder=Ladder(slow_s=0))
    for day in range(20):
        exchange, _ = await script.ask(f"list all open orders of unhappy customers of the north shop since day {day}")
        await script.answer(exchange, code="CANCELLED", origin=Origin.DOWNSTREAM)
        assert exchange.findings == []


class AwayVisits:
    """A store that does not answer."""

    def __getattr__(self, verb: str) -> Any:
        async def away(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("away")

        return away


class Returning:
    """A store that is away while `is_away`."""

    def __init__(self, visits: MemoryVisits) -> None:
        self.visits, self.is_away = visits, True

    def __getattr__(self, verb: str) -> Any:
        return getattr(AwayVisits() if self.is_away else self.visits, verb)


@pytest.mark.parametrize("is_back", [False, True])
async def test_a_visit_that_was_counted_locally_is_withdrawn_there_too(is_back: bool):
    """Refused before it went out, whether or not the store is back by then: whoever asks again has not repeated it."""
    local = MemoryVisits(ManualClock())
    shared = Returning(MemoryVisits(ManualClock()))
    script = Script(visits=shared, local=local, ladder=Ladder(Limits(repeats=2)))
    for _ in range(5):
        shared.is_away = True
        exchange, _ = await script.ask()
        exchange.dispatched_ns = None
        shared.is_away = not is_back
        await script.engine.end(exchange, Status("UNAVAILABLE", "", Origin.SIDECAR))
    shared.is_away = True
    assert await script.outcomes(3) == [".", "n", "P"]


async def test_without_the_shared_store_a_sidecar_counts_for_itself():
    """And says so, each time."""
    script = Script(visits=AwayVisits(), local=MemoryVisits(ManualClock()))
    assert (await script.outcomes(6))[-1] == "P"
    visits, answers, breaks = 6, 6, 1
    assert script.fail_open == visits + answers + breaks


async def test_a_consistent_spec_refuses_without_the_shared_store():
    """That choice belongs to whoever wrote it."""
    script = Script(visits=AwayVisits(), local=MemoryVisits(ManualClock()), specs=[spec(consistency="consistent")])
    _, decision = await script.ask()
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.STORE_UNAVAILABLE


async def test_names_that_callers_choose_are_bounded():
    """A method of eight kilobytes is kept as its hash."""
    script = Script()
    assert (await script.outcomes(6, method=f"/t.Agent/{'x' * 8000}"))[-1] == "P"
    (held,) = await script.store.visits.breaks()
    assert held.edge.method.startswith("hash:")
    assert len(held.edge.method) < 64


async def test_no_finding_quotes_a_payload():
    """Findings reach logs and spans."""
    script = Script()
    secret = "the password is hunter2"
    findings = [finding for _ in range(8) for finding in await script.call(secret)]
    assert findings
    assert "hunter2" not in repr(findings)


class Full:
    """A check after this one, which has no room for the time being."""

    name, fail = "full", "open"

    def __init__(self) -> None:
        self.is_full = True

    def on_message(self, exchange: Exchange, message: Message) -> list[Finding] | None:
        if not self.is_full or message.direction is Direction.RESPONSE:
            return None
        return [Finding(self.name, "room", Severity.WARNING, "there is no room", Reason.OVERLOADED)]


@pytest.mark.parametrize(("method", "limits"), [(SEND, Limits(repeats=2, drifts=2)), (GET_TASK, Limits(reads=2))])
async def test_who_is_refused_for_another_reason_and_asks_again_makes_no_loop(method: str, limits: Limits):
    """What never came to its callee is no visit and no read, however often; what comes through is counted as ever."""
    full = Full()
    script = Script(ladder=Ladder(limits, slow_s=0), after=[full])
    for _ in range(10):
        findings = await script.call(method=method)
        assert [finding.check for finding in findings if finding.reason] == ["full"]
    full.is_full = False
    assert [letter == "P" for letter in await script.outcomes(4, method=method)] == [False, False, True, True]


async def test_in_observe_nothing_is_refused_and_every_call_is_a_visit():
    """What another check would have refused went out all the same."""
    script = Script(Mode.OBSERVE, Ladder(Limits(repeats=2)), after=[Full()])
    assert [any(each.check == "loop" and each.reason for each in await script.call()) for _ in range(3)] == [
        False,
        False,
        True,
    ]


async def test_a_caller_who_leaves_before_its_call_goes_out_has_asked_nothing():
    """While it was slowed down, say."""
    script = Script(ladder=Ladder(Limits(repeats=2)))
    for _ in range(5):
        exchange, _ = await script.ask()
        exchange.dispatched_ns = None
        await script.engine.end(exchange, Status("CANCELLED", "", Origin.DOWNSTREAM))
    assert (await script.outcomes(3))[-1] == "P"


@pytest.mark.parametrize(("reason", "is_counted"), [("OVERLOADED", False), ("LOOP_DETECTED", True), ("", True)])
async def test_what_the_callees_own_sidecar_refused_is_no_visit(reason: str, is_counted: bool):
    """Unless it refused a loop; and an error of the callee itself is an answer."""
    script = Script(ladder=Ladder(Limits(repeats=2), slow_s=0), side=Side.OUTBOUND, guarding=Guarding.ALWAYS)
    for _ in range(2):
        exchange, _ = await script.ask()
        trailers = (("sidecar-reply", reason),) if reason else ()
        status = Status("RESOURCE_EXHAUSTED")
        await script.engine.answered(exchange, Answer(status, (), trailers))
        await script.engine.end(exchange, status)
    assert (letter_of(await script.call()) == "P") is is_counted


async def test_a_call_that_its_own_depth_refused_is_a_visit_all_the_same():
    """Whoever goes round in a chain that is too deep goes round."""
    script = Script(ladder=Ladder(Limits(hops=1, repeats=2), slow_s=0))
    await script.outcomes(2, hops=5)
    assert await script.outcomes(1) == ["P"]
