"""Numbers and times as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.operator import words


@pytest.mark.parametrize(
    ("micro_usd", "text"),
    [
        (0, "-"),
        (1, "$0.000001"),
        (45_000, "$0.045"),
        (1_500_000, "$1.50"),
        (-20_000, "-$0.02"),
        (10**12, "$1,000,000.00"),
    ],
)
def test_money(micro_usd: int, text: str):
    assert words.usd(micro_usd) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 m"), (200, "3 m 20 s"), (7500, "2 h 5 m"), (90_000, "1 d 1 h"), (-5, "0 s")],
)
def test_age(seconds: float, text: str):
    assert words.age(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "-"),
        (0.00085, "850 us"),
        (0.012, "12 ms"),
        (0.9999, "1 s"),
        (1.44, "1.4 s"),
        (12.3, "12 s"),
        (200, "3 m 20 s"),
    ],
)
def test_latency(seconds: float, text: str):
    assert words.took(seconds) == text


@pytest.mark.parametrize(
    ("per_s", "text"), [(0, "-"), (0.25, "0.25"), (3.14, "3.1"), (120.4, "120"), (1234.0, "1,234")]
)
def test_rate(per_s: float, text: str):
    assert words.rate(per_s) == text


def test_a_long_name_keeps_its_ends():
    assert words.cut("spiffe://example.org/ns/prod/sa/planner", 20) == "spiffe://…sa/planner"
    assert words.cut("planner", 20) == "planner"


@given(st.text(max_size=50), st.integers(3, 30))
def test_no_text_keeps_what_could_steer_a_terminal(text: str, width: int):
    assert words.plain(text).isprintable()
    assert len(words.cut(text, width)) <= width
