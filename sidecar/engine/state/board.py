"""The board: the controls that are in force in this process, and the changes that the store is still to be told.

Calls read the board and never wait for the store. What is changed here is in force here at once; a store that is away
is told when it is back, and until then the last that it said holds. What others change arrives by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from sidecar.engine.ports import Clock
from sidecar.engine.state.controls import QUARANTINES, Control, Controls, Kind, Name, State, full
from sidecar.errors import StoreFull, StoreUnavailable

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""The longest that the store is not asked for news."""

RETRY_S: Final = 0.2
"""Pause after a store did not answer."""

NOTHING_KNOWN: Final = -1

Reach = Literal["fleet", "machine", "process", "process until the store returns"]
REACHES: Final[Mapping[str, Reach]] = {"redis": "fleet", "sqlite": "machine", "memory": "process"}


@dataclass(frozen=True, slots=True)
class Standing:
    """A control in force here."""

    control: Control
    ends_ns: int | None
    """Clock.monotonic_ns at which it ends by itself; None: it does not."""
    is_local: bool = False
    """The store is still to be told."""


@dataclass(slots=True, eq=False)
class Change:
    """A change made here that is not yet in what the store said."""

    standing: Standing | None
    """None takes the control away."""
    told: int | None = None
    """The revision from which on the store has it; None while it has not."""
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the store was told, or did not answer."""
    is_refused: bool = False


class Board:
    """One process's copy of the controls, read by every call and written beside them."""

    def __init__(self, controls: Controls, clock: Clock, kind: str = "memory") -> None:
        """`kind` of the store, which says how far a change reaches."""
        self._controls = controls
        self._clock = clock
        self._kind = kind
        self._said: dict[Name, Standing] = {}
        """By the store, at `revision`."""
        self._changes: dict[Name, Change] = {}
        self._now: dict[Name, Standing] = {}
        """Both together."""
        self._listeners: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self.revision = NOTHING_KNOWN
        self.is_away = False
        """Whether the store did not answer when it was last asked."""

    @property
    def untold(self) -> int:
        """Changes that the store is still to be told."""
        return sum(change.told is None for change in self._changes.values())

    @property
    def reach(self) -> Reach:
        """How far a change reaches that the store was told."""
        return REACHES[self._kind]

    @property
    def outlives_process(self) -> bool:
        return self._kind != "memory"

    def on_change(self, call: Callable[[], None]) -> None:
        """Have something called whenever other controls are in force than before."""
        self._listeners.append(call)

    def at(self, name: Name) -> Standing | None:
        standing = self._now.get(name)
        return standing if standing is not None and not self.has_ended(standing) else None

    def of(self, kind: Kind) -> list[Standing]:
        """Those in force, by when they were made, the oldest first."""
        found = [standing for name, standing in self._now.copy().items() if name.kind is kind]
        return sorted(filter(lambda each: not self.has_ended(each), found), key=lambda each: each.control.at_ms)

    def has_ended(self, standing: Standing) -> bool:
        return standing.ends_ns is not None and standing.ends_ns <= self._clock.monotonic_ns()

    def quarantined(self) -> dict[str, int]:
        """How many are held back, by kind. May be read from another thread."""
        counts = Counter(name.kind for name, each in self._now.copy().items() if not self.has_ended(each))
        return {kind.value: counts[kind] for kind in QUARANTINES}

    # Changes.

    def put(self, control: Control, for_s: float | None = None) -> Standing:
        """In force here from now on; the store is told beside. Gives what holds.

        An automatic control leaves one alone that a person made. Raises StoreFull.
        """
        held = self.at(control.name)
        if held is not None and control.is_automatic and not held.control.is_automatic:
            return held
        if held is None and len(self.of(control.name.kind)) >= control.name.kind.most:
            raise StoreFull(full(control.name.kind))
        ends_ns = None if for_s is None else self._clock.monotonic_ns() + int(for_s * 1e9)
        standing = Standing(control, ends_ns, is_local=True)
        self._make(control.name, standing)
        return standing

    def remove(self, name: Name) -> bool:
        """No longer in force here from now on; the store is told beside. Whether it was in force."""
        if self.at(name) is None:
            return False
        self._make(name, None)
        return True

    async def told(self, name: Name, limit_s: float = 2.0) -> Reach:
        """Wait until the store was told of the last change of this name. How far that change reaches now.

        Raises StoreFull where the store had no room: then it holds no longer here either.
        """
        change = self._changes.get(name)
        if change is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(change.heard.wait(), limit_s)
            if change.is_refused:
                raise StoreFull(full(name.kind))
            if change.told is None:
                return "process until the store returns" if self.outlives_process else "process"
        return self.reach

    def _make(self, name: Name, standing: Standing | None) -> None:
        self._changes[name] = Change(standing)
        self._compose()
        self._wake.set()

    # Beside the calls.

    async def start(self, limit_s: float = 2.0) -> None:
        """Learn what holds, before the first call. A store that is away is no reason not to start."""
        try:
            async with asyncio.timeout(limit_s):
                await self._refresh()
        except (StoreUnavailable, TimeoutError):
            self._went_away()

    async def watch(self) -> None:
        """Keep it true until cancelled: tell the store what was changed here, and hear what others changed."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._tell_all())
            both.create_task(self._hear_all())

    async def flush(self) -> None:
        """Tell the store what it was not told yet; what it does not take now is lost with the process."""
        with suppress(StoreUnavailable):
            await self._tell()
        if self.untold and self.outlives_process:
            log.error("the store was never told of %d changes of controls", self.untold)

    async def _hear_all(self) -> None:
        while True:
            try:
                await self._controls.changed(LOOK_S)
                await self._refresh()
            except StoreUnavailable:
                self._went_away()
                await asyncio.sleep(RETRY_S)
            except Exception:
                # Whatever it is, what an operator says next may be an emergency: it goes on being asked for.
                log.exception("what the store says of controls cannot be used")
                self._went_away()
                await asyncio.sleep(LOOK_S)

    async def _tell_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._tell()
            except StoreUnavailable:
                self._went_away()  # and woken when it is back
            except Exception:
                log.exception("the store could not be told of a change of controls")
                self._went_away()

    async def _refresh(self) -> None:
        asked = self.revision
        state = await self._controls.read(asked)
        if self.is_away:
            self.is_away = False
            log.info("controls are those of the store again")
            self._wake.set()
        if state is None:
            return
        if state.revision < asked:
            log.error("the store has lost controls; it is told those of revision %d again", asked)
            await self._controls.restore(asked, list(self._lasting()))
            state = await self._controls.read(NOTHING_KNOWN)
            assert state is not None
        self._take(state)

    def _take(self, state: State) -> None:
        now_ns = self._clock.monotonic_ns()
        self.revision = state.revision
        self._said = {
            control.name: Standing(control, ends_at(control, state.now_ms, now_ns)) for control in state.controls
        }
        for name, change in list(self._changes.items()):
            if change.told is not None and change.told <= state.revision:
                del self._changes[name]
        self._compose()

    async def _tell(self) -> None:
        """In the order in which changes were made. What is made while we tell is told next."""
        for name, change in list(self._changes.items()):
            if change.told is None:
                try:
                    change.told = await self._told(name, change)
                    self._mark(name, change)
                except StoreFull:
                    log.error("the store has no room for another control of kind %s", name.kind)
                    change.is_refused = True
                    if self._changes.get(name) is change:
                        del self._changes[name]
                        self._compose()
                finally:
                    change.heard.set()

    def _mark(self, name: Name, change: Change) -> None:
        """The store has it. Nothing else is in force than before, so nobody is called."""
        if self._changes.get(name) is change and change.standing is not None:
            self._now[name] = replace(change.standing, is_local=False)

    async def _told(self, name: Name, change: Change) -> int:
        standing = change.standing
        if standing is None:
            return await self._controls.remove(name)
        return await self._controls.put(standing.control, self._left_s(standing))

    def _left_s(self, standing: Standing) -> float | None:
        if standing.ends_ns is None:
            return None
        return max(standing.ends_ns - self._clock.monotonic_ns(), 0) / 1e9

    def _lasting(self) -> Iterator[tuple[Control, float | None]]:
        for standing in self._said.values():
            if not self.has_ended(standing):
                yield standing.control, self._left_s(standing)

    def _compose(self) -> None:
        now = self._said.copy()
        for name, change in self._changes.items():
            if change.standing is None:
                now.pop(name, None)
            else:
                now[name] = replace(change.standing, is_local=change.told is None)
        self._now = now
        for call in self._listeners:
            try:
                call()
            except Exception:
                # One that fails must not keep the others from hearing of it: a quarantine comes before its listeners.
                log.exception("a change of controls could not be followed")

    def _went_away(self) -> None:
        if not self.is_away:
            self.is_away = True
            log.warning("the store does not answer: controls stay as they are known here")


def ends_at(control: Control, now_ms: int, now_ns: int) -> int | None:
    """On our clock, when something ends that ends on the store's."""
    return None if not control.until_ms else now_ns + (control.until_ms - now_ms) * 1_000_000
