"""Lineage: what an exchange inherits from the one that caused it, and how it is handed on.

`LineageKeeper` settles it once, at the start of an exchange, and stamps it on the call that goes upstream. Between two
sidecars the parts that W3C headers have no room for travel in the *lineage entry*, which `entry` seals and opens.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sidecar.engine import w3c
from sidecar.engine.conversation import aliases_of, trust_domain
from sidecar.engine.eager import Done, begun, together
from sidecar.engine.entry import ENTRY_KEY, HOPS_MAX, Entries, Rejected, entries_in
from sidecar.engine.exchange import UNKNOWN_CALLER, Arrival, Side
from sidecar.engine.hybrid_clock import HybridClock
from sidecar.engine.join import Candidate, Candidates, JoinMode, JoinSource, Link
from sidecar.engine.message import Names
from sidecar.engine.state.conversations import Naming
from sidecar.errors import DependencyError

if TYPE_CHECKING:
    from sidecar.engine.exchange import Exchange, Status
    from sidecar.engine.ports import Clock, Ids, Sampler
    from sidecar.engine.state import Conversations
    from sidecar.v1.lineage_pb2 import LineageBody

__all__ = [
    "JoinMode",
    "JoinSource",
    "Lineage",
    "LineageKeeper",
    "LineageSettings",
    "Link",
    "Rejected",
    "caller_of",
]

log = logging.getLogger(__name__)

PATH_MAX_CHARS = 2048

ALIASES_MAX = 64
"""Names that one exchange may claim: a stream that passes more ids than this names its conversation no further."""


NEAR_MAX = 20_000
"""Names remembered of what a far store said, about 6 MB."""


@dataclass(frozen=True, slots=True)
class LineageSettings:
    """What an operator decides about lineage and joining."""

    keys: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    """(id, secret): the first one signs and all verify, so that keys can be changed one sidecar at a time."""
    expires_s: float = 300.0
    """How long an entry is good for. It is used within milliseconds; the rest covers retries and waiting streams."""
    max_hops: int = 64
    """Names kept of a path. The hop count itself goes on."""
    join: JoinMode = JoinMode.FULL
    window_s: float = 600.0
    """How long an ended exchange whose task goes on may still cause calls, from the last sign of that task."""
    max_exchanges: int = 10_000
    """Candidates kept per agent. Past that the oldest is forgotten, and for one window none counts as the sole one."""
    attach: bool = True
    """Whether outbound calls carry the lineage entry."""
    unattached_routes: frozenset[str] = frozenset()
    """Names of routes whose callee must not see it (nothing there would strip it)."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """What one exchange inherits, settled at its start and never changed."""

    trace_id: str
    span_id: str
    """Our span for this exchange."""
    parent_span_id: str
    """Empty at the root of a trace."""
    is_sampled: bool
    is_random: bool
    """Whether the trace id is known to be random (W3C, level 2)."""
    tracestate: tuple[str, ...]
    """The raw metadata values to forward, in order."""
    source: JoinSource
    links: tuple[Link, ...]
    exchange_id: str
    conversation: str
    hops: int
    """Exchanges between this one and its root: 0 at a root. Both sidecars of one exchange give it the same number."""
    path: tuple[str, ...]
    """Callees from the root to here. Where it grows too long the root and the newest stay."""
    remainder_micro_usd: int | None = None
    was_seen_by_caller: bool = False
    """A trusted entry came with it: the caller's sidecar saw this very exchange."""
    caller: str | None = None
    """As a trusted entry names it."""
    rejected: Rejected | None = None
    """Why an entry that came with it was not trusted."""
    deadline_ns: int | None = None
    """Clock.monotonic_ns by which whoever began this work stops waiting, as far as deadlines told; None if none did."""
    cause: str = ""
    """Outbound: id of the inbound exchange that caused it, and whose money it spends; empty where none did."""
    met: tuple[str, ...] = ()
    """Other conversations that some of its names belong to."""

    @property
    def trace_flags(self) -> int:
        return self.is_sampled * w3c.SAMPLED | self.is_random * w3c.RANDOM

    @property
    def traceparent(self) -> str:
        return w3c.format_traceparent(self.trace_id, self.span_id, self.is_sampled, self.is_random)


@dataclass(slots=True, eq=False)
class Inheritance:
    """What was found out about the cause of an exchange, before the exchange gets ids of its own."""

    source: JoinSource
    path: tuple[str, ...]
    parent: w3c.TraceContext | None = None
    """The trace to go on with; None starts a new one."""
    links: tuple[Link, ...] = ()
    exchange_id: str = ""
    conversation: str = ""
    """Empty where none came down: then the names seen on the exchange decide."""
    hops: int = 0
    remainder_micro_usd: int | None = None
    was_seen_by_caller: bool = False
    caller: str | None = None
    rejected: Rejected | None = None
    deadline_ns: int | None = None
    cause: str = ""


@dataclass(slots=True, eq=False)
class Memo:
    """What is remembered of an exchange while it passes."""

    names: Names
    """Those at its start, so of its request."""
    aliases: set[str]
    """Claimed already: an id that comes again costs no call to the store."""


class LineageKeeper:
    """Settles the lineage of every exchange. One per process: joining sees all routes of an agent."""

    def __init__(
        self,
        *,
        clock: Clock,
        ids: Ids,
        sampler: Sampler,
        store: Conversations,
        settings: LineageSettings | None = None,
        complain: Callable[[DependencyError], None] = lambda error: log.debug("conversation kept locally: %s", error),
        hybrid: HybridClock | None = None,
    ) -> None:
        """`complain` hears when the store could not name a conversation; the call goes on with the name we have.

        `hybrid` stamps calls that go out, and hears the stamps of those that come in.
        """
        self._hybrid = hybrid or HybridClock(clock)
        self._clock = clock
        self._ids = ids
        self._sampler = sampler
        self._store = store
        self._settings = settings or LineageSettings()
        self._complain = complain
        self._entries = Entries(self._settings.keys, self._settings.expires_s)
        self._candidates: dict[str, Candidates] = {}
        """By agent, as routes name it: only what an agent was asked can cause its calls."""
        self._memos: OrderedDict[str, Memo] = OrderedDict()
        """By span id, bounded like the candidates, in case an end is never told."""
        self._near: OrderedDict[str, str] = OrderedDict()
        """Conversations by alias, as a store said that is far away; the least recently heard first.

        A name stays with the conversation that claimed it, so what was heard is true as long as the store keeps it.
        """

    def renew(self, keys: tuple[tuple[str, bytes], ...]) -> None:
        """Sign and verify with these from now on. What was settled stays so."""
        self._entries = Entries(keys, self._settings.expires_s)

    def foresee(
        self, arrival: Arrival, callee: str, names: Names
    ) -> tuple[Lineage, Coroutine[Any, Any, Naming] | None]:
        """Decide once, at the start of an exchange, what it inherits, without waiting for a store. Never fails a call.

        What is left to wait for tells the conversation, for `renamed`.

        Until then the conversation is the one that this process knows by the same names, else the one that is
        proposed: that is wrong only where another process was the first to hear of it. None: it is settled.
        """
        if arrival.route.side is Side.INBOUND:
            inherited = self._received(arrival, callee)
        else:
            inherited = self._caused(arrival, callee, names)
        parent, span_id = inherited.parent, self._ids.span_id()
        trace_id = parent.trace_id if parent else self._ids.trace_id()
        aliases = self._aliases(arrival, callee, names, trace_id, inherited.conversation)
        self._remember(span_id, Memo(names, set(aliases)))
        foreseen = self._known(aliases) or inherited.conversation or trace_id
        naming = begun(self._named(aliases, foreseen))
        lineage = Lineage(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=parent.span_id if parent else "",
            is_sampled=self._is_sampled(arrival, trace_id, parent),
            is_random=parent.is_random if parent else True,
            tracestate=parent.tracestate if parent else (),
            source=inherited.source,
            links=inherited.links,
            exchange_id=inherited.exchange_id or self._ids.exchange_id(),
            conversation=naming.value.conversation if isinstance(naming, Done) else foreseen,
            met=naming.value.met if isinstance(naming, Done) else (),
            hops=inherited.hops,
            path=inherited.path,
            remainder_micro_usd=inherited.remainder_micro_usd,
            was_seen_by_caller=inherited.was_seen_by_caller,
            caller=inherited.caller,
            rejected=inherited.rejected,
            deadline_ns=self._deadline_ns(arrival, inherited.deadline_ns),
            cause=inherited.cause,
        )
        return lineage, None if isinstance(naming, Done) else self._heard(aliases, naming)

    def stamp(self, exchange: Exchange) -> list[w3c.Pair]:
        """The metadata to send upstream. To be asked when the call is dispatched and not before.

        Baggage and everything else of the caller's stay; trace context is ours; the lineage entry is stripped before
        our own agent and attached for others. From here on an inbound exchange can cause calls: one that was refused
        cannot, so it never becomes a candidate.
        """
        lineage, arrival = exchange.lineage, exchange.arrival
        metadata = w3c.restamped(arrival.metadata, lineage.traceparent, lineage.tracestate, ENTRY_KEY)
        if exchange.side is Side.INBOUND:
            self._open(exchange)
        elif self._settings.attach and exchange.route.name not in self._settings.unattached_routes:
            now_unix_ms = self._clock.unix_ns() // 1_000_000
            remainder = exchange.remainder_micro_usd
            is_same = remainder == lineage.remainder_micro_usd
            handed = lineage if is_same else replace(lineage, remainder_micro_usd=remainder)
            stamp = self._hybrid.now()
            sealed = self._entries.seal(handed, exchange.caller, exchange.callee, now_unix_ms, stamp)
            metadata.append((ENTRY_KEY, sealed))
        return metadata

    async def saw(self, exchange: Exchange, names: Names) -> None:
        """Ids passed in either direction: they name the conversation, and tell whose work a later call may be."""
        memo = self._memos.get(exchange.lineage.span_id)
        if memo is None:
            return
        if exchange.side is Side.INBOUND:
            self._of(exchange.callee).saw(exchange.lineage.span_id, names, self._clock.monotonic_ns())
        domain = trust_domain(exchange.arrival.peer.identity)
        new = [alias for alias in aliases_of(exchange.callee, domain, names) if alias not in memo.aliases]
        if new := new[: ALIASES_MAX - len(memo.aliases)]:
            memo.aliases.update(new)
            # One by one: in a common claim, an alias of another conversation would take the new ones with it.
            conversation = exchange.lineage.conversation
            namings = await together(self._claimed(alias, conversation) for alias in new)
            known = {conversation, *exchange.lineage.met, *exchange.met}
            exchange.met += dict.fromkeys(each.conversation for each in namings if each.conversation not in known)

    def ended(self, exchange: Exchange, status: Status) -> None:  # noqa: ARG002 - the task's state, not the status, tells whether work goes on
        """The exchange is over; an inbound one can cause calls only while its task goes on."""
        self._memos.pop(exchange.lineage.span_id, None)
        if exchange.side is Side.INBOUND:
            self._of(exchange.callee).ended(exchange.lineage.span_id, self._clock.monotonic_ns())

    def _received(self, arrival: Arrival, callee: str) -> Inheritance:
        """Inbound: the headers tell all there is to know."""
        parent = w3c.read(arrival.metadata)
        inherited = Inheritance(JoinSource.PROPAGATED if parent else JoinSource.ROOT, (callee,), parent)
        if values := entries_in(arrival.metadata):
            entry = self._entries.open(
                values,
                callee=callee,
                trace_id=parent.trace_id if parent else "",
                is_local=arrival.peer.is_local,
                now_unix_ms=self._clock.unix_ns() // 1_000_000,
            )
            if isinstance(entry, Rejected):
                inherited.rejected = entry
            else:
                believe(entry, inherited)
                self._hybrid.heard(entry.stamp)
        return inherited

    def _caused(self, arrival: Arrival, callee: str, names: Names) -> Inheritance:
        """Outbound: the headers if our agent kept them, else whatever joins the call to its cause."""
        parent = w3c.read(arrival.metadata)
        if parent is not None:
            cause = self._cause_of_propagated(arrival.route.caller, parent, names)
            inherited = Inheritance(JoinSource.PROPAGATED, (callee,), parent)
        else:
            join = self._of(arrival.route.caller).find(names, self._settings.join, self._clock.monotonic_ns())
            cause = join.cause
            inherited = Inheritance(join.source, (callee,), continued(cause.lineage) if cause else None, join.links)
        if cause is not None:
            self._charge(cause.lineage, inherited)
            # Who waited for an ended call waits no more: what its agent does now is bounded by nobody's deadline.
            inherited.deadline_ns = cause.lineage.deadline_ns if cause.is_open else None
        if entries_in(arrival.metadata):
            # Entries come from sidecars only, so one that our agent sends is made up or taken from another call.
            inherited.rejected = Rejected.FORGED
        return inherited

    def _cause_of_propagated(self, agent: str, parent: w3c.TraceContext, names: Names) -> Candidate | None:
        """Whom to charge where the trace is not in question: an agent may have begun a trace of its own."""
        candidates, now_ns = self._of(agent), self._clock.monotonic_ns()
        cause = candidates.in_trace(parent.trace_id, parent.span_id, now_ns)
        if cause is None and self._settings.join is not JoinMode.OFF:
            cause = candidates.by_ids(names, now_ns)
        return cause

    def _charge(self, above: Lineage, inherited: Inheritance) -> None:
        """Accounting goes down with the cause; its caller's identity does not."""
        inherited.path = bounded_path((*above.path, *inherited.path), self._settings.max_hops)
        inherited.conversation = above.conversation
        inherited.hops = min(above.hops + 1, HOPS_MAX)
        inherited.remainder_micro_usd = above.remainder_micro_usd
        inherited.cause = above.exchange_id

    def _deadline_ns(self, arrival: Arrival, above_ns: int | None) -> int | None:
        """The nearer of the call's own deadline and that of the work above it."""
        if arrival.remaining_s is None:
            return above_ns
        own_ns = self._clock.monotonic_ns() + int(arrival.remaining_s * 1e9)
        return own_ns if above_ns is None else min(own_ns, above_ns)

    def _is_sampled(self, arrival: Arrival, trace_id: str, parent: w3c.TraceContext | None) -> bool:
        was_sampled = parent.is_sampled if parent else None
        return self._sampler.is_sampled(trace_id, was_sampled, arrival.method, arrival.route.side)

    def _aliases(self, arrival: Arrival, callee: str, names: Names, trace_id: str, inherited: str) -> list[str]:
        """The names seen so far: what was inherited, then the trace, then the ids of the payload."""
        aliases = [f"trace:{trace_id}", *aliases_of(callee, trust_domain(arrival.peer.identity), names)]
        if inherited:
            aliases.insert(0, f"lineage:{inherited}")
        return aliases

    async def _claimed(self, alias: str, conversation: str) -> Naming:
        naming = begun(self._named([alias], conversation))
        return naming.value if isinstance(naming, Done) else await self._heard([alias], naming)

    async def _heard(self, aliases: Sequence[str], asked: Coroutine[Any, Any, Naming]) -> Naming:
        """What a store said that had to be waited for. It need not be asked to know the next time."""
        naming = await asked
        for alias in aliases:
            self._near[alias] = naming.conversation
            self._near.move_to_end(alias)
        while len(self._near) > NEAR_MAX:
            self._near.popitem(last=False)
        return naming

    def _known(self, aliases: Sequence[str]) -> str:
        """The conversation that the first known of these names had; empty where none is known."""
        if not self._near:
            return ""
        return next((found for alias in aliases if (found := self._near.get(alias)) is not None), "")

    async def _named(self, aliases: Sequence[str], proposed: str) -> Naming:
        try:
            return await self._store.name_conversation(aliases, proposed)
        except DependencyError as error:
            self._complain(error)
            return Naming(proposed)

    def _open(self, exchange: Exchange) -> None:
        memo = self._memos.get(exchange.lineage.span_id)
        names = memo.names if memo else Names()
        candidates, now_ns = self._of(exchange.callee), self._clock.monotonic_ns()
        lineage = exchange.lineage
        if exchange.given_deadline_ns is not None:
            lineage = replace(lineage, deadline_ns=exchange.given_deadline_ns)
        candidates.opened(lineage, names, now_ns)
        if exchange.names != names:
            candidates.saw(exchange.lineage.span_id, exchange.names, now_ns)

    def _of(self, agent: str) -> Candidates:
        candidates = self._candidates.get(agent)
        if candidates is None:
            candidates = self._candidates[agent] = Candidates(
                window_ns=int(self._settings.window_s * 1e9), max_exchanges=self._settings.max_exchanges
            )
        return candidates

    def _remember(self, span_id: str, memo: Memo) -> None:
        self._memos[span_id] = memo
        if len(self._memos) > self._settings.max_exchanges:
            self._memos.popitem(last=False)


def renamed(lineage: Lineage, naming: Naming) -> Lineage:
    """The same one where it is as foreseen, and has met no other conversation."""
    is_as_foreseen = naming.conversation == lineage.conversation and naming.met == lineage.met
    return lineage if is_as_foreseen else replace(lineage, conversation=naming.conversation, met=naming.met)


def caller_of(arrival: Arrival, lineage: Lineage) -> str:
    """Who calls: on outbound our agent, on inbound whoever proved it best. A bare header never names anyone."""
    if arrival.route.side is Side.OUTBOUND:
        return arrival.route.caller
    return arrival.peer.name or lineage.caller or arrival.route.caller or UNKNOWN_CALLER


def continued(lineage: Lineage) -> w3c.TraceContext:
    """The trace context that a cause hands down, as if the agent had carried it."""
    return w3c.TraceContext(
        lineage.trace_id, lineage.span_id, lineage.is_sampled, lineage.is_random, lineage.tracestate
    )


def bounded_path(path: tuple[str, ...], max_names: int) -> tuple[str, ...]:
    """Past `max_names` names or 2048 characters the oldest after the root are left out: the ends tell most."""
    if len(path) > max_names:
        path = (path[0], *path[len(path) - max_names + 1 :])
    while len(path) > 1 and sum(map(len, path)) > PATH_MAX_CHARS:
        path = (path[0], *path[2:])
    return path


def believe(body: LineageBody, inherited: Inheritance) -> None:
    """Take what a trusted entry says. Depth and path are this exchange's own: the caller's sidecar counted the hop."""
    inherited.exchange_id = body.exchange_id
    inherited.conversation = body.conversation
    inherited.hops = body.hops
    inherited.path = tuple(body.path)
    inherited.remainder_micro_usd = body.remainder_micro_usd if body.HasField("remainder_micro_usd") else None
    inherited.was_seen_by_caller = True
    inherited.caller = body.caller or None
