"""Joining: these inbound exchanges are under way, this call goes out, and this is what it is joined to."""

from __future__ import annotations

import pytest

from sidecar.engine.join import KEYS_MAX, LINKS_MAX, Candidates, Join, JoinMode, JoinSource, Link
from sidecar.engine.lineage import Lineage
from sidecar.engine.message import NO_NAMES, Names

WINDOW = 100
WORKING, COMPLETED = "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"
FULL, IDS_ONLY, OFF = JoinMode.FULL, JoinMode.IDS_ONLY, JoinMode.OFF


def lineage(span_id: str, conversation: str = "", trace_id: str = "") -> Lineage:
    """Of an inbound exchange that is known by its span id; a conversation of its own unless one is named."""
    return Lineage(
        trace_id=trace_id or f"trace-{span_id}",
        span_id=span_id,
        parent_span_id="",
        is_sampled=True,
        is_random=True,
        tracestate=(),
        source=JoinSource.ROOT,
        links=(),
        exchange_id=f"exchange-{span_id}",
        conversation=conversation or f"conversation-{span_id}",
        hops=0,
        path=("researcher",),
    )


class Agent:
    """An agent's inbound exchanges, by span id, and a clock that moves when told."""

    def __init__(self, max_exchanges: int = 1000) -> None:
        self.now = 0
        self.candidates = Candidates(window_ns=WINDOW, max_exchanges=max_exchanges)

    def is_asked(self, span_id: str, conversation: str = "", *, trace_id: str = "", **names: str) -> None:
        self.candidates.opened(lineage(span_id, conversation, trace_id), Names(**names), self.now)

    def shows(self, span_id: str, **names: str) -> None:
        self.candidates.saw(span_id, Names(**names), self.now)

    def answers(self, span_id: str, **names: str) -> None:
        self.shows(span_id, **names)
        self.candidates.ended(span_id, self.now)

    def calls(self, mode: JoinMode = FULL, **names: str) -> tuple[str, object]:
        """How a call is joined: the source, and the span of the cause or the spans of the links."""
        join: Join = self.candidates.find(Names(**names), mode, self.now)
        assert not (join.cause and join.links)
        links = [link.span_id for link in join.links]
        return join.source.value, join.cause.lineage.span_id if join.cause else links


@pytest.fixture
def agent() -> Agent:
    return Agent()


def test_call_of_an_idle_agent_is_a_root(agent: Agent):
    """Nothing inbound, so nothing caused it."""
    assert agent.calls(context_id="c1") == ("root", [])


def test_call_while_one_exchange_is_open_is_joined_to_it(agent: Agent):
    """There is nothing else that it could serve."""
    agent.is_asked("1")
    assert agent.calls() == ("sole_inflight", "1")


def test_call_while_two_are_open_is_ambiguous_with_links_to_both(agent: Agent):
    """Either may be the cause. The newest stands first."""
    agent.is_asked("1")
    agent.is_asked("2")
    assert agent.calls() == ("ambiguous", ["2", "1"])


def test_two_open_exchanges_of_one_conversation_are_still_two(agent: Agent):
    """The conversation alone does not say which exchange a call without ids belongs to."""
    agent.is_asked("1", "same")
    agent.is_asked("2", "same")
    assert agent.calls() == ("ambiguous", ["2", "1"])


@pytest.mark.parametrize("kind", ["context_id", "task_id", "message_id"])
def test_two_calls_in_flight_are_told_apart_by_ids(agent: Agent, kind: str):
    """An id seen inbound is evidence, in whatever order calls go out."""
    agent.is_asked("1", **{kind: "a"})
    agent.is_asked("2", **{kind: "b"})
    assert agent.calls(**{kind: "b"}) == ("ids", "2")
    assert agent.calls(**{kind: "a"}) == ("ids", "1")
    assert agent.calls() == ("ambiguous", ["2", "1"])


def test_ids_of_a_response_join_as_well(agent: Agent):
    """The agent may generate the contextId and say it first in a stream's first message."""
    agent.is_asked("1")
    agent.is_asked("2")
    agent.shows("1", context_id="made-up", task_id="t1")
    assert agent.calls(context_id="made-up") == ("ids", "1")
    assert agent.calls(task_id="t1") == ("ids", "1")


def test_ids_that_fit_nothing_fall_through_to_the_sole_exchange(agent: Agent):
    """Agents make new ids for their own calls, so an unknown id says nothing against the only candidate."""
    agent.is_asked("1", context_id="a")
    assert agent.calls(context_id="other") == ("sole_inflight", "1")


def test_ids_that_fit_nothing_do_not_choose_between_two(agent: Agent):
    """Unknown ids are no evidence for anyone."""
    agent.is_asked("1", context_id="a")
    agent.is_asked("2", context_id="b")
    assert agent.calls(context_id="other") == ("ambiguous", ["2", "1"])


def test_id_of_one_kind_is_not_an_id_of_another(agent: Agent):
    """A taskId `1` and a contextId `1` have nothing in common."""
    agent.is_asked("1", task_id="1", message_id="m")
    agent.is_asked("2", task_id="2", message_id="n")
    assert agent.calls(context_id="1") == ("ambiguous", ["2", "1"])


def test_id_that_fits_several_of_one_conversation_takes_the_newest(agent: Agent):
    """Turns of one conversation overlap; the newest is the one being worked on."""
    agent.is_asked("1", "same", context_id="c")
    agent.is_asked("2", "same", context_id="c")
    assert agent.calls(context_id="c") == ("ids", "2")


def test_open_exchange_is_preferred_to_a_newer_ended_one(agent: Agent):
    """Ended work may go on; open work does go on."""
    agent.is_asked("1", "same", context_id="c")
    agent.is_asked("2", "same", context_id="c")
    agent.answers("2", task_id="t", task_state=WORKING)
    assert agent.calls(context_id="c") == ("ids", "1")


def test_id_that_fits_two_conversations_is_ambiguous_between_those(agent: Agent):
    """Strangers may use the same contextId. The exchange that it does not fit is not linked."""
    agent.is_asked("1", context_id="c")
    agent.is_asked("2", context_id="c")
    agent.is_asked("3", context_id="d")
    assert agent.calls(context_id="c") == ("ambiguous", ["2", "1"])


def test_ids_that_contradict_each_other_are_ambiguous(agent: Agent):
    """One id says this exchange and one says that: nobody decides."""
    agent.is_asked("1", context_id="a")
    agent.is_asked("2", task_id="t", message_id="m")
    assert agent.calls(context_id="a", task_id="t") == ("ambiguous", ["2", "1"])


def test_more_specific_id_chooses_within_a_conversation(agent: Agent):
    """The contextId fits both, the taskId only one."""
    agent.is_asked("1", "same", context_id="c", task_id="t1", message_id="m1")
    agent.is_asked("2", "same", context_id="c", task_id="t2", message_id="m2")
    assert agent.calls(context_id="c", task_id="t1") == ("ids", "1")


def test_ended_exchange_causes_nothing(agent: Agent):
    """Its answer is given, and no task was left behind."""
    agent.is_asked("1", context_id="c")
    agent.answers("1")
    assert agent.calls(context_id="c") == ("root", [])


@pytest.mark.parametrize("state", ["TASK_STATE_COMPLETED", "failed", "TASK_STATE_CANCELED", "cancelled", "Rejected"])
def test_ended_exchange_with_a_finished_task_causes_nothing(agent: Agent, state: str):
    """Terminal is terminal, however the protocol's version spells it."""
    agent.is_asked("1")
    agent.answers("1", task_id="t", task_state=state)
    assert agent.calls() == ("root", [])


@pytest.mark.parametrize("state", ["TASK_STATE_WORKING", "submitted", "TASK_STATE_INPUT_REQUIRED"])
def test_ended_exchange_whose_task_goes_on_is_a_candidate(agent: Agent, state: str):
    """An agent that answers "working" calls out afterwards."""
    agent.is_asked("1")
    agent.answers("1", task_id="t", task_state=state)
    assert agent.calls() == ("sole_inflight", "1")


@pytest.mark.parametrize("state", ["", "TASK_STATE_UNSPECIFIED", "unknown"])
def test_task_of_which_no_state_is_known_does_not_keep_its_exchange(agent: Agent, state: str):
    """Without a sign that work goes on, there is none to join to."""
    agent.is_asked("1", task_id="t", message_id="m")
    agent.answers("1", task_id="t", task_state=state)
    assert agent.calls() == ("root", [])


def test_waiting_task_and_an_open_exchange_are_two_candidates(agent: Agent):
    """Background work and new work look alike from here."""
    agent.is_asked("1")
    agent.answers("1", task_id="t", task_state=WORKING)
    agent.is_asked("2")
    assert agent.calls() == ("ambiguous", ["2", "1"])
    assert agent.calls(task_id="t") == ("ids", "1")


def test_waiting_task_is_forgotten_when_its_window_is_over(agent: Agent):
    """At the window's end, not a moment before."""
    agent.is_asked("1")
    agent.answers("1", task_id="t", task_state=WORKING)
    agent.now = WINDOW - 1
    assert agent.calls() == ("sole_inflight", "1")
    agent.now = WINDOW
    assert agent.calls(task_id="t") == ("root", [])
    assert len(agent.candidates) == 0


def test_open_exchange_is_never_too_old(agent: Agent):
    """A stream may be open for days, and it still is the cause."""
    agent.is_asked("1")
    agent.now = 1000 * WINDOW
    assert agent.calls() == ("sole_inflight", "1")


def test_poll_is_no_candidate_beside_the_exchange_that_began_the_task(agent: Agent):
    """It asks how the work goes; the work's cause is the exchange that brought it."""
    agent.is_asked("1", message_id="m")
    agent.answers("1", task_id="t", task_state=WORKING)
    agent.is_asked("poll", task_id="t")
    assert agent.calls() == ("sole_inflight", "1")
    assert agent.calls(task_id="t") == ("ids", "1")


def test_poll_that_sees_the_task_finished_ends_its_candidacy(agent: Agent):
    """A task's state is the task's, whichever exchange tells it."""
    agent.is_asked("1", message_id="m")
    agent.answers("1", task_id="t", task_state=WORKING)
    agent.is_asked("poll", task_id="t")
    agent.answers("poll", task_id="t", task_state=COMPLETED)
    assert agent.calls() == ("root", [])
    assert len(agent.candidates) == 0


def test_poll_that_sees_the_task_at_work_renews_the_window(agent: Agent):
    """It is a sign that the work goes on."""
    agent.is_asked("1", message_id="m")
    agent.answers("1", task_id="t", task_state=WORKING)
    agent.now = WINDOW - 1
    agent.is_asked("poll", task_id="t")
    agent.answers("poll", task_id="t", task_state=WORKING)
    agent.now = WINDOW + 1
    assert agent.calls() == ("sole_inflight", "1")


def test_poll_of_a_task_nobody_remembers_is_an_exchange_like_any_other(agent: Agent):
    """After a restart there is no better cause than the exchange that is open."""
    agent.is_asked("poll", task_id="t")
    assert agent.calls() == ("sole_inflight", "poll")


def test_next_message_to_a_waiting_task_is_the_same_piece_of_work(agent: Agent):
    """Two exchanges, one task: the one that is open now is the cause."""
    agent.is_asked("1", "same", message_id="m1")
    agent.answers("1", task_id="t", task_state="input_required")
    agent.is_asked("2", "same", message_id="m2", task_id="t")
    assert agent.calls() == ("sole_inflight", "2")
    agent.answers("2", task_id="t", task_state=WORKING)
    assert agent.calls() == ("sole_inflight", "2")
    assert len(agent.candidates) == 1


def test_refused_message_to_a_waiting_task_leaves_its_first_exchange_in_place(agent: Agent):
    """The agent did not take it up, so the work is still the old one's."""
    agent.is_asked("1", "same", message_id="m1")
    agent.answers("1", task_id="t", task_state=WORKING)
    agent.is_asked("2", "same", message_id="m2", task_id="t")
    agent.answers("2")
    assert agent.calls() == ("sole_inflight", "1")


def test_ids_only_never_takes_the_sole_exchange(agent: Agent):
    """The operator asked for evidence; the link keeps what is known."""
    agent.is_asked("1", context_id="c")
    assert agent.calls(IDS_ONLY) == ("ambiguous", ["1"])
    assert agent.calls(IDS_ONLY, context_id="c") == ("ids", "1")


def test_ids_only_without_candidates_is_a_root(agent: Agent):
    """There is nothing to be ambiguous about."""
    assert agent.calls(IDS_ONLY) == ("root", [])


def test_off_joins_nothing(agent: Agent):
    """Every call without context begins a trace of its own."""
    agent.is_asked("1", context_id="c")
    assert agent.calls(OFF, context_id="c") == ("root", [])


def test_call_in_a_trace_belongs_to_the_exchange_whose_span_it_names(agent: Agent):
    """Several exchanges of one trace are told apart by the parent that the agent passed on."""
    agent.is_asked("1", "same", trace_id="t")
    agent.is_asked("2", "same", trace_id="t")
    cause = agent.candidates.in_trace("t", "1", agent.now)
    assert cause is not None
    assert cause.lineage.span_id == "1"


def test_call_in_a_trace_from_an_inner_span_belongs_to_the_newest_exchange_in_it(agent: Agent):
    """An instrumented agent names a span of its own, which we have never seen."""
    agent.is_asked("1", "same", trace_id="t")
    agent.is_asked("2", "same", trace_id="t")
    cause = agent.candidates.in_trace("t", "inner", agent.now)
    assert cause is not None
    assert cause.lineage.span_id == "2"


def test_trace_that_spans_conversations_charges_none_of_them(agent: Agent):
    """The trace is known, whom to charge is not."""
    agent.is_asked("1", trace_id="t")
    agent.is_asked("2", trace_id="t")
    assert agent.candidates.in_trace("t", "inner", agent.now) is None


def test_call_in_the_trace_of_a_poll_belongs_to_the_poll(agent: Agent):
    """It is no candidate for calls without context, but a call that names it is no guess."""
    agent.is_asked("1", message_id="m")
    agent.answers("1", task_id="t", task_state=WORKING)
    agent.is_asked("poll", task_id="t")
    cause = agent.candidates.in_trace("trace-poll", "poll", agent.now)
    assert cause is not None
    assert cause.lineage.span_id == "poll"
    agent.answers("poll")
    assert agent.candidates.in_trace("trace-poll", "poll", agent.now) is None


def test_links_are_bounded_and_the_newest_are_kept(agent: Agent):
    """A span with a thousand links helps nobody."""
    for number in range(LINKS_MAX + 1):
        agent.is_asked(f"{number}")
    source, links = agent.calls()
    assert source == "ambiguous"
    assert links == [f"{number}" for number in range(LINKS_MAX, 0, -1)]


@pytest.mark.parametrize("others", [1, 5])
def test_forgotten_candidate_makes_the_rest_ambiguous_for_a_window(others: int):
    """The one that is left is not the only one there is, and we know it."""
    agent = Agent(max_exchanges=1)
    for number in range(others + 1):
        agent.is_asked(f"{number}")
    assert agent.calls() == ("ambiguous", [f"{others}"])
    assert len(agent.candidates) == 1
    agent.now = WINDOW
    assert agent.calls() == ("sole_inflight", f"{others}")


def test_at_the_limit_nothing_is_forgotten():
    """Two may be kept and two are there."""
    agent = Agent(max_exchanges=2)
    agent.is_asked("1", context_id="a")
    agent.is_asked("2", context_id="b")
    assert agent.calls(context_id="a") == ("ids", "1")
    agent.is_asked("3", context_id="c")
    assert agent.calls(context_id="a") == ("ambiguous", ["3", "2"])


def test_waiting_exchanges_make_room_before_open_ones():
    """Open work is certain, background work is not."""
    agent = Agent(max_exchanges=2)
    agent.is_asked("1", context_id="a")
    agent.is_asked("2", context_id="b")
    agent.answers("2", task_id="t", task_state=WORKING)
    agent.is_asked("3", context_id="c")
    assert agent.calls(context_id="a") == ("ids", "1")
    assert agent.calls(task_id="t") == ("ambiguous", ["3", "1"])


def test_ids_of_one_exchange_are_bounded_and_its_task_survives_them(agent: Agent):
    """A long stream brings a new messageId each time; the oldest go, ids in use stay."""
    agent.is_asked("1", task_id="t", message_id="m")
    agent.is_asked("2")
    for number in range(2 * KEYS_MAX):
        agent.shows("1", task_id="t", message_id=f"m{number}")
    assert agent.calls(message_id="m0") == ("ambiguous", ["2", "1"])
    assert agent.calls(message_id=f"m{2 * KEYS_MAX - 1}") == ("ids", "1")
    assert agent.calls(task_id="t") == ("ids", "1")


def test_giant_id_still_joins(agent: Agent):
    """It is kept as its hash, so a megabyte of contextId costs us nothing and loses nothing."""
    giant = "x" * 1_000_000
    agent.is_asked("1", context_id=giant)
    agent.is_asked("2", context_id=giant + "y")
    assert agent.calls(context_id=giant) == ("ids", "1")


def test_same_exchange_opened_twice_is_one_candidate(agent: Agent):
    """A call that is dispatched again after a lost connection is still one call."""
    agent.is_asked("1")
    agent.is_asked("1")
    assert agent.calls() == ("sole_inflight", "1")


def test_end_of_an_unknown_exchange_is_nothing(agent: Agent):
    """One that was refused before it was dispatched ends too."""
    agent.candidates.ended("never-opened", agent.now)
    assert agent.candidates.find(NO_NAMES, FULL, agent.now) == Join(JoinSource.ROOT)


def test_links_name_trace_and_span(agent: Agent):
    """That is what a span link is made of."""
    agent.is_asked("1")
    agent.is_asked("2")
    links = agent.candidates.find(NO_NAMES, FULL, agent.now).links
    assert links == (Link("trace-2", "2"), Link("trace-1", "1"))


def test_nothing_is_left_behind(agent: Agent):
    """When all work is done, all memory of it is gone."""
    for number in range(100):
        agent.is_asked(f"{number}", context_id=f"c{number % 7}", task_id=f"t{number % 5}", message_id=f"m{number}")
    for number in range(100):
        agent.answers(f"{number}", task_id=f"t{number % 5}", task_state=COMPLETED)
    assert len(agent.candidates) == 0
    assert not agent.candidates._by_key
