"""The task check: this is what messages said of tasks, and this is what was made of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from sidecar.checks.task import TaskCheck, TaskSweep
from sidecar.checks.task.work import WORK_BYTES_MAX, canonical
from sidecar.engine.exchange import Arrival, Exchange, Guarding, Mode, Route, Side, Status
from sidecar.engine.finding import Finding, Forward, Reject, Severity
from sidecar.engine.guarding import Guards
from sidecar.engine.json_codec import JSON_CODEC
from sidecar.engine.lineage import LineageKeeper
from sidecar.engine.message import Direction, Message
from sidecar.engine.pipeline import Engine
from sidecar.engine.specs import Spec, SpecTable, compile_spec
from sidecar.engine.state import Reach, Tasks
from sidecar.engine.state.tasks import Census
from sidecar.errors import Reason, StoreUnavailable
from sidecar.stores.memory import MemoryTasks, open_memory
from sidecar.testing import CountingIds, EveryTrace, ManualClock

A2A = "/lf.a2a.v1.A2AService/"
REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE
SUBMITTED, WORKING, WAITING, DONE, CANCELED = (
    f"TASK_STATE_{name}" for name in ("SUBMITTED", "WORKING", "INPUT_REQUIRED", "COMPLETED", "CANCELED")
)
TABLE = {"initial": "open", "transitions": {"open": ["paid", "void"], "paid": ["sent"]}, "terminal": ["sent", "void"]}
INBOUND = Route("inbound", Side.INBOUND, "planner", "writer", Mode.ENFORCE)


class Counts:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.moves: Counter[tuple[str, str, str, bool]] = Counter()
        self.census: dict[str, Census] = {}

    def task_moved(self, callee: str, before: str, after: str, *, is_legal: bool) -> None:
        self.moves[callee, before, after, is_legal] += 1

    def tasks_counted(self, callee: str, census: Census) -> None:
        self.census[callee] = census


class Away:
    """A store that is away."""

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        async def fail(*_: Any, **__: Any) -> Any:
            raise StoreUnavailable("away")

        return fail


class Sidecar:
    """One engine with the task check alone, over a store in memory."""

    def __init__(self, *specs: Spec, route: Route = INBOUND, shared: Any = None) -> None:
        self.clock = ManualClock()
        self.store = open_memory(self.clock)
        self.counts, self.route, self.told = Counts(), route, list[tuple[Exchange, Finding]]()
        self.fail_opens = 0
        reach: Reach[Tasks] = Reach(shared or self.store.tasks, MemoryTasks(self.clock), told=self._failed_open)
        self.check = TaskCheck(reach, clock=self.clock, reporter=self.counts)
        self.sweep = TaskSweep(
            shared or self.store.tasks,
            clock=self.clock,
            reporter=self.counts,
            stuck_after_s=600,
            routes=lambda: [route],
            tell=lambda exchange, finding: self.told.append((exchange, finding)),
        )
        lineage = LineageKeeper(
            clock=self.clock, ids=CountingIds(), sampler=EveryTrace(), store=self.store.conversations
        )
        self.engine = Engine(
            clock=self.clock, lineage=lineage, specs=SpecTable(specs), checks=[self.check], guards=Guards()
        )

    def _failed_open(self) -> None:
        self.fail_opens += 1

    async def call(self, method: str, request: Any, *responses: Any) -> Exchange:
        exchange = await self.begin(method, request)
        for sequence, response in enumerate(responses):
            await self.answer(exchange, response, sequence)
        await self.engine.end(exchange, Status("OK"))
        return exchange

    async def begin(self, method: str, request: Any) -> Exchange:
        self.clock.advance(1)
        exchange = await self.engine.start(Arrival(self.route, method))
        await self.engine.message(exchange, message(request, REQUEST))
        self.engine.stamp(exchange)
        return exchange

    async def answer(self, exchange: Exchange, response: Any, sequence: int = 0) -> Any:
        return await self.engine.message(exchange, message(response, RESPONSE, sequence))

    async def get(self, state: str, task: str = "t1") -> Exchange:
        """Somebody polls the task."""
        return await self.call(A2A + "GetTask", {"taskId": task}, of(state, task))


def message(document: Any, direction: Direction, sequence: int = 0) -> Message:
    payload = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Message(direction, sequence, payload, None if payload == b"?" else JSON_CODEC)


def of(state: str, task: str = "t1") -> dict[str, Any]:
    return {"id": task, "status": {"state": state}}


def send(text: str = "hello", message_id: str = "m1", **names: str) -> dict[str, Any]:
    return {"message": {"messageId": message_id, "parts": [{"text": text}], **names}}


def update(state: str) -> dict[str, Any]:
    return {"statusUpdate": {"taskId": "t1", "status": {"state": state}}}


def artifact(*, last: bool = False) -> dict[str, Any]:
    return {
        "artifactUpdate": {"taskId": "t1", "artifact": {"artifactId": "a"}, **({"lastChunk": True} if last else {})}
    }


def spec(*, mode: str | None = None, task: Any = None, **more: Any) -> Spec:
    data = {"spec": "writer/v1", "match": {}, "task": {} if task is None else task, **more}
    return compile_spec({**data, **({"mode": mode} if mode else {})}, base_uri="file:///w.yaml")


def rules(exchange: Exchange) -> list[str]:
    return [finding.rule for finding in exchange.findings]


async def test_a_task_that_goes_its_way_is_no_finding():
    """Submitted, working, asked something, working again, done: each step is counted once."""
    sidecar = Sidecar(spec())
    for state in (SUBMITTED, WORKING, WORKING, WAITING, WORKING, DONE, DONE):
        assert rules(await sidecar.get(state)) == []
    assert sidecar.counts.moves == {
        ("writer", "_none", SUBMITTED, True): 1,
        ("writer", SUBMITTED, WORKING, True): 1,
        ("writer", WORKING, WAITING, True): 1,
        ("writer", WAITING, WORKING, True): 1,
        ("writer", WORKING, DONE, True): 1,
    }


async def test_an_answer_that_takes_an_end_back_is_refused():
    """A terminal state stays terminal; the caller is told which step nothing allows."""
    sidecar = Sidecar(spec())
    await sidecar.get(DONE)
    exchange = await sidecar.begin(A2A + "GetTask", {"taskId": "t1"})
    decision = await sidecar.answer(exchange, of(WORKING))
    assert isinstance(decision, Reject)
    assert (decision.reason, decision.message) == (
        Reason.ILLEGAL_TASK_TRANSITION,
        'writer/v1: a task is said to be in "TASK_STATE_WORKING", after it ended in "TASK_STATE_COMPLETED"',
    )
    assert exchange.findings[0].evidence == {"task": "t1"}
    assert sidecar.counts.moves["writer", DONE, WORKING, False] == 1
    assert rules(await sidecar.get(WORKING)) == ["unfinished"]
    assert rules(await sidecar.get(DONE)) == []


@pytest.mark.parametrize(
    ("route", "found"),
    [
        (Mode.OBSERVE, spec()),
        (Mode.ENFORCE, spec(mode="observe")),
        (Mode.ENFORCE, None),
        (Mode.ENFORCE, compile_spec({"spec": "writer/v1", "match": {}}, base_uri="file:///w.yaml")),
    ],
)
async def test_where_anything_observes_or_no_spec_asks_nothing_is_refused(route: Mode, found: Spec | None):
    """A2A's shapes are followed without a spec too, and then only to be told."""
    sidecar = Sidecar(*([found] if found else []), route=Route("r", Side.INBOUND, "planner", "writer", route))
    await sidecar.get(DONE)
    exchange = await sidecar.begin(A2A + "GetTask", {"taskId": "t1"})
    assert isinstance(await sidecar.answer(exchange, of(WORKING)), Forward)
    assert rules(exchange) == ["unfinished"]


async def test_within_one_stream_the_end_cannot_be_taken_back_either():
    """Updates of one stream are in order, so none of them is late."""
    exchange = await Sidecar(spec(mode="observe")).call(
        A2A + "SendStreamingMessage", send(), {"task": of(WORKING)}, update(DONE), update(WORKING)
    )
    assert rules(exchange) == ["unfinished"]


async def test_an_answer_that_was_overtaken_is_no_step_back():
    """The poll began while the task was working; that its answer comes after the end is nobody's fault."""
    sidecar = Sidecar(spec())
    slow = await sidecar.begin(A2A + "GetTask", {"taskId": "t1"})
    await sidecar.get(DONE)
    assert isinstance(await sidecar.answer(slow, of(WORKING)), Forward)
    assert rules(slow) == []
    assert (await sidecar.store.tasks.census("writer", 600)).states == {DONE: 1}


async def test_a_table_of_ones_own_is_held_to():
    """Ids and states where the spec says, steps as the table has them."""
    terms = {"id": "$.order.number", "state": "$.order.phase", "machine": TABLE}
    sidecar = Sidecar(spec(task=terms))

    async def order(phase: str) -> list[str]:
        return rules(await sidecar.call("/shop.Orders/Get", {}, {"order": {"number": 7, "phase": phase}}))

    assert [await order(phase) for phase in ("open", "sent", "open", "paid", "sent", "sent", "paid")] == [
        [],
        ["transition"],
        [],
        [],
        [],
        [],
        ["unfinished"],
    ]
    assert sidecar.counts.moves["writer", "open", "sent", False] == 1


async def test_a_table_that_only_observes_follows_what_is_said():
    """One finding for one wrong step; from then on the task is where its agent says."""
    terms = {"id": "$.id", "state": "$.phase", "machine": TABLE}
    sidecar = Sidecar(spec(task=terms, mode="observe"))
    calls = [
        await sidecar.call("/shop.Orders/Get", {}, {"id": "x", "phase": phase}) for phase in ("open", "sent", "sent")
    ]
    assert [rules(each) for each in calls] == [[], ["transition"], []]


async def test_a_state_that_no_machine_knows_is_refused_and_not_named():
    """It comes from the payload, so neither sentence nor label repeats it."""
    sidecar = Sidecar(spec(task={"id": "$.id", "state": "$.phase", "machine": TABLE}))
    exchange = await sidecar.begin("/shop.Orders/Get", {})
    decision = await sidecar.answer(exchange, {"id": "x", "phase": "secret"})
    assert isinstance(decision, Reject)
    assert decision.message == "writer/v1: a task is in a state that the machine table does not know"
    assert sidecar.counts.moves == {("writer", "_other", "_other", False): 1}


async def test_a_task_first_seen_in_the_middle_is_worth_a_warning_only():
    """We may not have been there: a restart must not refuse what goes on."""
    sidecar = Sidecar(spec(task={"id": "$.id", "state": "$.phase", "machine": TABLE}))
    exchange = await sidecar.call("/shop.Orders/Get", {}, {"id": "x", "phase": "paid"})
    assert [(each.rule, each.severity, each.reason) for each in exchange.findings] == [
        ("first-seen", Severity.WARNING, None)
    ]
    assert rules(await Sidecar(spec()).get(DONE)) == []


@pytest.mark.parametrize(
    ("method", "request_", "rule", "section"),
    [
        ("SendMessage", send(taskId="t1"), "message-to-finished", "3.1.1"),
        ("SendStreamingMessage", send(taskId="t1"), "message-to-finished", "3.1.2"),
        ("SubscribeToTask", {"taskId": "t1"}, "subscribe-to-finished", "3.1.6"),
        ("CancelTask", {"taskId": "t1"}, "cancel-finished", "3.1.5"),
        ("GetTask", {"taskId": "t1"}, "", ""),
        ("SendMessage", send(), "", ""),
        ("CancelTask", {"taskId": "t2"}, "", ""),
    ],
)
@pytest.mark.parametrize("specs", [[], [spec()]])
async def test_what_may_not_be_asked_of_a_finished_task_is_found(
    specs: list[Spec], method: str, request_: Any, rule: str, section: str
):
    """On the request, and never refused by us: the callee knows best, and has to refuse it."""
    sidecar = Sidecar(*specs)
    await sidecar.get(DONE)
    exchange = await sidecar.begin(A2A + method, request_)
    assert isinstance(exchange.decision, Forward)
    assert rules(exchange) == ([rule] if rule else [])
    assert [each.evidence["section"] for each in exchange.findings] == ([section] if section else [])


async def test_what_goes_on_with_an_open_task_is_none_of_that():
    """A message to a task that waits for it, a cancellation of one at work."""
    sidecar = Sidecar(spec())
    await sidecar.get(WAITING)
    for method in ("SendMessage", "CancelTask", "SubscribeToTask"):
        assert rules(await sidecar.begin(A2A + method, send(taskId="t1"))) == []


async def test_canceling_again_is_allowed():
    """A2A v1, 3.3.1: cancellation is idempotent."""
    sidecar = Sidecar(spec())
    await sidecar.get(CANCELED)
    assert rules(await sidecar.begin(A2A + "CancelTask", {"taskId": "t1"})) == []


async def test_another_services_method_of_that_name_is_another_thing():
    """Only A2A's text says what may not be asked."""
    sidecar = Sidecar(spec())
    await sidecar.get(DONE)
    assert rules(await sidecar.begin("/shop.Orders/CancelTask", {"taskId": "t1"})) == []


async def duplicates(second: Any, *, first: Any = None, state: str = WORKING, caller: str = "planner") -> list[str]:
    sidecar = Sidecar(spec())
    await sidecar.call(A2A + "SendMessage", send() if first is None else first, {"task": of(WORKING, "t1")})
    if state != WORKING:
        await sidecar.get(state, "t1")
    sidecar.route = Route("inbound", Side.INBOUND, caller, "writer", Mode.ENFORCE)
    return rules(await sidecar.call(A2A + "SendMessage", second, {"task": of(WORKING, "t2")}))


async def test_a_second_task_for_work_under_way_is_a_duplicate():
    """A retry mints a new messageId; what it asks for is the same."""
    assert await duplicates(send(message_id="m2")) == ["duplicate"]


@pytest.mark.parametrize(
    "facts",
    [
        {"second": send("something else", "m2")},
        {"second": send(message_id="m2", contextId="c2")},
        {"second": send(message_id="m2"), "state": DONE},
        {"second": send(message_id="m2"), "caller": "editor"},
        {"second": send(message_id="m2", taskId="t1")},
        {"second": send("x" * WORK_BYTES_MAX, "m2"), "first": send("x" * WORK_BYTES_MAX)},
        {"second": b"?", "first": b"?"},
        {"second": b"{", "first": b"{"},
    ],
)
async def test_other_work_is_no_duplicate(facts: dict[str, Any]):
    """Another text, context or caller, an earlier task that is over, or a request that cannot be compared."""
    assert await duplicates(**facts) == []


async def test_a_polled_task_is_not_its_own_duplicate():
    """The same task again is the same work, done once."""
    sidecar = Sidecar(spec())
    for _ in range(3):
        assert rules(await sidecar.call(A2A + "SendMessage", send(), {"task": of(WORKING)})) == []


def test_work_with_integers_beyond_64_bits_can_be_compared():
    """Where the fast engine gives up, Python's own goes on."""
    assert canonical({"b": 1 << 70, "a": 1}) == b'{"a": 1, "b": 1180591620717411303424}'


async def test_a_task_without_progress_is_told_once_a_spell():
    """Again after there was progress and then none; with the call by which it was seen last."""
    sidecar = Sidecar(spec())
    seen = await sidecar.call(A2A + "SendMessage", send(), {"task": of(WORKING)})
    sidecar.clock.advance(599)
    await sidecar.sweep.look()
    assert sidecar.told == []
    sidecar.clock.advance(2)
    for _ in range(3):
        await sidecar.sweep.look()
    [(exchange, finding)] = sidecar.told
    assert (finding.rule, finding.severity, finding.message) == (
        "stuck",
        Severity.WARNING,
        'a task in "TASK_STATE_WORKING" has made no progress for 601 s',
    )
    assert finding.evidence == {"idle_s": "601", "task": "t1"}
    assert (exchange.caller, exchange.callee, exchange.method) == ("planner", "writer", A2A + "SendMessage")
    assert exchange.lineage.exchange_id == seen.lineage.exchange_id
    assert sidecar.counts.census["writer"].stuck == 1
    await sidecar.call(A2A + "SubscribeToTask", {"taskId": "t1"}, {"task": of(WORKING)}, artifact())
    await sidecar.sweep.look()
    assert sidecar.counts.census["writer"].stuck == 0
    sidecar.clock.advance(601)
    await sidecar.sweep.look()
    assert [finding.rule for _, finding in sidecar.told] == ["stuck", "stuck"]


@pytest.mark.parametrize(
    "answer", [artifact(last=True), {"message": {"messageId": "m2", "taskId": "t1", "role": "ROLE_AGENT"}}]
)
async def test_an_answer_whose_task_never_ends_is_told_apart(answer: Any):
    """The work is done and nobody says so: whoever waits for the end waits for nothing."""
    sidecar = Sidecar()
    await sidecar.call(A2A + "SendStreamingMessage", send(), {"task": of(WORKING)}, answer)
    sidecar.clock.advance(601)
    await sidecar.sweep.look()
    [(_, finding)] = sidecar.told
    assert (finding.rule, finding.message) == (
        "answered",
        'an answer was seen, and 601 s later the task is still in "TASK_STATE_WORKING"',
    )


async def test_being_polled_is_no_progress():
    """A caller that asks every minute must not hide that nothing happens."""
    sidecar = Sidecar()
    for _ in range(12):
        await sidecar.get(WORKING)
        sidecar.clock.advance(60)
    await sidecar.sweep.look()
    assert [finding.rule for _, finding in sidecar.told] == ["stuck"]


async def test_what_merely_names_a_task_is_no_progress():
    """A push configuration has a taskId too."""
    sidecar = Sidecar()
    await sidecar.get(WORKING)
    sidecar.clock.advance(601)
    await sidecar.call(A2A + "GetTaskPushNotificationConfig", {"taskId": "t1"}, {"taskId": "t1", "url": "u"})
    await sidecar.sweep.look()
    assert [finding.rule for _, finding in sidecar.told] == ["stuck"]


async def test_a_task_that_waits_or_is_over_is_never_stuck():
    """The one waits for its caller, the other for nobody."""
    sidecar = Sidecar()
    await sidecar.get(WAITING, "t1")
    await sidecar.get(DONE, "t2")
    sidecar.clock.advance(10_000)
    await sidecar.sweep.look()
    assert sidecar.told == []
    assert sidecar.counts.census["writer"] == Census({WAITING: 1, DONE: 1}, 0)


async def test_the_sweep_goes_on_when_its_store_is_away_or_a_listener_fails():
    """It is a background job: nobody would notice that it has died."""
    sidecar = Sidecar(shared=Away())
    work = asyncio.create_task(sidecar.sweep.run())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not work.done()
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    assert sidecar.clock.monotonic_ns() >= 15e9


async def test_a_store_that_is_away_is_stood_in_for_and_counted():
    """An available edge goes on with what this process has seen."""
    sidecar = Sidecar(spec(), shared=Away())
    assert rules(await sidecar.get(DONE)) == []
    assert rules(await sidecar.get(WORKING)) == ["unfinished"]
    assert sidecar.fail_opens == 2


async def test_a_consistent_edge_refuses_while_the_store_is_away():
    """That is what its spec chose."""
    sidecar = Sidecar(spec(consistency="consistent"), shared=Away())
    exchange = await sidecar.get(DONE)
    assert isinstance(exchange.decision, Reject)
    assert exchange.decision.reason is Reason.STORE_UNAVAILABLE


async def test_where_another_sidecar_keeps_the_state_nothing_is_kept():
    """The callee's own counts its tasks."""
    route = Route("to-writer", Side.OUTBOUND, "planner", "writer", Mode.ENFORCE, Guarding.NEVER)
    sidecar = Sidecar(spec(), route=route)
    await sidecar.get(DONE)
    assert rules(await sidecar.get(WORKING)) == []
    assert sidecar.counts.moves == {}


@pytest.mark.parametrize(
    "payload", [b"?", b"{", b"[]", b"7", b'{"id": "t1"}', b'{"status": {"state": "odd"}, "id": "x"}']
)
async def test_what_cannot_be_read_or_says_nothing_of_a_task_passes(payload: bytes):
    """Bytes of an unknown type, garbage, and documents of any other shape."""
    for specs in ([], [spec()]):
        sidecar = Sidecar(*specs)
        exchange = await sidecar.call("/a.B/C", payload, payload)
        assert "crashed" not in rules(exchange)
        assert (await sidecar.store.tasks.census("writer", 600)).states == {}


async def test_a_path_that_a_document_is_too_deep_for_finds_no_task():
    """`..` ends at 100 levels."""
    document: Any = {}
    for _ in range(150):
        document = {"c": document}
    sidecar = Sidecar(spec(task={"id": "$..number", "state": "$.s", "machine": TABLE}))
    assert rules(await sidecar.call("/a.B/C", {}, document)) == []


async def test_hostile_ids_are_kept_short():
    """A task id of a megabyte is kept as its digest."""
    sidecar = Sidecar(spec())
    await sidecar.get(DONE, "x" * 1_000_000)
    exchange = await sidecar.get(WORKING, "x" * 1_000_000)
    assert len(exchange.findings[0].evidence["task"]) < 64
