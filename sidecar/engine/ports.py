"""What the engine needs from outside, in the words of the domain. Tests script these; `app` and `line_up` wire the
real ones.

What checks ask of a store is in `engine.state`, a port for each domain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from sidecar.engine.costs import Cost
    from sidecar.engine.exchange import Exchange, Side
    from sidecar.engine.finding import Finding
    from sidecar.engine.specs import Spec
    from sidecar.engine.specs.spec import PanelTerms
    from sidecar.engine.verdict import Evidence, Opinion, PanelVerdict


class Clock(Protocol):
    """Time, so that tests can hold it still."""

    def monotonic_ns(self) -> int: ...

    def unix_ns(self) -> int: ...

    async def sleep(self, seconds: float) -> None:
        """Let this much time pass."""


class Ids(Protocol):
    """Random identifiers, so that tests can foresee them."""

    def trace_id(self) -> str:
        """32 lower-case hex digits, never all zero."""

    def span_id(self) -> str:
        """16 lower-case hex digits, never all zero."""

    def exchange_id(self) -> str: ...


class Sampler(Protocol):
    """Whether a trace is recorded (OpenTelemetry's samplers stand behind it)."""

    def is_sampled(self, trace_id: str, parent_is_sampled: bool | None, method: str, side: Side) -> bool:
        """`parent_is_sampled` is None for a root."""


class Specs(Protocol):
    """The contracts in force."""

    def match(self, caller: str, callee: str, method: str) -> Spec | None:
        """The most specific spec for an edge, or None."""


class Panel(Protocol):
    """Independent verifiers, asked in parallel under one deadline. It never raises for what a verifier does."""

    def may_refuse(self, terms: PanelTerms) -> bool:
        """Whether any of the verifiers that `terms` requires is more than an observer."""

    async def ask(self, evidence: Evidence, terms: PanelTerms, tell: TellVerdict) -> PanelVerdict:
        """The verdict of those that count, within the deadline.

        Verifiers in observe keep nobody waiting: `tell` hears of them afterwards, as for `ask_later`.
        """

    def ask_later(self, evidence: Evidence, terms: PanelTerms, tell: TellVerdict) -> None:
        """Ask all of them beside the call. `tell` is called exactly once, with None where there was no room or time."""


class StoreReporter(Protocol):
    """Watches a store and can never fail it. Every hook is called on the event loop."""

    def verb_failed(self, kind: str, verb: str) -> None:
        """A verb got no answer from a store of this kind."""

    def store_left(self, kind: str) -> None:
        """The store is away from now on."""

    def store_returned(self, kind: str) -> None:
        """The store answers again."""

    def store_forgot(self, kind: str, what: Literal["all", "last"]) -> None:
        """It answers, and has lost what it once acknowledged: everything, or the newest writes."""


class PanelReporter(Protocol):
    """Watches a panel and can never fail it."""

    def opinion_given(self, opinion: Opinion) -> None:
        """One verifier was asked, or skipped."""

    def dissented(self, opinion: Opinion) -> None:
        """A verdict that differs from its panel's."""

    def breaker_changed(self, verifier: str, is_open: bool) -> None:
        """A verifier is skipped from now on, or asked again."""

    def engines_compared(self, spec: str, is_disagreement: bool) -> None:
        """The sidecar's schema engine and a verifier's have judged the same documents."""


class Quarantine(Protocol):
    """Where edges are held back whose answers turned out to be wrong after they had gone on."""

    def quarantine(self, caller: str, callee: str, method: str, because: str) -> None:
        """Hold back further calls on this edge. `because` is a sentence for people; it quotes no payload.

        It returns at once: an implementation that must tell others does so beside the call.
        """


class PressureReporter(Protocol):
    """Watches how much is asked and can never fail it."""

    def breaker_changed(self, callee: str, is_open: bool) -> None:
        """A callee is left alone from now on, or called again."""


class Witness(Protocol):
    """Watches what checks find out beside their findings, exchange by exchange, and can never fail a call.

    Every hook is called on the event loop.
    """

    def judged(self, exchange: Exchange, verdict: PanelVerdict, *, is_late: bool) -> None:
        """Verifiers have said what they think of an answer; `is_late` where that had moved on by then."""

    def charged(self, exchange: Exchange, cost: Cost) -> None:
        """It is known what an exchange cost. Of two sidecars on one exchange, one is told."""


class Witnesses(Witness):
    """Several, each of which hears of everything."""

    def __init__(self, *witnesses: Witness) -> None:
        self._witnesses = witnesses

    def judged(self, exchange: Exchange, verdict: PanelVerdict, *, is_late: bool) -> None:
        for each in self._witnesses:
            each.judged(exchange, verdict, is_late=is_late)

    def charged(self, exchange: Exchange, cost: Cost) -> None:
        for each in self._witnesses:
            each.charged(exchange, cost)


class PanelReporters(PanelReporter):
    """Several, each of which hears of everything."""

    def __init__(self, *reporters: PanelReporter) -> None:
        self._reporters = reporters

    def opinion_given(self, opinion: Opinion) -> None:
        for each in self._reporters:
            each.opinion_given(opinion)

    def dissented(self, opinion: Opinion) -> None:
        for each in self._reporters:
            each.dissented(opinion)

    def breaker_changed(self, verifier: str, is_open: bool) -> None:
        for each in self._reporters:
            each.breaker_changed(verifier, is_open)

    def engines_compared(self, spec: str, is_disagreement: bool) -> None:
        for each in self._reporters:
            each.engines_compared(spec, is_disagreement)


class NoWitness(Witness):
    """Watches nothing."""

    def judged(self, exchange: Exchange, verdict: PanelVerdict, *, is_late: bool) -> None: ...

    def charged(self, exchange: Exchange, cost: Cost) -> None: ...


class Check(Protocol):
    """One behaviour of the engine. Implement at least one hook; a check that has none is a startup error.

    Hooks are plain functions that return the findings they have, or coroutines where they must await a port:

    - `on_start(exchange)`: headers are in, lineage is settled, nothing was dispatched;
    - `on_message(exchange, message)`: before the message moves on, either direction;
    - `on_answer(exchange, answer)`: the callee's status is here and the caller has not heard of it;
    - `on_end(exchange, status)`: nothing more will pass; too late to refuse, and told to every check.

    A hook that lets StoreUnavailable through refuses the call with STORE_UNAVAILABLE where that is enforced.

    A check whose hooks ask a store may also have `ahead(exchange, message)`, where `message` is None for `on_start`. It
    asks what the hook will ask, by `Reach.ahead`, and says whether those after it may be asked ahead as well: not so
    where it may keep the call waiting. It changes nothing but what it keeps for its hook, and is not always called.
    While the store is far away, the conversation that `on_start` sees of a method with one request is the one foreseen,
    unless a check says by a property `goes_by_conversation` that it has to be sure.
    """

    name: str
    fail: Literal["open", "closed"]
    """What a crash of this check means for the call where the route enforces."""


class Reporter(Protocol):
    """Watches and can never fail a call. Every hook is optional, as with Check; all are plain functions.

    - `exchange_started(exchange)`
    - `message_seen(exchange, message)`: after the checks, before it moves on
    - `finding_made(exchange, finding, action)`
    - `exchange_ended(outcome)`
    """


Findings = Iterable["Finding"] | None

TellVerdict = Callable[["PanelVerdict | None"], None]
"""Hears of a verdict that came after its message had moved on; None where it never will."""
