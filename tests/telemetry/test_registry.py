"""The page that our families write is the one that prometheus_client would have written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Counter, Gauge
from prometheus_client.exposition import choose_encoder

from sidecar.telemetry.families import CounterFamily, Exemplar, HistogramFamily, ScrapedGauge
from sidecar.telemetry.names import BUILD, EXCHANGE_DURATION, LOOPS, OVERHEAD_DURATION, Metric
from sidecar.telemetry.registry import Registry

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
FORMS = [
    OPENMETRICS,
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "application/openmetrics-text;version=0.0.1",
    "application/openmetrics-text;version=1.0.0;escaping=dots",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "text/plain",
    "",
]
HELP = Metric("sidecar_odd_total", "counter", 'a "help" with \\ and\na second line', "", ("b", "a"), "")
SECONDS = Metric("sidecar_odd_seconds", "histogram", "seconds", "seconds", ("method", "caller"), "", (0.5, 1e7))
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.floats(allow_infinity=False, allow_nan=False, min_value=0) | st.integers(0, 10**9).map(float)


def as_prometheus_client_writes_it(registry: Registry, accept: str) -> tuple[bytes, str]:
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


@pytest.fixture
def registry() -> Registry:
    """All kinds, ours and others', with and without exemplars, and families that have no series."""
    made = Registry()
    exemplar = Exemplar("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1_700_000_000.25)
    odd, seconds, durations = CounterFamily(HELP), HistogramFamily(SECONDS), HistogramFamily(EXCHANGE_DURATION)
    for each in (odd, seconds, durations, CounterFamily(LOOPS), HistogramFamily(OVERHEAD_DURATION)):
        made.register(each)
    made.register(ScrapedGauge(BUILD, lambda: {("1.0", "3.11"): 1.0}))
    Counter("other", "of somebody else", registry=made).inc(exemplar={"trace_id": "x"})
    made.register(
        ScrapedGauge(Metric("sidecar_g", "gauge", "g", "", ("a",), ""), lambda: {("x",): -0.5, ("y",): math.inf})
    )
    odd.series('with "quotes"', "and \\ and\na new line").add(2.5, exemplar)
    odd.series("{}", "ü").add(12_345_678)
    seconds.series("le", "caller").observe(0.25, exemplar)
    seconds.series("le", "caller").observe(1e9)
    durations.series("a", "b", "m", "inbound").observe(3.0)
    Gauge("last", "of somebody else", registry=made).set(1e22)
    return made


@pytest.mark.parametrize("accept", FORMS)
def test_it_is_the_same_page_byte_for_byte(registry: Registry, accept: str):
    """In every form that can be asked for, and a second time, when texts are kept."""
    for _ in range(2):
        assert registry.page(accept) == as_prometheus_client_writes_it(registry, accept)


def test_a_form_without_exemplars_has_none(registry: Registry):
    """And the other one has: the comparison above is of pages that differ."""
    assert b'# {span_id="b7ad6b7169203331"' in registry.page(OPENMETRICS)[0]
    assert b"span_id" not in registry.page("text/plain")[0]


@settings(max_examples=200, deadline=None)
@given(
    series=st.dictionaries(st.tuples(WORDS, WORDS), st.lists(VALUES, max_size=4), max_size=4),
    accept=st.sampled_from([OPENMETRICS, "text/plain"]),
)
def test_it_is_the_same_for_any_labels_and_values(series: dict[tuple[str, str], list[float]], accept: str):
    """Callers choose what is in a label."""
    made, counters, histograms = Registry(), CounterFamily(HELP), HistogramFamily(SECONDS)
    made.register(counters)
    made.register(histograms)
    for labels, values in series.items():
        for value in values:
            counters.series(*labels).add(value)
            histograms.series(*labels).observe(value)
    assert made.page(accept) == as_prometheus_client_writes_it(made, accept)


def test_a_series_that_comes_later_is_on_the_next_page(registry: Registry):
    """Texts are kept, series are not."""
    family = CounterFamily(Metric("sidecar_late_total", "counter", "late", "", ("a",), ""))
    registry.register(family)
    assert b"sidecar_late" not in registry.page("text/plain")[0]
    family.series("x").add()
    assert b'sidecar_late_total{a="x"} 1.0\n' in registry.page("text/plain")[0]
    family.series("x").add()
    assert b'sidecar_late_total{a="x"} 2.0\n' in registry.page("text/plain")[0]
