"""An exchange: one RPC as the engine sees it, from its arrival to its outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sidecar.engine.finding import FORWARD, Decision, Finding
from sidecar.engine.message import NO_NAMES, Direction, Message, Names

if TYPE_CHECKING:
    from sidecar.engine.ahead import Ahead
    from sidecar.engine.lineage import Lineage
    from sidecar.engine.specs import Spec
    from sidecar.engine.state.conversations import Naming

Metadata = Sequence[tuple[str, "str | bytes"]]
"""gRPC metadata in wire order. Keys are lower case; values of `-bin` keys are bytes, all others str."""

UNKNOWN_CALLER = "_unknown"

FINDINGS_KEPT = 64
"""A stream of days in observe may break its spec with every message: an exchange remembers this many findings."""


class Mode(StrEnum):
    """observe watches and changes nothing; enforce may refuse."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


def weakest(*modes: Mode | None) -> Mode:
    """Where levels differ, any `observe` wins. None means the level left it out; all None is observe."""
    said = [mode for mode in modes if mode is not None]
    return Mode.ENFORCE if said and Mode.OBSERVE not in said else Mode.OBSERVE


class Side(StrEnum):
    """Where our agent stands in an exchange: inbound, it is the callee; outbound, the caller."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Guarding(StrEnum):
    """Whether the checks with shared state run on a route."""

    AUTO = "auto"
    """Inbound yes; outbound only while no sidecar answers for the callee."""
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Route:
    """What the engine needs to know of a route. Addresses and sockets are the proxy's business."""

    name: str
    side: Side
    caller: str
    """The agent on the downstream side; `_unknown` where it is only known call by call."""
    callee: str
    mode: Mode = Mode.OBSERVE
    guarding: Guarding = Guarding.AUTO


@dataclass(frozen=True, slots=True)
class Peer:
    """The downstream connection."""

    address: str = ""
    """As gRPC prints it: `ipv4:127.0.0.1:4242`, `ipv6:%5B::1%5D:4242`, `unix:/run/a.sock`."""
    identity: str | None = None
    """The name in a verified client certificate (SPIFFE URI, else first SAN, else CN); None without mTLS."""
    agent: str | None = None
    """The agent that the configuration says this identity stands for; None where it says nothing of it."""

    @property
    def name(self) -> str | None:
        """What the caller is called by: nothing but a certificate gives a connection a name."""
        return self.agent or self.identity

    @property
    def is_local(self) -> bool:
        return self.address.startswith(("unix:", "ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D"))


@dataclass(frozen=True, slots=True)
class Arrival:
    """Headers of a call as they reached a listener."""

    route: Route
    method: str
    """Full name with its slash: `/lf.a2a.v1.A2AService/SendMessage`."""
    metadata: Metadata = ()
    peer: Peer = Peer()
    first: Message | None = None
    """The request, where the method is known to send exactly one: then it is in hand before anything is dispatched."""
    remaining_s: float | None = None
    """Seconds that the caller still waits; None where it set no deadline."""


class Origin(StrEnum):
    """Who made a status: the callee, the transport to it, we ourselves, or the caller by going away."""

    UPSTREAM = "upstream"
    TRANSPORT = "transport"
    """No status came from the callee: its connection broke, or what it sent was no gRPC."""
    SIDECAR = "sidecar"
    DOWNSTREAM = "downstream"


@dataclass(frozen=True, slots=True)
class Status:
    """How an exchange ended."""

    code: str
    """gRPC status name: `OK`, `NOT_FOUND`."""
    message: str = ""
    origin: Origin = Origin.UPSTREAM


@dataclass(frozen=True, slots=True)
class Answer:
    """What the callee said beside its messages, before the caller hears of it."""

    status: Status
    headers: Metadata = ()
    trailers: Metadata = ()
    is_unseen: bool = False
    """Whether the callee's own sidecar said that the callee has not seen a request of this exchange."""

    @property
    def is_made_up(self) -> bool:
        """The callee never said it: its connection broke or its answer could not be read."""
        return self.status.origin is Origin.TRANSPORT


@dataclass(slots=True)
class Tally:
    """Messages and bytes that went one way."""

    messages: int = 0
    size_bytes: int = 0
    passed: int = 0
    """Of the messages, those that no check held back."""


IsAwaited = Callable[[], Awaitable[bool]]


@dataclass(slots=True, eq=False)
class Exchange:
    """One RPC under way: the one object that changes while its messages pass."""

    arrival: Arrival
    lineage: Lineage
    caller: str
    started_ns: int
    """Clock.monotonic_ns at arrival."""
    started_unix_ns: int
    spec: Spec | None = None
    """The contract in force, pinned at the start so that a reload never changes it mid-stream."""
    decision: Decision = FORWARD
    names: Names = NO_NAMES
    """Ids seen so far in the payloads of both directions."""
    findings: list[Finding] = field(default_factory=list)
    """The first FINDINGS_KEPT of them; reporters hear of every one."""
    requests: Tally = field(default_factory=Tally)
    responses: Tally = field(default_factory=Tally)
    held_ns: int = 0
    """Time that the engine has held this exchange's messages so far."""
    waited_ns: int = 0
    """Of that, what a check waited on purpose: for verifiers, for another's answer to the same call, to slow a loop."""
    last_request: Message | None = None
    """What a response is judged against."""
    last_response: Message | None = None
    """The newest answer, seen by every check or not: what a refused one cost was spent all the same."""
    is_guarded_here: bool = True
    """Whether checks that keep shared state (claims, charges, loops, tasks) run in this sidecar, or at the callee's."""
    is_retry: bool = False
    """Whether a check found that this call was sent before. Reporters count it once, at its end."""
    is_new_to_callee: bool = False
    """Of a retry: whether all that came before it was refused before it went out, so that nothing is done twice."""
    dispatched_ns: int | None = None
    """Clock.monotonic_ns when the callee was called; None while it cannot have seen anything."""
    given_deadline_ns: int | None = None
    """Clock.monotonic_ns by which we told the callee to be done, where the call carried no deadline of its own."""
    remainder_micro_usd: int | None = None
    """What this call and all that it causes may spend, as its callee's sidecar is told; None tells nothing."""
    spent_micro_usd: int | None = None
    """What was spent of the remainder that came with this call, as its caller's sidecar is told; None tells nothing."""
    spent_there_micro_usd: int | None = None
    """What the callee's sidecar told so of what we handed down."""
    is_guarded_there: bool = False
    """Whether the callee's sidecar said that it keeps the shared state of this exchange."""
    is_unseen_there: bool = False
    """Whether the callee's sidecar said, with the headers of its answer, that this answer is one from its record."""
    met: list[str] = field(default_factory=list)
    """Other conversations that names belong to which were seen after its start; its lineage has those of the start."""
    hints: list[str] = field(default_factory=list)
    """What the caller is told beside its answer, in trailers: `loop; remaining=1`."""
    observed_checks: frozenset[str] = frozenset()
    """Checks that an operator had put into observe when it started."""
    is_awaited: IsAwaited | None = None
    """Asks whether others wait for this answer: then it goes on when its own caller leaves. None: nobody can wait."""
    naming: Coroutine[Any, Any, Naming] | None = None
    """The store is still asked which conversation this is; until it has said so, its lineage has the one foreseen."""
    ahead: Ahead | None = None
    """What was asked of the store about the message under way, before the checks that ask for it are reached."""

    def is_going_to_wait(self) -> None:
        """For a check that is about to wait for something else than the store: nothing is held for those after it."""
        if self.ahead is not None:
            self.ahead.take_back()

    @property
    def route(self) -> Route:
        return self.arrival.route

    @property
    def side(self) -> Side:
        return self.arrival.route.side

    @property
    def callee(self) -> str:
        return self.arrival.route.callee

    @property
    def was_dispatched(self) -> bool:
        return self.dispatched_ns is not None

    @property
    def has_passed_request(self) -> bool:
        """Whether the callee can have seen a request: a stream may be open at the callee before its first one."""
        return self.was_dispatched and self.requests.passed > 0

    @property
    def is_enforced(self) -> bool:
        """Whether anything of ours may change this call: its route enforces."""
        return self.arrival.route.mode is Mode.ENFORCE

    def mode_for(self, check: str) -> Mode:
        """The route's mode as it is for one check."""
        return Mode.OBSERVE if check in self.observed_checks else self.arrival.route.mode

    @property
    def may_be_awaited(self) -> bool:
        """Whether others may come to wait for its answer: its spec says what the same call is, and may be enforced."""
        spec = self.spec
        return spec is not None and spec.idempotency is not None and self.is_guarded_here and self.is_enforced

    @property
    def method(self) -> str:
        return self.arrival.method

    def tally(self, direction: Direction) -> Tally:
        return self.requests if direction is Direction.REQUEST else self.responses


@dataclass(frozen=True, slots=True)
class Outcome:
    """An ended exchange, frozen for the reporters."""

    exchange: Exchange
    status: Status
    ended_ns: int
    ended_unix_ns: int

    @property
    def duration_s(self) -> float:
        return (self.ended_ns - self.exchange.started_ns) / 1e9

    @property
    def overhead_s(self) -> float:
        return self.exchange.held_ns / 1e9

    @property
    def waited_s(self) -> float:
        """The part of the overhead that was meant."""
        return self.exchange.waited_ns / 1e9
