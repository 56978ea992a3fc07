"""Delays and herds: callers refused in one instant do not return in one, and those who do are seen."""

from __future__ import annotations

from random import Random
from statistics import mean, pstdev

import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.checks.pressure import Limit, PressureSettings
from sidecar.checks.pressure.delays import SPREAD_S, Delays
from sidecar.checks.pressure.herd import HerdWatch
from sidecar.engine.exchange import Exchange
from sidecar.engine.finding import Reject, Severity
from sidecar.engine.state.pressure import Rate
from sidecar.proxy.status import local_reply
from sidecar.testing import ManualClock
from tests.checks.pressure_line import Line, only, rules

CALLERS = [f"agent-{number}" for number in range(30)]


def delays(seed: int = 1) -> tuple[Delays, ManualClock]:
    clock = ManualClock()
    return Delays(clock, Random(seed)), clock


def most_together(moments: list[float], width_s: float) -> int:
    """The most moments that fall into one stretch of this width."""
    return max(sum(first <= moment < first + width_s for moment in moments) for first in moments)


@pytest.mark.parametrize("callers", [CALLERS, ["one"] * 30], ids=["thirty-callers", "one-caller"])
def test_thirty_callers_refused_in_one_instant_are_told_moments_far_apart(callers: list[str]):
    """In 300 trials: even over the stretch, and hardly ever ten within a tenth of it (evenly drawn, 3 are expected)."""
    told, crowded = [], 0
    for seed in range(300):
        here, _ = delays(seed)
        moments = [here.next(caller, "writer") for caller in callers]
        told += moments
        crowded += most_together(moments, SPREAD_S[0] / 10) >= 10
    assert crowded <= 6
    # Even over 0 to 1 s: mean 0.5, deviation 0.289, and each tenth holds a tenth (9,000 draws, six deviations).
    assert mean(told) == pytest.approx(0.5, abs=0.02)
    assert pstdev(told) == pytest.approx(0.2887, abs=0.01)
    tenths = [sum(number <= 10 * moment < number + 1 for moment in told) for number in range(10)]
    assert all(abs(count - 900) < 6 * (900 * 0.9) ** 0.5 for count in tenths)


def test_what_one_caller_is_told_says_nothing_of_another():
    """Over 2,000 instants the delays of two callers are as good as uncorrelated."""
    here, clock = delays()
    pairs = []
    for _ in range(2000):
        pairs.append((here.next("a", "writer"), here.next("b", "writer")))
        clock.advance(1000)
    ones, twos = zip(*pairs, strict=True)
    covariance = mean((one - mean(ones)) * (two - mean(twos)) for one, two in pairs)
    assert abs(covariance / (pstdev(ones) * pstdev(twos))) < 0.08


def test_whoever_waited_and_is_refused_again_is_spread_over_twice_the_time():
    """Up to a minute; another caller begins at the first stretch."""
    here, clock = delays()
    widest = []
    for _ in range(10):
        widest.append(max(here.next("a", "writer") for _ in range(200)))
        clock.advance(widest[-1])
    expected = [min(SPREAD_S[0] * 2**wave, SPREAD_S[1]) for wave in range(10)]
    assert widest == pytest.approx(expected, rel=0.1)
    assert max(here.next("b", "writer") for _ in range(200)) <= SPREAD_S[0]


def test_calls_refused_in_one_wave_share_its_stretch():
    """A caller with thirty calls at once is no thirty times worse than one with a single call."""
    here, _ = delays()
    assert max(here.next("a", "writer") for _ in range(1000)) <= SPREAD_S[0]


@pytest.mark.parametrize("how", ["passed", "long ago"])
def test_a_caller_that_got_through_begins_anew(how: str):
    """Its next refusal is a first one."""
    here, clock = delays()
    for _ in range(5):
        here.next("a", "writer")
        clock.advance(40)
    if how == "passed":
        here.passed("a", "writer")
    else:
        clock.advance(200)
    assert max(here.next("a", "writer") for _ in range(500)) <= SPREAD_S[0]


@given(least_s=st.floats(0, 500), seed=st.integers(0, 1000))
def test_no_delay_is_shorter_than_the_certain_refusal(least_s: float, seed: int):
    """And none is more than a minute longer."""
    here, clock = delays(seed)
    for _ in range(8):
        delay_s = here.next("a", "writer", least_s)
        assert least_s <= delay_s <= least_s + SPREAD_S[1]
        clock.advance(delay_s)


def told_to(exchange: Exchange) -> float:
    """Seconds of RetryInfo as a caller reads them."""
    assert isinstance(exchange.decision, Reject)
    trailers = dict(local_reply(exchange, exchange.decision).trailers)
    details = status_pb2.Status.FromString(bytes(trailers["grpc-status-details-bin"])).details  # type: ignore[arg-type]
    info = error_details_pb2.RetryInfo()
    assert details[1].Unpack(info)
    return info.retry_delay.seconds + info.retry_delay.nanos / 1e9


async def test_thirty_refused_calls_carry_thirty_retry_infos():
    """As callers read them: none below the time that the bucket needs, no two alike, spread over a second."""
    line = Line(PressureSettings(limits=(Limit(rate=Rate(per_s=0.5, burst=1)),)))
    await line.call("first")
    told = [told_to(await line.call(caller, caller=caller)) for caller in CALLERS]
    assert min(told) >= 2.0
    assert len({round(delay_s, 3) for delay_s in told}) >= 28
    assert max(told) - min(told) > 0.8
    assert most_together(told, 0.2) <= 15


# Herds.


async def retry(line: Line, number: int) -> Exchange:
    return await line.call(number, metadata=(("grpc-previous-rpc-attempts", "1"),))


async def test_twenty_retries_at_one_moment_are_a_herd():
    """Nineteen of twenty came at once; the call that follows the watch says so, and refuses nothing."""
    line = Line()
    for number in range(19):
        await retry(line, number)
        line.clock.advance(0.005)
    line.clock.advance(1)
    await retry(line, 19)
    line.clock.advance(1)
    call = await line.call("next")
    finding = only(call)
    assert (finding.rule, finding.severity, finding.reason) == ("herd", Severity.WARNING, None)
    assert finding.message == ("19 of 20 retries of writer came within 250 ms; spread the delays of those who call it")
    assert finding.evidence == {"together": "19", "retries": "20", "watched_s": "2"}
    assert rules(await line.call("after")) == []


async def test_a_herd_is_said_by_the_end_of_its_own_calls():
    """Where nothing else happens on the callee, the herd's own calls take longer than the watch."""
    line = Line()
    calls = [await line.begin(number, metadata=(("grpc-previous-rpc-attempts", "1"),)) for number in range(10)]
    line.clock.advance(2)
    for call in calls:
        await line.answer(call)
    assert [rule for call in calls for rule in rules(call)] == ["herd"]


@pytest.mark.parametrize(("retries", "is_herd"), [(9, False), (10, True)])
async def test_ten_retries_are_the_smallest_herd(retries: int, is_herd: bool):
    """Nine are no herd, whenever they come."""
    line = Line()
    for number in range(retries):
        await retry(line, number)
    line.clock.advance(2)
    assert rules(await line.call("next")) == (["herd"] if is_herd else [])


async def test_calls_that_are_no_retries_are_no_herd():
    """A planner that fans out asks many at once, and nothing has failed."""
    line = Line()
    for number in range(50):
        await line.call(number)
    line.clock.advance(2)
    assert rules(await line.call("next")) == []


def herds_in(moments: list[float]) -> int:
    """How many herds are seen when retries come at these moments (seconds), and something happens every half second."""
    clock = ManualClock()
    watch = HerdWatch(clock)
    ticks = [(number / 2, False) for number in range(int(max(moments)) * 2 + 10)]
    found = 0
    for moment, is_retry in sorted([*((moment, True) for moment in moments), *ticks]):
        clock.advance(max(moment - clock.monotonic_ns() / 1e9, 0))
        found += watch.ended("writer") is not None
        if is_retry:
            watch.retried("writer")
    return found


@given(seed=st.integers(0, 10_000), retries=st.integers(20, 400), spread_s=st.floats(2, 30))
@settings(deadline=None)
def test_retries_spread_by_jitter_are_no_herd(seed: int, retries: int, spread_s: float):
    """Evenly over two seconds or more, in whatever number: callers with delays of their own."""
    random = Random(seed)
    assert herds_in([random.uniform(0, spread_s) for _ in range(retries)]) == 0


@given(seed=st.integers(0, 10_000), per_s=st.floats(1, 300))
@settings(deadline=None, max_examples=40)
def test_a_steady_flow_of_retries_is_no_herd(seed: int, per_s: float):
    """An outage under load is bad enough; it is no synchronised one."""
    random, moments, now = Random(seed), list[float](), 0.0
    while now < 20:
        moments.append(now)
        now += random.expovariate(per_s)
    assert herds_in(moments) == 0


@given(
    seed=st.integers(0, 10_000),
    size=st.integers(12, 300),
    blur_s=st.floats(0, 0.2),
    before_s=st.floats(0.1, 600),
)
@settings(deadline=None)
def test_a_herd_is_seen_whatever_its_size(seed: int, size: int, blur_s: float, before_s: float):
    """One stray in twenty beside it, up to two seconds earlier, hides it no more than the blur of a network does."""
    random = Random(seed)
    strays = [max(before_s - 1.5, 0.0)] * (size // 20)
    assert herds_in([*strays, *(before_s + random.uniform(0, blur_s) for _ in range(size))]) >= 1


def test_ten_spread_retries_look_like_a_herd_hardly_ever():
    """The smallest number has the most false alarms: measured over 20,000 bursts, fewer than one in 2,000."""
    random = Random(7)
    alarms = sum(herds_in([random.uniform(0, 2) for _ in range(10)]) for _ in range(20_000))
    assert alarms < 10
