"""What becomes of one alert, seen from outside: in Prometheus, and by whoever would be woken up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.e2e.monitoring import ActiveAlert, Alertmanager, Key, Prometheus
from tests.e2e.webhook import Delivery, Webhook

LOOK_S = 0.5
"""Between two looks at what Prometheus holds."""


@dataclass(slots=True)
class Life:
    """One alert under one fault. Times are in seconds since the fault began, or since it was removed."""

    alert: str
    labels: Mapping[str, str]
    """Exactly, without `alertname`."""
    waits: bool
    """Whether its rule waits before it fires, so that it must have been pending."""
    was_pending: bool = False
    """Known at the end of the run: it may last for less than a look takes."""
    was_held_back: bool = False
    """Whether nobody was told at first, because of another alert that says more."""
    firing_s: float | None = None
    delivered_s: float | None = None
    """Of one that was held back: since the fault was put right."""
    resolved_s: float | None = None
    troubles: list[str] = field(default_factory=list)
    """Sentences; empty where all went as it must."""

    @property
    def key(self) -> Key:
        return self.alert, tuple(sorted(self.labels.items()))

    def __str__(self) -> str:
        return f"{self.alert}{{{', '.join(f'{name}={value}' for name, value in sorted(self.labels.items()))}}}"


class Watch:
    """Looks at Prometheus all the time, and keeps all that it saw. Use as `async with Watch(...) as watch`."""

    def __init__(self, prometheus: Prometheus, manager: Alertmanager, webhook: Webhook) -> None:
        self._prometheus = prometheus
        self._manager = manager
        self._webhook = webhook
        self.now: list[ActiveAlert] = []
        self.held_back: list[Key] = []
        self._looked = asyncio.Condition()

    async def __aenter__(self) -> Watch:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _look(self) -> None:
        while True:
            with suppress(OSError):
                self.now = await self._prometheus.alerts()
                self.held_back = await self._manager.held_back()
            async with self._looked:
                self._looked.notify_all()
            await asyncio.sleep(LOOK_S)

    def state(self, life: Life) -> str:
        """`pending`, `firing`, or empty where it is not there."""
        return next((alert.state for alert in self.now if alert.key == life.key), "")

    def like(self, name: str) -> list[ActiveAlert]:
        return [alert for alert in self.now if alert.name == name]

    def delivered(self, life: Life, status: str, since_s: float) -> Delivery | None:
        return self._webhook.told(status, life.alert, life.labels, since_s)

    async def until(self, is_so: Callable[[], bool], until_s: float) -> bool:
        """Wait until it is so; whether it was, before `until_s` on the monotonic clock."""
        async with self._looked:
            while not is_so():
                left_s = until_s - time.monotonic()
                if left_s <= 0:
                    return False
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._looked.wait(), left_s)
        return True


async def begin(watch: Watch, lives: Sequence[Life], limit_s: float) -> None:
    """From the fault's first moment: wait until each alert has been pending, has fired and was delivered.

    One that another alert holds back is delivered when that one is over, which is after the fault was put right.
    """
    began_s = time.monotonic()
    for life in lives:
        if watch.state(life):
            life.troubles.append("was there before the fault")

    def note() -> bool:
        for life in lives:
            state = watch.state(life)
            if state == "firing" and life.firing_s is None:
                life.firing_s = time.monotonic() - began_s
            if life.delivered_s is None and (delivery := watch.delivered(life, "firing", began_s)):
                life.delivered_s = delivery.at_s - began_s
                life.troubles += troubles_with(delivery)
            life.was_held_back |= life.delivered_s is None and life.key in watch.held_back
        return all(life.firing_s is not None and is_told(life) for life in lives)

    await watch.until(note, began_s + limit_s)
    for life in lives:
        if life.firing_s is None:
            instead = ", ".join(shown(alert) for alert in watch.like(life.alert)) or "nothing of that name"
            life.troubles.append(f"did not fire within {limit_s:.0f} s; there is {instead}")
        elif not is_told(life):
            life.troubles.append("was not delivered")


async def end(watch: Watch, lives: Sequence[Life], ended_s: float, limit_s: float) -> None:
    """Wait until each alert that was delivered is said to be over. The fault began to be put right at `ended_s`."""
    waiting = [life for life in lives if life.firing_s is not None and is_told(life)]

    def note() -> bool:
        for life in waiting:
            if life.delivered_s is None and (delivery := watch.delivered(life, "firing", ended_s)):
                life.delivered_s = delivery.at_s - ended_s
                life.troubles += troubles_with(delivery)
            if life.resolved_s is None and (delivery := watch.delivered(life, "resolved", ended_s)):
                life.resolved_s = delivery.at_s - ended_s
                life.troubles += troubles_with(delivery)
        return all(life.resolved_s is not None for life in waiting)

    await watch.until(note, ended_s + limit_s)
    for life in waiting:
        if life.delivered_s is None:
            life.troubles.append("was held back, and was not delivered when that was over")
        if life.resolved_s is None:
            life.troubles.append(f"was not resolved within {limit_s:.0f} s of the fault's end")


def is_told(life: Life) -> bool:
    """Whether somebody knows, by this alert or by the one that holds it back."""
    return life.delivered_s is not None or life.was_held_back


def troubles_with(delivery: Delivery) -> list[str]:
    """Whether a person would understand what was delivered: no template is left, nothing is empty."""
    texts = {name: delivery.annotations.get(name, "") for name in ("summary", "description", "runbook_url")}
    found = [f"has no {name}" for name, text in texts.items() if not text.strip()]
    found += [
        f"was delivered with an unfilled {name}: {text}"
        for name, text in texts.items()
        if any(mark in text for mark in ("{{", "<no value>", "<error", "%!", "NaN"))
    ]
    return found


def shown(alert: ActiveAlert) -> str:
    return f"{alert.name} {alert.state} {dict(alert.labels)}"
