"""Every fault that is injected. Each rule of the template is shown by exactly one of them (`test_registered.py`)."""

from __future__ import annotations

from typing import Final

from tests.e2e.faults import calls, machinery, money, state, verdicts
from tests.e2e.faults.fault import Fault

FAULTS: Final[tuple[Fault, ...]] = (
    *calls.FAULTS,
    *money.FAULTS,
    *state.FAULTS,
    *verdicts.FAULTS,
    *machinery.FAULTS,
)
