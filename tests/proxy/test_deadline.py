"""Relayed deadlines never grow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.proxy.deadline import relayed


def test_no_deadline_stays_none():
    """Observe gives no call a deadline that its caller did not set."""
    assert relayed(None) is None


@pytest.mark.parametrize(
    ("remaining_s", "expected_s"),
    [(0.0, 0.0), (0.002, 0.0), (0.9996, 0.997), (1.999, 1.988), (2.0, 1.998), (12.34, 12.298), (123.4, 122.998)],
)
def test_deadline_is_rounded_down_to_what_the_wire_can_say(remaining_s: float, expected_s: float):
    """grpc's encoder has three digits and rounds up; after us there is nothing left to round."""
    assert relayed(remaining_s) == pytest.approx(expected_s)


@given(st.floats(min_value=0, max_value=1e6))
def test_deadline_never_grows(remaining_s: float):
    """Not later than the caller's, and not much earlier."""
    given_s = relayed(remaining_s)
    assert given_s is not None
    assert 0 <= given_s <= remaining_s
    assert remaining_s - given_s <= 0.003 + remaining_s * 0.1
