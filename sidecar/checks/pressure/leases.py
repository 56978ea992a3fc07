"""Leases: what this process holds in the shared store, renewed for as long as it does.

A call may last for hours, and a sidecar may crash in the middle of it: so what it holds is lent for a short time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sidecar.errors import StoreUnavailable

log = logging.getLogger(__name__)

RENEWALS: Final = 3
"""Renewals within one lease, so that two may fail."""

Verb = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Lease:
    """One thing held: how to hold it longer, and how to give it back."""

    renew: Verb
    give_back: Verb


class Leases:
    """Renews while anything is held. It sleeps by the event loop, since the store's time is real."""

    def __init__(self, lease_s: float) -> None:
        self._pause_s = lease_s / RENEWALS
        self._held: dict[object, Lease] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._work: asyncio.Task[None] | None = None

    def hold(self, key: object, lease: Lease) -> None:
        self._held[key] = lease
        self._wait()

    def release(self, key: object) -> None:
        """Before it is given back: nothing renews it from here on."""
        self._held.pop(key, None)

    def _wait(self) -> None:
        """A timer stays when nothing is held any more: most calls are over long before it is due."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._pause_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if self._held:
            self._work = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        await asyncio.gather(*(self._attempt(key, lease) for key, lease in list(self._held.items())))
        if self._held:
            self._wait()

    async def _attempt(self, key: object, lease: Lease) -> None:
        """A store that is away is asked again next time; what is lent runs on meanwhile."""
        try:
            await lease.renew()
            if key not in self._held:
                # It was given back meanwhile, and the renewal may have overtaken that.
                await lease.give_back()
        except StoreUnavailable:
            return
        except Exception:
            log.exception("a lease could not be renewed")
