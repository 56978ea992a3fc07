"""Single-flight reads: identical calls in flight share one answer, and nobody is harmed by whoever leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from sidecar.checks.pressure import Limit, PressureSettings, flights
from sidecar.engine.exchange import Exchange, Mode, Origin
from sidecar.engine.finding import Forward, Reject, Replay, Severity
from sidecar.engine.recording import Recording
from sidecar.engine.specs import Spec, compile_spec
from tests.checks.pressure_line import Line, is_refused, only, reads, response, rules


async def under_way(work: Coroutine[Any, Any, Exchange]) -> asyncio.Task[Exchange]:
    """A call that has come as far as it can without an answer."""
    task = asyncio.create_task(work)
    for _ in range(10):
        await asyncio.sleep(0)
    return task


def is_waiting(task: asyncio.Task[Exchange]) -> bool:
    return not task.done()


def replayed(exchange: Exchange) -> Recording:
    assert isinstance(exchange.decision, Replay)
    return exchange.decision.recording


@pytest.fixture
def line() -> Line:
    return Line(specs=(reads(),))


async def test_identical_reads_in_flight_share_one_answer(line: Line):
    """The callee is asked once; the others get every byte of its answer, headers and trailers included."""
    leader = await line.begin()
    waiters = [await under_way(line.begin()) for _ in range(3)]
    assert all(map(is_waiting, waiters))
    line.clock.advance(3)
    await line.answer(leader, payload=b"answer", headers=(("h", "1"),), trailers=(("t", "2"),))
    assert leader.waited_ns == 0
    for waiter in waiters:
        call = await waiter
        assert call.waited_ns == 3e9
        assert replayed(call) == Recording("OK", "", (b"answer",), (("h", "1"),), (("t", "2"),))
        assert (only(call).rule, only(call).severity) == ("single-flight", Severity.INFO)
        assert not call.was_dispatched


async def test_a_read_after_the_answer_asks_anew(line: Line):
    """In flight only: nothing is kept, so nothing grows stale."""
    await line.call()
    assert isinstance((await line.call()).decision, Forward)


async def test_an_answer_of_several_messages_is_given_whole(line: Line):
    """In the order in which they came."""
    leader = await line.begin()
    waiter = await under_way(line.begin())
    for number in range(3):
        await line.engine.message(leader, response(f"{number}".encode(), number))
    await line.answer(leader, payload=b"3")
    assert replayed(await waiter).messages == (b"0", b"1", b"2", b"3")


@pytest.mark.parametrize(
    "other",
    [
        {"document": "other"},
        {"caller": "other"},
        {"metadata": (("authorization", "Bearer other"),)},
        {"metadata": (("a2a-version", "1.0"),)},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_what_may_have_another_answer_is_not_identical(line: Line, other: dict[str, Any]):
    """Other arguments, another caller, another credential, another version of the protocol."""
    await line.begin(metadata=())
    call = await under_way(line.begin(**other))
    assert not is_waiting(call)


async def test_traces_do_not_make_a_question_another_one(line: Line):
    """Each call has its own, and no answer depends on it."""
    leader = await line.begin(metadata=(("traceparent", f"00-{'1' * 32}-{'2' * 16}-01"), ("x", "1")))
    waiter = await under_way(line.begin(metadata=(("x", "1"), ("baggage", "a=b"))))
    assert is_waiting(waiter)
    await line.answer(leader)
    await waiter


async def test_callers_share_only_where_the_spec_says_so():
    """Then too not what is about who asked."""
    line = Line(specs=(reads(across_callers=True),))
    leader = await line.begin(caller="a")
    waiter = await under_way(line.begin(caller="b"))
    await line.answer(leader, "PERMISSION_DENIED")
    second = await waiter
    assert isinstance(second.decision, Forward)
    third = await under_way(line.begin(caller="c"))
    await line.answer(second)
    assert replayed(await third).code == "OK"


async def test_an_error_of_the_callee_is_an_answer(line: Line):
    """All are told the same, at the same price."""
    leader = await line.begin()
    waiter = await under_way(line.begin())
    await line.answer(leader, "NOT_FOUND")
    assert replayed(await waiter).code == "NOT_FOUND"


@pytest.mark.parametrize("code", ["CANCELLED", "DEADLINE_EXCEEDED"])
@pytest.mark.parametrize("origin", [Origin.DOWNSTREAM, Origin.UPSTREAM])
async def test_when_the_first_caller_leaves_the_next_one_asks(line: Line, code: str, origin: Origin):
    """One of those that wait leads from then on, and the others wait for it."""
    leader = await line.begin()
    waiters = [await under_way(line.begin()) for _ in range(3)]
    await line.end(leader, code, origin)
    second = await waiters[0]
    assert isinstance(second.decision, Forward)
    assert second.was_dispatched
    await asyncio.sleep(0)
    assert all(map(is_waiting, waiters[1:]))
    await line.answer(second, payload=b"at last")
    assert [replayed(await waiter).messages for waiter in waiters[1:]] == [(b"at last",)] * 2


async def test_a_refused_leader_leaves_each_to_itself(line: Line):
    """What was found wrong with its answer is no answer; nor should the others queue up to find the same."""
    leader = await line.begin()
    waiters = [await under_way(line.begin()) for _ in range(2)]
    await line.end(leader, "INTERNAL", Origin.SIDECAR)
    assert [isinstance((await waiter).decision, Forward) for waiter in waiters] == [True, True]


async def test_a_waiter_that_leaves_takes_nobody_with_it(line: Line):
    """Its time was up; the others get their answer."""
    leader = await line.begin()
    leaving, staying = await under_way(line.begin()), await under_way(line.begin())
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    await line.answer(leader)
    assert replayed(await staying).code == "OK"


async def test_a_waiter_that_leaves_as_the_answer_comes_is_no_trouble(line: Line):
    """Both in one turn of the event loop."""
    leader = await line.begin()
    leaving, staying = await under_way(line.begin()), await under_way(line.begin())
    leaving.cancel()
    await line.answer(leader)
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert replayed(await staying).code == "OK"


async def test_waiters_take_no_place_and_no_token():
    """The callee bears one call, and the limit counts what the callee bears."""
    line = Line(PressureSettings(limits=(Limit(concurrency=1),)), specs=(reads(),))
    leader = await line.begin()
    waiter = await under_way(line.begin())
    assert is_waiting(waiter)
    assert is_refused(await line.call("another question"))
    await line.answer(leader)
    await waiter


async def test_a_leader_that_is_shed_leaves_its_waiters_to_be_shed():
    """Nobody waits for a call that will not be made."""
    line = Line(PressureSettings(limits=(Limit(concurrency=0),)), specs=(reads(),))
    leader = await line.begin()
    waiter = await under_way(line.begin())
    assert is_refused(leader)
    assert is_waiting(waiter)
    await line.end(leader, "RESOURCE_EXHAUSTED", Origin.SIDECAR)
    assert isinstance((await waiter).decision, Reject)


@pytest.mark.parametrize(("waiters", "waiting"), [(2, 2), (3, 2)])
async def test_a_flight_has_so_many_waiters_and_not_one_more(
    line: Line, monkeypatch: pytest.MonkeyPatch, waiters: int, waiting: int
):
    """Who comes on top asks the callee itself."""
    monkeypatch.setattr(flights, "WAITERS_MAX", 2)
    leader = await line.begin()
    tasks = [await under_way(line.begin()) for _ in range(waiters)]
    assert sum(map(is_waiting, tasks)) == waiting
    await line.answer(leader)
    await asyncio.gather(*tasks)


async def test_a_waiter_that_left_makes_room_for_another(line: Line, monkeypatch: pytest.MonkeyPatch):
    """Else impatient callers would use up the waiting room of a slow read."""
    monkeypatch.setattr(flights, "WAITERS_MAX", 1)
    leader = await line.begin()
    leaving = await under_way(line.begin())
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    staying = await under_way(line.begin())
    assert is_waiting(staying)
    await line.answer(leader)
    await staying


@pytest.mark.parametrize(("size_bytes", "is_shared"), [(1 << 20, True), ((1 << 20) + 1, False)])
async def test_an_answer_that_is_too_large_is_not_shared(line: Line, size_bytes: int, is_shared: bool):
    """A megabyte is; with one byte more the waiters go on alone as soon as that is known."""
    leader = await line.begin()
    waiter = await under_way(line.begin())
    await line.engine.message(leader, response(b"x" * size_bytes))
    await asyncio.sleep(0)
    assert is_waiting(waiter) is is_shared
    await line.answer(leader, payload=b"")
    assert isinstance((await waiter).decision, Replay) is is_shared


async def test_all_answers_together_are_bounded(monkeypatch: pytest.MonkeyPatch):
    """Many flights of middling answers must not fill the memory; what has landed is given back."""
    monkeypatch.setattr(flights, "RECORDED_TOTAL_MAX_BYTES", 100)
    line = Line(specs=(reads(),))
    for _ in range(5):
        leader, other = await line.begin("one"), await line.begin("two")
        waiters = [await under_way(line.begin("one")), await under_way(line.begin("two"))]
        await line.engine.message(leader, response(b"x" * 60))
        await line.engine.message(other, response(b"x" * 60))
        await line.answer(other, payload=b"")
        assert isinstance((await waiters[1]).decision, Forward)
        await line.answer(await waiters[1], payload=b"")
        await line.answer(leader, payload=b"")
        assert isinstance((await waiters[0]).decision, Replay)


@pytest.mark.parametrize("flights_max", [0, 1])
async def test_flights_are_bounded(monkeypatch: pytest.MonkeyPatch, flights_max: int):
    """Past the limit every call goes by itself, as if the spec said nothing."""
    monkeypatch.setattr(flights, "FLIGHTS_MAX", flights_max)
    line = Line(specs=(reads(),))
    await line.begin("one")
    await line.begin("two")
    assert is_waiting(await under_way(line.begin("one"))) is (flights_max == 1)
    assert not is_waiting(await under_way(line.begin("two")))


async def test_observe_keeps_nobody_waiting():
    """It says which calls could have been saved."""
    for line in (Line(specs=(reads(),), mode=Mode.OBSERVE), Line(specs=(spec_in_observe(),))):
        await line.begin()
        second = await line.begin()
        assert isinstance(second.decision, Forward)
        assert rules(second) == ["single-flight"]


async def test_without_the_promise_nothing_is_shared():
    """Two orders of the same are two orders."""
    line = Line()
    await line.begin()
    assert not is_waiting(await under_way(line.begin()))


async def test_a_hundred_callers_one_of_whom_leaves_ask_twice(line: Line):
    """Once for the one who left, and once for all others."""
    leader = await line.begin()
    waiters = [await under_way(line.begin()) for _ in range(99)]
    await line.end(leader, "CANCELLED", Origin.DOWNSTREAM)
    await asyncio.sleep(0)
    leading = [task for task in waiters if task.done()]
    assert len(leading) == 1
    await line.answer(await leading[0])
    calls = await asyncio.gather(*waiters)
    assert sum(isinstance(call.decision, Replay) for call in calls) == 98


def spec_in_observe() -> Spec:
    data = {"spec": "o/v1", "match": {}, "mode": "observe", "reads": {"single_flight": True}}
    return compile_spec(data, base_uri="file:///o.yaml")
