"""The breaker: when a callee is left alone, and how it comes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.checks.pressure import BreakerTerms, PressureSettings
from sidecar.checks.pressure.breaker import CalleeBreaker
from sidecar.engine.exchange import Guarding, Mode, Origin
from sidecar.engine.finding import Finding, Reject, Severity
from sidecar.errors import Reason
from sidecar.testing import ManualClock
from tests.checks.pressure_line import Line, is_refused, only, rules

TERMS = BreakerTerms(failures=3, share=0.5, window_s=30, cooldown_s=10)


def line(terms: BreakerTerms = TERMS, **how: Any) -> Line:
    return Line(PressureSettings(breaker=terms), **how)


async def fail(at: Line, times: int, code: str = "UNAVAILABLE") -> None:
    for number in range(times):
        await at.call(f"{code}-{number}-{at.clock.monotonic_ns()}", code)


@pytest.mark.parametrize(("failures", "is_open"), [(0, False), (2, False), (3, True)])
async def test_it_opens_with_the_last_failure_allowed(failures: int, is_open: bool):
    """One fewer is bad luck."""
    at = line()
    await fail(at, failures)
    assert is_refused(await at.call("next")) is is_open
    assert at.told.breakers == ([("writer", True)] if is_open else [])


async def test_an_open_breaker_says_that_nothing_was_dispatched_and_when_to_return():
    """UPSTREAM_UNREACHABLE is the reason whose retry is safe and can help; the delay is not shorter than the rest."""
    at = line()
    await fail(at, 3)
    at.clock.advance(4)
    call = await at.call("next")
    finding, decision = only(call), call.decision
    assert isinstance(decision, Reject)
    assert (finding.rule, finding.reason) == ("breaker", Reason.UPSTREAM_UNREACHABLE)
    assert decision.retry_delay_s is not None
    assert decision.retry_delay_s >= 6
    assert not call.was_dispatched
    assert finding.message == "writer keeps failing and is left alone for 10 s at a time"


async def test_after_the_cooldown_one_probe_goes_and_its_success_closes():
    """While it is under way nobody else is let through; afterwards everybody is."""
    at = line()
    await fail(at, 3)
    at.clock.advance(10)
    probe = await at.begin("probe")
    assert not is_refused(probe)
    assert is_refused(await at.call("beside it"))
    await at.answer(probe)
    assert not is_refused(await at.call("next"))
    assert at.told.breakers == [("writer", True), ("writer", False)]


async def test_a_probe_that_fails_starts_the_cooldown_anew():
    """From the moment in which it failed."""
    at = line()
    await fail(at, 3)
    at.clock.advance(10)
    probe = await at.begin("probe")
    at.clock.advance(5)
    await at.answer(probe, "UNAVAILABLE")
    at.clock.advance(9)
    assert is_refused(await at.call("too soon"))
    at.clock.advance(1)
    assert not is_refused(await at.call("second probe"))


async def test_a_probe_that_says_nothing_gives_its_turn_to_the_next():
    """Its caller left: the callee may be well or not."""
    at = line()
    await fail(at, 3)
    at.clock.advance(10)
    probe = await at.begin("probe")
    await at.end(probe, "CANCELLED", Origin.DOWNSTREAM)
    second = await at.begin("second")
    assert not is_refused(second)
    assert is_refused(await at.call("beside it"))


async def test_a_probe_that_takes_for_ever_does_not_hold_the_breaker_open():
    """A stream of days must not keep all others out: after another cool-down one more may try."""
    at = line()
    await fail(at, 3)
    at.clock.advance(10)
    await at.begin("a stream of days")
    at.clock.advance(10)
    assert not is_refused(await at.call("another probe"))
    assert not is_refused(await at.call("closed by it"))


async def test_what_began_before_it_opened_neither_closes_nor_prolongs():
    """Those calls tell of the time before."""
    at = line()
    early = [await at.begin(f"early-{number}") for number in range(5)]
    await fail(at, 3)
    at.clock.advance(9)
    await at.answer(early[0])
    for call in early[1:]:
        await at.answer(call, "UNAVAILABLE")
    assert is_refused(await at.call("still open"))
    at.clock.advance(1)
    assert not is_refused(await at.call("probe"))


@pytest.mark.parametrize(
    "code", ["NOT_FOUND", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED"]
)
async def test_answers_that_are_not_about_the_callee_do_not_count(code: str):
    """A caller who asks nonsense, or has no patience, must not be able to switch an agent off for all others."""
    at = line()
    await fail(at, 10, code)
    assert not is_refused(await at.call("next"))


@pytest.mark.parametrize(("code", "is_counted"), [("DEADLINE_EXCEEDED", True), ("CANCELLED", False)])
async def test_a_caller_who_left_counts_only_where_its_code_is_listed(code: str, is_counted: bool):
    """Whoever lists DEADLINE_EXCEEDED means the deadlines of callers too."""
    at = line(BreakerTerms(failures=3, codes=frozenset({"DEADLINE_EXCEEDED"})))
    for number in range(3):
        await at.end(await at.begin(number), code, Origin.DOWNSTREAM)
    assert is_refused(await at.call("next")) is is_counted


async def test_a_callee_that_cannot_be_reached_always_counts():
    """Whatever codes are listed: nobody is there."""
    at = line(BreakerTerms(failures=3, codes=frozenset({"INTERNAL"})))
    for number in range(3):
        call = await at.begin(number)
        at.engine.refuse(call, Finding("proxy", "connect", Severity.ERROR, "", Reason.UPSTREAM_UNREACHABLE))
        await at.end(call, "UNAVAILABLE", Origin.SIDECAR)
    assert is_refused(await at.call("next"))


@pytest.mark.parametrize(("reply", "is_counted"), [("UPSTREAM_UNREACHABLE", True), ("RESPONSE_SPEC_VIOLATION", False)])
async def test_a_refusal_of_the_callees_own_sidecar_is_about_the_call(reply: str, is_counted: bool):
    """Only that its agent cannot be reached is about the callee."""
    at = line()
    for number in range(3):
        await at.answer(await at.begin(number), "INTERNAL", trailers=(("sidecar-reply", reply),))
    assert is_refused(await at.call("next")) is is_counted


async def test_a_busy_callee_may_fail_now_and_then():
    """Three failures are no sign where they are not half of the calls."""
    at = line()
    for number in range(20):
        await at.call(number)
    await fail(at, 10)
    assert at.told.breakers == []
    await fail(at, 10)
    assert at.told.breakers == [("writer", True)]


async def test_failures_leave_the_window():
    """Two yesterday and one today are no three."""
    at = line()
    await fail(at, 2)
    at.clock.advance(30)
    await fail(at, 2)
    assert not is_refused(await at.call("next"))


async def test_in_observe_it_watches_and_lets_everybody_pass():
    """The findings are the calls that would have been spared; a probe still finds out when it is over."""
    at = line(mode=Mode.OBSERVE)
    await fail(at, 3)
    call = await at.call("next")
    assert (is_refused(call), rules(call)) == (False, ["breaker"])
    assert at.told.breakers == [("writer", True)]
    at.clock.advance(10)
    await at.call("probe")
    assert at.told.breakers == [("writer", True), ("writer", False)]


async def test_in_observe_calls_that_would_have_been_spared_decide_nothing():
    """They fail on, as they would not have been made; only the probe says when the callee is well."""
    at = line(mode=Mode.OBSERVE)
    await fail(at, 3)
    at.clock.advance(5)
    await fail(at, 6)
    at.clock.advance(5)
    assert rules(await at.call("probe")) == []
    assert at.told.breakers == [("writer", True), ("writer", False)]


async def test_it_watches_calls_that_are_guarded_elsewhere():
    """It is about the way from here to the callee, which no other sidecar sees."""
    at = line(guarding=Guarding.NEVER)
    await fail(at, 3)
    assert is_refused(await at.call("next"))


async def test_it_opens_for_one_callee_alone():
    """Others are well."""
    clock = ManualClock()
    changes: list[bool] = []
    broken, well = CalleeBreaker(clock, TERMS, changes.append), CalleeBreaker(clock, TERMS, changes.append)
    for _ in range(3):
        broken.settle(broken.admit(), True)
    assert (broken.is_open, well.is_open, changes) == (True, False, [True])


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.just(0)),
        st.tuples(st.sampled_from(["ok", "bad", "left"]), st.integers(0, 9)),
        st.tuples(st.just("pass"), st.integers(1, 12)),
    ),
    max_size=60,
)


@given(events=EVENTS)
def test_whatever_happens_an_open_breaker_lets_one_try_at_a_time(events: list[tuple[str, int]]):
    """While open: at most one probe in a cool-down unless the last one told nothing; shed calls change nothing."""
    clock = ManualClock()
    breaker = CalleeBreaker(clock, TERMS, lambda is_open: None)
    under_way: list[Any] = []
    last_probe_s = -1e9
    for event, value in events:
        now_s = clock.monotonic_ns() / 1e9
        if event == "pass":
            clock.advance(value)
        elif event == "begin":
            was_open = breaker.is_open
            ticket = breaker.admit()
            under_way.append(ticket)
            assert not (ticket.is_shed and not was_open)
            if was_open and not ticket.is_shed:
                assert ticket.is_probe
                assert now_s - last_probe_s >= TERMS.cooldown_s
                last_probe_s = now_s
        elif under_way:
            ticket = under_way.pop(value % len(under_way))
            was_open = breaker.is_open
            breaker.settle(ticket, {"ok": False, "bad": True, "left": None}[event])
            if ticket.is_shed:
                assert breaker.is_open is was_open
            if event == "left" and ticket.is_probe:
                last_probe_s = -1e9
