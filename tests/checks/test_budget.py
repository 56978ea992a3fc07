"""The budget check: this was asked and answered, this was held and spent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from sidecar.checks.budget import Standing
from sidecar.engine.exchange import Exchange, Mode, Origin, Status
from sidecar.engine.finding import Finding, Forward, Reject, Severity
from sidecar.engine.message import Direction, Message
from sidecar.engine.recording import Recording
from sidecar.engine.state.spool import Spool
from sidecar.engine.state.window import Window
from sidecar.errors import Reason, StoreUnavailable
from sidecar.stores.memory import open_memory
from sidecar.testing import ManualClock
from tests.checks.money import CENT, USD, Sidecar, budget, costing, message, spec

TRACE = [("traceparent", f"00-{'1' * 32}-{'2' * 16}-01")]
OTHER = [("traceparent", f"00-{'3' * 32}-{'2' * 16}-01")]
UNKNOWN_MODEL = {"model": "house", "usage": {"input_tokens": 5, "output_tokens": 5}}


class Refusing:
    """Refuses every answer."""

    name = "refusing"
    fail = "open"

    def __init__(self, direction: Direction = Direction.RESPONSE) -> None:
        self.direction = direction

    def on_message(self, exchange: Exchange, message: Message) -> Iterable[Finding]:
        if message.direction is self.direction:
            yield Finding(self.name, "word", Severity.ERROR, "no", Reason.RESPONSE_SPEC_VIOLATION)


async def test_an_estimate_is_held_while_a_call_is_under_way_and_then_made_true():
    """Held before dispatch, settled after."""
    sidecar = Sidecar("writer", budget(hold_micro_usd=30_000))
    exchange = await sidecar.arrives(TRACE)
    assert isinstance(await sidecar.asks(exchange), Forward)
    assert await sidecar.money() == (0, 30_000)
    sidecar.engine.stamp(exchange)
    await sidecar.answers(exchange, costing(12_000))
    assert await sidecar.money() == (12_000, 0)
    assert sidecar.told.costs == [("writer", 12_000, "reported")]


async def test_a_call_that_no_longer_fits_is_refused_in_words():
    """Which budget, what is needed, what is left; for machines the subject of a QuotaFailure."""
    sidecar = Sidecar("writer", budget(limit=2 * CENT, warn_at=1.0))
    await sidecar.call(costing(15_000), metadata=TRACE)
    exchange = await sidecar.call(metadata=TRACE)
    assert isinstance(exchange.decision, Reject)
    assert exchange.decision.reason is Reason.BUDGET_EXHAUSTED
    assert exchange.decision.message == (
        "budget b: 0.01 USD are needed and 0.005 of 0.02 are left (0.015 spent, 0.00 held)"
    )
    assert exchange.findings[0].evidence["subject"] == f"budget:b:{'1' * 32}"
    assert sidecar.told.events == [("b", "overdrawn"), ("b", "refused")]
    assert await sidecar.money() == (15_000, 0)


@pytest.mark.parametrize(
    ("fits", "limit"), [(0, CENT - 1), (1, CENT), (1, 2 * CENT - 1), (2, 2 * CENT), (66, 66 * CENT)]
)
async def test_calls_at_once_never_overshoot_what_estimates_promise(fits: int, limit: int):
    """200 calls arrive before any has ended."""
    sidecar = Sidecar("writer", budget(scope="global", limit=limit))
    exchanges = [await sidecar.arrives() for _ in range(200)]
    decisions = await asyncio.gather(*(sidecar.asks(exchange) for exchange in exchanges))
    assert sum(isinstance(decision, Forward) for decision in decisions) == fits


@pytest.mark.parametrize("scope", ["conversation", "agent", "edge", "global"])
async def test_each_scope_has_purses_of_its_own(scope: str):
    """Conversations, callees, edges, or one for all."""
    sidecar = Sidecar("writer", budget(scope=scope, limit=CENT, warn_at=1.0))
    first = await sidecar.call(costing(CENT), metadata=TRACE)
    other_conversation = await sidecar.call(costing(CENT), metadata=OTHER)
    other_method = await sidecar.call(costing(CENT), metadata=TRACE, method="/a.B/C")
    refused = [isinstance(each.decision, Reject) for each in (first, other_conversation, other_method)]
    assert (
        refused
        == {
            "conversation": [False, False, True],
            "agent": [False, True, True],
            "edge": [False, True, False],
            "global": [False, True, True],
        }[scope]
    )


@pytest.mark.parametrize(
    ("route", "mode", "of_spec", "is_refused"),
    [
        (Mode.ENFORCE, None, None, True),
        (Mode.ENFORCE, Mode.ENFORCE, "enforce", True),
        (Mode.ENFORCE, Mode.OBSERVE, None, False),
        (Mode.ENFORCE, None, "observe", False),
        (Mode.OBSERVE, Mode.ENFORCE, None, False),
    ],
)
async def test_the_weakest_mode_wins_and_money_is_counted_in_every_mode(
    route: Mode, mode: Mode | None, of_spec: str | None, is_refused: bool
):
    """Observe says what enforcing would do, and changes nothing."""
    specs = [spec(mode=of_spec)] if of_spec else []
    sidecar = Sidecar("writer", budget(limit=CENT, mode=mode), mode=route, specs=specs)
    await sidecar.call(costing(CENT), metadata=TRACE)
    exchange = await sidecar.call(costing(CENT), metadata=TRACE)
    assert isinstance(exchange.decision, Reject) is is_refused
    assert exchange.findings[0].reason is Reason.BUDGET_EXHAUSTED
    assert await sidecar.money() == ((CENT if is_refused else 2 * CENT), 0)
    assert (exchange.hints == []) or route is Mode.ENFORCE


async def test_a_caller_is_told_when_the_limit_comes_near():
    """In a trailer that a framework can read, and only where it is enforced."""
    sidecar = Sidecar("writer", budget(limit=10 * CENT, warn_at=0.8))
    early = await sidecar.call(costing(7 * CENT), metadata=TRACE)
    late = await sidecar.call(costing(CENT), metadata=TRACE)
    assert (early.hints, late.hints) == ([], ["budget; name=b; remaining_usd=0.02"])
    assert late.findings[0].rule == "near-limit"
    assert sidecar.told.events == [("b", "overdrawn"), ("b", "warned")]
    quiet = Sidecar("writer", budget(limit=10 * CENT, warn_at=0.0), mode=Mode.OBSERVE)
    assert (await quiet.call(costing(1), metadata=TRACE)).hints == []


async def test_the_estimate_of_the_spec_is_held_where_there_is_one():
    """Else the default of the budget, of several the largest, and never zero."""
    specs = [spec(cost={"estimate_usd": 0.5})]
    sidecar = Sidecar("writer", budget(), specs=specs)
    await sidecar.asks(await sidecar.arrives())
    assert await sidecar.money() == (0, 500_000)
    sidecar = Sidecar("writer", budget(), budget("c", hold_micro_usd=70_000))
    await sidecar.asks(await sidecar.arrives())
    assert (await sidecar.money(), await sidecar.money("c")) == ((0, 70_000), (0, 70_000))


@pytest.mark.parametrize(
    ("answer", "spent", "source"),
    [
        (costing(7_000), 7_000, "reported"),
        (costing(70_000), 70_000, "reported"),
        ({"usage": {"cost_usd": 0.5}}, 500_000, "reported"),
        ({"usage": {"cost_usd": 0.0}}, 0, "reported"),
        ({}, CENT, "estimated"),
        (UNKNOWN_MODEL, CENT, "unknown"),
        ({"usage": {"input_tokens": 1, "output_tokens": 1}}, CENT, "unknown"),
    ],
    ids=str,
)
async def test_cost_is_reported_else_estimated_and_unknown_keeps_its_hold(answer: Any, spent: int, source: str):
    """A model without a price is never free."""
    sidecar = Sidecar("writer", budget())
    await sidecar.call(answer)
    assert await sidecar.money() == (spent, 0)
    assert sidecar.told.costs == [("writer", spent, source)]
    assert (("b", "overdrawn") in sidecar.told.events) is (spent > CENT)


async def test_the_paths_of_a_spec_say_where_usage_stands():
    """For agents with words of their own."""
    paths = {"model": "$.how", "input_tokens": "$.tokens[0]", "output_tokens": "$.tokens[1]"}
    sidecar = Sidecar("writer", budget(), specs=[spec(cost=paths)])
    await sidecar.call({"how": "m", "tokens": [30, "12"]})
    assert await sidecar.money() == (42, 0)


async def test_a_stream_settles_on_its_last_report():
    """Adding them up would charge a long stream many times over."""
    sidecar = Sidecar("writer", budget())
    await sidecar.call(costing(100), {}, costing(200), costing(5_000), {})
    assert await sidecar.money() == (5_000, 0)


async def test_trailers_report_usage_too():
    """After the last message, before the caller hears."""
    sidecar = Sidecar("writer", budget())
    trailers = [("gen_ai.usage.input_tokens", "77"), ("gen_ai.response.model", "m")]
    await sidecar.call({}, trailers=trailers)
    assert await sidecar.money() == (77, 0)


async def test_a_stream_that_is_broken_off_settles_on_what_was_reported():
    """Its last report, or its estimate if there was none."""
    for documents, spent in (([costing(300)], 300), ([{}], CENT), ([], CENT)):
        sidecar = Sidecar("writer", budget())
        exchange = await sidecar.arrives()
        await sidecar.asks(exchange)
        sidecar.engine.stamp(exchange)
        for document in documents:
            await sidecar.engine.message(exchange, message(document, Direction.RESPONSE))
        await sidecar.engine.end(exchange, Status("CANCELLED", origin=Origin.DOWNSTREAM))
        assert await sidecar.money() == (spent, 0)


async def test_a_call_that_never_went_out_is_given_back():
    """No connection, or refused by a later check: the callee saw nothing and did nothing."""
    sidecar = Sidecar("writer", budget(), checks=[Refusing(Direction.REQUEST)])
    exchange = await sidecar.arrives()
    assert isinstance(await sidecar.asks(exchange), Reject)
    assert await sidecar.money() == (0, CENT)
    await sidecar.engine.end(exchange, Status("UNAVAILABLE", origin=Origin.SIDECAR))
    assert await sidecar.money() == (0, 0)
    assert (sidecar.told.costs, sidecar.told.wasted) == ([], [])


async def test_what_an_earlier_check_refuses_is_not_held_at_all():
    """A malformed request costs nobody anything."""
    sidecar = Sidecar("writer", budget(), checks_before=[Refusing(Direction.REQUEST)])
    exchange = await sidecar.arrives()
    await sidecar.asks(exchange)
    assert await sidecar.money() == (0, 0)
    await sidecar.engine.end(exchange, Status("INTERNAL"))
    assert sidecar.told.costs == []


@pytest.mark.parametrize("is_before", [True, False])
async def test_an_answer_that_a_check_refuses_was_paid_for_and_wasted(is_before: bool):
    """Whether the check stands before this one or after it."""
    checks = {"checks_before": [Refusing()]} if is_before else {"checks": [Refusing()]}
    sidecar = Sidecar("writer", budget(), **checks)
    exchange = await sidecar.arrives()
    await sidecar.asks(exchange)
    sidecar.engine.stamp(exchange)
    await sidecar.engine.message(exchange, message(costing(900), Direction.RESPONSE))
    await sidecar.engine.end(exchange, Status("INTERNAL", origin=Origin.SIDECAR))
    assert await sidecar.money() == (900, 0)
    assert sidecar.told.wasted == [("refused_answer", 900)]


@pytest.mark.parametrize(
    ("check", "rule", "reason", "wasted"),
    [
        ("loop", "repeat", Reason.LOOP_DETECTED, "loop"),
        ("idempotency", "duplicate", Reason.DUPLICATE_IN_FLIGHT, "duplicate"),
        ("pressure", "retry", None, "retry"),
        ("loop", "near", None, None),
        ("spec", "x", Reason.REQUEST_SPEC_VIOLATION, None),
    ],
)
async def test_money_of_calls_that_others_would_have_refused_is_wasted(
    check: str, rule: str, reason: Reason | None, wasted: str | None
):
    """In observe they go on, and cost."""

    class Complaining:
        name = check
        fail = "open"

        def on_start(self, exchange: Exchange) -> Iterable[Finding]:
            yield Finding(check, rule, Severity.WARNING, "said", reason, Mode.OBSERVE)

    sidecar = Sidecar("writer", budget(), checks_before=[Complaining()])
    await sidecar.call(costing(5))
    assert sidecar.told.wasted == ([(wasted, 5)] if wasted else [])


async def test_an_answer_that_could_have_been_given_from_the_record_is_a_duplicate():
    """Where duplicates are only observed, the callee does the work again."""

    class Recorded:
        name = "idempotency"
        fail = "open"

        def on_start(self, exchange: Exchange) -> Iterable[Finding]:
            yield Finding(self.name, "known", Severity.INFO, "said", None, Mode.OBSERVE, recording=Recording("OK"))

    sidecar = Sidecar("writer", budget(), checks_before=[Recorded()])
    await sidecar.call(costing(5))
    assert sidecar.told.wasted == [("duplicate", 5)]


async def test_money_of_calls_that_fail_is_wasted():
    """With what was reported, else with the estimate."""
    sidecar = Sidecar("writer", budget())
    await sidecar.call(code="INTERNAL")
    await sidecar.call(costing(3), code="UNKNOWN")
    assert sidecar.told.wasted == [("failed", CENT), ("failed", 3)]


async def test_reads_of_a_task_hold_nothing_and_count_its_usage_once():
    """A client polls a task until it is done, and each answer repeats the whole of it."""
    sidecar = Sidecar("writer", budget(scope="global"))
    task = {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}
    done = {**task, "metadata": costing(400), "status": {"state": "TASK_STATE_COMPLETED"}}
    read = "/lf.a2a.v1.A2AService/GetTask"
    for answer in (task, task, done, done, done):
        exchange = await sidecar.arrives(method=read)
        await sidecar.asks(exchange)
        assert (await sidecar.money())[1] == 0
        sidecar.engine.stamp(exchange)
        exchange.names = exchange.names._replace(task_id="t")
        await sidecar.answers(exchange, answer)
    assert await sidecar.money() == (400, 0)


async def test_a_read_is_answered_from_a_budget_that_is_exhausted():
    """Whoever has paid may look at what was done."""
    sidecar = Sidecar("writer", budget(scope="global", limit=CENT))
    await sidecar.call(costing(CENT))
    assert isinstance((await sidecar.call({})).decision, Reject)
    assert isinstance((await sidecar.call({}, method="/lf.a2a.v1.A2AService/GetTask")).decision, Forward)
    assert await sidecar.money() == (CENT, 0)


async def test_a_purse_starts_anew_with_its_window():
    """The refusal says when."""
    sidecar = Sidecar("writer", budget(scope="global", limit=CENT, window=Window.DAY))
    await sidecar.call(costing(CENT))
    refused = await sidecar.call({})
    assert refused.findings[0].message.endswith("it starts anew at 2023-11-15T00:00:00Z")
    sidecar.clock.advance(86_400)
    assert isinstance((await sidecar.call({})).decision, Forward)


async def two_sidecars(spool: Any = None) -> tuple[Sidecar, Sidecar, Any, Any]:
    """One exchange that the caller's and the callee's sidecar both keep, on one ledger, as it stands at the callee."""
    clock = ManualClock()
    store = open_memory(clock)
    ours = Sidecar("planner", budget(scope="global"), store=store, clock=clock, is_shared=True, spool=spool)
    theirs = Sidecar("writer", budget(scope="global"), store=store, clock=clock, is_shared=True)
    out = await ours.leaves("writer")
    await ours.asks(out)
    inbound = await theirs.arrives(ours.engine.stamp(out))
    assert inbound.lineage.exchange_id == out.lineage.exchange_id
    await theirs.asks(inbound)
    assert await ours.money() == (0, CENT)
    return ours, theirs, out, inbound


async def test_an_exchange_of_two_sidecars_on_one_ledger_is_settled_once_by_the_callees():
    """Both keep the state of a call until they know of each other; the callee's is nearer to what it cost."""
    ours, theirs, out, inbound = await two_sidecars()
    theirs.engine.stamp(inbound)
    await theirs.answers(inbound, costing(7))
    assert await ours.money() == (7, 0)
    await ours.answers(out, costing(7), is_guarded_there=True)
    assert await ours.money() == (7, 0)
    assert ours.told.costs + theirs.told.costs == [("writer", 7, "reported")]


async def test_what_the_callees_sidecar_refuses_before_the_callee_is_asked_is_given_back_by_either():
    """By the callee's, or by the caller's where the other has not come to money at all."""
    ours, theirs, out, inbound = await two_sidecars()
    await theirs.engine.end(inbound, Status("UNAVAILABLE", origin=Origin.SIDECAR))
    assert await ours.money() == (0, 0)
    ours, theirs, out, _ = await two_sidecars()
    reply = (("sidecar-reply", "STORE_UNAVAILABLE"),)
    await ours.answers(out, trailers=reply, code="UNAVAILABLE", is_guarded_there=True, is_unseen=True)
    assert await ours.money() == (0, 0)
    assert (ours.told.costs, theirs.told.costs) == ([], [])


async def test_an_answer_from_the_callees_record_is_paid_for_once_though_it_says_what_it_cost():
    """It was charged when it was made; the caller's sidecar, which did not know of it, gives its hold back."""
    ours, _, out, _ = await two_sidecars()
    reply = (("sidecar-reply", "REPLAYED"),)
    await ours.answers(out, costing(7), trailers=reply, is_guarded_there=True, is_unseen=True)
    assert await ours.money() == (0, 0)
    assert ours.told.costs == []


async def test_of_an_answer_that_the_callees_sidecar_refused_that_one_tells_the_cost():
    """The caller's has not seen it, and would have put its estimate in the place of what was reported."""
    ours, theirs, out, inbound = await two_sidecars()
    reply = (("sidecar-reply", "RESPONSE_SPEC_VIOLATION"),)
    await ours.answers(out, trailers=reply, code="INTERNAL", is_guarded_there=True)
    assert await ours.money() == (0, CENT)
    theirs.engine.stamp(inbound)
    await theirs.answers(inbound, costing(7))
    assert await ours.money() == (7, 0)
    assert ours.told.costs + theirs.told.costs == [("writer", 7, "reported")]


async def test_a_long_method_makes_no_long_account():
    """Callers choose the methods that they call."""
    sidecar = Sidecar("writer", budget(scope="edge"))
    await sidecar.call(costing(5), method="/" + "x" * 10_000)
    fullest = await sidecar.store.ledger.fullest("b", 0)
    assert len(fullest[0].purse.account) < 100


async def test_without_a_budget_nothing_is_read_unless_it_is_asked_for():
    """What nobody asks for costs nothing."""
    silent, counting = Sidecar("writer"), Sidecar("writer", meters_all=True)
    declared = Sidecar("writer", specs=[spec(cost={"estimate_usd": 0.25})])
    for sidecar in (silent, counting, declared):
        await sidecar.call(costing(9))
        await sidecar.call({})
    assert silent.told.costs == []
    assert counting.told.costs == [("writer", 9, "reported")]
    assert declared.told.costs == [("writer", 9, "reported"), ("writer", 250_000, "estimated")]


async def test_a_payload_of_an_unknown_type_passes_and_costs_its_estimate():
    """Nothing can be read from it."""
    sidecar = Sidecar("writer", budget())
    exchange = await sidecar.arrives()
    assert isinstance(await sidecar.engine.message(exchange, Message(Direction.REQUEST, 0, b"\xff")), Forward)
    sidecar.engine.stamp(exchange)
    await sidecar.engine.message(exchange, Message(Direction.RESPONSE, 0, b"\xff"))
    await sidecar.answers(exchange)
    assert await sidecar.money() == (CENT, 0)


@pytest.mark.parametrize(("reason", "spent"), [("OVERLOADED", 0), ("RESPONSE_SPEC_VIOLATION", CENT), ("", CENT)])
async def test_what_the_callees_own_sidecar_let_through_to_nobody_costs_nothing(reason: str, spent: int):
    """Its reply says so. Whatever else it says, the callee was at work."""
    sidecar = Sidecar("planner", budget())
    exchange = await sidecar.leaves("writer")
    await sidecar.asks(exchange)
    sidecar.engine.stamp(exchange)
    trailers = (("sidecar-reply", reason),) if reason else ()
    await sidecar.answers(exchange, trailers=trailers, code="RESOURCE_EXHAUSTED")
    assert await sidecar.money() == (spent, 0)


async def test_a_stream_that_is_open_and_whose_first_request_is_refused_costs_nothing():
    """It had been dispatched with its headers; the callee has seen no message of it."""
    sidecar = Sidecar("writer", budget(), checks=[Refusing(Direction.REQUEST)])
    exchange = await sidecar.arrives()
    sidecar.engine.stamp(exchange)
    assert isinstance(await sidecar.asks(exchange), Reject)
    await sidecar.engine.end(exchange, Status("INVALID_ARGUMENT", origin=Origin.SIDECAR))
    assert await sidecar.money() == (0, 0)
    assert (sidecar.told.costs, sidecar.told.wasted) == ([], [])


class Deaf:
    """A ledger that holds and whose answer is lost, until it is heard again."""

    def __init__(self, ledger: Any) -> None:
        self.ledger, self.is_away = ledger, True

    def __getattr__(self, name: str) -> Any:
        async def verb(*arguments: Any, **more: Any) -> Any:
            answer = (
                await getattr(self.ledger, name)(*arguments, **more) if name == "reserve" or not self.is_away else 0
            )
            if self.is_away:
                raise StoreUnavailable("timed out", may_have_happened=True)
            return answer

        return verb


async def test_what_was_held_for_a_call_that_was_refused_because_nobody_said_so_is_given_back():
    """A consistent spec refuses it, and the hold may stand: it is settled when the ledger is heard again."""
    clock = ManualClock()
    store = open_memory(clock)
    deaf = Deaf(store.ledger)
    spool = Spool(deaf, clock)
    specs = [spec(consistency="consistent")]
    sidecar = Sidecar("writer", budget(), store=replace(store, ledger=deaf), clock=clock, specs=specs, spool=spool)
    exchange = await sidecar.call(costing(5))
    assert isinstance(exchange.decision, Reject)
    held = (await store.ledger.fullest("b", 0))[0].held_micro_usd
    deaf.is_away = False
    await spool.merge()
    assert (held, await sidecar.money(), spool.waiting) == (CENT, (0, 0), 0)


class Away:
    """A ledger that is away."""

    def __getattr__(self, name: str) -> Any:
        async def verb(*arguments: object, **more: object) -> None:
            raise StoreUnavailable("away")

        return verb


@pytest.mark.parametrize(("consistency", "is_refused"), [("consistent", True), ("available", False), (None, False)])
async def test_consistent_specs_are_refused_while_the_ledger_is_away(consistency: str | None, is_refused: bool):
    """That choice belongs to whoever wrote the spec."""
    clock = ManualClock()
    store = replace(open_memory(clock), ledger=Away())
    specs = [spec(consistency=consistency)] if consistency else []
    spool = Spool(store.ledger, clock)
    sidecar = Sidecar("writer", budget(), store=store, clock=clock, specs=specs, spool=spool)
    exchange = await sidecar.call(costing(5))
    assert isinstance(exchange.decision, Reject) is is_refused
    assert spool.waiting == (0 if is_refused else 1)
    if isinstance(exchange.decision, Reject):
        assert exchange.decision.reason is Reason.STORE_UNAVAILABLE
    await spool.close()


async def test_the_gauges_follow_the_fullest_purse():
    """Also where a window ends without a call."""
    sidecar = Sidecar("writer", purse := budget(window=Window.DAY))
    await sidecar.call(costing(5), metadata=TRACE)
    await sidecar.call(costing(9), metadata=OTHER)
    standing = Standing(sidecar.store.ledger, [purse], sidecar.told)
    await standing.tell()
    sidecar.clock.advance(86_400)
    await standing.tell()
    assert sidecar.told.stands == [("b", 2 * USD, 9), ("b", 2 * USD, 0)]
