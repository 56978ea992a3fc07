"""Every fault that is injected. Each rule of the template is shown by exactly one of them (`test_registered.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tests.e2e.faults import calls, machinery, money, state, verdicts
from tests.e2e.faults.fault import Fault
from tests.e2e.template import AlertRule

FAULTS: Final[tuple[Fault, ...]] = (
    *calls.FAULTS,
    *money.FAULTS,
    *state.FAULTS,
    *verdicts.FAULTS,
    *machinery.FAULTS,
)


def unregistered(rules: Sequence[AlertRule]) -> list[str]:
    """One sentence for each rule that no fault shows, or several do, and for each promise that no rule keeps."""
    return [*of_rules(rules), *of_faults(rules)]


def of_rules(rules: Sequence[AlertRule]) -> Iterator[str]:
    for rule in rules:
        count = sum(shown.is_shown_by(rule) for fault in FAULTS for shown in fault.shows)
        if count != 1:
            yield f"{rule.name} {dict(rule.labels)} is shown by {count} faults; it must be one"


def of_faults(rules: Sequence[AlertRule]) -> Iterator[str]:
    for fault in FAULTS:
        for shown in fault.shows:
            if not any(shown.is_shown_by(rule) for rule in rules):
                yield f"{fault.words} is to show {shown.alert} {dict(shown.of)}, and there is no such rule"
