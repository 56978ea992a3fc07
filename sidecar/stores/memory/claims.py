"""Claims, in this process."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.engine.ports import Clock
from sidecar.engine.state.claims import FREED_S, OTHERS_MAX, SIGHTING_S, Claimed, Sighting, Standing

log = logging.getLogger(__name__)

CLAIMS_MAX = 100_000
"""Keys known at once: about 60 MB beside the recordings."""

RECORDED_BYTES_MAX = 256 << 20
"""All recordings together. Past it the oldest answers are dropped, and their keys stay taken."""

PRUNED_AT_ONCE = 4
"""Expired keys that one claim forgets: more than it adds."""


class State(StrEnum):
    HELD = "held"
    DONE = "done"
    DOUBT = "doubt"
    FREE = "free"


@dataclass(slots=True, eq=False)
class Entry:
    """One key."""

    digest: str
    holder: str
    token: int
    first_ms: int
    retain_ms: int
    lease_ms: int
    """The moment at which the lease ends."""
    expires_ms: int
    state: State = State.HELD
    recording: bytes | None = None
    others: dict[str, int] = field(default_factory=dict)
    """Until when each other exchange waits."""


@dataclass(frozen=True, slots=True)
class Seen:
    mark: str
    exchange: str
    seen_ms: int
    deadline_ms: int


class MemoryClaims:
    """The Claims port in one process.

    What expired makes room first. Past the limit the oldest settled claim is forgotten, and one that is held only
    where all are: that key may then run again, which is said in the log.
    """

    def __init__(
        self, clock: Clock, *, claims_max: int = CLAIMS_MAX, recorded_bytes_max: int = RECORDED_BYTES_MAX
    ) -> None:
        self._clock = clock
        self._claims_max = claims_max
        self._recorded_bytes_max = recorded_bytes_max
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        """By key, the one settled longest ago first."""
        self._round: list[str] = []
        """Keys that are still to be looked at, whether they expired."""
        self._recorded: OrderedDict[str, int] = OrderedDict()
        """Bytes of each recording, the oldest first."""
        self._recorded_bytes = 0
        self._sightings: OrderedDict[str, Seen] = OrderedDict()

    async def claim(
        self, key: str, *, digest: str, holder: str, lease_s: float, retain_s: float, wait_s: float = 0.0
    ) -> Claimed:
        now_ms = self._now_ms()
        self._prune(now_ms)
        entry = self._entries.get(key)
        if entry is None or entry.state is State.FREE or now_ms >= entry.expires_ms:
            return self._taken(key, entry, digest, holder, now_ms, ms(lease_s), ms(retain_s))
        age_ms = now_ms - entry.first_ms
        if entry.holder == holder:
            return Claimed(Standing.YOURS, entry.token, None, age_ms, len(entry.others))
        standing = standing_of(entry, digest, now_ms)
        if holder in entry.others or len(entry.others) < OTHERS_MAX:
            entry.others[holder] = now_ms + ms(wait_s) if standing is Standing.IN_FLIGHT else now_ms
        recording = entry.recording if standing is Standing.RECORDED else None
        return Claimed(standing, 0, recording, age_ms, len(entry.others))

    async def extend(self, key: str, token: int, lease_s: float) -> int | None:
        now_ms = self._now_ms()
        entry = self._fenced(key, token, now_ms)
        if entry is None or entry.state is not State.HELD:
            return None
        entry.lease_ms = now_ms + ms(lease_s)
        entry.expires_ms = entry.lease_ms + entry.retain_ms
        return sum(until_ms > now_ms for until_ms in entry.others.values())

    async def complete(self, key: str, token: int, recording: bytes | None) -> bool:
        entry = self._fenced(key, token, self._now_ms())
        if entry is None or entry.state is State.FREE:
            return False
        if entry.state is not State.DONE:
            self._settle(key, entry, State.DONE)
            self._record(key, entry, recording)
        return True

    async def release(self, key: str, token: int) -> bool:
        now_ms = self._now_ms()
        entry = self._fenced(key, token, now_ms)
        if entry is None or entry.state in (State.DONE, State.DOUBT):
            return False
        entry.state, entry.expires_ms = State.FREE, now_ms + ms(FREED_S)
        return True

    async def doubt(self, key: str, token: int) -> bool:
        entry = self._fenced(key, token, self._now_ms())
        if entry is None or entry.state in (State.DONE, State.FREE):
            return False
        if entry.state is State.HELD:
            self._settle(key, entry, State.DOUBT)
        return True

    async def sight(self, key: str, *, mark: str, exchange: str, deadline_ms: int) -> Sighting | None:
        now_ms = self._now_ms()
        seen = self._sightings.get(key)
        if seen is not None and seen.exchange == exchange:
            return None
        self._sightings[key] = Seen(mark, exchange, now_ms, deadline_ms)
        self._sightings.move_to_end(key)
        if len(self._sightings) > self._claims_max:
            self._sightings.popitem(last=False)
        if seen is None or now_ms - seen.seen_ms >= ms(SIGHTING_S):
            return None
        return Sighting(seen.mark, now_ms - seen.seen_ms, seen.deadline_ms)

    def _now_ms(self) -> int:
        return self._clock.unix_ns() // 1_000_000

    def _taken(
        self, key: str, before: Entry | None, digest: str, holder: str, now_ms: int, lease_ms: int, retain_ms: int
    ) -> Claimed:
        token = now_ms if before is None else max(before.token + 1, now_ms)
        self._forget(key)
        self._make_room()
        lease_until_ms = now_ms + lease_ms
        self._entries[key] = Entry(digest, holder, token, now_ms, retain_ms, lease_until_ms, lease_until_ms + retain_ms)
        return Claimed(Standing.NEW, token)

    def _fenced(self, key: str, token: int, now_ms: int) -> Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry.token == token and now_ms < entry.expires_ms else None

    def _settle(self, key: str, entry: Entry, state: State) -> None:
        entry.state, entry.expires_ms = state, self._now_ms() + entry.retain_ms
        self._entries.move_to_end(key)

    def _record(self, key: str, entry: Entry, recording: bytes | None) -> None:
        if recording is None:
            return
        entry.recording = recording
        self._recorded[key] = len(recording)
        self._recorded_bytes += len(recording)
        while self._recorded_bytes > self._recorded_bytes_max:
            oldest, size_bytes = self._recorded.popitem(last=False)
            self._recorded_bytes -= size_bytes
            self._entries[oldest].recording = None

    def _prune(self, now_ms: int) -> None:
        """A few keys at each claim, round and round: a claim costs the same however many there are."""
        if not self._round:
            self._round = list(self._entries)
        for key in self._round[-PRUNED_AT_ONCE:]:
            if key in self._entries and now_ms >= self._entries[key].expires_ms:
                self._forget(key)
        del self._round[-PRUNED_AT_ONCE:]

    def _make_room(self) -> None:
        if len(self._entries) < self._claims_max or not self._entries:
            return
        settled = (key for key, entry in self._entries.items() if entry.state is not State.HELD)
        forgotten = next(settled, next(iter(self._entries)))
        if self._entries[forgotten].state is not State.FREE:
            log.warning("more than %d claims: one is forgotten before its time", self._claims_max)
        self._forget(forgotten)

    def _forget(self, key: str) -> None:
        self._entries.pop(key, None)
        self._recorded_bytes -= self._recorded.pop(key, 0)


def standing_of(entry: Entry, digest: str, now_ms: int) -> Standing:
    """Of a key that another exchange took."""
    if entry.digest != digest:
        return Standing.CONFLICT
    if entry.state is State.DONE:
        return Standing.RECORDED
    is_lost = entry.state is State.DOUBT or now_ms >= entry.lease_ms
    return Standing.UNKNOWN if is_lost else Standing.IN_FLIGHT


def ms(seconds: float) -> int:
    return int(seconds * 1000)
