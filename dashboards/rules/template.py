"""The whole template: every group of rules at some factor."""

from __future__ import annotations

from dashboards.rules import alerts as alert_part
from dashboards.rules import recording
from dashboards.rules.promql import Time
from dashboards.rules.recording import Group
from dashboards.rules.settings import Settings


def rules(factor: float = 1.0, settings: Settings = Settings()) -> list[Group]:  # noqa: B008 - frozen
    """All groups, recordings first. Every window, range, offset, interval and `for` is divided by `factor`."""
    return [*recordings(factor, settings), *alerts(factor, settings)]


def recordings(factor: float = 1.0, settings: Settings = Settings()) -> list[Group]:  # noqa: B008 - frozen
    return recording.groups(Time(factor), settings)


def alerts(factor: float = 1.0, settings: Settings = Settings()) -> list[Group]:  # noqa: B008 - frozen
    return alert_part.groups(Time(factor), settings)
