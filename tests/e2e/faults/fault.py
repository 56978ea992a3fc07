"""A fault: something real that goes wrong, and can be put right again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from tests.e2e.template import AlertRule
from tests.e2e.world import World

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """What one fault shows: an alert, or those rules of it that set some labels."""

    alert: str
    labels: Callable[[World], Labels]
    """Those that the expression gives the alert, exactly, without `job`. Those that the rule sets come on top."""
    of: Labels = field(default_factory=dict)
    """Labels that tell the rules of one name apart, where they need different faults."""

    def is_shown_by(self, rule: AlertRule) -> bool:
        return rule.name == self.alert and all(rule.labels.get(name) == value for name, value in self.of.items())


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done, and all that must be told of it."""

    words: str
    inject: Callable[[World], AbstractAsyncContextManager[None]]
    """Goes wrong on entry, and is put right on exit."""
    shows: tuple[Shown, ...]
    brings: tuple[Shown, ...] = ()
    """Alerts that it brings about as well, by some of their labels: they are true, and proven elsewhere."""
    is_alone: bool = False
    """Whether nothing else can be watched meanwhile."""


def shown(alert: str, of: Labels | None = None, **labels: str) -> Shown:
    """An alert with labels that are known beforehand."""
    return Shown(alert, lambda _: labels, of or {})


def at_instance(alert: str, post: str) -> Shown:
    """An alert of one sidecar."""
    return Shown(alert, lambda world: {"instance": world.stage.metrics(post)})
