"""What counts as overtaken, to the millisecond: the records that stores in memory and in files share."""

from __future__ import annotations

import pytest

from sidecar.engine.state.task_record import begun, changed, read, written
from sidecar.engine.state.tasks import LATE_S, Cause, Sighting
from sidecar.engine.state.version_record import VersionRecord, touched
from sidecar.engine.state.versions import Place, Touch

SEEN_MS = 1_700_000_000_000
NOW_MS = SEEN_MS + 10_000
SLACK_MS = int(LATE_S * 1000)


def sighting(state: str, exchange: str, age_ms: int = 0) -> Sighting:
    is_terminal = state == "sent"
    cause = Cause(exchange=exchange)
    return Sighting(
        callee="shop",
        task="t",
        state=state,
        follows=frozenset(),
        cause=cause,
        sequence=0,
        is_terminal=is_terminal,
        age_s=age_ms / 1000,
    )


@pytest.mark.parametrize(
    ("began_after_ms", "step"), [(-1, "late"), (0, "late"), (SLACK_MS - 1, "late"), (SLACK_MS, "illegal")]
)
def test_a_call_that_began_within_the_slack_may_tell_of_the_state_before(began_after_ms: int, step: str):
    """And one that began at its end may not."""
    record = begun(sighting("sent", "e1"), SEEN_MS, "")
    again = changed(record, sighting("open", "e2", 10_000 - began_after_ms), NOW_MS, "")
    assert again.step == step


@pytest.mark.parametrize(
    ("began_after_ms", "is_stale"), [(-1, False), (0, False), (SLACK_MS - 1, False), (SLACK_MS, True)]
)
def test_a_list_that_was_asked_for_within_the_slack_may_tell_of_the_version_before(began_after_ms: int, is_stale: bool):
    """Where nobody knows what its agent knew when it asked."""
    record, place = VersionRecord(), Place("bank", "account", "7")
    touched(record, Touch(place=place, agent="a", version="n10012", exchange="e1"), SEEN_MS)
    age_s = (10_000 - began_after_ms) / 1000
    old = Touch(place=place, agent="a", version="n10011", exchange="e2", age_s=age_s)
    assert touched(record, old, NOW_MS).is_stale is is_stale


def test_a_record_reads_as_it_was_written():
    """Whole: a restart may not change what is known."""
    record = begun(sighting("open", "e1"), SEEN_MS, "rival")
    changed(record, sighting("sent", "e2"), NOW_MS, "")
    record.advance(NOW_MS, is_answer=True)
    assert read(written(record)) == record
