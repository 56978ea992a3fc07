"""What this version cannot show, and why. Each goes as soon as its reason is gone (`test_registered.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dashboards.check import Result

ALERTS: Final[Mapping[str, str]] = {"SidecarJournalLosing": "no part of this version writes a journal"}

METRICS: Final = ("sidecar_journal_events_total",)
"""Those without a series, so that panels about them are empty."""


def is_empty(result: Result) -> bool:
    """Whether a query found nothing that this version could have shown."""
    return not result.has_data and not any(name in result.query for name in METRICS)
