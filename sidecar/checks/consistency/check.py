"""The check: reads are held to what their agent knew, writes to the newest version and to the owner.

A write is judged before it goes out. That two writes overtook each other shows when the second is answered; by then
it has happened, and can only be told.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sidecar.checks.consistency.reading import Named, named_in
from sidecar.checks.consistency.token import unsaid
from sidecar.engine.ahead import Key
from sidecar.engine.eager import together
from sidecar.engine.exchange import UNKNOWN_CALLER, Exchange, Status
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.message import Direction, Message
from sidecar.engine.ports import Clock
from sidecar.engine.specs import ResourceTerms, Spec
from sidecar.engine.state.reach import Reach
from sidecar.engine.state.versions import Overwritten, Place, Touch, Touched, VersionReporter, Versions
from sidecar.errors import Reason

Asked = tuple[Callable[[Versions], Coroutine[Any, Any, Any]], Key]
"""A question to the store, and by what it is known."""

STALE, LOST, NOT_OWNER = "stale-read", "lost-update", "not-owner"


@dataclass(frozen=True, slots=True)
class Edge:
    """A spec with a resource, and the words it goes by."""

    spec: Spec
    terms: ResourceTerms

    @property
    def resource(self) -> str:
        """The label: the name that several specs may share, else the spec's own."""
        return self.terms.name or self.spec.name


class ConsistencyCheck:
    """Watches the versions of resources."""

    name = "consistency"
    fail: Literal["open", "closed"] = "open"

    def __init__(self, versions: Reach[Versions], *, clock: Clock, reporter: VersionReporter) -> None:
        self._versions = versions
        self._clock = clock
        self._reporter = reporter
        self._knew: dict[Exchange, dict[str, str]] = {}
        """Of open reads: what their agent knew when it asked, by key."""

    def on_start(self, exchange: Exchange) -> Sequence[Finding] | None:
        """Whether the caller may write at all. Nothing was dispatched."""
        edge = edge_of(exchange)
        if edge is None or not edge.terms.writes or edge.terms.owner in (None, exchange.caller):
            return None
        sentence = f"{exchange.caller} writes to what {edge.terms.owner} owns"
        return [made(edge, NOT_OWNER, Severity.ERROR, sentence, Reason.NOT_OWNER)]

    def ahead(self, exchange: Exchange, message: Message | None) -> bool:
        """What is known of the resources that a message names, and what it tells of them.

        What an answer tells cannot be taken back: the checks before this one say that it may not be refused any more.
        """
        edge = edge_of(exchange)
        if edge is None or message is None or not message.is_readable:
            return True
        questions: Iterable[Asked] = ()
        if message.direction is Direction.RESPONSE:
            questions = [observing(touch) for touch in self._touches(exchange, edge, message)]
        elif edge.terms.writes:
            questions = list(self._bases_asked(exchange, edge, message))
        else:
            questions = [knowing(place, exchange.caller) for place in places_of(exchange, edge, message)]
        for question in questions:
            self._versions.ahead(exchange, *question)
        return True

    async def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding] | None:
        edge = edge_of(exchange)
        if edge is None or not message.is_readable:
            return None
        if message.direction is Direction.RESPONSE:
            # One from the callee's record tells of a version that was, and was told when it was.
            return None if exchange.is_unseen_there else await self._answered(exchange, edge, message)
        if edge.terms.writes:
            return await self._write_asked(exchange, edge, message)
        await self._read_asked(exchange, edge, message)
        return None

    def on_end(self, exchange: Exchange, _status: Status) -> None:
        self._knew.pop(exchange, None)

    async def _read_asked(self, exchange: Exchange, edge: Edge, message: Message) -> None:
        """An answer is held to what was known by now: what the agent learns while it waits makes no answer stale."""
        places = places_of(exchange, edge, message)
        known = await together(self._versions.ask(exchange, *knowing(each, exchange.caller)) for each in places)
        if places:
            self._knew[exchange] = {place.key: version for place, version in zip(places, known, strict=True)}

    async def _write_asked(self, exchange: Exchange, edge: Edge, message: Message) -> list[Finding] | None:
        """A write that says what it was made from, before it goes out."""
        asked = [self._versions.ask(exchange, *each) for each in self._bases_asked(exchange, edge, message)]
        found = next((each for each in await together(asked) if each is not None), None)
        if found is None:
            return None
        self._reporter.update_was_lost(edge.resource)
        return [stale_write(edge, found)]

    async def _answered(self, exchange: Exchange, edge: Edge, message: Message) -> list[Finding] | None:
        touches = self._touches(exchange, edge, message)
        findings: list[Finding] = []
        for seen in await together(self._versions.ask(exchange, *observing(touch)) for touch in touches):
            findings += self._complaints(exchange, edge, seen)
        return findings or None

    def _bases_asked(self, exchange: Exchange, edge: Edge, message: Message) -> Iterator[Asked]:
        for key, base in named_in(edge.terms, message):
            if base:
                yield judging(Place(exchange.callee, edge.resource, key), base)

    def _touches(self, exchange: Exchange, edge: Edge, message: Message) -> list[Touch]:
        asked = named_in(edge.terms, exchange.last_request)
        bases = dict(asked) if edge.terms.writes else {}
        return [
            self._touch(exchange, edge, message, key, version, bases.get(key, ""))
            for key, version in self._told(exchange, edge, message, asked)
        ]

    def _told(self, exchange: Exchange, edge: Edge, message: Message, asked: list[Named]) -> list[Named]:
        """The resources of an answer whose version is known. A write that tells none has made one all the same."""
        told = named_in(edge.terms, message, asked)
        if not edge.terms.writes:
            return [named for named in told if named[1]]
        if message.sequence > 0:
            return [named for named in told if named[1]]
        new = unsaid(exchange.lineage.exchange_id)
        return [(key, version or new) for key, version in told or [(key, "") for key, _ in asked]]

    def _touch(self, exchange: Exchange, edge: Edge, message: Message, key: str, version: str, base: str) -> Touch:
        began_ns = exchange.dispatched_ns or exchange.started_ns
        return Touch(
            place=Place(exchange.callee, edge.resource, key),
            agent=exchange.caller,
            version=version,
            exchange=exchange.lineage.exchange_id,
            sequence=message.sequence,
            is_write=edge.terms.writes,
            base=base,
            knew=self._knew.get(exchange, {}).get(key),
            age_s=(self._clock.monotonic_ns() - began_ns) / 1e9,
        )

    def _complaints(self, exchange: Exchange, edge: Edge, seen: Touched) -> list[Finding]:
        findings = []
        if seen.is_stale and exchange.caller != UNKNOWN_CALLER:
            self._reporter.read_was_stale(edge.resource)
            how = "written" if seen.has_written else "seen"
            sentence = f"{exchange.caller} was given an older version than it has {how}"
            findings.append(made(edge, STALE, Severity.WARNING, sentence))
        if seen.is_lost and not any(found.rule == LOST for found in exchange.findings):
            self._reporter.update_was_lost(edge.resource)
            sentence = (
                f"a write was taken whose base {somebody(seen.writer)} had overwritten meanwhile: one change is lost"
            )
            findings.append(made(edge, LOST, Severity.ERROR, sentence))
        return findings


def places_of(exchange: Exchange, edge: Edge, message: Message) -> list[Place]:
    return [Place(exchange.callee, edge.resource, key) for key, _ in named_in(edge.terms, message)]


def knowing(place: Place, agent: str) -> Asked:
    return lambda versions: versions.known_version(place, agent), ("known_version", place, agent)


def judging(place: Place, base: str) -> Asked:
    return lambda versions: versions.overwritten(place, base), ("overwritten", place, base)


def observing(touch: Touch) -> Asked:
    # Its age is none of what makes it this one: time goes on between the question and the fetching of its answer.
    return lambda versions: versions.observe_version(touch), ("observe_version", replace(touch, age_s=0.0))


def edge_of(exchange: Exchange) -> Edge | None:
    spec = exchange.spec
    if spec is None or spec.resource is None or not exchange.is_guarded_here:
        return None
    return Edge(spec, spec.resource)


def stale_write(edge: Edge, found: Overwritten) -> Finding:
    sentence = f"the write is based on a version that {somebody(found.writer)} has overwritten: read it again first"
    return made(edge, LOST, Severity.ERROR, sentence, Reason.STALE_WRITE)


def somebody(writer: str) -> str:
    return writer or "somebody whose write nobody saw"


def made(edge: Edge, rule: str, severity: Severity, sentence: str, reason: Reason | None = None) -> Finding:
    spec = edge.spec
    return Finding(
        check=ConsistencyCheck.name,
        rule=rule,
        severity=severity,
        message=f"{spec.name}: {sentence}",
        reason=reason,
        mode=spec.mode,
        spec=spec.name,
        evidence={"resource": edge.resource},
    )
