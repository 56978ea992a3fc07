"""Modes in effect: what is configured, what an operator put in its place, and what follows from both."""

from __future__ import annotations

import pytest

from sidecar.engine.exchange import Mode, Route, Side, weakest
from sidecar.engine.modes import Modes

OBSERVE, ENFORCE = Mode.OBSERVE, Mode.ENFORCE


def route(mode: Mode = OBSERVE, name: str = "inbound") -> Route:
    return Route(name, Side.INBOUND, "planner", "desk", mode)


@pytest.mark.parametrize(
    ("root", "own", "changed_root", "changed_own", "holds"),
    [
        (ENFORCE, None, None, None, ENFORCE),
        (ENFORCE, OBSERVE, None, None, OBSERVE),
        (ENFORCE, None, OBSERVE, None, OBSERVE),
        (ENFORCE, None, None, OBSERVE, OBSERVE),
        (OBSERVE, None, None, ENFORCE, OBSERVE),
        (OBSERVE, None, ENFORCE, None, ENFORCE),
        (OBSERVE, OBSERVE, ENFORCE, None, OBSERVE),
        (OBSERVE, OBSERVE, ENFORCE, ENFORCE, ENFORCE),
        (ENFORCE, OBSERVE, None, ENFORCE, ENFORCE),
    ],
)
def test_a_change_stands_in_the_place_of_its_level_and_the_weakest_wins(
    root: Mode, own: Mode | None, changed_root: Mode | None, changed_own: Mode | None, holds: Mode
):
    """Of root and route, each as it is configured or as it was changed."""
    modes = Modes(root, {"inbound": own})
    modes.change(changed_root, {"inbound": changed_own} if changed_own else {}, [])
    assert modes.of_route("inbound") is holds
    assert modes.route(route(weakest(root, own))).mode is holds


def test_a_route_that_is_as_it_was_is_the_same_one():
    """Calls pay for a look-up while something is changed, and for nothing else."""
    modes, given = Modes(ENFORCE, {"inbound": None}), route(ENFORCE)
    assert modes.route(given) is given
    modes.change(OBSERVE, {}, [])
    weakened = modes.route(given)
    assert weakened == route(OBSERVE)
    assert modes.route(given) is weakened
    modes.change(None, {}, [])
    assert modes.route(given) is given


def test_a_route_that_nobody_configured_is_left_alone():
    """Whoever builds an engine of their own has modes of their own."""
    modes = Modes(ENFORCE, {"inbound": None})
    modes.change(OBSERVE, {}, [])
    other = route(ENFORCE, "of a test")
    assert modes.route(other) is other
