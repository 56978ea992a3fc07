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
        self._work: asyncio.Task[None] | None = None

    def hold(self, key: object, lease: Lease) -> None:
        self._held[key] = lease
        if self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._renew())

    def release(self, key: object) -> None:
        """Before it is given back: nothing renews it from here on."""
        self._held.pop(key, None)
        if not self._held and self._work is not None:
            self._work.cancel()
            self._work = None

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s)
            await asyncio.gather(*(self._attempt(key, lease) for key, lease in list(self._held.items())))

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
