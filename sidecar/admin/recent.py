"""Recent: what passed lately, in bounded memory. A reporter: it watches, and whoever looks reads what it kept.

No payload is kept, and no exchange after its end. What was used least recently makes room, and is counted.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sidecar.engine.costs import Cost
from sidecar.engine.exchange import Exchange, Outcome
from sidecar.engine.finding import Action, Finding, Reject, Replay, Severity
from sidecar.engine.ports import Clock, Witness
from sidecar.engine.verdict import PanelVerdict
from sidecar.errors import Reason

EDGES_MAX: Final = 2_000
CONVERSATIONS_MAX: Final = 1_000
ENTRIES_MAX: Final = 256
"""Exchanges kept of one conversation; the oldest make room."""
ENTRIES_TOTAL_MAX: Final = 20_000
"""Exchanges kept of all conversations, about 20 MB of them; the conversation not seen for longest makes room."""
FINDINGS_MAX: Final = 16
"""Findings kept of one exchange."""
AGENTS_MAX: Final = 32
"""Agents named of one conversation."""
METHOD_CHARS: Final = 256
"""What is kept of a method's name: callers choose it."""

SLOT_S: Final = 10.0
SLOTS: Final = 6
"""The last minute, in parts of ten seconds."""
FINEST: Final = math.log(1.25)
"""Durations are told apart where they differ by a quarter."""


class EdgeKey(NamedTuple):
    """Who asked whom, by which method, and on which side of it we stand."""

    caller: str
    callee: str
    method: str
    side: str


@dataclass(slots=True)
class Traffic:
    """Counts of one edge, or of one conversation."""

    exchanges: int = 0
    open: int = 0
    errors: int = 0
    refused: int = 0
    replayed: int = 0
    findings: int = 0
    cost_micro_usd: int = 0
    loops: int = 0

    def add(self, other: Traffic) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Slot:
    """Ten seconds of one edge."""

    number: int
    exchanges: int = 0
    errors: int = 0
    refused: int = 0
    cost_micro_usd: int = 0
    durations: dict[int, int] = field(default_factory=dict)
    """How many took how long, by the logarithm of it."""


@dataclass(slots=True)
class EdgeSeen:
    """One edge."""

    key: EdgeKey
    seen_unix_ns: int = 0
    total: Traffic = field(default_factory=Traffic)
    slots: deque[Slot] = field(default_factory=lambda: deque(maxlen=SLOTS))
    spec: str = ""

    def slot(self, now_ns: int) -> Slot:
        number = int(now_ns / 1e9 / SLOT_S)
        if not self.slots or self.slots[-1].number < number:
            self.slots.append(Slot(number))
        return self.slots[-1]

    def recent(self, now_ns: int) -> Lately:
        oldest = int(now_ns / 1e9 / SLOT_S) - SLOTS + 1
        return Lately([slot for slot in self.slots if slot.number >= oldest])


class Lately:
    """The last minute of one edge, added up."""

    def __init__(self, slots: Iterable[Slot]) -> None:
        self._slots = list(slots)
        self.exchanges = sum(slot.exchanges for slot in self._slots)
        self.errors = sum(slot.errors for slot in self._slots)
        self.refused = sum(slot.refused for slot in self._slots)
        self.cost_micro_usd = sum(slot.cost_micro_usd for slot in self._slots)

    def quantile_s(self, share: float) -> float:
        """Of durations, to within a quarter; 0 where nothing ended."""
        counts: dict[int, int] = {}
        for slot in self._slots:
            for bucket, count in slot.durations.items():
                counts[bucket] = counts.get(bucket, 0) + count
        wanted, below = share * sum(counts.values()), 0
        for bucket in sorted(counts):
            below += counts[bucket]
            if below >= wanted:
                return math.exp((bucket + 0.5) * FINEST)
        return 0.0


@dataclass(frozen=True, slots=True)
class FindingSeen:
    """One finding."""

    finding: Finding
    action: Action
    unix_ns: int


@dataclass(slots=True)
class Entry:
    """One exchange in the timeline of its conversation."""

    edge: EdgeKey
    exchange_id: str
    trace_id: str
    span_id: str
    parent_span_id: str
    cause: str
    joined_by: str
    hops: int
    started_unix_ns: int
    spec: str
    duration_s: float = 0.0
    code: str = ""
    """Empty while it is open."""
    decision: str = ""
    reason: str = ""
    requests: int = 0
    responses: int = 0
    cost_micro_usd: int = 0
    findings: list[FindingSeen] = field(default_factory=list)
    findings_missing: int = 0


@dataclass(slots=True)
class ConversationSeen:
    """One conversation."""

    conversation: str
    began_with: str
    first_unix_ns: int
    seen_unix_ns: int
    total: Traffic = field(default_factory=Traffic)
    agents: dict[str, None] = field(default_factory=dict)
    edges: dict[EdgeKey, Traffic] = field(default_factory=dict)
    entries: OrderedDict[str, Entry] = field(default_factory=OrderedDict)
    """By our span's id, the oldest first."""
    missing: int = 0
    """Entries that made room."""


@dataclass(frozen=True, slots=True)
class Open:
    """Where an exchange that is open is counted."""

    edge: EdgeSeen
    conversation: ConversationSeen
    entry: Entry
    tallies: tuple[Traffic, ...]


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """One agent, on both sides of its edges."""

    name: str
    seen_unix_ns: int
    as_caller: Traffic
    as_callee: Traffic


class Recent(Witness):
    """Keeps what passed. Every hook is called on the event loop."""

    def __init__(
        self,
        clock: Clock,
        *,
        edges_max: int = EDGES_MAX,
        conversations_max: int = CONVERSATIONS_MAX,
        entries_max: int = ENTRIES_TOTAL_MAX,
    ) -> None:
        self._clock = clock
        self._edges_max = edges_max
        self._conversations_max = conversations_max
        self._entries_max = entries_max
        self._edges: OrderedDict[EdgeKey, EdgeSeen] = OrderedDict()
        self._conversations: OrderedDict[str, ConversationSeen] = OrderedDict()
        self._open: dict[Exchange, Open] = {}
        self._entries = 0
        self.edges_forgotten = 0
        self.conversations_forgotten = 0

    # Hooks.

    def exchange_started(self, exchange: Exchange) -> None:
        key = EdgeKey(exchange.caller, exchange.callee, exchange.method[:METHOD_CHARS], exchange.side.value)
        edge = self._edge(key)
        conversation = self._conversation(exchange)
        tally = conversation.edges.get(key)
        if tally is None:
            tally = conversation.edges[key] = Traffic()
            self._meet(conversation, key)
        entry = self._enter(conversation, key, exchange)
        edge.seen_unix_ns = conversation.seen_unix_ns = exchange.started_unix_ns
        edge.spec = entry.spec
        tallies = (edge.total, conversation.total, tally)
        for each in tallies:
            each.open += 1
        self._open[exchange] = Open(edge, conversation, entry, tallies)

    def finding_made(self, exchange: Exchange, finding: Finding, action: Action) -> None:
        kept = self._open.get(exchange) or self._ended(exchange)
        if kept is None:
            return
        entry = kept.entry
        if len(entry.findings) < FINDINGS_MAX:
            entry.findings.append(FindingSeen(finding, action, self._clock.unix_ns()))
        else:
            entry.findings_missing += 1
        is_loop = finding.reason is Reason.LOOP_DETECTED
        for each in kept.tallies:
            each.findings += finding.severity is not Severity.INFO
            each.loops += is_loop

    def exchange_ended(self, outcome: Outcome) -> None:
        exchange = outcome.exchange
        kept = self._open.pop(exchange, None)
        if kept is None:
            return
        is_error, decision, entry = outcome.status.code != "OK", exchange.decision, kept.entry
        is_refused, is_replayed = isinstance(decision, Reject), isinstance(decision, Replay)
        for each in kept.tallies:
            each.open -= 1
            each.exchanges += 1
            each.errors += is_error
            each.refused += is_refused
            each.replayed += is_replayed
        slot = kept.edge.slot(outcome.ended_ns)
        slot.exchanges += 1
        slot.errors += is_error
        slot.refused += is_refused
        bucket = math.floor(math.log(max(outcome.duration_s, 1e-6)) / FINEST)
        slot.durations[bucket] = slot.durations.get(bucket, 0) + 1
        entry.duration_s, entry.code, entry.decision = outcome.duration_s, outcome.status.code, decision.label
        entry.reason = decision.reason.value if isinstance(decision, Reject) else ""
        entry.requests, entry.responses = exchange.requests.messages, exchange.responses.messages
        kept.edge.seen_unix_ns = kept.conversation.seen_unix_ns = outcome.ended_unix_ns

    def charged(self, exchange: Exchange, cost: Cost) -> None:
        kept = self._open.get(exchange) or self._ended(exchange)
        if kept is None:
            return
        kept.entry.cost_micro_usd += cost.micro_usd
        kept.edge.slot(self._clock.monotonic_ns()).cost_micro_usd += cost.micro_usd
        for each in kept.tallies:
            each.cost_micro_usd += cost.micro_usd

    def judged(self, exchange: Exchange, verdict: PanelVerdict, *, is_late: bool) -> None:
        """What verifiers said is in the findings; how they do is in their scorecards."""

    # Looking.

    @property
    def bounds(self) -> list[tuple[str, int, int, int]]:
        """What is kept, how many of it, how many at most, and how many made room."""
        return [
            ("edges", len(self._edges), self._edges_max, self.edges_forgotten),
            ("conversations", len(self._conversations), self._conversations_max, self.conversations_forgotten),
            ("exchanges of conversations", self._entries, self._entries_max, 0),
        ]

    def edges(self, agent: str = "") -> list[EdgeSeen]:
        return [each for key, each in self._edges.items() if not agent or agent in (key.caller, key.callee)]

    def agents(self) -> list[AgentSeen]:
        """Added up over the edges that are kept."""
        seen: dict[str, int] = {}
        sides: tuple[dict[str, Traffic], dict[str, Traffic]] = ({}, {})
        for key, edge in self._edges.items():
            for side, name in zip(sides, (key.caller, key.callee), strict=True):
                side.setdefault(name, Traffic()).add(edge.total)
                seen[name] = max(seen.get(name, 0), edge.seen_unix_ns)
        as_caller, as_callee = sides
        return [
            AgentSeen(name, at_ns, as_caller.get(name, Traffic()), as_callee.get(name, Traffic()))
            for name, at_ns in seen.items()
        ]

    def open_exchanges(self) -> list[Exchange]:
        """The oldest first."""
        return list(self._open)

    def conversations(self) -> list[ConversationSeen]:
        return list(self._conversations.values())

    def conversation(self, name: str) -> ConversationSeen | None:
        return self._conversations.get(name)

    # Inside.

    def _edge(self, key: EdgeKey) -> EdgeSeen:
        edge = self._edges.get(key)
        if edge is None:
            edge = self._edges[key] = EdgeSeen(key)
            if len(self._edges) > self._edges_max:
                self._edges.popitem(last=False)
                self.edges_forgotten += 1
        else:
            self._edges.move_to_end(key)
        return edge

    def _conversation(self, exchange: Exchange) -> ConversationSeen:
        name = exchange.lineage.conversation
        found = self._conversations.get(name)
        if found is None:
            at_ns = exchange.started_unix_ns
            found = self._conversations[name] = ConversationSeen(name, exchange.caller, at_ns, at_ns)
            while len(self._conversations) > self._conversations_max:
                self._forget_oldest()
        else:
            self._conversations.move_to_end(name)
        return found

    def _meet(self, conversation: ConversationSeen, key: EdgeKey) -> None:
        """An edge that is new in a conversation. Callers choose the methods they call, so its edges are bounded too."""
        for agent in (key.caller, key.callee):
            if len(conversation.agents) < AGENTS_MAX:
                conversation.agents.setdefault(agent)
        if len(conversation.edges) > ENTRIES_MAX:
            del conversation.edges[next(iter(conversation.edges))]

    def _enter(self, conversation: ConversationSeen, key: EdgeKey, exchange: Exchange) -> Entry:
        lineage = exchange.lineage
        entry = conversation.entries[lineage.span_id] = Entry(
            key,
            lineage.exchange_id,
            lineage.trace_id,
            lineage.span_id,
            lineage.parent_span_id,
            lineage.cause,
            lineage.source.value,
            lineage.hops,
            exchange.started_unix_ns,
            exchange.spec.name if exchange.spec else "",
        )
        self._entries += 1
        if len(conversation.entries) > ENTRIES_MAX:
            conversation.entries.popitem(last=False)
            conversation.missing += 1
            self._entries -= 1
        while self._entries > self._entries_max and len(self._conversations) > 1:
            self._forget_oldest()
        return entry

    def _forget_oldest(self) -> None:
        _, forgotten = self._conversations.popitem(last=False)
        self._entries -= len(forgotten.entries)
        self.conversations_forgotten += 1

    def _ended(self, exchange: Exchange) -> Open | None:
        """Of an exchange that is over: a verdict may come after its end."""
        conversation = self._conversations.get(exchange.lineage.conversation)
        entry = conversation.entries.get(exchange.lineage.span_id) if conversation else None
        edge = self._edges.get(entry.edge) if entry else None
        if conversation is None or entry is None or edge is None:
            return None
        tallies = (edge.total, conversation.total, conversation.edges.setdefault(entry.edge, Traffic()))
        return Open(edge, conversation, entry, tallies)


def walked(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Oldest first."""
    yield from sorted(entries, key=lambda entry: entry.started_unix_ns)
