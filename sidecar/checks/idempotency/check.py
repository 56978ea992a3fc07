"""The idempotency check: claim before dispatch, answer duplicates from the record, settle at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from sidecar.checks.idempotency.claiming import Call, Claimant
from sidecar.checks.idempotency.duplicate import (
    NAME,
    Diagnosis,
    DuplicateReporter,
    Origin,
    diagnosis_of,
    fenced,
    retried,
    told_of,
    unclaimed,
)
from sidecar.checks.idempotency.hold import Hold
from sidecar.checks.idempotency.identity import Identity, Unkeyed, identity_of
from sidecar.checks.idempotency.waiting import LEASE_S, Flight, Flights, Keeper, settle
from sidecar.engine.attempts import has_attempts
from sidecar.engine.exchange import Answer, Exchange, Mode, Status, weakest
from sidecar.engine.finding import Finding
from sidecar.engine.message import Direction, Message
from sidecar.engine.ports import Clock
from sidecar.engine.specs import Idempotency, Spec
from sidecar.engine.state import Claims, Reach
from sidecar.engine.state.claims import Claimed, Standing
from sidecar.errors import StoreUnavailable

HELD_BYTES_MAX: Final = 128 << 20
"""Answers that are being recorded, all calls together. What does not fit is done and not kept."""

WAIT_SHARE: Final = 0.9
"""Part of the time to its deadline that a duplicate waits: what it is told then must still reach it."""


@dataclass(frozen=True, slots=True)
class IdempotencySettings:
    record_bytes: int = 1 << 20
    wait_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Underway:
    """A call that holds its claim."""

    call: Call
    hold: Hold
    flight: Flight


class IdempotencyCheck:
    """One execution for a key, as long as the store keeps its writes."""

    name = NAME
    fail: Literal["open", "closed"] = "open"

    def __init__(
        self,
        claims: Reach[Claims],
        *,
        clock: Clock,
        answers_once: Callable[[Exchange], bool],
        reporter: DuplicateReporter,
        settings: IdempotencySettings | None = None,
    ) -> None:
        """`answers_once`: whether a method is known to send one response."""
        self._clock = clock
        self._answers_once = answers_once
        self._reporter = reporter
        self._settings = settings or IdempotencySettings()
        self._underway: dict[Exchange, Underway] = {}
        self._foreseen: dict[Exchange, Identity | Unkeyed] = {}
        """Of requests whose claim was asked ahead."""
        self._claiming: dict[str, Exchange] = {}
        """By key, who of this process asked for it first and has not heard the answer."""
        self._held_bytes = 0
        self._flights = Flights(clock)
        self._keeper = Keeper(clock, lambda: (each.hold for each in list(self._underway.values())))
        self._claimant = Claimant(claims, clock, self._flights, self._keeper)

    def on_start(self, exchange: Exchange) -> None:
        """A gRPC client that retries says so on any edge."""
        if exchange.is_guarded_here and has_attempts(exchange):
            exchange.is_retry = True
            self._reporter.retry_seen(exchange.callee, Origin.GRPC, is_near_deadline=False)

    def ahead(self, exchange: Exchange, message: Message | None) -> bool:
        """The claim. Nothing below it is asked ahead for a duplicate of a call that this process has under way."""
        spec = exchange.spec
        if message is None or message.direction is Direction.RESPONSE or message.sequence > 0:
            return True
        if spec is None or spec.idempotency is None or not exchange.is_guarded_here:
            return True
        identity = self._foreseen.get(exchange)
        if identity is None:
            identity = self._foreseen[exchange] = identity_of(exchange, spec.idempotency, message)
        if isinstance(identity, Unkeyed):
            return True
        self._claimant.claim_ahead(self._call(exchange, spec, spec.idempotency, identity))
        is_first = self._claiming.setdefault(identity.key, exchange) is exchange
        return is_first and identity.key not in self._flights

    async def on_message(self, exchange: Exchange, message: Message) -> Sequence[Finding] | None:
        spec = exchange.spec
        if spec is None or spec.idempotency is None or not exchange.is_guarded_here:
            return None
        if message.direction is Direction.RESPONSE:
            if (underway := self._underway.get(exchange)) is not None:
                self._keep(underway.hold, message)
            return None
        if message.sequence > 0:
            return None
        identity = self._foreseen.get(exchange) or identity_of(exchange, spec.idempotency, message)
        if isinstance(identity, Unkeyed):
            return [unclaimed(spec, identity)]
        return await self._requested(exchange, spec, spec.idempotency, identity)

    def on_answer(self, exchange: Exchange, answer: Answer) -> None:
        if (underway := self._underway.get(exchange)) is not None:
            underway.hold.answer = answer

    def store_returned(self) -> None:
        """Tell it at once what it has not heard."""
        self._keeper.pay_soon()

    async def on_end(self, exchange: Exchange, status: Status) -> Sequence[Finding] | None:
        """Settle, before the caller hears: its next call meets a settled claim. Whoever waits here is woken."""
        self._forget_foreseen(exchange)
        underway = self._underway.pop(exchange, None)
        if underway is None:
            return None
        exchange.is_awaited = None
        hold = underway.hold
        self._held_bytes -= hold.kept_bytes
        ending = hold.ending(exchange, status, answers_once=self._answers_once(exchange))
        recording = hold.recording() if hold.may_be_replayed(exchange) else None
        try:
            is_ours = await settle(hold, ending, recording)
        except StoreUnavailable:
            self._keeper.owes(partial(settle, hold, ending, recording))
            await self._claimant.note_locally(underway.call, ending, recording)
            raise
        finally:
            self._flights.land(hold.key, underway.flight)
        return None if is_ours or exchange.spec is None else [fenced(exchange.spec)]

    # The request.

    async def _requested(
        self, exchange: Exchange, spec: Spec, terms: Idempotency, identity: Identity
    ) -> Sequence[Finding] | None:
        mode, is_acting = acting(exchange, spec, terms)
        call = self._call(exchange, spec, terms, identity)
        try:
            claims, claimed, seen = await self._claimant.claim(call)
        finally:
            self._forget_foreseen(exchange)
        diagnosis = diagnosis_of(exchange, identity, claimed, seen)
        has_waited = call.until_ns > 0 and claimed.standing is Standing.IN_FLIGHT
        if has_waited:
            exchange.is_going_to_wait()
            began_ns = self._clock.monotonic_ns()
            claimed = await self._claimant.wait(call, claims, claimed)
            exchange.waited_ns += self._clock.monotonic_ns() - began_ns
        if claimed.standing is Standing.NEW:
            self._begin(call, claims, claimed, is_acting=is_acting)
        if claimed.standing in (Standing.NEW, Standing.YOURS):
            return self._passed(exchange, spec, diagnosis)
        told = told_of(spec, mode, claimed, diagnosis, is_acting=is_acting, has_waited=has_waited)
        self._reporter.duplicate_found(exchange.callee, told.outcome)
        self._retried(exchange, diagnosis)
        return [told.finding]

    def _call(self, exchange: Exchange, spec: Spec, terms: Idempotency, identity: Identity) -> Call:
        waits = acting(exchange, spec, terms)[1] and terms.duplicates == "replay"
        return Call(exchange, terms, identity, self._until_ns(exchange) if waits else 0)

    def _forget_foreseen(self, exchange: Exchange) -> None:
        """Its claim is answered, or nobody will ask for it any more."""
        if not self._foreseen:
            return
        identity = self._foreseen.pop(exchange, None)
        if isinstance(identity, Identity) and self._claiming.get(identity.key) is exchange:
            del self._claiming[identity.key]

    def _passed(self, exchange: Exchange, spec: Spec, diagnosis: Diagnosis | None) -> Sequence[Finding] | None:
        """It runs. Where the same was asked before under another key, somebody above asked again."""
        if diagnosis is None or diagnosis.origin is not Origin.ABOVE:
            return None
        self._retried(exchange, diagnosis)
        return [retried(spec, diagnosis)]

    def _retried(self, exchange: Exchange, diagnosis: Diagnosis | None) -> None:
        """Counted once: those of gRPC clients were, when they came."""
        if diagnosis is not None and not has_attempts(exchange):
            exchange.is_retry = True
            self._reporter.retry_seen(exchange.callee, diagnosis.origin, is_near_deadline=diagnosis.is_near_deadline)

    def _until_ns(self, exchange: Exchange) -> int:
        """When a duplicate has waited long enough: the configured time, or most of what its caller has."""
        now_ns = self._clock.monotonic_ns()
        until_ns = now_ns + int(self._settings.wait_s * 1e9)
        deadline_ns = exchange.lineage.deadline_ns
        return until_ns if deadline_ns is None else min(until_ns, now_ns + int((deadline_ns - now_ns) * WAIT_SHARE))

    # The call that has the claim.

    def _begin(self, call: Call, claims: Claims, claimed: Claimed, *, is_acting: bool) -> None:
        hold = Hold(call.identity.key, claimed.token, claims, self._settings.record_bytes, self._clock.monotonic_ns())
        underway = Underway(call, hold, self._flights.begin(hold.key))
        self._underway[call.exchange] = underway
        if is_acting:
            call.exchange.is_awaited = partial(self._is_awaited, underway)
        self._keeper.awake()

    async def _is_awaited(self, underway: Underway) -> bool:
        """Here, or at another sidecar. Asking extends the lease."""
        if underway.flight.waiters:
            return True
        hold = underway.hold
        try:
            return bool(await hold.claims.extend(hold.key, hold.token, LEASE_S))
        except StoreUnavailable:
            return False

    def _keep(self, hold: Hold, message: Message) -> None:
        self._held_bytes -= hold.kept_bytes
        hold.keep(message, HELD_BYTES_MAX - self._held_bytes)
        self._held_bytes += hold.kept_bytes


def acting(exchange: Exchange, spec: Spec, terms: Idempotency) -> tuple[Mode | None, bool]:
    """The mode of what is said about a duplicate, and whether that is enforced."""
    mode = Mode.OBSERVE if terms.duplicates == "observe" else spec.mode
    return mode, weakest(exchange.mode_for(NAME), mode) is Mode.ENFORCE
