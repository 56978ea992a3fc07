"""Limits and retry budgets: this call came in, this was said of it."""

from __future__ import annotations

import pytest

from sidecar.checks.pressure import Limit, PressureSettings, RetryTerms
from sidecar.engine.exchange import Guarding, Mode, Origin
from sidecar.engine.finding import Reject, Severity
from sidecar.engine.specs import compile_spec
from sidecar.engine.state.pressure import Rate, RetryBudget
from sidecar.errors import Reason, StoreUnavailable
from sidecar.stores.memory import MemoryPressure
from sidecar.testing import ManualClock
from tests.checks.pressure_line import Line, is_refused, only, rules


def limited(**limit: object) -> PressureSettings:
    return PressureSettings(limits=(Limit(callee="writer", **limit),))  # type: ignore[arg-type]


@pytest.mark.parametrize("places", [0, 1, 3])
async def test_a_limit_lets_its_number_pass_and_not_one_more(places: int):
    """N are in flight, N + 1 is told to come back."""
    line = Line(limited(concurrency=places))
    calls = [await line.begin() for _ in range(places + 1)]
    assert [is_refused(call) for call in calls] == [False] * places + [True]
    finding = only(calls[-1])
    assert (finding.rule, finding.reason, finding.severity) == ("concurrency", Reason.OVERLOADED, Severity.ERROR)
    assert finding.message == f"calls from all callers to writer may be {places} at once, and as many are in flight"


@pytest.mark.parametrize(
    ("code", "origin"), [("OK", Origin.UPSTREAM), ("CANCELLED", Origin.DOWNSTREAM), ("INTERNAL", Origin.SIDECAR)]
)
async def test_every_end_gives_the_place_back(code: str, origin: Origin):
    """However a call ends: answered, left by its caller, or refused by another check."""
    line = Line(limited(concurrency=1))
    for _ in range(3):
        call = await line.begin()
        assert not is_refused(call)
        await line.end(call, code, origin)


async def test_a_refused_call_gives_back_only_what_it_took():
    """Its own end must not free the place of the one inside."""
    line = Line(limited(concurrency=1))
    inside = await line.begin()
    for _ in range(3):
        assert is_refused(await line.call())
    await line.answer(inside)
    assert not is_refused(await line.call())


async def test_observe_says_and_lets_pass():
    """Nothing changes for anybody; the finding is what enforcing would have refused."""
    for line in (
        Line(limited(concurrency=1), mode=Mode.OBSERVE),
        Line(limited(concurrency=1, mode=Mode.OBSERVE)),
    ):
        await line.begin()
        second = await line.begin()
        assert not is_refused(second)
        assert rules(second) == ["concurrency"]


async def test_a_spec_in_observe_refuses_nothing_either():
    """The weakest level wins."""
    spec = compile_spec({"spec": "w/v1", "match": {}, "mode": "observe"}, base_uri="file:///w.yaml")
    line = Line(limited(concurrency=0), specs=(spec,))
    call = await line.begin()
    assert not is_refused(call)
    assert rules(call) == ["concurrency"]


async def test_a_rate_refuses_what_exceeds_its_burst_and_says_when_to_return():
    """The delay is never shorter than the time until a token is there."""
    line = Line(limited(rate=Rate(per_s=2, burst=2)))
    calls = [await line.call() for _ in range(3)]
    assert [is_refused(call) for call in calls] == [False, False, True]
    decision = calls[2].decision
    assert isinstance(decision, Reject)
    assert decision.retry_delay_s is not None
    assert decision.retry_delay_s >= 0.5
    line.clock.advance(0.5)
    assert [is_refused(await line.call()) for _ in range(2)] == [False, True]


async def test_what_the_room_refuses_takes_no_token():
    """Else a full callee would also be a slow one afterwards."""
    line = Line(limited(concurrency=1, rate=Rate(per_s=0.01, burst=2)))
    inside = await line.begin()
    for _ in range(5):
        assert rules(await line.call()) == ["concurrency"]
    await line.answer(inside)
    assert not is_refused(await line.call())
    assert rules(await line.call()) == ["rate"]


async def test_what_the_bucket_refuses_leaves_its_room():
    """A place taken on the way to a refusal is free afterwards."""
    line = Line(limited(concurrency=1, rate=Rate(per_s=1, burst=1)))
    await line.call()
    assert rules(await line.call()) == ["rate"]
    line.clock.advance(1)
    assert not is_refused(await line.call())


async def test_a_call_keeps_every_limit_that_covers_it():
    """One limit for all callers and a smaller one for a caller that is known to be greedy."""
    line = Line(
        PressureSettings(
            limits=(Limit(callee="writer", concurrency=3), Limit(caller="crawl*", callee="writer", concurrency=1))
        )
    )
    await line.begin(caller="crawler")
    greedy = await line.call(caller="crawler")
    assert "crawl* to writer" in only(greedy).message
    assert [is_refused(await line.begin(caller="planner")) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("limit", "is_covered"),
    [
        (Limit(concurrency=0), True),
        (Limit(callee="wri*", concurrency=0), True),
        (Limit(callee="reader", concurrency=0), False),
        (Limit(caller="other", concurrency=0), False),
        (Limit(method="/shop.Orders/*", concurrency=0), True),
        (Limit(method="/shop.Orders/Other", concurrency=0), False),
    ],
)
async def test_globs_say_what_a_limit_covers(limit: Limit, is_covered: bool):
    """As in specs."""
    assert is_refused(await Line(PressureSettings(limits=(limit,))).call()) is is_covered


async def test_a_stream_is_judged_by_its_headers():
    """It goes out before its first message; a refusal after that would no longer be `never dispatched`."""
    line = Line(limited(concurrency=1))
    first = await line.begin(streams=True)
    second = await line.begin(streams=True)
    assert (is_refused(first), is_refused(second)) == (False, True)
    assert second.requests.messages == 0
    assert not second.was_dispatched


async def test_limits_are_kept_where_the_exchange_is_guarded():
    """The callee's sidecar counts; ours, on the caller's side, does not count again."""
    line = Line(limited(concurrency=0), guarding=Guarding.NEVER)
    call = await line.call()
    assert call.findings == []


class Away(MemoryPressure):
    """A shared store that does not answer."""

    async def enter(self, room: str, limit: int, exchange_id: str, lease_s: float) -> bool:
        raise StoreUnavailable("away")

    async def leave(self, room: str, exchange_id: str) -> None:
        raise StoreUnavailable("away")


def away_line(consistency: str, mode: Mode = Mode.ENFORCE) -> Line:
    spec = compile_spec({"spec": "w/v1", "match": {}, "consistency": consistency}, base_uri="file:///w.yaml")
    limits = limited(concurrency=1, scope="fleet", mode=mode)
    return Line(limits, specs=(spec,), shared=Away(ManualClock()))


async def test_without_the_shared_store_this_process_counts_for_itself():
    """An available spec goes on, with a limit of its own, and that is counted."""
    line = away_line("available")
    first, second = await line.begin(), await line.begin()
    assert [is_refused(call) for call in (first, second)] == [False, True]
    assert line.fell_back == 2
    await line.answer(first)
    await line.end(second, "RESOURCE_EXHAUSTED", Origin.SIDECAR)
    third = await line.begin()
    assert not is_refused(third)
    await line.answer(third)


async def test_a_consistent_spec_refuses_while_the_store_is_away():
    """Its writer said so; where the limit only observes, nobody is refused for it."""
    decision = (await away_line("consistent").call()).decision
    assert isinstance(decision, Reject)
    assert decision.reason is Reason.STORE_UNAVAILABLE
    assert not is_refused(await away_line("consistent", Mode.OBSERVE).call())


# Retries.

BUDGET = PressureSettings(retries=RetryTerms(RetryBudget(ratio=0.2, minimum=2, window_s=10)))
AGAIN = (("grpc-previous-rpc-attempts", "1"),)


async def test_retries_past_their_budget_are_shed():
    """Two are allowed whatever happens, and one more for every five calls."""
    line = Line(BUDGET)
    refused = [is_refused(await line.call(metadata=AGAIN)) for _ in range(3)]
    assert refused == [False, False, True]
    for number in range(15):
        assert not is_refused(await line.call(number))
    assert [is_refused(await line.call(metadata=AGAIN)) for _ in range(2)] == [False, True]


async def test_a_spent_budget_names_the_rule_and_the_edge():
    """What to change is in the sentence."""
    line = Line(BUDGET)
    for _ in range(2):
        await line.call(metadata=AGAIN)
    finding = only(await line.call(metadata=AGAIN))
    assert (finding.rule, finding.reason) == ("retries", Reason.OVERLOADED)
    assert finding.message == (
        "planner sends more calls to writer again than its budget allows (20% of its calls and at least 2 in 10 s)"
    )


NOTHING = RetryTerms(RetryBudget(0.0, 0, 10))
"""No retry at all is allowed."""


async def test_a_call_that_was_refused_and_comes_again_is_no_retry_to_the_budget():
    """The callee has not seen it before. It is counted as sent again, and it is not held against whoever obeyed."""
    line = Line(PressureSettings(limits=(Limit(concurrency=1),), retries=NOTHING))
    first = await line.begin("another")
    assert [rules(await line.call()) for _ in range(5)] == [["concurrency"]] * 5
    await line.answer(first)
    assert not is_refused(await line.call())
    assert len(line.told.retries) == 5


async def test_a_retry_that_was_refused_stays_a_retry():
    """What the callee has seen once it has seen, however often the sidecar refused it since."""
    line = Line(PressureSettings(retries=NOTHING))
    await line.call(code="UNAVAILABLE")
    assert [rules(await line.call()) for _ in range(3)] == [["retries"]] * 3


@pytest.mark.parametrize(("reason", "is_shed"), [("OVERLOADED", False), ("OUTCOME_UNKNOWN", True), ("", True)])
async def test_what_the_callees_own_sidecar_refused_before_is_no_retry_either(reason: str, is_shed: bool):
    """Where it says that the callee has seen nothing."""
    line = Line(PressureSettings(retries=NOTHING))
    first = await line.begin()
    await line.answer(first, "RESOURCE_EXHAUSTED", trailers=(("sidecar-reply", reason),) if reason else ())
    assert is_refused(await line.call()) is is_shed


async def test_retries_are_counted_without_a_budget_too():
    """Whoever has no budget yet wants to know how large it should be."""
    line = Line()
    await line.call()
    await line.call(metadata=AGAIN)
    await line.call(metadata=(("grpc-previous-rpc-attempts", "0"),))
    assert line.told.retries == [("planner", "writer")]


async def test_what_idempotency_knew_before_is_a_retry():
    """It lets such a call pass in observe, or under a new key; the budget counts it all the same."""
    line = Line(PressureSettings(retries=RetryTerms(RetryBudget(0.0, 0, 10))))
    assert [is_refused(await line.begin(is_known=known)) for known in (True, False)] == [True, False]


async def retried(line: Line, first: object, second: object, code: str = "UNAVAILABLE", after_s: float = 1) -> int:
    """How many retries are seen when `first` ended with `code` and `second` follows."""
    await line.call(first, code)
    line.clock.advance(after_s)
    await line.call(second)
    return len(line.told.retries)


@pytest.mark.parametrize(
    ("second", "count"),
    [
        ({"text": "q", "messageId": "2"}, 1),
        ({"text": "q", "message": {"messageId": "3"}}, 0),
        ({"text": "r", "messageId": "1"}, 0),
        ({"messageId": "9", "text": "q"}, 1),
    ],
)
async def test_the_same_arguments_after_a_failure_are_a_retry(second: object, count: int):
    """A retry mints a new message id, so ids and times do not count; all else does, in any order of fields."""
    assert await retried(Line(), {"text": "q", "messageId": "1"}, second) == count


@pytest.mark.parametrize(("after_s", "count"), [(0, 1), (60, 1), (60.1, 0)])
async def test_a_retry_comes_within_a_minute(after_s: float, count: int):
    """Later it is a new attempt at the work, which nobody can tell from new work."""
    assert await retried(Line(), "q", "q", after_s=after_s) == count


@pytest.mark.parametrize(
    ("code", "count"), [("OK", 0), ("NOT_FOUND", 0), ("INVALID_ARGUMENT", 0), ("DEADLINE_EXCEEDED", 1), ("ABORTED", 1)]
)
async def test_only_a_failure_makes_a_retry(code: str, count: int):
    """Asking again after an answer is polling, also where the answer is NOT_FOUND."""
    assert await retried(Line(), "q", "q", code) == count


async def test_a_retry_that_went_well_ends_the_matter():
    """What comes after it is a new call."""
    line = Line()
    assert await retried(line, "q", "q") == 1
    await line.call("q")
    assert len(line.told.retries) == 1


async def test_another_caller_with_the_same_arguments_retries_nothing():
    """It asks for the first time."""
    line = Line()
    await line.call("q", "UNAVAILABLE")
    await line.call("q", caller="other")
    assert line.told.retries == []


async def test_a_call_that_was_shed_and_comes_back_is_a_retry():
    """That is what the budget is for: the refused ones are those that return."""
    line = Line(limited(concurrency=0))
    await line.call()
    await line.call()
    assert line.told.retries == [("planner", "writer")]


async def test_nothing_is_kept_of_calls_that_have_ended():
    """A sidecar that runs for months holds what is in flight and no more."""
    line = Line(PressureSettings(limits=(Limit(concurrency=9),), retries=BUDGET.retries))
    for number in range(50):
        await line.call(number)
    check = line.engine._on_end[0].check
    assert check._held == {}  # type: ignore[attr-defined]
