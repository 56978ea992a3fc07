"""Timestamps as numbers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.engine.moments import moment_ns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T00:00:00.0000000019Z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:59:59.5-00:00", -500_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
        ("2026-01-02t03:04:05z", 1_767_323_045_000_000_000),
    ],
)
def test_timestamps_of_any_offset_are_one_line_of_numbers(text: str, expected: int):
    """RFC 3339, whatever it allows."""
    assert moment_ns(text) == expected


@pytest.mark.parametrize(
    "text", ["", "now", "7", "2026-01-02", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05", "٢٠٢٦-01-02T03:04:05Z"]
)
def test_other_texts_are_no_moment(text: str):
    """A number, a date alone, a time without its offset: nobody can say when that was."""
    assert moment_ns(text) is None


@given(st.text(max_size=80) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", fullmatch=True))
def test_no_text_makes_it_fail(text: str):
    """Whatever a payload says."""
    assert moment_ns(text) is None or isinstance(moment_ns(text), int)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_order_is_that_of_the_moments(moment: datetime):
    """To the microsecond that Python's own clock has."""
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution) * 1000
    assert moment_ns(moment.isoformat()) == expected
