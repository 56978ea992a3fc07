"""The check: reads are held to what their agent knew, writes to the newest version and to the owner.

A write is judged before it goes out. That two writes overtook each other shows when the second is answered; by then
it has happened, and can only be told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sidecar.checks.consistency.reading import Named, named_in
from sidecar.checks.consistency.token import unsaid
from sidecar.engine.exchange import UNKNOWN_CALLER, Exchange, Status
from sidecar.engine.finding import Finding, Severity
from sidecar.engine.message import Direction, Message
from sidecar.engine.ports import Clock
from sidecar.engine.specs import ResourceTerms, Spec
from sidecar.engine.state.reach import Reach
from sidecar.engine.state.versions import Overwritten, Place, Touch, Touched, VersionReporter, Versions
from sidecar.errors import Reason

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
        keys = [key for key, _ in named_in(edge.terms, message)]
        known = await asyncio.gather(*(self._known(exchange, Place(exchange.callee, edge.resource, k)) for k in keys))
        if keys:
            self._knew[exchange] = dict(zip(keys, known, strict=True))

    async def _write_asked(self, exchange: Exchange, edge: Edge, message: Message) -> list[Finding] | None:
        """A write that says what it was made from, before it goes out."""
        for key, base in named_in(edge.terms, message):
            if base:
                found = await self._overwritten(exchange, Place(exchange.callee, edge.resource, key), base)
                if found is not None:
                    self._reporter.update_was_lost(edge.resource)
                    return [stale_write(edge, found)]
        return None

    async def _answered(self, exchange: Exchange, edge: Edge, message: Message) -> list[Finding] | None:
        asked = named_in(edge.terms, exchange.last_request)
        bases = dict(asked) if edge.terms.writes else {}
        touches = [
            self._touch(exchange, edge, message, key, version, bases.get(key, ""))
            for key, version in self._told(exchange, edge, message, asked)
        ]
        findings: list[Finding] = []
        for seen in await asyncio.gather(*(self._observed(exchange, touch) for touch in touches)):
            findings += self._complaints(exchange, edge, seen)
        return findings or None

    async def _known(self, exchange: Exchange, place: Place) -> str:
        return await self._versions.ask(exchange, lambda versions: versions.known_version(place, exchange.caller))

    async def _overwritten(self, exchange: Exchange, place: Place, base: str) -> Overwritten | None:
        return await self._versions.ask(exchange, lambda versions: versions.overwritten(place, base))

    async def _observed(self, exchange: Exchange, touch: Touch) -> Touched:
        return await self._versions.ask(exchange, lambda versions: versions.observe_version(touch))

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
