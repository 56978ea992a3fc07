"""The pressure section: what is read, what is refused, and what the check is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.checks.pressure import BreakerTerms, DeadlockTerms, Limit, PressureSettings, RetryTerms
from sidecar.config import Config, parse
from sidecar.engine.exchange import Mode
from sidecar.engine.state.pressure import Rate, RetryBudget
from sidecar.errors import ConfigError
from sidecar.units import BadValue, parse_rate
from sidecar.wiring import pressure_settings

HEAD = "agent: writer\nroutes: [{listen: '127.0.0.1:1', upstream: '127.0.0.1:2'}]\n"


def config(pressure: str) -> Config:
    return parse(f"{HEAD}pressure: {pressure}\n", name="s.yaml", base=Path(), environ={})


def test_nothing_is_in_force_unless_written() -> None:
    """An empty section is no section; limits, budgets and breakers are the operator's to choose."""
    for text in ("{}", "{lease: 30s}", "{deadlocks: {}}"):
        assert pressure_settings(config(text)) == PressureSettings()
        assert not any(line.startswith("pressure") for line in config(text).describe())


def test_everything_written_reaches_the_check() -> None:
    """Every key, in its unit."""
    settings = pressure_settings(
        config(
            """{
            limits: [
              {caller: "*", callee: "wri*", method: "/a.B/*", concurrency: 20, rate: 50/s, burst: 100, scope: fleet},
              {callee: writer, rate: 90/m, mode: observe},
            ],
            retries: {ratio: 0.1, minimum: 0, window: 1m, scope: fleet, mode: enforce},
            breaker: {failures: 2, share: 1, window: 5s, cooldown: 1s, codes: [DATA_LOSS], mode: observe},
            deadlocks: {agents: [{name: writer}, {name: planner, serves: 4}], mode: enforce},
            lease: 5s}"""
        )
    )
    assert settings == PressureSettings(
        limits=(
            Limit("*", "wri*", "/a.B/*", 20, Rate(50.0, 100), "fleet", None),
            Limit("*", "writer", "*", None, Rate(1.5, 2), "sidecar", Mode.OBSERVE),
        ),
        retries=RetryTerms(RetryBudget(0.1, 0, 60.0), "fleet", Mode.ENFORCE),
        breaker=BreakerTerms(2, 1.0, 5.0, 1.0, frozenset({"DATA_LOSS"}), Mode.OBSERVE),
        deadlocks=DeadlockTerms({"writer": 1, "planner": 4}, Mode.ENFORCE),
        lease_s=5.0,
    )


def test_what_is_in_force_is_said_at_the_start() -> None:
    """One line, so that an operator sees that the section was read."""
    parts = "{limits: [{concurrency: 1}], retries: {}, breaker: {}, deadlocks: {agents: [{name: writer}]}}"
    assert "pressure    1 limit, a retry budget, breakers, deadlocks of 1" in config(parts).describe()


def test_an_empty_part_has_its_documented_defaults() -> None:
    """`breaker: {}` asks for a breaker."""
    settings = pressure_settings(config("{retries: {}, breaker: {}}"))
    assert settings.retries == RetryTerms(RetryBudget(0.2, 3, 10.0))
    assert settings.breaker == BreakerTerms()


@pytest.mark.parametrize(
    ("pressure", "mistake"),
    [
        (
            "{limits: [{}]}",
            "limits[0].concurrency: found neither concurrency nor rate; allowed: at least one of the two",
        ),
        (
            "{limits: [{concurrency: 1, burst: 5}]}",
            "limits[0].burst: found 5 without a rate; allowed: a rate beside it",
        ),
        ("{limits: [{concurrency: -1}]}", "limits[0].concurrency: found -1; allowed: a whole number from 0 to 1000000"),
        (
            "{limits: [{callee: a, rate: 1/s}, {callee: a, concurrency: 1}]}",
            "limits[1].callee: found the calls of entry 0 again; allowed: one entry for them, or other calls",
        ),
        (
            "{limits: [{callee: '{a}', rate: 1/s}]}",
            "limits[0].callee: found '{a}'; allowed: a name or glob of 1 to 255",
        ),
        ("{limits: [{rate: 50}]}", "limits[0].rate: found 50; allowed: a number per second, minute or hour: 50/s"),
        ("{limits: [{rates: 50/s}]}", "limits[0].rates: found an unknown key (meant rate?)"),
        ("{breaker: {codes: [GONE]}}", "breaker.codes[0]: found 'GONE'; allowed: CANCELLED, UNKNOWN"),
        ("{breaker: {codes: []}}", "breaker.codes: found 0 entries; allowed: 1 to 64 entries"),
        (
            "{deadlocks: {agents: [{name: a}, {name: a}]}}",
            "deadlocks.agents[1].name: found 'a' again (first in entry 0)",
        ),
        ("{retries: {ratio: 1.5}}", "retries.ratio: found 1.5; allowed: a number from 0 to 1"),
        ("{lease: 500ms}", "lease: found '500ms'; allowed: a duration from 1s to 1h"),
    ],
)
def test_mistakes_say_where_and_what_is_allowed(pressure: str, mistake: str) -> None:
    """In the operator's words, with the line."""
    with pytest.raises(ConfigError) as caught:
        config(pressure)
    (said,) = caught.value.mistakes
    assert str(said).startswith(f"s.yaml:3 pressure.{mistake}")


def test_the_same_calls_may_have_a_limit_here_and_one_in_the_fleet() -> None:
    """Two counts, two sizes."""
    limits = "[{callee: a, concurrency: 2}, {callee: a, concurrency: 20, scope: fleet}]"
    one, two = pressure_settings(config(f"{{limits: {limits}}}")).limits
    assert one.key != two.key


@pytest.mark.parametrize(
    ("text", "per_s"), [("50/s", 50.0), ("90/m", 1.5), ("1/h", 1 / 3600), ("10000/s", 10_000.0), ("0.5/s", 0.5)]
)
def test_rates_are_per_second(text: str, per_s: float) -> None:
    """From one an hour to ten thousand a second."""
    assert parse_rate(text) == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["", "50", "50/", "/s", "50/d", "0/s", "-1/s", "0.9/h", "10001/s", "50 / s", "1e3/s"])
def test_rates_without_a_meaning_are_refused(text: str) -> None:
    """No unit, no number, or beyond what is counted exactly."""
    with pytest.raises(BadValue):
        parse_rate(text)
