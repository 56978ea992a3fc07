"""The rerun: recorded exchanges through today's engine, and what would now be decided differently."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.checks.verification import VerificationCheck
from sidecar.config import Config
from sidecar.config.state_url import StateUrl
from sidecar.engine.descriptors import Descriptors
from sidecar.engine.exchange import Answer, Arrival, Exchange, Guarding, Origin, Route, Side, Status
from sidecar.engine.finding import Action, Finding, Forward, Reject
from sidecar.engine.guarding import Guards
from sidecar.engine.join import JoinSource
from sidecar.engine.lineage import Lineage, LineageKeeper
from sidecar.engine.message import Direction, Message, Names
from sidecar.engine.pipeline import CHECK_HOOKS, Engine
from sidecar.engine.ports import Check
from sidecar.errors import REPLIES
from sidecar.line_up import LineUp
from sidecar.replay.clock import ReplayClock, settle
from sidecar.replay.recorded import RecordedExchange, RecordedMessage, Step
from sidecar.spec_files import SpecSource
from sidecar.telemetry.journal import Kind
from sidecar.telemetry.metrics import MetricsReporter

MEMORY: Final = StateUrl("memory", "memory://")

NEED_DOCUMENTS: Final = frozenset({"spec", "stream", "idempotency", "consistency", "budget"})
"""Checks that cannot judge a message of which only the digest was kept: they would complain of the journal."""

LAST_NS: Final = 3_600_000_000_000
"""How far the clock goes on after the last record, for whoever still waits."""


@dataclass(frozen=True, slots=True)
class Change:
    """One exchange that would be decided differently."""

    exchange: RecordedExchange
    before: str
    """`forward`, `reject LOOP_DETECTED`, `replay`."""
    after: str
    rule: str
    """`check/rule` that decides now, or decided then."""
    sentence: str
    """What the check says now; empty where nothing is said any more."""


@dataclass(slots=True)
class Rerun:
    """What became of a rerun."""

    exchanges: int = 0
    without_content: int = 0
    """Of them: judged by names, sizes and times alone."""
    unanswered: int = 0
    """Refused then, and let through now: their answers were never seen."""
    changes: list[Change] = field(default_factory=list)
    new_findings: dict[str, int] = field(default_factory=dict)
    """By `check/rule`: how many more there are now than were recorded."""
    gone_findings: dict[str, int] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    """Checks that took no part."""


class RecordedLineage(LineageKeeper):
    """Lineage as it was recorded: joining is not done again, for it depends on what was open then."""

    def __init__(self) -> None:
        self.next: RecordedExchange | None = None

    def foresee(self, arrival: Arrival, callee: str, names: Names) -> tuple[Lineage, None]:  # noqa: ARG002 - its form
        assert self.next is not None
        about, started = self.next.about, self.next.started.body
        lineage = Lineage(
            trace_id=about.trace_id,
            span_id=about.span_id,
            parent_span_id="",
            is_sampled=False,
            is_random=True,
            tracestate=(),
            source=JoinSource(started.get("joined", JoinSource.ROOT)),
            links=(),
            exchange_id=about.exchange_id,
            conversation=about.conversation,
            hops=about.hops,
            path=tuple(started.get("path", ())),
            was_seen_by_caller=bool(started.get("was_seen_by_caller")),
            caller=about.caller,
            cause=about.cause,
        )
        return lineage, None

    def stamp(self, exchange: Exchange) -> list[Any]:  # noqa: ARG002 - the port's form
        return []

    async def saw(self, exchange: Exchange, names: Names) -> None:
        """The names were recorded with it."""

    def ended(self, exchange: Exchange, status: Status) -> None:
        """Nothing is remembered."""


class Readable:
    """A check that is asked only about messages whose documents were kept."""

    def __init__(self, check: Check) -> None:
        self.name = check.name
        self.fail = check.fail
        self._check: Any = check
        for hook in CHECK_HOOKS:
            if (found := getattr(check, hook, None)) is not None:
                setattr(self, hook, self._kept(found) if hook == "on_message" else found)

    @staticmethod
    def _kept(found: Any) -> Any:
        async def asked(exchange: Exchange, message: Message) -> Any:
            return await found(exchange, message) if message.is_readable else None

        def told(exchange: Exchange, message: Message) -> Any:
            return found(exchange, message) if message.is_readable else None

        return asked if inspect.iscoroutinefunction(found) else told


class Findings:
    """A reporter that keeps what is found, by exchange."""

    def __init__(self) -> None:
        self.by_exchange: dict[str, list[Finding]] = {}

    def finding_made(self, exchange: Exchange, finding: Finding, action: Action) -> None:  # noqa: ARG002 - a hook's form
        self.by_exchange.setdefault(exchange.lineage.span_id, []).append(finding)


async def rerun(
    config: Config, steps: Sequence[Step], exchanges: Sequence[RecordedExchange], descriptors: Descriptors
) -> Rerun:
    """Everything that happened, in its order, through the engine that this configuration makes.

    Nothing is dialled and no file but specs and prices is opened: state is in memory, verifiers are not asked. Raises
    ConfigError for specs or prices that cannot be used.
    """
    result = Rerun(len(exchanges), sum(not each.has_content for each in exchanges), skipped=(VerificationCheck.name,))
    if not steps:
        return result
    clock = ReplayClock(steps[0][1].unix_ns)
    stage = Stage(config, clock, exchanges, descriptors)
    await stage.play(steps)
    for each in exchanges:
        stage.judge(each, result)
    await stage.close()
    return result


class Stage:
    """The engine of a rerun, and the exchanges that are under way on it."""

    def __init__(
        self, config: Config, clock: ReplayClock, exchanges: Iterable[RecordedExchange], descriptors: Descriptors
    ) -> None:
        update = {"store": MEMORY, "spool": MEMORY, "journal": None, "verifiers": ()}
        self._config = config.model_copy(update=update)
        self._clock = clock
        self._lineage = RecordedLineage()
        self._routes = {route.name: config.mode_of(route) for route in config.routes}
        self._findings = Findings()
        names = [verifier.name for verifier in config.verifiers]
        self._specs = SpecSource(config.specs, on_reload=lambda *_: None, verifiers=names)
        guards = Guards()
        self.line_up = LineUp(
            self._config,
            clock=clock,
            descriptors=dict.fromkeys({each.about.route for each in exchanges} | set(self._routes), descriptors),
            guards=guards,
            metrics=MetricsReporter(clock=clock, series_limit=100),
            tell_late=self._tell_late,
        )
        checks = [check for check in self.line_up.checks if check.name != VerificationCheck.name]
        self._engine = Engine(
            clock=clock,
            lineage=self._lineage,
            specs=self._specs,
            checks=[Readable(check) if check.name in NEED_DOCUMENTS else check for check in checks],
            reporters=[self._findings],
            guards=guards,
        )
        self._actors: dict[RecordedExchange, Actor] = {}

    async def play(self, steps: Sequence[Step]) -> None:
        await self.line_up.start(self._specs.table.specs)
        for exchange, record, message in steps:
            await self._clock.advance_to(record.unix_ns)
            actor = self._actors.get(exchange)
            if actor is None:
                actor = self._actors[exchange] = Actor(self._engine, self._lineage, exchange, self._route(exchange))
            actor.tell(record.kind if message is None else message)
            await settle()
        await self._clock.advance_to(self._clock.unix_ns() + LAST_NS)
        await settle()
        for actor in self._actors.values():
            actor.stop()
        await asyncio.gather(*(actor.task for actor in self._actors.values()), return_exceptions=True)

    def judge(self, recorded: RecordedExchange, result: Rerun) -> None:
        actor = self._actors[recorded]
        found = self._findings.by_exchange.get(recorded.about.span_id, [])
        count_findings(recorded, found, result)
        after = actor.verdict
        if after == recorded.verdict:
            return
        decided = decisive(actor.exchange)
        result.unanswered += recorded.verdict != "forward" and after == "forward"
        if decided is not None:
            rule, sentence = f"{decided.check}/{decided.rule}", decided.message
        else:
            was = recorded.decision or {}
            rule, sentence = f"{was.get('check', '')}/{was.get('rule', '')}", ""
        result.changes.append(Change(recorded, recorded.verdict, after, rule, sentence))

    async def close(self) -> None:
        await self.line_up.close()

    def _route(self, recorded: RecordedExchange) -> Route:
        about = recorded.about
        guarding = Guarding.ALWAYS if recorded.started.body.get("is_guarded_here", True) else Guarding.NEVER
        mode = self._routes.get(about.route, self._config.mode)
        return Route(about.route, Side(about.side), about.caller, about.callee, mode, guarding)

    def _tell_late(self, exchange: Exchange, finding: Finding) -> None:
        self._findings.finding_made(exchange, finding, Action.OBSERVED)


class Actor:
    """One exchange under way: what was recorded happens to it, one after the other, however long a check waits."""

    def __init__(self, engine: Engine, lineage: RecordedLineage, recorded: RecordedExchange, route: Route) -> None:
        self._engine = engine
        self._lineage = lineage
        self._recorded = recorded
        self._route = route
        self._inbox: asyncio.Queue[RecordedMessage | Kind] = asyncio.Queue()
        self._is_over = False
        self.exchange: Exchange | None = None
        self.task = asyncio.create_task(self._run())

    @property
    def verdict(self) -> str:
        if self.exchange is None:
            return "forward"
        decision = self.exchange.decision
        return f"reject {decision.reason.value}" if isinstance(decision, Reject) else decision.label

    def tell(self, what: RecordedMessage | Kind) -> None:
        self._inbox.put_nowait(what)

    def stop(self) -> None:
        """What still waits would never come."""
        self.task.cancel()

    async def _run(self) -> None:
        while not self._is_over:
            what = await self._inbox.get()
            if isinstance(what, RecordedMessage):
                await self._message(what)
            elif what is Kind.STARTED:
                await self._start()
            elif what is Kind.ENDED:
                await self._end()

    async def _start(self) -> None:
        about, body = self._recorded.about, self._recorded.started.body
        first = next((each for each in self._recorded.messages if each.direction is Direction.REQUEST), None)
        arrival = Arrival(self._route, about.method, first=first, remaining_s=body.get("remaining_s"))
        # Settling it waits for nothing, so no other exchange can come in between.
        self._lineage.next = self._recorded
        self.exchange = await self._engine.arrive(arrival)
        await self._engine.open(self.exchange)
        await self._heed()

    async def _message(self, message: RecordedMessage) -> None:
        exchange = self.exchange
        assert exchange is not None
        if message.direction is Direction.RESPONSE and not exchange.was_dispatched:
            self._engine.stamp(exchange)
        await self._engine.message(exchange, message)
        await self._heed()
        if not self._is_over and not exchange.was_dispatched:
            self._engine.stamp(exchange)

    async def _end(self) -> None:
        """As it ended then. Where it was refused and is not now, nobody knows what the callee would have said."""
        exchange, ended = self.exchange, self._recorded.ended
        assert exchange is not None
        assert ended is not None
        body = ended.body
        status = Status(str(body["code"]), "", Origin(body["origin"]))
        if self._recorded.decision is not None:
            status = Status("CANCELLED", "", Origin.DOWNSTREAM)
        elif status.origin in (Origin.UPSTREAM, Origin.TRANSPORT):
            await self._engine.answered(exchange, Answer(status))
        await self._close(status)

    async def _heed(self) -> None:
        """A call that is refused, or answered from the record, goes no further."""
        assert self.exchange is not None
        decision = self.exchange.decision
        if isinstance(decision, Forward):
            return
        code = REPLIES[decision.reason].code if isinstance(decision, Reject) else decision.recording.code
        await self._close(Status(code, "", Origin.SIDECAR))

    async def _close(self, status: Status) -> None:
        self._is_over = True
        assert self.exchange is not None
        if not isinstance(self.exchange.decision, Forward) and status.origin is not Origin.SIDECAR:
            status = Status(status.code, "", Origin.SIDECAR)
        await self._engine.end(self.exchange, status)


def decisive(exchange: Exchange | None) -> Finding | None:
    """The finding that decides; None where nothing does."""
    findings = () if exchange is None or isinstance(exchange.decision, Forward) else exchange.decision.findings
    return findings[0] if findings else None


def count_findings(recorded: RecordedExchange, found: Iterable[Finding], result: Rerun) -> None:
    """Rules that were not broken then, or are not now. How often a message breaks one does not matter."""
    skipped = set(result.skipped) | (set() if recorded.has_content else NEED_DOCUMENTS)
    before = {rule_of(each) for each in recorded.findings if each.get("check") not in skipped}
    after = {f"{each.check}/{each.rule}" for each in found}
    for rule in after - before:
        result.new_findings[rule] = result.new_findings.get(rule, 0) + 1
    for rule in before - after:
        result.gone_findings[rule] = result.gone_findings.get(rule, 0) + 1


def rule_of(body: Mapping[str, Any]) -> str:
    return f"{body.get('check', '')}/{body.get('rule', '')}"
