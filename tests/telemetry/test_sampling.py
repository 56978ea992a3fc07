"""Sampling by OTEL_TRACES_SAMPLER, as the SDK decides it."""

from __future__ import annotations

import pytest

from sidecar.engine.exchange import Side
from sidecar.errors import ConfigError
from sidecar.telemetry.sampling import build_sampler

LOW = "ffffffffffffffff0000000000000001"
HIGH = "0000000000000000ffffffffffffffff"


@pytest.mark.parametrize(
    ("name", "root", "sampled_parent", "unsampled_parent"),
    [
        ("", True, True, False),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
        ("always_on", True, True, True),
        ("always_off", False, False, False),
        ("ALWAYS_OFF", False, False, False),
    ],
)
def test_a_sampler_decides_for_roots_and_for_children(
    name: str, root: bool, sampled_parent: bool, unsampled_parent: bool
) -> None:
    """Parent-based ones obey the parent; the others do not ask it. Names are compared in any case."""
    sampler = build_sampler({"OTEL_TRACES_SAMPLER": name})
    decisions = [sampler.is_sampled(HIGH, parent, "/a.B/C", Side.INBOUND) for parent in (None, True, False)]
    assert decisions == [root, sampled_parent, unsampled_parent]


def test_a_ratio_looks_at_the_low_half_of_the_trace_id() -> None:
    """So every service that sees the trace decides alike."""
    sampler = build_sampler({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"})
    assert sampler.is_sampled(LOW, None, "/a.B/C", Side.OUTBOUND)
    assert not sampler.is_sampled(HIGH, None, "/a.B/C", Side.OUTBOUND)


def test_a_ratio_below_a_parent_obeys_the_parent() -> None:
    """A trace is kept whole or not at all."""
    sampler = build_sampler({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"})
    assert not sampler.is_sampled(LOW, None, "/a.B/C", Side.INBOUND)
    assert sampler.is_sampled(LOW, True, "/a.B/C", Side.INBOUND)


def test_a_ratio_without_a_number_keeps_everything() -> None:
    """The specification's default is 1."""
    assert build_sampler({"OTEL_TRACES_SAMPLER": "traceidratio"}).is_sampled(HIGH, None, "/a.B/C", Side.INBOUND)


@pytest.mark.parametrize(
    ("environ", "where"),
    [
        ({"OTEL_TRACES_SAMPLER": "sometimes"}, "OTEL_TRACES_SAMPLER"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1.5"}, "OTEL_TRACES_SAMPLER_ARG"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"}, "OTEL_TRACES_SAMPLER_ARG"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"}, "OTEL_TRACES_SAMPLER_ARG"),
    ],
)
def test_what_makes_no_sense_is_a_mistake(environ: dict[str, str], where: str) -> None:
    """The SDK would warn and sample everything, which is the expensive guess."""
    with pytest.raises(ConfigError) as caught:
        build_sampler(environ)
    assert [mistake.where for mistake in caught.value.mistakes] == [where]
