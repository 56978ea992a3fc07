"""The engine tells a call's story in four verbs: start, message (each way, before it moves on), answered, end.

A shell (the gRPC proxy, one day Envoy's ext_proc) calls them in that order and acts on the decision it gets back.
Checks complain, `policy` decides, reporters watch. Data travels one way: nothing that a reporter does reaches back up.
Checks are asked in order, and once one's finding has become a decision the later ones are not: what is refused is not
judged, claimed or charged any further. Only the end is told to all, so that each can give back what it took.

Where the store is far away, what the checks will ask it about one message is asked ahead of them, in one turn of the
event loop (`ahead`); the checks are asked in the same order all the same, and decide as if it had not been.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sidecar.engine import policy
from sidecar.engine.ahead import Ahead, Wariness
from sidecar.engine.eager import Done, begun
from sidecar.engine.exchange import FINDINGS_KEPT, Answer, Arrival, Exchange, Mode, Outcome, Side, Status
from sidecar.engine.finding import FORWARD, Action, Decision, Finding, Forward, Reject, Replay, Severity
from sidecar.engine.guarding import Guards
from sidecar.engine.lineage import LineageKeeper, caller_of, renamed
from sidecar.engine.message import NO_NAMES, Direction, Message, Names
from sidecar.engine.modes import Modes
from sidecar.engine.ports import Check, Clock, Reporter, Specs
from sidecar.engine.state.reach import is_consistent
from sidecar.errors import MalformedMessage, Reason, StoreUnavailable

log = logging.getLogger(__name__)

CHECK_HOOKS = ("on_start", "on_message", "on_answer", "on_end")
REPORTER_HOOKS = ("exchange_started", "message_seen", "finding_made", "exchange_ended")

Hook = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class BoundHook:
    """One hook of one check, with what the engine needs to know to call it."""

    check: Check
    call: Hook
    is_async: bool
    ahead: Callable[[Exchange, Message | None], bool] | None = None
    """Asks the store what the hook will need, where the check can say it beforehand."""


class Engine:
    """Runs checks over exchanges. One per process: joining sees all routes."""

    def __init__(
        self,
        *,
        clock: Clock,
        lineage: LineageKeeper,
        specs: Specs,
        checks: Sequence[Check] = (),
        reporters: Sequence[Reporter] = (),
        guards: Guards | None = None,
        is_worth_asking_ahead: Callable[[], bool] | None = None,
        modes: Modes | None = None,
    ) -> None:
        """`is_worth_asking_ahead`: whether the store is far away, and there. None: it never is far."""
        self._clock = clock
        self._is_worth_asking_ahead = is_worth_asking_ahead or (lambda: False)
        self._wariness = Wariness(clock)
        self._by_conversation: list[Any] = [check for check in checks if hasattr(check, "goes_by_conversation")]
        self._background: set[asyncio.Task[None]] = set()
        self._guards = guards or Guards()
        self._modes = modes or Modes()
        self._lineage = lineage
        self._specs = specs
        self._on_start = hooks_of(checks, "on_start")
        self._on_message = hooks_of(checks, "on_message")
        self._on_answer = hooks_of(checks, "on_answer")
        self._on_end = hooks_of(checks, "on_end")
        self.ends_later = any(hook.is_async for hook in self._on_end)
        """Whether `end` may have to wait for a port: then whoever calls it must not be cancelled in the middle."""
        for check in checks:
            refuse_misspelled(check, CHECK_HOOKS, "on_")
        self._reporters = {hook: methods_of(reporters, hook) for hook in REPORTER_HOOKS}

    async def start(self, arrival: Arrival) -> Exchange:
        """Headers are in. The exchange that comes back has its lineage, its spec and a first decision.

        For a shell that is never cancelled in the middle of it; one that is calls the two halves itself, so that it has
        an exchange to end once any check has taken something for it.
        """
        exchange = await self.arrive(arrival)
        await self.open(exchange)
        return exchange

    async def arrive(self, arrival: Arrival) -> Exchange:
        """The first half: lineage and spec are settled. Whoever got the exchange must `end` it."""
        entered_ns = self._clock.monotonic_ns()
        route = self._modes.route(arrival.route)
        if route is not arrival.route:
            arrival = replace(arrival, route=route)
        lineage, naming = self._lineage.foresee(arrival, route.callee, names_of(arrival.first))
        if naming is not None and not self._is_worth_asking_ahead():
            lineage, naming = renamed(lineage, await naming), None
        caller = caller_of(arrival, lineage)
        exchange = Exchange(
            arrival=arrival,
            lineage=lineage,
            caller=caller,
            started_ns=entered_ns,
            started_unix_ns=self._clock.unix_ns(),
            spec=self._specs.match(caller, route.callee, arrival.method),
            is_guarded_here=self._guards.are_here(route),
            remainder_micro_usd=lineage.remainder_micro_usd,
            naming=naming,
            observed_checks=self._modes.observed_checks,
        )
        if naming is None:
            self._tell("exchange_started", exchange)
        exchange.held_ns += self._clock.monotonic_ns() - entered_ns
        return exchange

    async def open(self, exchange: Exchange) -> Decision:
        """The second half: the checks look at the headers."""
        entered_ns = self._clock.monotonic_ns()
        if exchange.naming is not None and any(check.goes_by_conversation for check in self._by_conversation):
            await self.named(exchange)
        if exchange.naming is None or exchange.arrival.first is None:
            await self._look(self._on_start, exchange, None, exchange)
            await self.named(exchange)  # the call may go out now, and tells its callee of the conversation
        else:
            if not exchange.is_guarded_here:
                await self.named(exchange)
            await self._run(self._on_start, exchange, exchange)
        exchange.held_ns += self._clock.monotonic_ns() - entered_ns
        return exchange.decision

    async def named(self, exchange: Exchange) -> None:
        """Wait until it is sure which conversation this is. From then on reporters know of the exchange."""
        naming, exchange.naming = exchange.naming, None
        if naming is None:
            return
        try:
            exchange.lineage = renamed(exchange.lineage, await naming)
        finally:
            self._tell("exchange_started", exchange)

    async def message(self, exchange: Exchange, message: Message) -> Decision:
        """One payload, before it moves on. The decision is the exchange's: once rejected, it stays so."""
        entered_ns = self._clock.monotonic_ns()
        tally = exchange.tally(message.direction)
        tally.messages += 1
        tally.size_bytes += message.size_bytes
        if message.direction is Direction.REQUEST:
            exchange.last_request = message
        else:
            exchange.last_response = message
        names = names_of(message)
        learning = None if names is NO_NAMES else self._learn(exchange, names)
        try:
            await self._look(self._on_message, exchange, message, exchange, message)
            if learning is not None:
                await learning
        finally:
            if learning is not None:
                learning.close()
        tally.passed += isinstance(exchange.decision, Forward)
        self._tell("message_seen", exchange, message)
        exchange.held_ns += self._clock.monotonic_ns() - entered_ns
        return exchange.decision

    def stamp(self, exchange: Exchange) -> list[tuple[str, str | bytes]]:
        """The metadata to send upstream: the caller's, with trace context and lineage as they now stand.

        To be asked when the call goes out: from here on the callee may have seen it.
        """
        exchange.dispatched_ns = self._clock.monotonic_ns()
        return self._lineage.stamp(exchange)

    async def answered(
        self,
        exchange: Exchange,
        answer: Answer,
        *,
        is_guarded_there: bool = False,
        spent_there_micro_usd: int | None = None,
    ) -> Decision:
        """The callee's status is here and the caller has not heard of it: the last moment to refuse.

        `is_guarded_there`: whether the callee's own sidecar said that it keeps the shared state of this exchange.
        `spent_there_micro_usd`: what it said was spent of the remainder that we handed down.
        """
        if exchange.side is Side.OUTBOUND:
            self._guards.heard(exchange.route, is_guarded_there)
            exchange.is_guarded_there = is_guarded_there
            exchange.spent_there_micro_usd = spent_there_micro_usd
        if self._on_answer:
            entered_ns = self._clock.monotonic_ns()
            await self._run(self._on_answer, exchange, exchange, answer)
            exchange.held_ns += self._clock.monotonic_ns() - entered_ns
        return exchange.decision

    def timeout_s(self, exchange: Exchange, default_s: float | None) -> float | None:
        """Seconds to give to a call that carries no deadline; None where it stays without one.

        Never in observe. What the work above still has bounds it, so a chain of calls cannot outlast its root; and what
        is given here bounds the calls that this one causes. To be asked before `stamp`.
        """
        given_s = deadline_of(exchange, default_s)
        if given_s is None:
            return None
        now_ns, above_ns = self._clock.monotonic_ns(), exchange.lineage.deadline_ns
        given_ns = now_ns + int(given_s * 1e9)
        exchange.given_deadline_ns = given_ns if above_ns is None else min(given_ns, above_ns)
        return (exchange.given_deadline_ns - now_ns) / 1e9

    async def end(self, exchange: Exchange, status: Status) -> Outcome:
        """The status is known and nothing more will pass.

        Checks give back and settle at the same time, for nobody decides any more: what they ask of a store goes out
        together.
        """
        if exchange.naming is not None:
            await self.named(exchange)
        said = [self._settled(hook, exchange, status) for hook in self._on_end]
        for hook, answer in zip(self._on_end, said, strict=True):
            if inspect.iscoroutine(answer):
                answer = await settled(answer)
            self._conclude(hook.check, exchange, answer)
        self._lineage.ended(exchange, status)
        outcome = Outcome(exchange, status, self._clock.monotonic_ns(), self._clock.unix_ns())
        self._tell("exchange_ended", outcome)
        return outcome

    def _settled(self, hook: BoundHook, exchange: Exchange, status: Status) -> Any:
        """What a check says of the end, or what it raised; what is left of its work where it has to wait."""
        try:
            answer = hook.call(exchange, status)
            if not hook.is_async:
                return answer
            first = begun(answer)
        except Exception as error:
            return error
        return first.value if isinstance(first, Done) else first

    def _conclude(self, check: Check, exchange: Exchange, answer: Any) -> None:
        if isinstance(answer, Exception):
            answer = failed(check, exchange, answer)
        if answer:
            self._record(exchange, list(answer), FORWARD)

    def refuse(self, exchange: Exchange, finding: Finding) -> Reject:
        """A refusal that the shell itself must make (no upstream, no room): recorded like a check's."""
        assert finding.reason is not None
        decision = Reject(finding.reason, (finding,))
        exchange.decision = decision
        self._record(exchange, [finding], decision)
        return decision

    def _learn(self, exchange: Exchange, names: Names) -> Coroutine[Any, Any, None] | None:
        """What is left to wait for until the names that are new are the conversation's; None where nothing is."""
        merged = exchange.names.merged(names)
        if merged == exchange.names:
            return None
        exchange.names = merged
        learning = begun(self._lineage.saw(exchange, names))
        return None if isinstance(learning, Done) else learning

    async def _look(
        self, hooks: Sequence[BoundHook], exchange: Exchange, message: Message | None, *arguments: object
    ) -> None:
        """Ask the checks in order. Where the store is far away, it is asked for all of them first."""
        if not self._is_worth_asking_ahead() or self._wariness.is_wary(edge_of(exchange)):
            if exchange.naming is not None:
                await self.named(exchange)
            await self._run(hooks, exchange, *arguments)
            return
        # What is judged without waiting comes before: it may refuse, and then nothing is to be taken back.
        first = next((place for place, hook in enumerate(hooks) if hook.is_async or hook.ahead), len(hooks))
        await self._run(hooks[:first], exchange, *arguments)
        if not isinstance(exchange.decision, Forward):
            return
        ahead = exchange.ahead = Ahead(self._kept)
        try:
            ask_ahead(hooks[first:], exchange, message)
            if exchange.naming is not None:
                foreseen = exchange.lineage
                await self.named(exchange)
                if exchange.lineage is not foreseen:
                    ahead.begin_again()
                    ask_ahead(hooks[first:], exchange, message)
                    await ahead.asked_again()
            await self._run(hooks[first:], exchange, *arguments)
        finally:
            exchange.ahead = None
            ahead.take_back()
            if ahead.took_back:
                self._wariness.took_back(edge_of(exchange))

    async def _run(self, hooks: Sequence[BoundHook], exchange: Exchange, *arguments: object) -> None:
        if not isinstance(exchange.decision, Forward):
            return
        for hook in hooks:
            # Most hooks have nothing to say, so none is asked through a coroutine that it does not need.
            try:
                answer = hook.call(*arguments)
                if hook.is_async:
                    answer = await answer
            except Exception as error:
                answer = failed(hook.check, exchange, error)
            if answer:
                if exchange.naming is not None:
                    await self.named(exchange)
                findings = list(answer)
                decision = policy.decide(exchange, findings)
                exchange.decision = decision
                self._record(exchange, findings, decision)
                if not isinstance(decision, Forward):
                    return

    def _kept(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Goes on beside the call, to its end."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _record(self, exchange: Exchange, findings: Sequence[Finding], decision: Decision) -> None:
        exchange.findings.extend(findings[: FINDINGS_KEPT - len(exchange.findings)])
        for finding in findings:
            if finding.hint and isinstance(decision, Forward) and policy.is_enforced(exchange, finding):
                exchange.hints.append(finding.hint)
            self._tell("finding_made", exchange, finding, action_of(finding, decision))

    def _tell(self, hook: str, *arguments: object) -> None:
        for report in self._reporters[hook]:
            try:
                report(*arguments)
            except Exception:
                # A reporter watches: its failure is ours to log and never the call's.
                log.exception("reporter %s failed", report)


def ask_ahead(hooks: Sequence[BoundHook], exchange: Exchange, message: Message | None) -> None:
    """Down to the first check that may keep the call waiting: nothing is held meanwhile for those after it."""
    for hook in hooks:
        try:
            if hook.ahead is not None and not hook.ahead(exchange, message):
                return
        except Exception:
            # The check itself is asked in a moment; what it says of its failure counts.
            log.debug("check %s could not ask ahead", hook.check.name, exc_info=True)


async def settled(rest: Coroutine[Any, Any, Any]) -> Any:
    """What a check says of the end, or what it raised."""
    try:
        return await rest
    except Exception as error:
        return error


def edge_of(exchange: Exchange) -> tuple[str, str, str]:
    return exchange.caller, exchange.callee, exchange.method


def names_of(message: Message | None) -> Names:
    """The ids in a message; none where it cannot be read (the spec check says so, if a spec cares)."""
    if message is None:
        return NO_NAMES
    try:
        return message.names
    except MalformedMessage:
        return NO_NAMES


def deadline_of(exchange: Exchange, default_s: float | None) -> float | None:
    """The spec's deadline where it has one, else the route's; None unless both enforce."""
    spec = exchange.spec
    if not exchange.is_enforced or (spec is not None and spec.mode is Mode.OBSERVE):
        return None
    return default_s if spec is None or spec.deadline_s is None else spec.deadline_s


def action_of(finding: Finding, decision: Decision) -> Action:
    if isinstance(decision, Reject) and finding in decision.findings:
        return Action.REJECTED
    return Action.REPLAYED if isinstance(decision, Replay) and finding in decision.findings else Action.OBSERVED


def failed(check: Check, exchange: Exchange, error: Exception) -> Iterable[Finding]:
    """What a check that raised is taken to have said."""
    if isinstance(error, StoreUnavailable):
        return (store_away(check, exchange, error),)
    log.error("check %s crashed", check.name, exc_info=error)
    return (crashed(check, error),)


def store_away(check: Check, exchange: Exchange, away: StoreUnavailable) -> Finding:
    """The shared store did not answer, and nothing stood in for it: a refusal where the spec chose to be consistent."""
    spec = exchange.spec
    return Finding(
        check=check.name,
        rule="store-away",
        severity=Severity.INTERNAL,
        message=f"check {check.name} needs the shared store, which is away: {away}",
        reason=Reason.STORE_UNAVAILABLE if is_consistent(exchange) else None,
        mode=spec.mode if spec else None,
        spec=spec.name if spec else "",
    )


def crashed(check: Check, crash: Exception) -> Finding:
    """A check's own failure. It asks for a refusal only where the check was declared to fail closed."""
    return Finding(
        check=check.name,
        rule="crashed",
        severity=Severity.INTERNAL,
        message=f"check {check.name} failed: {type(crash).__name__}; declared to fail {check.fail}",
        reason=Reason.CHECK_FAILED if check.fail == "closed" else None,
    )


def hooks_of(checks: Sequence[Check], hook: str) -> tuple[BoundHook, ...]:
    found = ((check, getattr(check, hook, None)) for check in checks)
    return tuple(
        BoundHook(check, call, inspect.iscoroutinefunction(call), getattr(check, "ahead", None))
        for check, call in found
        if call is not None
    )


def methods_of(reporters: Sequence[Reporter], hook: str) -> tuple[Callable[..., object], ...]:
    return tuple(getattr(reporter, hook) for reporter in reporters if hasattr(reporter, hook))


def refuse_misspelled(check: Check, hooks: Sequence[str], prefix: str) -> None:
    """A check that is silently never asked would be a promise not kept: say so at startup."""
    public = {name for name in dir(check) if name.startswith(prefix) and callable(getattr(check, name))}
    if not public & set(hooks):
        raise TypeError(f"check {check.name} has none of the hooks {', '.join(hooks)}")
    if unknown := public - set(hooks):
        raise TypeError(f"check {check.name} has unknown hooks {', '.join(sorted(unknown))}; known: {', '.join(hooks)}")
