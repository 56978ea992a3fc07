"""Findings and modes in, one decision out."""

from __future__ import annotations

import itertools

import pytest

from sidecar.engine.exchange import Mode, weakest

OBSERVE, ENFORCE = Mode.OBSERVE, Mode.ENFORCE


@pytest.mark.parametrize("modes", list(itertools.product([OBSERVE, ENFORCE, None], repeat=3)))
def test_the_weakest_level_wins(modes):
    """Any observe wins; what is left out has no say; nothing said is observe."""
    expected = ENFORCE if ENFORCE in modes and OBSERVE not in modes else OBSERVE
    assert weakest(*modes) is expected
