"""The idempotency check: this call came, that one came again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from sidecar.checks.idempotency.duplicate import Origin as RetryOrigin
from sidecar.checks.idempotency.duplicate import Outcome
from sidecar.engine.exchange import Exchange, Mode, Origin, Status
from sidecar.engine.finding import Finding, Reject, Replay, Severity
from sidecar.engine.message import Direction, Message
from sidecar.engine.recording import Recording
from sidecar.errors import Reason, StoreUnavailable
from sidecar.stores.memory import open_memory
from sidecar.testing import CountingIds
from tests.checks.idempotency_script import Call, HeldClock, Sidecar, settled

ORDER = {"item": "tea", "messageId": "m1"}
BY_KEY: dict[str, Any] = {"idempotency": {"key": "$.messageId"}}


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


def reason(call: Call) -> Reason | None:
    return call.decision.reason if isinstance(call.decision, Reject) else None


def replayed(call: Call) -> Recording:
    assert isinstance(call.decision, Replay)
    return call.decision.recording


# Records.


async def test_a_second_call_is_answered_from_the_record_byte_for_byte(clock: HeldClock):
    """Headers, messages, trailers and status; the callee is not asked again."""
    sidecar = Sidecar(clock)
    first = await sidecar.begin()
    await first.request(ORDER)
    first.engine.stamp(first.exchange)
    await first.response({"n": 1}, 0)
    await first.response({"n": 2}, 1)
    headers, trailers = (("h", "1"), ("h", "2")), (("t-bin", b"\x00\xff"),)
    await first.answer(Status("OK", "well"), headers=headers, trailers=trailers)
    second = await sidecar.run(ORDER)
    assert replayed(second) == Recording("OK", "well", (b'{"n": 1}', b'{"n": 2}'), headers, trailers)
    assert sidecar.counted.duplicates == [Outcome.REPLAYED]


async def test_final_errors_are_recorded_too(clock: HeldClock):
    """The callee has decided, and would only be asked to decide again."""
    sidecar = Sidecar(clock)
    await sidecar.run(ORDER, status=Status("NOT_FOUND", "no tea"))
    second = await sidecar.run(ORDER)
    assert (replayed(second).code, replayed(second).details) == ("NOT_FOUND", "no tea")


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"])
async def test_codes_that_tell_nothing_of_the_outcome_are_never_replayed(clock: HeldClock, code: str):
    """A duplicate hears OUTCOME_UNKNOWN, until `retain` has passed."""
    sidecar = Sidecar(clock, idempotency={"retain": "1h"})
    await sidecar.run(ORDER, status=Status(code))
    second = await sidecar.run(ORDER)
    assert reason(second) is Reason.OUTCOME_UNKNOWN
    clock.advance(3601)
    assert (await sidecar.run(ORDER)).decision.label == "forward"


async def test_a_status_that_the_transport_made_up_is_outcome_unknown(clock: HeldClock):
    """A reset shows as INTERNAL; the callee never said that."""
    sidecar = Sidecar(clock)
    call = await sidecar.begin()
    await call.request(ORDER)
    await call.run(status=Status("INTERNAL", "Received RST_STREAM", Origin.TRANSPORT))
    assert reason(await sidecar.run(ORDER)) is Reason.OUTCOME_UNKNOWN


async def test_a_caller_who_leaves_in_the_middle_leaves_the_outcome_unknown(clock: HeldClock):
    """The callee was at work."""
    sidecar = Sidecar(clock)
    call = await sidecar.begin()
    await call.request(ORDER)
    call.engine.stamp(call.exchange)
    await call.abandon()
    assert reason(await sidecar.run(ORDER)) is Reason.OUTCOME_UNKNOWN


@pytest.mark.parametrize("was_asked", [True, False])
async def test_what_never_went_out_frees_the_key(clock: HeldClock, was_asked: bool):
    """No connection, no time, or a caller that left before: the next one may run."""
    sidecar = Sidecar(clock)
    call = await sidecar.begin()
    await call.request(ORDER)
    await (call.end_as_decided() if was_asked else call.abandon())
    assert (await sidecar.run(ORDER)).decision.label == "forward"
    assert sidecar.counted.duplicates == []


class Refusing:
    """A later check that refuses messages of one direction, once."""

    name = "refusing"
    fail = "open"

    def __init__(self, direction: Direction) -> None:
        self.direction: Direction | None = direction

    def on_message(self, exchange: Exchange, message: Message) -> list[Finding] | None:
        if message.direction is not self.direction:
            return None
        self.direction = None
        return [Finding(self.name, "no", Severity.ERROR, "no", Reason.LOOP_DETECTED)]


@pytest.mark.parametrize("is_open", [False, True])
async def test_a_refusal_after_the_claim_frees_it(clock: HeldClock, is_open: bool):
    """Also where a stream was opened before its first message came: the callee has seen no request."""
    sidecar = Sidecar(clock, more_checks=[Refusing(Direction.REQUEST)])
    call = await sidecar.begin()
    if is_open:
        call.engine.stamp(call.exchange)
    assert (await call.request(ORDER)).label == "reject"
    await call.end_as_decided()
    assert (await sidecar.run(ORDER)).decision.label == "forward"


async def test_an_answer_that_was_refused_is_done_and_not_given_again(clock: HeldClock):
    """The callee has run, and its answer was judged unfit: no other caller is given it."""
    sidecar = Sidecar(clock, more_checks=[Refusing(Direction.RESPONSE)])
    assert reason(await sidecar.run(ORDER)) is Reason.LOOP_DETECTED
    second = await sidecar.run(ORDER)
    assert (reason(second), second.rules) == (Reason.ANSWER_NOT_KEPT, ["answer-not-kept"])


async def test_a_stream_that_was_cut_off_by_a_refusal_is_outcome_unknown(clock: HeldClock):
    """Nobody knows how far its callee came."""
    sidecar = Sidecar(clock, answers_once=False, more_checks=[Refusing(Direction.RESPONSE)])
    await sidecar.run(ORDER)
    assert reason(await sidecar.run(ORDER)) is Reason.OUTCOME_UNKNOWN


async def test_a_request_that_breaks_its_spec_is_never_claimed(clock: HeldClock):
    """The spec check comes first."""
    sidecar = Sidecar(clock, request={"schema": {"required": ["item"]}}, **BY_KEY)
    assert reason(await sidecar.run({"messageId": "m1"})) is Reason.REQUEST_SPEC_VIOLATION
    assert (await sidecar.run(ORDER)).decision.label == "forward"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [("OVERLOADED", None), ("UPSTREAM_UNREACHABLE", None), ("OUTCOME_UNKNOWN", Reason.OUTCOME_UNKNOWN)],
)
async def test_a_refusal_of_the_callees_own_sidecar_is_no_answer_of_the_callee(
    clock: HeldClock, reply: str, expected: Reason | None
):
    """It says in a trailer whether the callee has seen the request."""
    sidecar = Sidecar(clock)
    call = await sidecar.begin()
    await call.request(ORDER)
    code = "UNAVAILABLE" if reply == "UPSTREAM_UNREACHABLE" else "RESOURCE_EXHAUSTED"
    await call.run(status=Status(code), trailers=(("sidecar-reply", reply),))
    assert reason(await sidecar.run(ORDER)) is expected


SIZE = len(b'"' + b"x" * 98 + b'"')


LIMITS = [(0, False), (1, False), (SIZE - 1, False), (SIZE, True), (SIZE + 1, True)]


@pytest.mark.parametrize(("limit", "is_kept"), LIMITS)
async def test_an_answer_over_the_limit_is_done_and_not_kept(clock: HeldClock, limit: int, is_kept: bool):
    """A duplicate is told that it was done: no made-up success, and no second execution."""
    sidecar = Sidecar(clock, record_bytes=limit)
    await sidecar.run(ORDER, answer="x" * 98)
    second = await sidecar.run(ORDER)
    assert second.decision.label == ("replay" if is_kept else "reject")
    if not is_kept:
        assert (reason(second), sidecar.counted.duplicates) == (Reason.ANSWER_NOT_KEPT, [Outcome.NOT_KEPT])


async def test_the_limit_holds_for_a_stream_as_a_whole(clock: HeldClock):
    """Each message fits, and all together do not."""
    sidecar = Sidecar(clock, record_bytes=10, answers_once=False)
    call = await sidecar.begin()
    await call.request(ORDER)
    call.engine.stamp(call.exchange)
    for sequence in range(6):
        await call.response(1, sequence)
    for sequence in range(6, 12):
        await call.response(1, sequence)
    await call.answer(Status("OK"))
    assert reason(await sidecar.run(ORDER)) is Reason.ANSWER_NOT_KEPT


# Keys.


async def test_without_a_key_the_arguments_are_the_key(clock: HeldClock):
    """A new message id and a new time are the same question; another text is another one."""
    sidecar = Sidecar(clock)
    await sidecar.run({"item": "tea", "messageId": "m1", "timestamp": "2026-01-01T00:00:00Z"})
    again = {"timestamp": "2026-01-01T00:00:31Z", "messageId": "m2", "item": "tea"}
    assert (await sidecar.run(again)).decision.label == "replay"
    assert (await sidecar.run({**again, "item": "coffee"})).decision.label == "forward"


async def test_another_payload_under_one_key_is_a_conflict(clock: HeldClock):
    """The caller made a mistake, and neither answer would be right."""
    sidecar = Sidecar(clock, **BY_KEY)
    await sidecar.run(ORDER)
    second = await sidecar.run({**ORDER, "item": "coffee"})
    assert (reason(second), second.finding.severity) == (Reason.IDEMPOTENCY_CONFLICT, Severity.ERROR)
    assert sidecar.counted.duplicates == [Outcome.CONFLICT]
    assert sidecar.counted.retries == []


@pytest.mark.parametrize("document", [{"item": "tea"}, {"messageId": ""}, {"messageId": None}, {"messageId": []}, 7])
async def test_a_request_without_its_key_passes_and_says_so(clock: HeldClock, document: Any):
    """Both times."""
    sidecar = Sidecar(clock, **BY_KEY)
    for _ in range(2):
        call = await sidecar.run(document)
        assert (call.decision.label, call.rules) == ("forward", ["no-key"])


async def test_a_replay_never_crosses_two_callers(clock: HeldClock):
    """The same key of another caller is another key."""
    sidecar = Sidecar(clock, **BY_KEY)
    await sidecar.run(ORDER, caller="planner")
    assert (await sidecar.run(ORDER, caller="writer")).decision.label == "forward"
    assert (await sidecar.run(ORDER, method="/shop.Orders/Cancel")).decision.label == "forward"


async def test_calls_of_an_unknown_caller_are_not_claimed(clock: HeldClock):
    """Two strangers would share one name, and one could be given the other's answer."""
    sidecar = Sidecar(clock)
    for _ in range(2):
        call = await sidecar.run(ORDER, caller="_unknown")
        assert (call.decision.label, call.rules) == ("forward", ["unknown-caller"])


async def test_without_a_key_another_authority_is_another_call(clock: HeldClock):
    """One agent asks for two users: neither is given what the other may see."""
    sidecar = Sidecar(clock)
    await sidecar.run(ORDER, metadata=[("authorization", "Bearer alice")])
    assert (await sidecar.run(ORDER, metadata=[("authorization", "Bearer bob")])).decision.label == "forward"
    assert (await sidecar.run(ORDER, metadata=[("authorization", "Bearer alice")])).decision.label == "replay"


async def test_payloads_that_cannot_be_read_pass(clock: HeldClock):
    """Nothing is known of their type."""
    sidecar = Sidecar(clock)
    call = await sidecar.begin()
    decision = await call.engine.message(call.exchange, Message(Direction.REQUEST, 0, b"\x00\x01"))
    assert (decision.label, call.rules) == ("forward", ["unreadable"])


async def test_edges_without_the_block_are_left_alone(clock: HeldClock):
    """And so is an exchange whose state another sidecar keeps."""
    sidecar = Sidecar(clock)
    call = await sidecar.begin()
    call.exchange.is_guarded_here = False
    await call.request(ORDER)
    await call.run()
    assert call.rules == []
    assert (await sidecar.run(ORDER)).decision.label == "forward"


async def test_no_finding_quotes_the_payload(clock: HeldClock):
    """Findings reach logs and spans."""
    sidecar = Sidecar(clock, **BY_KEY)
    await sidecar.run({"item": "secret", "messageId": "hidden"})
    second = await sidecar.run({"item": "secret", "messageId": "hidden"})
    third = await sidecar.run({"item": "other secret", "messageId": "hidden"})
    told = repr((second.finding.message, second.finding.evidence, third.exchange.findings))
    assert "secret" not in told
    assert "hidden" not in told


# In flight.


async def begun(sidecar: Sidecar, document: Any = ORDER, **more: Any) -> Call:
    call = await sidecar.begin(**more)
    assert (await call.request(document)).label == "forward"
    return call


async def waiting(sidecar: Sidecar, document: Any = ORDER, **more: Any) -> tuple[Call, asyncio.Task[Any]]:
    call = await sidecar.begin(**more)
    task = asyncio.create_task(call.request(document))
    await settled()
    return call, task


async def test_a_duplicate_in_flight_waits_for_the_first_answer(clock: HeldClock):
    """And is woken at once, without a pause."""
    sidecar = Sidecar(clock)
    first = await begun(sidecar)
    second, task = await waiting(sidecar)
    assert not task.done()
    await first.run({"n": 1})
    await settled()
    assert (await task).label == "replay"
    assert replayed(second).messages == (b'{"n": 1}',)
    assert sidecar.counted.duplicates == [Outcome.WAITED]


async def test_any_number_of_duplicates_wait_for_one_execution(clock: HeldClock):
    """One runs, all are answered."""
    sidecar = Sidecar(clock)
    first = await begun(sidecar)
    others = [await waiting(sidecar) for _ in range(20)]
    await first.run({"n": 1})
    assert {(await task).label for _, task in others} == {"replay"}


async def test_a_duplicate_at_another_sidecar_asks_the_store_until_the_answer_is_there(clock: HeldClock):
    """Two processes, one store: with growing pauses."""
    ids, store = CountingIds(), open_memory(clock)
    here, there = Sidecar(clock, store, ids=ids), Sidecar(clock, store, ids=ids)
    first = await begun(here)
    _, task = await waiting(there)
    await clock.pass_time(5)
    assert not task.done()
    await first.run({"n": 1})
    await clock.pass_time(1.1)
    assert task.done()
    assert (await task).label == "replay"


async def test_a_duplicate_waits_no_longer_than_configured(clock: HeldClock):
    """Then it is told that the first is under way."""
    sidecar = Sidecar(clock, wait_s=10)
    first = await begun(sidecar)
    second, task = await waiting(sidecar)
    await clock.pass_time(9.9)
    assert not task.done()
    await clock.pass_time(0.2)
    await task
    assert (reason(second), second.finding.retry_delay_s) == (Reason.DUPLICATE_IN_FLIGHT, 1.0)
    assert second.exchange.waited_ns / 1e9 == pytest.approx(10, abs=0.1)
    await first.run()


async def test_a_duplicate_is_told_before_its_own_deadline(clock: HeldClock):
    """Else nobody would hear it."""
    sidecar = Sidecar(clock)
    first = await begun(sidecar)
    second, task = await waiting(sidecar, remaining_s=2.0)
    await clock.pass_time(1.9)
    assert task.done()
    assert reason(second) is Reason.DUPLICATE_IN_FLIGHT
    await first.run()


async def test_with_no_time_to_wait_a_duplicate_is_told_at_once(clock: HeldClock):
    """`wait: 0s`."""
    sidecar = Sidecar(clock, wait_s=0)
    first = await begun(sidecar)
    assert reason(await sidecar.run(ORDER)) is Reason.DUPLICATE_IN_FLIGHT
    await first.run()


async def test_when_the_first_is_refused_one_of_those_who_wait_runs_in_its_place(clock: HeldClock):
    """And the others go on waiting for that one."""
    sidecar = Sidecar(clock)
    first = await begun(sidecar)
    (one, one_task), (_, two_task) = await waiting(sidecar), await waiting(sidecar)
    await first.end_as_decided()
    await settled()
    assert one_task.done()
    assert (await one_task).label == "forward"
    assert not two_task.done()
    await one.run({"n": 2})
    assert (await two_task).label == "replay"


async def test_duplicates_reject_are_told_at_once_and_later_ones_are_answered(clock: HeldClock):
    """Only the waiting differs."""
    sidecar = Sidecar(clock, idempotency={"duplicates": "reject"})
    first = await begun(sidecar)
    assert reason(await sidecar.run(ORDER)) is Reason.DUPLICATE_IN_FLIGHT
    await first.run()
    assert (await sidecar.run(ORDER)).decision.label == "replay"


@pytest.mark.parametrize("way", ["route", "spec", "duplicates"])
async def test_in_observe_duplicates_are_found_and_nothing_waits_or_is_replayed(clock: HeldClock, way: str):
    """Whichever level says so."""
    more: dict[str, Any] = {"spec": {"mode": "observe"}, "duplicates": {"idempotency": {"duplicates": "observe"}}}
    sidecar = Sidecar(clock, **more.get(way, {}))
    mode = Mode.OBSERVE if way == "route" else Mode.ENFORCE
    first = await begun(sidecar, mode=mode)
    assert first.exchange.is_awaited is None
    second = await sidecar.run(ORDER, mode=mode)
    await first.run()
    third = await sidecar.run(ORDER, mode=mode)
    assert [second.decision.label, third.decision.label] == ["forward", "forward"]
    assert [second.rules, third.rules] == [["in-flight"], ["duplicate"]]
    assert sidecar.counted.duplicates == [Outcome.OBSERVED] * 2


async def test_the_first_call_knows_whether_others_wait(clock: HeldClock):
    """Here or at another sidecar; one that left does not count for long."""
    ids, store = CountingIds(), open_memory(clock)
    here, there = Sidecar(clock, store, ids=ids), Sidecar(clock, store, ids=ids)
    first = await begun(here)
    ask = first.exchange.is_awaited
    assert ask is not None
    assert not await ask()
    _, near = await waiting(here)
    assert await ask()
    near.cancel()
    await clock.pass_time(3)
    assert not await ask()
    _, far = await waiting(there)
    await clock.pass_time(10)
    assert await ask()
    far.cancel()
    await clock.pass_time(3.5)
    assert not await ask()
    await first.run()
    assert first.exchange.is_awaited is None


async def test_a_claim_whose_caller_leaves_while_the_store_is_asked_is_given_back(clock: HeldClock):
    """Nothing was dispatched, so nothing may be in doubt."""
    sidecar = Sidecar(clock)
    slow = asyncio.Event()
    claim = sidecar.store.claims.claim

    async def slowly(*arguments: Any, **more: Any) -> Any:
        await slow.wait()
        return await claim(*arguments, **more)

    object.__setattr__(sidecar.store.claims, "claim", slowly)
    call, task = await waiting(sidecar)
    task.cancel()
    await settled()
    await call.abandon()
    slow.set()
    await settled()
    assert (await sidecar.run(ORDER)).decision.label == "forward"


async def test_an_exchange_that_passes_two_sidecars_is_claimed_once(clock: HeldClock):
    """The second sees that it is the same exchange, waits for nothing, and does not settle what is not its own."""
    store = open_memory(clock)
    outbound, inbound = Sidecar(clock, store), Sidecar(clock, store)
    first, same = await begun(outbound), await begun(inbound)
    assert first.exchange.lineage.exchange_id == same.exchange.lineage.exchange_id
    await same.run({"n": 1})
    assert [first.rules, same.rules] == [[], []]
    _, task = await waiting(Sidecar(clock, store, ids=CountingIdsFrom(50)))
    assert not task.done()
    await first.run({"n": 1})
    await clock.pass_time(1.1)
    assert (await task).label == "replay"


class CountingIdsFrom(CountingIds):
    def __init__(self, first: int) -> None:
        super().__init__()
        for _ in range(first):
            self.exchange_id()


# Long calls and lost holders.


def kill(sidecar: Sidecar) -> None:
    """Nobody extends its claims any more."""
    task = sidecar.check._keeper._task
    assert task is not None
    task.cancel()


async def test_a_long_call_keeps_its_claim(clock: HeldClock):
    """Its lease is extended for as long as it lasts."""
    ids, store = CountingIds(), open_memory(clock)
    sidecar, other = Sidecar(clock, store, ids=ids), Sidecar(clock, store, ids=ids, wait_s=0)
    first = await begun(sidecar)
    await clock.pass_time(300, step_s=1)
    assert reason(await other.run(ORDER)) is Reason.DUPLICATE_IN_FLIGHT
    await first.run()
    assert (await other.run(ORDER)).decision.label == "replay"


async def test_a_holder_that_dies_leaves_the_outcome_unknown(clock: HeldClock):
    """Those who wait hear it when the lease has run out."""
    ids, store = CountingIds(), open_memory(clock)
    dead, alive = Sidecar(clock, store, ids=ids), Sidecar(clock, store, ids=ids, wait_s=60)
    await begun(dead)
    kill(dead)
    second, task = await waiting(alive)
    await clock.pass_time(29)
    assert not task.done()
    await clock.pass_time(3)
    await task
    assert reason(second) is Reason.OUTCOME_UNKNOWN


# A store that is away.


class Away:
    """Stands before claims, and can be away."""

    def __init__(self, claims: Any) -> None:
        self._claims = claims
        self.is_away = False
        self.loses_answers = False

    def __getattr__(self, verb: str) -> Any:
        async def ask(*arguments: Any, **more: Any) -> Any:
            if self.is_away:
                raise StoreUnavailable("away")
            answer = await getattr(self._claims, verb)(*arguments, **more)
            if self.loses_answers:
                raise StoreUnavailable("timed out")
            return answer

        return ask


def with_away(clock: HeldClock, **more: Any) -> tuple[Sidecar, Away]:
    memory = open_memory(clock)
    away = Away(memory.claims)
    store = replace(memory, kind="redis", claims=away)
    return Sidecar(clock, store, local=open_memory(clock), **more), away


async def test_available_goes_on_with_claims_of_its_own_and_says_so(clock: HeldClock):
    """Within this process the promise still holds."""
    sidecar, away = with_away(clock, consistency="available")
    away.is_away = True
    assert (await sidecar.run(ORDER)).decision.label == "forward"
    assert (await sidecar.run(ORDER)).decision.label == "replay"
    assert sidecar.fail_opens == 2


async def test_consistent_refuses_and_frees_the_key_when_the_store_is_back(clock: HeldClock):
    """Nothing was dispatched, whatever the store may have taken."""
    sidecar, away = with_away(clock, consistency="consistent")
    away.is_away = True
    call = await sidecar.run(ORDER)
    assert reason(call) is Reason.STORE_UNAVAILABLE
    away.is_away = False
    await clock.pass_time(11)
    assert (await sidecar.run(ORDER)).decision.label == "forward"


async def test_what_the_store_did_not_take_at_the_end_is_told_later(clock: HeldClock):
    """The answer is not lost with the connection."""
    sidecar, away = with_away(clock, consistency="consistent")
    call = await begun(sidecar)
    away.is_away = True
    await call.run({"n": 1})
    assert "store-away" in call.rules
    await clock.pass_time(15)
    away.is_away = False
    await clock.pass_time(11)
    assert (await sidecar.run(ORDER)).decision.label == "replay"


async def test_a_claim_that_the_store_lost_is_said(clock: HeldClock):
    """Another may have run meanwhile: nobody else would ever know."""
    sidecar = Sidecar(clock, idempotency={"retain": "1s"})
    call = await begun(sidecar)
    kill(sidecar)
    clock.advance(60)
    await call.run()
    assert call.rules == ["fenced"]


# Diagnosis.


async def test_the_same_key_again_is_a_retry_from_below(clock: HeldClock):
    """Something under the agent sent the very same message once more."""
    sidecar = Sidecar(clock, **BY_KEY)
    await sidecar.run(ORDER)
    clock.advance(2)
    second = await sidecar.run(ORDER)
    evidence = second.finding.evidence
    assert (evidence["origin"], evidence["spacing_ms"], evidence["duplicates"]) == ("below", "2000", "1")
    assert sidecar.counted.retries == [(RetryOrigin.BELOW, False)]
    assert second.finding.message.endswith("sent again after 2 s under the same key, so from below the agent")


async def test_the_same_arguments_under_a_new_key_are_a_retry_from_above(clock: HeldClock):
    """It runs, because another key is another call, and it is said."""
    sidecar = Sidecar(clock, **BY_KEY)
    await sidecar.run(ORDER)
    clock.advance(2)
    second = await sidecar.run({**ORDER, "messageId": "m2"})
    assert (second.decision.label, second.rules) == ("forward", ["retry"])
    assert second.finding.evidence["origin"] == "above"
    assert sidecar.counted.duplicates == []
    assert sidecar.counted.retries == [(RetryOrigin.ABOVE, False)]


@pytest.mark.parametrize(("id_", "origin"), [("m1", "below"), ("m2", "above"), (None, "unknown")])
async def test_where_the_arguments_are_the_key_the_message_id_tells(clock: HeldClock, id_: str | None, origin: str):
    """A new id was made by whoever asked again."""
    sidecar = Sidecar(clock)
    await sidecar.run(ORDER)
    second = await sidecar.run({"item": "tea", **({"messageId": id_} if id_ else {})})
    assert second.decision.label == "replay"
    assert second.finding.evidence["origin"] == origin


SPACINGS = [(10, "false"), (28, "false"), (29, "true"), (31, "true"), (34, "false")]


@pytest.mark.parametrize(("spacing_s", "is_near"), SPACINGS)
async def test_spacing_near_the_deadline_of_the_call_before_says_so(clock: HeldClock, spacing_s: float, is_near: str):
    """Duplicates just past a 30 s deadline were made because it passed."""
    sidecar = Sidecar(clock)
    await sidecar.run(ORDER, remaining_s=30.0, status=Status("DEADLINE_EXCEEDED"))
    clock.advance(spacing_s)
    second = await sidecar.run({**ORDER, "messageId": "m2"})
    assert second.finding.evidence["near_deadline"] == is_near
    assert ("deadline of 30 s passed" in second.finding.message) is (is_near == "true")


@pytest.mark.parametrize(("value", "count"), [("0", 0), ("1", 1), ("12", 1), ("x", 0), ("-1", 0), ("", 0)])
async def test_retries_that_grpc_announces_are_counted_on_every_edge(clock: HeldClock, value: str, count: int):
    """Also where no spec has the block; and once, where it is found to be a duplicate as well."""
    sidecar = Sidecar(clock, match={"callee": "nobody"})
    await sidecar.run(ORDER, metadata=[("grpc-previous-rpc-attempts", value)])
    assert len(sidecar.counted.retries) == count


async def test_an_announced_retry_that_is_a_duplicate_is_counted_once(clock: HeldClock):
    """Its evidence says whose it is."""
    sidecar = Sidecar(clock)
    await sidecar.run(ORDER)
    second = await sidecar.run(ORDER, metadata=[("grpc-previous-rpc-attempts", "1")])
    assert second.finding.evidence["origin"] == "grpc"
    assert len(sidecar.counted.retries) == 1


# What was written stays readable.


def test_a_recording_survives_the_store_byte_for_byte():
    """Text and bytes, empty and not."""
    recording = Recording("OK", "é", (b"", b"\x00\xff"), (("a", "1"), ("a", "")), (("b-bin", b""), ("c-bin", b"\xff")))
    assert Recording.from_bytes(recording.to_bytes()) == recording


async def test_a_record_of_another_format_is_done_and_not_replayed(clock: HeldClock):
    """A later version may have written it."""
    sidecar = Sidecar(clock)
    original = sidecar.store.claims.complete
    for garbage in (b"\xff", b"\x08\x63\x12\x02OK", b"\x12\x02OK", b""):
        write = partial(stored, original, garbage)
        object.__setattr__(sidecar.store.claims, "complete", write)
        await sidecar.run({"item": garbage.hex()})
        assert reason(await sidecar.run({"item": garbage.hex()})) is Reason.ANSWER_NOT_KEPT


def stored(complete: Any, garbage: bytes, key: str, token: int, recording: bytes | None) -> Any:
    return complete(key, token, garbage)


async def test_what_the_store_did_not_take_is_known_to_what_stands_in_for_it(clock: HeldClock):
    """A duplicate that comes while the store is away is not run again by the process that ran the first."""
    sidecar, away = with_away(clock, consistency="available")
    done, lost = await begun(sidecar), await begun(sidecar, {"item": "lost"})
    away.is_away = True
    await done.run({"n": 1})
    await lost.run(status=Status("UNAVAILABLE"))
    assert (await sidecar.run(ORDER)).decision.label == "replay"
    assert reason(await sidecar.run({"item": "lost"})) is Reason.OUTCOME_UNKNOWN


async def test_a_duplicate_that_waits_while_the_store_is_away_does_not_run(clock: HeldClock):
    """It knows that another has the key: it goes on waiting, and is answered when the store is back."""
    sidecar, away = with_away(clock, consistency="available")
    other = Sidecar(clock, sidecar.store, ids=CountingIdsFrom(50))
    first = await begun(other)
    (second, task), (third, third_task) = await waiting(sidecar, remaining_s=10), await waiting(sidecar)
    away.is_away = True
    await clock.pass_time(10)
    assert (task.done(), third_task.done()) == (True, False)
    assert reason(second) is Reason.DUPLICATE_IN_FLIGHT
    away.is_away = False
    await first.run({"n": 1})
    await clock.pass_time(1.1)
    assert replayed(third).messages == (b'{"n": 1}',)


async def test_a_claim_whose_answer_was_lost_while_waiting_is_ours(clock: HeldClock):
    """The first was refused, the store gave us the key, and its answer did not arrive."""
    sidecar, away = with_away(clock, consistency="available")
    other = Sidecar(clock, sidecar.store, ids=CountingIdsFrom(50))
    first = await begun(other)
    second, task = await waiting(sidecar)
    await first.end_as_decided()
    away.loses_answers = True
    await clock.pass_time(1)
    assert not task.done()
    away.loses_answers = False
    await clock.pass_time(1.1)
    assert (await task).label == "forward"
    await second.run({"n": 2})
    assert (await sidecar.run(ORDER)).decision.label == "replay"


class RefusingTheEnd:
    """A later check that refuses the callee's status, once."""

    name = "refusing the end"
    fail = "open"

    def __init__(self) -> None:
        self.has_refused = False

    def on_answer(self, exchange: Exchange, answer: Any) -> list[Finding] | None:
        if self.has_refused:
            return None
        self.has_refused = True
        return [Finding(self.name, "no", Severity.ERROR, "no", Reason.ILLEGAL_TASK_TRANSITION)]


async def test_an_answer_that_was_refused_at_its_end_is_not_given_again_either(clock: HeldClock):
    """All of it had been recorded by then."""
    sidecar = Sidecar(clock, more_checks=[RefusingTheEnd()])
    assert reason(await sidecar.run(ORDER)) is Reason.ILLEGAL_TASK_TRANSITION
    assert reason(await sidecar.run(ORDER)) is Reason.ANSWER_NOT_KEPT


async def test_a_refused_call_whose_claim_the_store_took_silently_is_given_back(clock: HeldClock):
    """The store was slow, the call was refused, and the next one must not find the key taken."""
    sidecar, away = with_away(clock, consistency="consistent")
    away.loses_answers = True
    assert reason(await sidecar.run(ORDER)) is Reason.STORE_UNAVAILABLE
    away.loses_answers = False
    await clock.pass_time(11)
    assert (await sidecar.run(ORDER)).decision.label == "forward"
