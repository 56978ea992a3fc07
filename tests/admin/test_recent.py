"""Recent: what is kept of what passed, and what makes room."""

from __future__ import annotations

import pytest

from sidecar.admin.recent import AGENTS_MAX, ENTRIES_MAX, FINDINGS_MAX, Recent
from sidecar.engine.costs import Cost, Source
from sidecar.engine.exchange import Status
from sidecar.engine.finding import Action, Finding, Severity
from sidecar.testing import ManualClock
from tests.admin.passing import exchange_of, outcome_of

OK = Status("OK")


def passed(recent: Recent, count: int, **more: str) -> None:
    for number in range(count):
        exchange = exchange_of(span=f"{more.get('conversation', 'c')}-{number}", **more)
        recent.exchange_started(exchange)
        recent.exchange_ended(outcome_of(exchange, OK))


def test_an_exchange_is_open_until_it_ends_and_nothing_of_it_is_kept():
    """What ended is numbers and names; the exchange itself, with its payloads, is let go."""
    recent = Recent(ManualClock())
    exchange = exchange_of()
    recent.exchange_started(exchange)
    assert recent.open_exchanges() == [exchange]
    assert recent.edges()[0].total.open == 1
    recent.exchange_ended(outcome_of(exchange, OK))
    assert recent.open_exchanges() == []
    assert (recent.edges()[0].total.open, recent.edges()[0].total.exchanges) == (0, 1)
    assert recent._open == {}


@pytest.mark.parametrize(("made", "kept"), [(0, 0), (1, 1), (3, 3), (4, 3)])
def test_edges_are_bounded(made: int, kept: int):
    """The one used least recently makes room, and is counted."""
    recent = Recent(ManualClock(), edges_max=3)
    for number in range(made):
        passed(recent, 1, method=f"/a.B/{number}")
        passed(recent, 1, method="/a.B/0")
    assert len(recent.edges()) == kept
    assert recent.edges_forgotten == made - kept
    assert not made or "/a.B/0" in {each.key.method for each in recent.edges()}


@pytest.mark.parametrize(("made", "kept"), [(0, 0), (1, 1), (3, 3), (4, 3)])
def test_conversations_are_bounded(made: int, kept: int):
    """By their number."""
    recent = Recent(ManualClock(), conversations_max=3)
    for number in range(made):
        passed(recent, 1, conversation=f"c{number}")
    assert len(recent.conversations()) == kept
    assert recent.conversations_forgotten == made - kept


def test_all_their_exchanges_together_are_bounded():
    """The conversation not seen for longest makes room with all of its own; the last one stays whatever it holds."""
    recent = Recent(ManualClock(), entries_max=10)
    for number in range(4):
        passed(recent, 4, conversation=f"c{number}")
    assert [each.conversation for each in recent.conversations()] == ["c2", "c3"]
    assert recent.bounds[2][1] == 8
    passed(recent, 12, conversation="long")
    assert [each.conversation for each in recent.conversations()] == ["long"]


def test_one_conversation_is_bounded():
    """Its oldest exchanges make room, which is said; its edges and agents are bounded too."""
    recent = Recent(ManualClock())
    passed(recent, ENTRIES_MAX + 3)
    [seen] = recent.conversations()
    assert (len(seen.entries), seen.missing, seen.total.exchanges) == (ENTRIES_MAX, 3, ENTRIES_MAX + 3)
    for number in range(ENTRIES_MAX + 5):
        passed(recent, 1, caller=f"caller-{number}")
    assert len(seen.agents) == AGENTS_MAX
    assert len(seen.edges) <= ENTRIES_MAX + 1


def test_findings_of_one_exchange_are_bounded_and_one_may_come_late():
    """A verdict may come after the end, and belongs to its exchange all the same."""
    recent = Recent(ManualClock())
    exchange = exchange_of()
    recent.exchange_started(exchange)
    finding = Finding("spec", "x", Severity.ERROR, "it is wrong")
    for _ in range(FINDINGS_MAX):
        recent.finding_made(exchange, finding, Action.OBSERVED)
    recent.exchange_ended(outcome_of(exchange, OK))
    recent.finding_made(exchange, finding, Action.OBSERVED)
    [entry] = recent.conversations()[0].entries.values()
    assert (len(entry.findings), entry.findings_missing) == (FINDINGS_MAX, 1)
    assert recent.edges()[0].total.findings == FINDINGS_MAX + 1
    recent.finding_made(exchange_of(conversation="never seen"), finding, Action.OBSERVED)


def test_the_last_minute_is_told_apart_from_the_rest():
    """Rates, errors, cost and durations of it; what is older has gone."""
    clock = ManualClock()
    recent = Recent(clock)
    for number in range(100):
        exchange = exchange_of(span=f"{number}", started_ns=clock.monotonic_ns())
        recent.exchange_started(exchange)
        recent.charged(exchange, Cost(1_000, Source.REPORTED))
        code = "OK" if number % 10 else "UNAVAILABLE"
        recent.exchange_ended(outcome_of(exchange, Status(code), 0.01 if number < 90 else 1.0))
        clock.advance(0.1)
    [edge] = recent.edges()
    lately = edge.recent(clock.monotonic_ns())
    assert (lately.exchanges, lately.errors, lately.cost_micro_usd) == (100, 10, 100_000)
    assert lately.quantile_s(0.5) == pytest.approx(0.01, rel=0.25)
    assert lately.quantile_s(0.95) == pytest.approx(1.0, rel=0.25)
    clock.advance(70)
    lately = edge.recent(clock.monotonic_ns())
    assert (lately.exchanges, lately.quantile_s(0.5), edge.total.exchanges) == (0, 0.0, 100)
