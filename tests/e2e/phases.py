"""The two halves of a run: one in which nothing goes wrong, and one in which everything does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.e2e import life
from tests.e2e.faults.fault import Fault
from tests.e2e.life import Life
from tests.e2e.monitoring import JOB, key_of
from tests.e2e.oddities import oddities
from tests.e2e.stand import Stand
from tests.e2e.template import AlertRule
from tests.e2e.traffic import Served, ordinary_traffic
from tests.e2e.world import Tell, World

AT_ONCE = 8
"""Faults that are injected side by side. More would tire two cores, and that is a fault of its own."""

FIRING_LIMIT_S = 60.0
"""From a fault to its delivery, on top of what the rule itself waits."""

RESOLVED_LIMIT_S = 240.0
"""From the fault's end to the last notification: the longest of the short windows, and the sending."""

PROGRESS_S = 15.0
"""Between two lines that say how far we are."""

NOT_LABELS = ("__name__", "alertname", "alertstate")


@dataclass(slots=True)
class Seen:
    """What a phase saw."""

    lives: list[tuple[Fault, Life]] = field(default_factory=list)
    """Of every alert, under the fault that shows it."""
    strays: list[str] = field(default_factory=list)
    """Alerts that fired, or at the end were pending, and that nobody had asked for."""
    passing: list[str] = field(default_factory=list)
    """Alerts that were pending for a moment and came to nothing."""
    served: Served = field(default_factory=Served)
    """Ordinary calls of the healthy run."""
    took_s: float = 0.0


async def healthy(stand: Stand, duration_s: float, tell: Tell) -> Seen:
    """Ordinary traffic alone. Nothing may fire, and at the end nothing may be about to."""
    began_s, from_s = time.monotonic(), time.time()
    async with ordinary_traffic(stand.world) as served:
        while (left_s := began_s + duration_s - time.monotonic()) > 0:
            tell(f"healthy run: {left_s:.0f} s more; {len(stand.watch.now)} alerts pending or firing")
            await asyncio.sleep(min(PROGRESS_S, left_s))
        pending = [life.shown(alert) for alert in stand.watch.now]
    fired, passing = await history(stand, from_s)
    return Seen(
        strays=[*map(told, fired), *pending],
        passing=[*map(told, passing)],
        served=served,
        took_s=time.monotonic() - began_s,
    )


async def faulty(stand: Stand, faults: Sequence[Fault], tell: Tell) -> Seen:
    """Every fault in turn, several side by side, while ordinary traffic goes on."""
    began_s, from_s = time.monotonic(), time.time()
    seen = Seen()
    async with ordinary_traffic(stand.world), oddities(stand.world):
        await side_by_side(stand, [fault for fault in faults if not fault.is_alone], seen, tell)
        for fault in faults:
            if fault.is_alone:
                await one(stand, fault, seen, tell)
    note_pending([life for _, life in seen.lives], await stand.prometheus.history("ALERTS", from_s, time.time()))
    fired, _ = await history(stand, from_s)
    expected = [(life.alert, life.labels) for _, life in seen.lives]
    expected += [(brought.alert, brought.labels(stand.world)) for fault in faults for brought in fault.brings]
    seen.strays = [told(labels) for labels in fired if not any(is_like(labels, *pair) for pair in expected)]
    seen.took_s = time.monotonic() - began_s
    return seen


async def side_by_side(stand: Stand, faults: Sequence[Fault], seen: Seen, tell: Tell) -> None:
    """Those whose rules wait longest begin first."""
    places = asyncio.Semaphore(AT_ONCE)

    async def in_its_place(fault: Fault) -> None:
        async with places:
            await one(stand, fault, seen, tell)

    in_order = sorted(faults, key=lambda fault: -longest_wait_s(rules_of(fault, stand.rules)))
    work = [asyncio.create_task(in_its_place(fault)) for fault in in_order]
    try:
        await asyncio.gather(*work)
    finally:
        for task in work:
            task.cancel()


def rules_of(fault: Fault, rules: Sequence[AlertRule]) -> list[AlertRule]:
    return [rule for rule in rules if any(shown.is_shown_by(rule) for shown in fault.shows)]


def longest_wait_s(rules: Sequence[AlertRule]) -> float:
    return max((rule.for_s for rule in rules), default=0.0)


async def one(stand: Stand, fault: Fault, seen: Seen, tell: Tell) -> None:
    """Inject it, see all that it shows, put it right, and see that end."""
    rules = rules_of(fault, stand.rules)
    lives = list(lives_of(fault, rules, stand.world))
    seen.lives += [(fault, life) for life in lives]
    names = ", ".join(sorted({life.alert for life in lives}))
    limit_s = FIRING_LIMIT_S + longest_wait_s(rules)
    tell(f"{names}: {fault.words}")
    async with fault.inject(stand.world):
        await life.begin(stand.watch, lives, limit_s)
        ended_s = time.monotonic()
    tell(f"{names}: {summary(lives)}; put right")
    await life.end(stand.watch, lives, ended_s, RESOLVED_LIMIT_S)
    tell(f"{names}: {summary(lives)}")


def lives_of(fault: Fault, rules: Sequence[AlertRule], world: World) -> Iterator[Life]:
    for shown in fault.shows:
        given = {"job": JOB, **shown.labels(world)}
        for rule in rules:
            if shown.is_shown_by(rule):
                yield Life(rule.name, {**given, **rule.labels}, waits=rule.for_s > 0)


def note_pending(lives: Sequence[Life], alerts: Sequence[Mapping[str, str]]) -> None:
    """Where a rule waits, its alert must have been pending before it fired."""
    pending = [key_of(plain(labels)) for labels in alerts if labels["alertstate"] == "pending"]
    for alive in lives:
        alive.was_pending = alive.key in pending
        if alive.waits and alive.firing_s is not None and not alive.was_pending:
            alive.troubles.append("fired without having been pending")


def summary(lives: Sequence[Life]) -> str:
    troubles = [trouble for life in lives for trouble in life.troubles]
    if troubles:
        return "; ".join(troubles)
    resolved = [life.resolved_s for life in lives if life.resolved_s is not None]
    if resolved:
        return f"resolved after {max(resolved):.0f} s"
    return f"fired after {max(life.firing_s or 0 for life in lives):.0f} s and was delivered"


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
