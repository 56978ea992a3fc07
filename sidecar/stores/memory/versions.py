"""Versions of resources, in this process."""

from __future__ import annotations

from collections import OrderedDict

from sidecar.engine.ports import Clock
from sidecar.engine.state.version_record import VersionRecord, touched
from sidecar.engine.state.versions import KEEP_S, RESOURCES_MAX, Overwritten, Place, Touch, Touched

KEEP_MS = KEEP_S * 1000


class MemoryVersions:
    """The Versions port in one process."""

    def __init__(self, clock: Clock, *, resources_max: int = RESOURCES_MAX) -> None:
        self._clock = clock
        self._resources_max = resources_max
        self._kinds: dict[tuple[str, str], OrderedDict[str, VersionRecord]] = {}
        """By callee and resource, and of each by key, the one not touched for longest first."""

    async def observe_version(self, touch: Touch) -> Touched:
        records = self._of(touch.place)
        record = records.setdefault(touch.place.key, VersionRecord())
        answer = touched(record, touch, self._now_ms())
        records.move_to_end(touch.place.key)
        while len(records) > self._resources_max:
            records.popitem(last=False)
        return answer

    async def known_version(self, place: Place, agent: str) -> str:
        record = self._of(place).get(place.key)
        return record.known_to(agent) if record is not None else ""

    async def overwritten(self, place: Place, base: str) -> Overwritten | None:
        record = self._of(place).get(place.key)
        return record.overwritten(base, self._now_ms()) if record is not None else None

    def _of(self, place: Place) -> OrderedDict[str, VersionRecord]:
        """What is still known of a kind of resource. Kinds are few: specs name them."""
        records = self._kinds.setdefault((place.callee, place.resource), OrderedDict())
        until_ms = self._now_ms() - KEEP_MS
        while records and next(iter(records.values())).seen_ms < until_ms:
            records.popitem(last=False)
        return records

    def _now_ms(self) -> int:
        return self._clock.unix_ns() // 1_000_000
