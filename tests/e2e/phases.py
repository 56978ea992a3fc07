"""The two halves of a run: one in which nothing goes wrong, and one in which everything does, each thing in its place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.e2e import life
from tests.e2e.faults.fault import Fault
from tests.e2e.life import Life
from tests.e2e.stand import Stand
from tests.e2e.template import AlertRule
from tests.e2e.traffic import ordinary_traffic
from tests.e2e.world import Tell

AT_ONCE = 8
"""Faults that are injected side by side. More would tire two cores, and that is a fault of its own."""

FIRING_LIMIT_S = 60.0
"""From a fault to its delivery, on top of what the rule itself waits."""

PROGRESS_S = 15.0
"""Between two lines that say how far we are."""

NOT_LABELS = ("__name__", "alertname", "alertstate")


@dataclass(slots=True)
class Seen:
    """What a phase saw."""

    lives: dict[str, list[Life]] = field(default_factory=dict)
    """By fault (its alert)."""
    strays: list[str] = field(default_factory=list)
    """Alerts that fired, or at the end were pending, and that nobody had asked for."""
    passing: list[str] = field(default_factory=list)
    """Alerts that were pending for a moment and came to nothing."""
    took_s: float = 0.0


async def healthy(stand: Stand, duration_s: float, tell: Tell) -> Seen:
    """Ordinary traffic alone. Nothing may fire, and at the end nothing may be about to."""
    began_s, from_s = time.monotonic(), time.time()
    async with ordinary_traffic(stand.world):
        while (left_s := began_s + duration_s - time.monotonic()) > 0:
            tell(f"healthy run: {left_s:.0f} s more; {len(stand.watch.now)} alerts pending or firing")
            await asyncio.sleep(min(PROGRESS_S, left_s))
        pending = [life.shown(alert) for alert in stand.watch.now]
    fired, passing = await history(stand, from_s)
    return Seen(strays=[*map(told, fired), *pending], passing=[*map(told, passing)], took_s=time.monotonic() - began_s)


async def faulty(stand: Stand, faults: Sequence[Fault], tell: Tell) -> Seen:
    """Every fault in turn, several side by side, while ordinary traffic goes on."""
    began_s, from_s = time.monotonic(), time.time()
    seen, places = Seen(), asyncio.Semaphore(AT_ONCE)
    async with ordinary_traffic(stand.world):
        work = [asyncio.create_task(one(stand, fault, seen, places, tell)) for fault in in_order(faults, stand.rules)]
        try:
            await asyncio.gather(*work)
        finally:
            for task in work:
                task.cancel()
    fired, _ = await history(stand, from_s)
    expected = [(life.alert, life.labels) for lives in seen.lives.values() for life in lives]
    expected += [brought for fault in faults for brought in fault.brings]
    seen.strays = [told(labels) for labels in fired if not any(is_like(labels, *pair) for pair in expected)]
    seen.took_s = time.monotonic() - began_s
    return seen


def in_order(faults: Sequence[Fault], rules: Sequence[AlertRule]) -> list[Fault]:
    """Those whose rules wait longest begin first."""
    waits_s = {rule.name: rule.for_s for rule in sorted(rules, key=lambda rule: rule.for_s)}
    return sorted(faults, key=lambda fault: -waits_s.get(fault.alert, 0.0))


async def one(stand: Stand, fault: Fault, seen: Seen, places: asyncio.Semaphore, tell: Tell) -> None:
    rules = [rule for rule in stand.rules if rule.name == fault.alert]
    given = fault.labels(stand.world)
    lives = [Life(fault.alert, {**rule.labels, **given}) for rule in rules]
    seen.lives[fault.alert] = lives
    waits_s = {life.key: rule.for_s for life, rule in zip(lives, rules, strict=True)}
    limit_s = FIRING_LIMIT_S + max(waits_s.values(), default=0.0) + fault.patience_s
    async with places:
        tell(f"{fault.alert}: {fault.words}")
        async with fault.inject(stand.world):
            await life.begin(stand.watch, lives, limit_s, is_pending_expected=lambda alive: waits_s[alive.key] > 0)
        tell(f"{fault.alert}: {summary(lives)}; the fault is removed")
        await life.end(stand.watch, lives, limit_s)
        tell(f"{fault.alert}: {summary(lives)}")


def summary(lives: Sequence[Life]) -> str:
    troubles = [trouble for life in lives for trouble in life.troubles]
    if troubles:
        return "; ".join(troubles)
    resolved = [life.resolved_s for life in lives if life.resolved_s is not None]
    if resolved:
        return f"resolved after {max(resolved):.0f} s"
    return f"fired after {max(life.firing_s or 0 for life in lives):.0f} s, delivered"


async def history(stand: Stand, from_s: float) -> tuple[list[Mapping[str, str]], list[Mapping[str, str]]]:
    """Whatever has fired since `from_s`, and whatever was no more than pending."""
    found = await stand.prometheus.history("ALERTS", from_s, time.time())
    fired = [labels for labels in found if labels["alertstate"] == "firing"]
    names = [plain(labels) for labels in fired]
    return fired, [labels for labels in found if plain(labels) not in names]


def plain(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in ("__name__", "alertstate")}


def is_like(labels: Mapping[str, str], name: str, some: Mapping[str, str]) -> bool:
    return labels["alertname"] == name and all(labels.get(key) == value for key, value in some.items())


def told(labels: Mapping[str, str]) -> str:
    rest = {name: value for name, value in labels.items() if name not in NOT_LABELS}
    return f"{labels['alertname']} {labels['alertstate']} {rest}"
