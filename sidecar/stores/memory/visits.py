"""Trails and breaks of loops, in this process: what passed this sidecar, and nothing of what passed its peers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from sidecar.engine.ports import Clock
from sidecar.engine.state.trail import appended, fresh, marked, place_of, place_of_answer, without
from sidecar.engine.state.visits import (
    BREAKS_LISTED_MAX,
    BREAKS_MAX,
    READS_MAX,
    Answered,
    Break,
    Edge,
    Family,
    Mark,
    Sighting,
    Visit,
)

CONVERSATIONS_MAX = 10_000
RECORDS_MAX = 50_000
"""Visits and reads of all conversations, about 25 MB."""

Read = tuple[int, int, int]
"""(exchange, question, the moment in ms)."""


@dataclass(slots=True)
class Kept:
    """What is known of one conversation."""

    trail: list[Visit] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    until_ms: int = 0
    """When it is forgotten."""


class MemoryVisits:
    """The Visits port in one process. The conversation that was idle for longest makes room."""

    def __init__(
        self, clock: Clock, *, conversations_max: int = CONVERSATIONS_MAX, records_max: int = RECORDS_MAX
    ) -> None:
        self._clock = clock
        self._conversations_max = conversations_max
        self._records_max = records_max
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        """By conversation, the one that was idle for longest first."""
        self._records = 0
        self._breaks = HeldBreaks()

    async def visit(self, conversation: str, visit: Visit, *, window_s: float) -> Sighting:
        now_ms, window_ms = self._now_ms(), int(window_s * 1000)
        for held in self._breaks.of(conversation):
            if held.holds(visit, now_ms):
                return Sighting(held=held)
        kept = self._of(conversation, now_ms, window_ms)
        trail = fresh(kept.trail, now_ms, window_ms)
        place = place_of(trail, visit.exchange)
        if place is None:
            trail = appended(trail, visit, now_ms)
        self._replace(kept, trail)
        self._make_room(now_ms)
        return Sighting(tuple(trail if place is None else trail[: place + 1]), is_new=place is None)

    async def read(self, conversation: str, exchange: int, question: int, *, within_s: float) -> int:
        now_ms, within_ms = self._now_ms(), int(within_s * 1000)
        kept = self._of(conversation, now_ms, within_ms)
        reads = [read for read in kept.reads if read[2] > now_ms - within_ms]
        if all(read[0] != exchange for read in reads):
            reads = [*reads[1 - READS_MAX :], (exchange, question, now_ms)]
        self._records += len(reads) - len(kept.reads)
        kept.reads = reads
        self._make_room(now_ms)
        return sum(read[1] == question for read in reads)

    async def answered(self, conversation: str, exchange: int, answer: Answered) -> Mark | None:
        kept = self._kept.get(conversation)
        place = place_of_answer(kept.trail, exchange, answer.task) if kept else None
        if kept is None or place is None:
            return None
        visit = kept.trail[place]
        if visit.mark <= Mark.UNDECIDED:
            visit = kept.trail[place] = marked(kept.trail, visit, answer)
        return visit.mark

    async def withdraw(self, conversation: str, exchange: int) -> bool:
        kept = self._kept.get(conversation)
        if kept is None:
            return False
        count = len(kept.trail) + len(kept.reads)
        self._replace(kept, [visit for visit in kept.trail if visit.exchange != exchange])
        reads = [read for read in kept.reads if read[0] != exchange]
        self._records += len(reads) - len(kept.reads)
        kept.reads = reads
        return len(kept.trail) + len(reads) < count

    async def break_off(
        self, conversation: str, edge: Edge, edge_id: int, family: Family, *, kind: str, cooldown_s: float
    ) -> Break:
        now_ms = self._now_ms()
        held = self._breaks.get(conversation, edge_id, family.fingerprint)
        if held is not None and now_ms < held.until_ms:
            return held
        if kept := self._kept.get(conversation):
            self._replace(kept, without(kept.trail, edge_id, family))
        begun = Break(conversation, edge, edge_id, family, kind, now_ms + int(cooldown_s * 1000))
        self._breaks.add(begun, now_ms)
        return begun

    async def resume(self, conversation: str, edge_id: int, fingerprint: int) -> bool:
        held = self._breaks.take(conversation, edge_id, fingerprint)
        return held is not None and self._now_ms() < held.until_ms

    async def breaks(self, limit: int = 100) -> tuple[Break, ...]:
        now_ms = self._now_ms()
        holding = [held for held in self._breaks.all() if now_ms < held.until_ms]
        return tuple(sorted(holding, key=lambda held: -held.until_ms)[:limit])

    def _now_ms(self) -> int:
        return self._clock.unix_ns() // 1_000_000

    def _of(self, conversation: str, now_ms: int, window_ms: int) -> Kept:
        kept = self._kept.setdefault(conversation, Kept())
        kept.until_ms = max(kept.until_ms, now_ms + window_ms)
        self._kept.move_to_end(conversation)
        return kept

    def _replace(self, kept: Kept, trail: Sequence[Visit]) -> None:
        self._records += len(trail) - len(kept.trail)
        kept.trail = list(trail)

    def _make_room(self, now_ms: int) -> None:
        """Forget what is over, two a verb, and whatever is too much."""
        for _ in range(2):
            if self._kept and next(iter(self._kept.values())).until_ms <= now_ms:
                self._forget_one()
        while len(self._kept) > self._conversations_max or (self._records > self._records_max and len(self._kept) > 1):
            self._forget_one()

    def _forget_one(self) -> None:
        _, kept = self._kept.popitem(last=False)
        self._records -= len(kept.trail) + len(kept.reads)


class HeldBreaks:
    """Breaks by conversation. Those that are over go when others begin."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, dict[tuple[int, int], Break]] = OrderedDict()
        """By conversation, then by edge and fingerprint; the conversation whose last break began first is first."""

    def of(self, conversation: str) -> Iterable[Break]:
        # Nearly always there is none in the whole process.
        return self._held[conversation].values() if conversation in self._held else ()

    def get(self, conversation: str, edge_id: int, fingerprint: int) -> Break | None:
        return self._held.get(conversation, {}).get((edge_id, fingerprint))

    def all(self) -> Iterator[Break]:
        return (held for own in self._held.values() for held in own.values())

    def add(self, begun: Break, now_ms: int) -> None:
        own = {key: held for key, held in self._held.get(begun.conversation, {}).items() if now_ms < held.until_ms}
        own[begun.edge_id, begun.family.fingerprint] = begun
        if len(own) > BREAKS_MAX:
            del own[min(own, key=lambda key: own[key].until_ms)]
        self._held[begun.conversation] = own
        self._held.move_to_end(begun.conversation)
        self._make_room(now_ms)

    def take(self, conversation: str, edge_id: int, fingerprint: int) -> Break | None:
        own = self._held.get(conversation, {})
        held = own.pop((edge_id, fingerprint), None)
        if held is not None and not own:
            del self._held[conversation]
        return held

    def _make_room(self, now_ms: int) -> None:
        """Two conversations a verb lose what is over; past the limit the oldest go whole."""
        for conversation in list(islice(self._held, 2)):
            if all(held.until_ms <= now_ms for held in self._held[conversation].values()):
                del self._held[conversation]
        while (
            len(self._held) * BREAKS_MAX > BREAKS_LISTED_MAX and sum(map(len, self._held.values())) > BREAKS_LISTED_MAX
        ):
            self._held.popitem(last=False)
